#include "value_json.h"

#include <string.h>

#include "reconciler/base/base64.h"
#include "reconciler/pki/digest.h"

/* `reconcert:` 16 hexadecimal digits `:` in front of the key of a directory with state of its own.
 */
#define APART_DIGITS 16

static const struct str own_prefix = STR_INIT("reconcert:");

static const struct str kong_prefix = STR_INIT("kong_acme:");

static const struct key_row {
    enum value_type type;
    bool is_kongs; /* of a name's first family */
    struct str kind;
} key_rows[] = {
    {VALUE_ACCOUNT, true, STR_INIT("account:")},
    {VALUE_CREDENTIAL, true, STR_INIT("cert_key:")},
    {VALUE_BACKOFF, true, STR_INIT("fail_backoff:")},
    {VALUE_RENEW_CONFIG, true, STR_INIT("renew_config:")},
    {VALUE_ORDER, false, STR_INIT("order:")},
    {VALUE_FAILURE, false, STR_INIT("failure:")},
    {VALUE_DEMAND, false, STR_INIT("demand:")},
    {VALUE_SENT, false, STR_INIT("sent:")},
};

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
    bool is_kongs = row && row->is_kongs && v->subject.family == FAMILY_FIRST;
    size_t start = out->len;
    char hex[65], room[SUBJECT_KEY_MAX];

    if (!row)
        BUG("a value without a type");
    if (v->apart) {
        if (digest_sha256_hex(v->directory, hex))
            return error_memory(e);
        buf_str(out, own_prefix);
        buf_printf(out, "%.*s:", APART_DIGITS, hex);
    }
    buf_str(out, is_kongs ? kong_prefix : own_prefix);
    buf_str(out, row->kind);
    if (v->type == VALUE_ACCOUNT) {
        buf_str(out, v->u.account.api_uri);
        buf_char(out, ':');
        base64_append(out, BASE64_PLAIN, v->u.account.email); /* as Kong's ngx.encode_base64 */
    } else {
        buf_str(out, subject_key(&v->subject, room));
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
    size_t from = own_prefix.len;
    size_t to = from + APART_DIGITS;

    if (!str_starts(*key, own_prefix) || key->len <= to || key->ptr[to] != ':' ||
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
    ptrdiff_t len;

    while (colon > 0 && rest.ptr[colon - 1] != ':')
        colon--;
    if (!colon)
        return 0;
    digits = str_slice(rest, colon, rest.len);
    email = arena_alloc(arena, BASE64_ROOM(digits.len));
    if (!email)
        return -1;
    len = base64_decode(BASE64_PLAIN, digits, email);
    if (len < 0)
        return 0;
    v->u.account.api_uri = str_slice(rest, 0, colon - 1);
    v->u.account.email = (struct str){email, (size_t)len};
    return 1;
}

/* Cuts what stands before the host, the family or the account off; NULL: none of ours. */
static const struct key_row *cut_kind(struct str *key, bool *is_kongs)
{
    struct str prefix = str_starts(*key, kong_prefix) ? kong_prefix : own_prefix;

    *is_kongs = prefix.ptr == kong_prefix.ptr;
    if (!str_starts(*key, prefix))
        return NULL;
    *key = str_slice(*key, prefix.len, key->len);
    for (size_t i = 0; i < ARRAY_LENGTH(key_rows); i++)
        if (str_starts(*key, key_rows[i].kind)) {
            *key = str_slice(*key, key_rows[i].kind.len, key->len);
            return &key_rows[i];
        }
    return NULL;
}

int value_key_parse(struct str key, struct arena *arena, struct value *v)
{
    const struct key_row *row;
    bool is_kongs;

    memset(v, 0, sizeof(*v));
    v->apart = cut_apart(&key);
    row = cut_kind(&key, &is_kongs);
    if (!row)
        return 0;
    v->type = row->type;
    if (v->type == VALUE_ACCOUNT)
        return is_kongs ? parse_account(key, arena, v) : 0;
    return subject_parse(key, &v->subject) && v->subject.name.len <= VALUE_NAME_MAX &&
           is_kongs == (row->is_kongs && v->subject.family == FAMILY_FIRST);
}
