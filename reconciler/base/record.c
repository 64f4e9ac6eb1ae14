#include "record.h"

#include <stdlib.h>
#include <string.h>

#include "sent.h"

static const char *const order_states[] = {
    [VALUE_ORDER_KEY_MADE] = "key_made",
    [VALUE_ORDER_CREATED] = "created",
    [VALUE_ORDER_FINALIZED] = "finalized",
};

#define AT(type, member) .name = #member, .offset = offsetof(type, member)

static const struct field account_fields[] = {
    {AT(struct value_account, api_uri), .kind = FIELD_URL, .use = FIELD_APART,
     .max = VALUE_URL_MAX},
    {AT(struct value_account, email), .kind = FIELD_TEXT, .use = FIELD_APART,
     .max = VALUE_EMAIL_MAX},
    {AT(struct value_account, key), .kind = FIELD_TEXT, .use = FIELD_PACKED, .max = VALUE_KEY_MAX},
    {AT(struct value_account, url), .kind = FIELD_URL, .max = VALUE_URL_MAX},
    {AT(struct value_account, created_at), .kind = FIELD_NUMBER},
};

#define FACT(member) .name = #member, .offset = offsetof(struct value_credential, facts.member)
#define MANAGED(member) .name = #member, .offset = offsetof(struct value_credential, managed.member)

static const struct field credential_fields[] = {
    {FACT(key_type), .kind = FIELD_ENUM, .use = FIELD_PACKED, .max = KEY_OTHER},
    {FACT(not_before), .kind = FIELD_NUMBER, .use = FIELD_PACKED},
    {FACT(not_after), .kind = FIELD_NUMBER, .use = FIELD_PACKED},
    {FACT(fingerprint), .kind = FIELD_DIGEST, .use = FIELD_PACKED},
    {MANAGED(issuer), .kind = FIELD_TEXT, .use = FIELD_PACKED, .max = VALUE_TEXT_MAX},
    {MANAGED(issued_at), .kind = FIELD_NUMBER},
    {MANAGED(order_url), .kind = FIELD_URL, .max = VALUE_URL_MAX},
    {AT(struct value_credential, leaf), .kind = FIELD_TEXT, .use = FIELD_PACKED,
     .max = VALUE_LEAF_MAX},
    {AT(struct value_credential, key), .kind = FIELD_TEXT, .use = FIELD_PACKED,
     .max = VALUE_KEY_MAX},
    {AT(struct value_credential, chain), .kind = FIELD_TEXT, .use = FIELD_APART,
     .max = VALUE_CHAIN_MAX},
    {MANAGED(active), .kind = FIELD_FLAG, .flag = RECORD_ACTIVE},
    {MANAGED(revoked), .kind = FIELD_FLAG, .flag = RECORD_REVOKED},
    {MANAGED(renewed), .kind = FIELD_FLAG, .flag = RECORD_RENEWED, .is_late = true},
    {MANAGED(fence), .kind = FIELD_NUMBER, .flag = RECORD_LEASED},
};

static const struct field order_fields[] = {
    {AT(struct value_order, key), .kind = FIELD_KEY, .max = VALUE_KEY_MAX},
    {AT(struct value_order, url), .kind = FIELD_URL, .max = VALUE_URL_MAX},
    {AT(struct value_order, account_url), .kind = FIELD_URL, .max = VALUE_URL_MAX},
    {AT(struct value_order, state), .kind = FIELD_ENUM, .max = VALUE_ORDER_FINALIZED,
     .words = order_states},
    {AT(struct value_order, started_at), .kind = FIELD_NUMBER},
    {AT(struct value_order, chain), .kind = FIELD_TEXT, .max = VALUE_PEM_MAX, .flag = RECORD_NEXT},
    {AT(struct value_order, begins_at), .kind = FIELD_NUMBER, .flag = RECORD_NEXT},
    {AT(struct value_order, ends_at), .kind = FIELD_NUMBER, .flag = RECORD_NEXT},
    {AT(struct value_order, owner), .kind = FIELD_TEXT, .max = VALUE_OWNER_MAX,
     .flag = RECORD_LEASED},
    {AT(struct value_order, fence), .kind = FIELD_NUMBER, .flag = RECORD_LEASED},
};

static const struct field failure_fields[] = {
    {AT(struct failure, count), .kind = FIELD_COUNT},
    {AT(struct failure, failed_at), .kind = FIELD_NUMBER},
    {AT(struct failure, retry_at), .kind = FIELD_NUMBER},
    {AT(struct failure, kind), .kind = FIELD_ERROR},
    {AT(struct failure, permanent), .kind = FIELD_FLAG, .flag = RECORD_PERMANENT},
    {AT(struct failure, waived), .kind = FIELD_FLAG, .flag = RECORD_WAIVED, .is_late = true},
    {AT(struct failure, text), .kind = FIELD_TEXT, .max = VALUE_TEXT_MAX},
    {AT(struct failure, config), .kind = FIELD_TEXT, .max = VALUE_HASH_MAX, .flag = RECORD_CONFIG},
};

static const struct field demand_fields[] = {
    {AT(struct value_demand, last_seen_at), .kind = FIELD_NUMBER},
};

static const struct field sent_fields[] = {
    {AT(struct value_sent, times), .kind = FIELD_TEXT, .max = SENT_TEXT_MAX},
};

static const struct field backoff_fields[] = {
    {AT(struct value_backoff, retry_at), .kind = FIELD_NUMBER, .use = FIELD_PACKED},
};

static const struct field renew_config_fields[] = {
    {AT(struct value_renew_config, expire_at), .kind = FIELD_NUMBER, .use = FIELD_PACKED},
};

#define RECORD(type, fields)                       \
    {                                              \
        sizeof(type), fields, ARRAY_LENGTH(fields) \
    }

static const struct record records[VALUE_TYPE_COUNT] = {
    [VALUE_ACCOUNT] = RECORD(struct value_account, account_fields),
    [VALUE_CREDENTIAL] = RECORD(struct value_credential, credential_fields),
    [VALUE_ORDER] = RECORD(struct value_order, order_fields),
    [VALUE_FAILURE] = RECORD(struct failure, failure_fields),
    [VALUE_DEMAND] = RECORD(struct value_demand, demand_fields),
    [VALUE_BACKOFF] = RECORD(struct value_backoff, backoff_fields),
    [VALUE_RENEW_CONFIG] = RECORD(struct value_renew_config, renew_config_fields),
    [VALUE_SENT] = RECORD(struct value_sent, sent_fields),
};

const struct record *record_of(enum value_type type)
{
    if (type <= VALUE_NONE || type >= VALUE_TYPE_COUNT)
        BUG("a value without a type");
    return &records[type];
}

struct str *record_text(const struct record *r, size_t i, void *record)
{
    const struct field *f = &r->fields[i];

    if (f->kind != FIELD_TEXT && f->kind != FIELD_KEY && f->kind != FIELD_URL)
        return NULL;
    return (struct str *)((char *)record + f->offset);
}

unsigned record_flags(const struct value *v)
{
    const struct record *r = record_of(v->type);
    unsigned flags = v->type == VALUE_ORDER && v->u.order.chain.len ? RECORD_NEXT : 0;

    if (v->type == VALUE_FAILURE && v->u.failure.config.len)
        flags |= RECORD_CONFIG;
    if ((v->type == VALUE_ORDER && v->u.order.fence) ||
        (v->type == VALUE_CREDENTIAL && v->u.credential.managed.fence))
        flags |= RECORD_LEASED;
    for (size_t i = 0; i < r->count; i++)
        if (r->fields[i].kind == FIELD_FLAG &&
            *(const bool *)((const char *)&v->u + r->fields[i].offset))
            flags |= r->fields[i].flag;
    return flags;
}

void *record_new(const struct value *v, size_t head)
{
    const struct record *r = record_of(v->type);
    char *room = calloc(1, head + r->size);
    bool failed = false;

    if (!room)
        return NULL;
    memcpy(room + head, &v->u, r->size);
    for (size_t i = 0; i < r->count; i++) {
        struct str *text = record_text(r, i, room + head);
        if (text)
            text->ptr = str_dup(*text);
        failed = failed || (text && !text->ptr);
    }
    if (!failed)
        return room;
    record_free(v->type, room, head);
    return NULL;
}

void record_free(enum value_type type, void *room, size_t head)
{
    const struct record *r = record_of(type);

    for (size_t i = 0; room && i < r->count; i++) {
        struct str *text = record_text(r, i, (char *)room + head);
        if (text && text->ptr)
            explicit_bzero((char *)text->ptr, text->len);
        if (text)
            free((char *)text->ptr);
    }
    free(room);
}
