#include "packed.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "reconciler/base/sent.h"

/*
 * All numbers are little-endian. A record begins with its type and a byte of flags, for a
 * credential followed by the id of its chain where FLAG_CHAIN is set; then the fields in the order
 * of the functions below. Fields are only ever appended.
 */
enum packed_flag {
    FLAG_ACTIVE = 1 << 0,
    FLAG_REVOKED = 1 << 1,
    FLAG_CHAIN = 1 << 2,
    FLAG_PERMANENT = 1 << 3,
    FLAG_RENEWED = 1 << 4,
    FLAG_WAIVED = 1 << 5,
    FLAG_NEXT = 1 << 6 /* an order with what it brought */
};

struct cursor {
    const char *at, *end;
    bool failed;
};

static void put_number(struct buf *out, int64_t number)
{
    uint64_t wire = htole64((uint64_t)number);

    buf_append(out, &wire, sizeof(wire));
}

static void put_byte(struct buf *out, unsigned byte)
{
    buf_char(out, (char)byte);
}

static void put_text(struct buf *out, struct str text)
{
    uint32_t len = htole32((uint32_t)text.len);

    buf_append(out, &len, sizeof(len));
    buf_append(out, text.ptr, text.len);
}

static const char *take(struct cursor *c, size_t len)
{
    const char *at = c->at;

    if (c->failed || (size_t)(c->end - c->at) < len) {
        c->failed = true;
        return NULL;
    }
    c->at += len;
    return at;
}

static int64_t take_number(struct cursor *c)
{
    const char *at = take(c, sizeof(uint64_t));
    uint64_t wire = 0;

    if (at)
        memcpy(&wire, at, sizeof(wire));
    return (int64_t)le64toh(wire);
}

static unsigned take_byte(struct cursor *c)
{
    const char *at = take(c, 1);

    return at ? (unsigned char)*at : 0;
}

static struct str take_text(struct cursor *c, size_t max)
{
    const char *at = take(c, sizeof(uint32_t));
    uint32_t len = 0;

    if (at)
        memcpy(&len, at, sizeof(len));
    len = le32toh(len);
    if (len > max)
        c->failed = true;
    at = take(c, len);
    return at ? (struct str){at, len} : STR_NONE;
}

static void take_bytes(struct cursor *c, unsigned char *out, size_t len)
{
    const char *at = take(c, len);

    if (at)
        memcpy(out, at, len);
}

static void write_credential(const struct value_credential *c, struct buf *out)
{
    put_byte(out, (unsigned)c->key_type);
    put_number(out, c->not_before);
    put_number(out, c->not_after);
    buf_append(out, c->fingerprint, sizeof(c->fingerprint));
    put_text(out, c->issuer);
    put_number(out, c->issued_at);
    put_text(out, c->order_url);
    put_text(out, c->leaf);
    put_text(out, c->key);
}

static void read_credential(struct cursor *at, unsigned flags, struct value_credential *c)
{
    unsigned type;

    c->active = (flags & FLAG_ACTIVE) != 0;
    c->revoked = (flags & FLAG_REVOKED) != 0;
    c->renewed = (flags & FLAG_RENEWED) != 0;
    type = take_byte(at);
    if (type == KEY_NONE || type > KEY_OTHER)
        at->failed = true;
    c->key_type = (enum key_type)type;
    c->not_before = take_number(at);
    c->not_after = take_number(at);
    take_bytes(at, c->fingerprint, sizeof(c->fingerprint));
    c->issuer = take_text(at, VALUE_TEXT_MAX);
    c->issued_at = take_number(at);
    c->order_url = take_text(at, VALUE_URL_MAX);
    c->leaf = take_text(at, VALUE_LEAF_MAX);
    c->key = take_text(at, VALUE_KEY_MAX);
}

static void write_account(const struct value_account *a, struct buf *out)
{
    put_text(out, a->key);
    put_text(out, a->url);
    put_number(out, a->created_at);
}

static void read_account(struct cursor *at, struct value_account *a)
{
    a->key = take_text(at, VALUE_KEY_MAX);
    a->url = take_text(at, VALUE_URL_MAX);
    a->created_at = take_number(at);
}

static void write_order(const struct value_order *o, struct buf *out)
{
    put_byte(out, (unsigned)o->state);
    put_text(out, o->key);
    put_text(out, o->url);
    put_text(out, o->account_url);
    put_number(out, o->started_at);
    if (!o->chain.len)
        return;
    put_text(out, o->chain);
    put_number(out, o->begins_at);
    put_number(out, o->ends_at);
}

static void read_order(struct cursor *at, unsigned flags, struct value_order *o)
{
    unsigned state = take_byte(at);

    if (state < VALUE_ORDER_KEY_MADE || state > VALUE_ORDER_FINALIZED)
        at->failed = true;
    o->state = (enum value_order_state)state;
    o->key = take_text(at, VALUE_KEY_MAX);
    o->url = take_text(at, VALUE_URL_MAX);
    o->account_url = take_text(at, VALUE_URL_MAX);
    o->started_at = take_number(at);
    o->chain = STR("");
    o->begins_at = o->ends_at = 0;
    if (!(flags & FLAG_NEXT))
        return;
    o->chain = take_text(at, VALUE_PEM_MAX);
    o->begins_at = take_number(at);
    o->ends_at = take_number(at);
}

/* The kind goes by its word: the enum's numbers may change between versions. */
static void write_failure(const struct value_failure *f, struct buf *out)
{
    put_number(out, f->count);
    put_number(out, f->failed_at);
    put_number(out, f->retry_at);
    put_text(out, str_from(error_kind_name(f->kind)));
    put_text(out, f->text);
}

static void read_failure(struct cursor *at, unsigned flags, struct value_failure *f)
{
    int64_t count = take_number(at);
    struct str kind;
    char word[32] = "";

    if (count < 0 || count > UINT32_MAX)
        at->failed = true;
    f->count = (unsigned)count;
    f->failed_at = take_number(at);
    f->retry_at = take_number(at);
    kind = take_text(at, sizeof(word) - 1);
    if (kind.len)
        memcpy(word, kind.ptr, kind.len);
    f->kind = error_kind_from(word);
    f->text = take_text(at, VALUE_TEXT_MAX);
    f->permanent = (flags & FLAG_PERMANENT) != 0;
    f->waived = (flags & FLAG_WAIVED) != 0;
}

static bool has_chain(const struct value *v)
{
    static const unsigned char none[PACKED_CHAIN_ID];

    return v->type == VALUE_CREDENTIAL && memcmp(v->u.credential.chain_id, none, sizeof(none)) != 0;
}

static unsigned flags_of(const struct value *v)
{
    if (v->type == VALUE_CREDENTIAL)
        return (v->u.credential.active ? FLAG_ACTIVE : 0u) |
               (v->u.credential.revoked ? FLAG_REVOKED : 0u) |
               (v->u.credential.renewed ? FLAG_RENEWED : 0u) | (has_chain(v) ? FLAG_CHAIN : 0u);
    if (v->type == VALUE_ORDER)
        return v->u.order.chain.len ? FLAG_NEXT : 0u;
    if (v->type == VALUE_FAILURE)
        return (v->u.failure.permanent ? FLAG_PERMANENT : 0u) |
               (v->u.failure.waived ? FLAG_WAIVED : 0u);
    return 0;
}

int packed_write(const struct value *v, struct buf *out)
{
    put_byte(out, (unsigned)v->type);
    put_byte(out, flags_of(v));
    if (has_chain(v))
        buf_append(out, v->u.credential.chain_id, PACKED_CHAIN_ID);
    put_text(out, v->directory);
    switch (v->type) {
    case VALUE_ACCOUNT:
        write_account(&v->u.account, out);
        break;
    case VALUE_CREDENTIAL:
        write_credential(&v->u.credential, out);
        break;
    case VALUE_ORDER:
        write_order(&v->u.order, out);
        break;
    case VALUE_FAILURE:
        write_failure(&v->u.failure, out);
        break;
    case VALUE_DEMAND:
        put_number(out, v->u.demand.last_seen_at);
        break;
    case VALUE_SENT:
        put_text(out, v->u.sent.times);
        break;
    case VALUE_BACKOFF:
        put_number(out, v->u.backoff.retry_at);
        break;
    case VALUE_RENEW_CONFIG:
        put_number(out, v->u.renew_config.expire_at);
        break;
    case VALUE_NONE:
    case VALUE_TYPE_COUNT:
        BUG("a value without a type");
    }
    return out->failed ? -1 : 0;
}

static void read_fields(struct cursor *at, unsigned flags, struct value *v)
{
    switch (v->type) {
    case VALUE_ACCOUNT:
        read_account(at, &v->u.account);
        break;
    case VALUE_CREDENTIAL:
        read_credential(at, flags, &v->u.credential);
        break;
    case VALUE_ORDER:
        read_order(at, flags, &v->u.order);
        break;
    case VALUE_FAILURE:
        read_failure(at, flags, &v->u.failure);
        break;
    case VALUE_DEMAND:
        v->u.demand.last_seen_at = take_number(at);
        break;
    case VALUE_SENT:
        v->u.sent.times = take_text(at, SENT_TEXT_MAX);
        break;
    case VALUE_BACKOFF:
        v->u.backoff.retry_at = take_number(at);
        break;
    case VALUE_RENEW_CONFIG:
        v->u.renew_config.expire_at = take_number(at);
        break;
    case VALUE_NONE:
    case VALUE_TYPE_COUNT:
        at->failed = true;
    }
}

int packed_read(struct str packed, struct value *v)
{
    struct cursor at = {packed.ptr, packed.ptr + packed.len, false};
    unsigned type = take_byte(&at);
    unsigned flags = take_byte(&at);

    if (type != (unsigned)v->type)
        return -1;
    if (v->type == VALUE_CREDENTIAL) {
        memset(v->u.credential.chain_id, 0, PACKED_CHAIN_ID);
        if (flags & FLAG_CHAIN)
            take_bytes(&at, v->u.credential.chain_id, PACKED_CHAIN_ID);
        v->u.credential.chain = STR_NONE;
    }
    v->directory = take_text(&at, VALUE_URL_MAX);
    read_fields(&at, flags, v);
    return at.failed ? -1 : 0;
}

bool packed_chain_id(struct str packed, unsigned char id[PACKED_CHAIN_ID])
{
    if (packed.len < 2 + PACKED_CHAIN_ID || packed.ptr[0] != VALUE_CREDENTIAL ||
        !(packed.ptr[1] & FLAG_CHAIN))
        return false;
    memcpy(id, packed.ptr + 2, PACKED_CHAIN_ID);
    return true;
}
