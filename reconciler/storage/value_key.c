#include "value.h"

#include <string.h>

#include "reconciler/pki/digest.h"

/* `reconcert:` 16 hexadecimal digits `:` in front of the key of a directory with state of its own.
 */
#define APART_DIGITS 16

static const struct str apart_prefix = STR_INIT("reconcert:");

static const struct key_row {
    enum value_type type;
    struct str prefix;
} key_rows[] = {
    {VALUE_ACCOUNT, STR_INIT("kong_acme:account:")},
    {VALUE_CREDENTIAL, STR_INIT("kong_acme:cert_key:")},
    {VALUE_BACKOFF, STR_INIT("kong_acme:fail_backoff:")},
    {VALUE_RENEW_CONFIG, STR_INIT("kong_acme:renew_config:")},
    {VALUE_ORDER, STR_INIT("reconcert:order:")},
    {VALUE_FAILURE, STR_INIT("reconcert:failure:")},
    {VALUE_DEMAND, STR_INIT("reconcert:demand:")},
    {VALUE_SENT, STR_INIT("reconcert:sent:")},
};

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* RFC 4648 §4, as Kong's ngx.encode_base64 writes an e-mail address. */
static void append_base64(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i += 3) {
        const unsigned char *p = (const unsigned char *)s.ptr + i;
        size_t left = s.len - i;
        unsigned bits = (unsigned)p[0] << 16 | (left > 1 ? (unsigned)p[1] << 8 : 0) |
                        (left > 2 ? (unsigned)p[2] : 0);
        buf_char(out, base64_digits[bits >> 18]);
        buf_char(out, base64_digits[bits >> 12 & 63]);
        buf_char(out, left > 1 ? base64_digits[bits >> 6 & 63] : '=');
        buf_char(out, left > 2 ? base64_digits[bits & 63] : '=');
    }
}

static int base64_digit(char c)
{
    const char *at = c ? strchr(base64_digits, c) : NULL;

    return at ? (int)(at - base64_digits) : -1;
}

/* Decodes into `out`, which holds s.len / 4 * 3 bytes. False: not canonical base64. */
static bool decode_base64(struct str s, char *out, size_t *len)
{
    size_t padding = str_ends(s, STR("==")) ? 2 : str_ends(s, STR("=")) ? 1 : 0;
    size_t n = 0;

    if (s.len % 4)
        return false;
    for (size_t i = 0; i < s.len; i += 4) {
        size_t digits = i + 4 == s.len ? 4 - padding : 4;
        unsigned bits = 0;
        for (size_t k = 0; k < 4; k++) {
            int digit = k < digits ? base64_digit(s.ptr[i + k]) : 0;
            if (digit < 0)
                return false;
            bits = bits << 6 | (unsigned)digit;
        }
        for (size_t k = 0; k + 1 < digits; k++)
            out[n++] = (char)(bits >> (16 - 8 * k));
        if (digits < 4 && (bits & ((1u << (8 * (4 - digits))) - 1)))
            return false;
    }
    *len = n;
    return true;
}

static const struct key_row *row_of(enum value_type type)
{
    for (size_t i = 0; i < ARRAY_LENGTH(key_rows); i++)
        if (key_rows[i].type == type)
            return &key_rows[i];
    return NULL;
}

int value_key(const struct value *v, struct buf *out, struct error *e)
{
    const struct key_row *row = row_of(v->type);
    size_t start = out->len;
    char hex[65];

    if (!row)
        BUG("a value without a type");
    if (v->apart) {
        if (digest_sha256_hex(v->directory, hex))
            return error_memory(e);
        buf_str(out, apart_prefix);
        buf_printf(out, "%.*s:", APART_DIGITS, hex);
    }
    buf_str(out, row->prefix);
    if (v->type == VALUE_ACCOUNT) {
        buf_str(out, v->u.account.api_uri);
        buf_char(out, ':');
        append_base64(out, v->name);
    } else {
        buf_str(out, v->name);
    }
    if (out->failed)
        return error_memory(e);
    if (out->len - start > VALUE_LOGICAL_KEY_MAX)
        return error_set(e, ERROR_LIMIT, "a storage key is longer than %d bytes",
                         VALUE_LOGICAL_KEY_MAX);
    return 0;
}

static bool is_lower_hex(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.ptr[i] >= '0' && s.ptr[i] <= '9') || (s.ptr[i] >= 'a' && s.ptr[i] <= 'f')))
            return false;
    return true;
}

/* Cuts the prefix of a directory's own state off `key`. */
static bool cut_apart(struct str *key)
{
    size_t from = apart_prefix.len;
    size_t to = from + APART_DIGITS;

    if (!str_starts(*key, apart_prefix) || key->len <= to || key->ptr[to] != ':' ||
        !is_lower_hex(str_slice(*key, from, to)))
        return false;
    *key = str_slice(*key, to + 1, key->len);
    return true;
}

/* <api_uri>:<base64(email)>; the URI has colons of its own, base64 has none. */
static int parse_account(struct str rest, struct arena *arena, struct value *v)
{
    size_t colon = rest.len;
    struct str digits;
    char *email;
    size_t len;

    while (colon > 0 && rest.ptr[colon - 1] != ':')
        colon--;
    if (!colon)
        return 0;
    digits = str_slice(rest, colon, rest.len);
    email = arena_alloc(arena, digits.len / 4 * 3);
    if (!email)
        return -1;
    if (!decode_base64(digits, email, &len))
        return 0;
    v->u.account.api_uri = str_slice(rest, 0, colon - 1);
    v->name = (struct str){email, len};
    return 1;
}

int value_key_parse(struct str key, struct arena *arena, struct value *v)
{
    memset(v, 0, sizeof(*v));
    v->apart = cut_apart(&key);
    for (size_t i = 0; i < ARRAY_LENGTH(key_rows); i++) {
        if (!str_starts(key, key_rows[i].prefix))
            continue;
        v->type = key_rows[i].type;
        key = str_slice(key, key_rows[i].prefix.len, key.len);
        if (v->type == VALUE_ACCOUNT)
            return parse_account(key, arena, v);
        v->name = key;
        return key.len > 0 && key.len <= VALUE_NAME_MAX;
    }
    return 0;
}
