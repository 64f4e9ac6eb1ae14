#include "reconciler/pki/der.h"

#define DER_LENGTH_BYTES_MAX 4

/* The length octets at p; how many there are, 0 if they are broken. */
static size_t read_length(const unsigned char *p, size_t left, size_t *len)
{
    size_t count;

    if (!left)
        return 0;
    if (p[0] < 0x80) {
        *len = p[0];
        return 1;
    }
    count = p[0] & 0x7f;
    if (!count || count > DER_LENGTH_BYTES_MAX || count >= left)
        return 0;
    *len = 0;
    for (size_t i = 1; i <= count; i++)
        *len = *len << 8 | p[i];
    /* Shortest form only (X.690 §10.1): no leading zero, no long form for a short length. */
    if (p[1] == 0 || *len < 0x80)
        return 0;
    return count + 1;
}

bool der_next(struct str *cursor, struct der_element *element)
{
    const unsigned char *p = (const unsigned char *)cursor->ptr;
    size_t len, header;

    if (cursor->len < 2 || (p[0] & 0x1f) == 0x1f)
        return false;
    header = read_length(p + 1, cursor->len - 1, &len);
    if (!header || len > cursor->len - 1 - header)
        return false;
    header++;
    element->tag = p[0];
    element->content = (struct str){cursor->ptr + header, len};
    element->whole = (struct str){cursor->ptr, header + len};
    cursor->ptr += header + len;
    cursor->len -= header + len;
    return true;
}

bool der_take(struct str *cursor, unsigned char tag, struct str *content)
{
    struct str rest = *cursor;
    struct der_element element;

    if (!der_next(&rest, &element) || element.tag != tag)
        return false;
    *cursor = rest;
    *content = element.content;
    return true;
}

bool der_take_optional(struct str *cursor, unsigned char tag, struct str *content)
{
    *content = STR_NONE;
    if (!cursor->len || (unsigned char)cursor->ptr[0] != tag)
        return true;
    return der_take(cursor, tag, content);
}

bool der_take_unsigned(struct str *cursor, struct str *number)
{
    struct str content;

    if (!der_take(cursor, DER_INTEGER, &content) || !content.len ||
        (unsigned char)content.ptr[0] & 0x80)
        return false;
    if (content.len > 1 && content.ptr[0] == 0) {
        /* Shortest form (X.690 §8.3.2): a zero byte only where the next one has its top bit set. */
        if (!((unsigned char)content.ptr[1] & 0x80))
            return false;
        content = str_slice(content, 1, content.len);
    }
    *number = content;
    return true;
}

bool der_take_bits(struct str *cursor, struct str *bytes)
{
    struct str content;

    if (!der_take(cursor, DER_BIT_STRING, &content) || !content.len || content.ptr[0] != 0)
        return false;
    *bytes = str_slice(content, 1, content.len);
    return true;
}

size_t der_header_size(size_t len)
{
    size_t size = 2;

    if (len >= 0x80)
        for (; len; len >>= 8)
            size++;
    return size;
}

void der_header(struct buf *out, unsigned char tag, size_t len)
{
    size_t count = der_header_size(len) - 2;

    buf_char(out, (char)tag);
    buf_char(out, (char)(count ? 0x80 | count : len));
    while (count--)
        buf_char(out, (char)(len >> (8 * count)));
}

void der_put(struct buf *out, unsigned char tag, struct str content)
{
    der_header(out, tag, content.len);
    buf_str(out, content);
}
