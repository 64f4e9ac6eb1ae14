#include "base64.h"

#include <string.h>

static const char alphabets[][65] = {
    [BASE64_PLAIN] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    [BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

void base64_append(struct buf *out, enum base64 kind, struct str bytes)
{
    const unsigned char *in = (const unsigned char *)bytes.ptr;
    const size_t digits = bytes.len / 3 * 4 + (bytes.len % 3 ? bytes.len % 3 + 1 : 0);
    const size_t len = kind == BASE64_URL ? digits : (digits + 3) / 4 * 4;
    char *to = buf_reserve(out, len);

    if (!to)
        return;
    memset(to, '=', len);
    for (size_t i = 0, at = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        unsigned word = (unsigned)in[i] << 16 | (left > 1 ? (unsigned)in[i + 1] << 8 : 0) |
                        (left > 2 ? in[i + 2] : 0);

        for (int shift = 18; shift >= 0 && at < digits; shift -= 6)
            to[at++] = alphabets[kind][word >> shift & 63];
    }
    buf_commit(out, len);
}

static int digit(enum base64 kind, char c)
{
    const char *hit = c ? strchr(alphabets[kind], c) : NULL;

    return hit ? (int)(hit - alphabets[kind]) : -1;
}

bool base64_is(enum base64 kind, struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (digit(kind, text.ptr[i]) < 0)
            return false;
    return true;
}

/* How many of the characters are digits: what is behind them is padding, and may be there. */
static ptrdiff_t count_digits(enum base64 kind, struct str text)
{
    size_t len = text.len;

    while (len && text.ptr[len - 1] == '=')
        len--;
    if (len % 4 == 1 || (kind == BASE64_PLAIN && (text.len % 4 || text.len - len > 2)))
        return -1;
    return (ptrdiff_t)len;
}

ptrdiff_t base64_decode(enum base64 kind, struct str text, char *out)
{
    const ptrdiff_t digits = count_digits(kind, text);
    unsigned word = 0, bits = 0;
    ptrdiff_t len = 0;

    if (digits < 0)
        return -1;
    for (ptrdiff_t i = 0; i < digits; i++) {
        int value = digit(kind, text.ptr[i]);

        if (value < 0)
            return -1;
        word = word << 6 | (unsigned)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[len++] = (char)(word >> bits);
        }
    }
    return kind == BASE64_PLAIN && word & ((1u << bits) - 1) ? -1 : len;
}
