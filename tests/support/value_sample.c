#include "tests/support/value_sample.h"

#include <stdio.h>
#include <string.h>

#include "reconciler/pki/digest.h"

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 24;
}

static struct str fill(char *room, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++)
        room[i] = (char)next(&seed);
    return (struct str){room, len};
}

/* One DER element, so that it can be interned as a chain. */
static struct str fill_chain(char *room, size_t len, uint64_t seed)
{
    struct str chain = fill(room, len, seed);
    const unsigned char head[] = {0x30, 0x82, (unsigned char)((len - 4) >> 8),
                                  (unsigned char)(len - 4)};

    memcpy(room, head, sizeof(head));
    return chain;
}

static void make_credential(struct value_sample *s, uint64_t seed, size_t size)
{
    struct value_credential *c = &s->v.u.credential;
    unsigned chain = (unsigned)(next(&seed) % 4);

    c->leaf = fill(s->leaf, size, seed);
    c->chain = chain ? fill_chain(s->chain, 300 + 100 * chain, chain) : STR("");
    c->key = fill(s->key, 32, seed + 1);
    c->facts.key_type = KEY_P256;
    c->facts.not_before = (int64_t)next(&seed);
    c->facts.not_after = c->facts.not_before + 7776000;
    fill((char *)c->facts.fingerprint, sizeof(c->facts.fingerprint), seed);
    c->managed.issuer = STR("Sample CA");
    c->managed.issued_at = c->facts.not_before + 3600;
    c->managed.order_url = str_from(s->url);
    c->managed.active = seed & 1;
    c->managed.revoked = seed & 2;
    c->managed.renewed = seed & 4;
    if (seed & 32)
        c->managed.fence = (int64_t)next(&seed);
}

static void make_fields(struct value_sample *s, uint64_t seed, size_t size)
{
    struct value *v = &s->v;

    switch (v->type) {
    case VALUE_ACCOUNT:
        v->u.account =
            (struct value_account){STR("https://ca.test/"), str_from(s->name), str_from(s->text),
                                   str_from(s->url), (int64_t)next(&seed)};
        break;
    case VALUE_CREDENTIAL:
        make_credential(s, seed, size);
        break;
    case VALUE_ORDER:
        v->u.order = (struct value_order){.key = fill(s->key, 48, seed),
                                          .url = str_from(s->url),
                                          .account_url = STR("https://ca.test/account/1"),
                                          .state = VALUE_ORDER_CREATED,
                                          .started_at = (int64_t)next(&seed)};
        if (seed & 1)
            v->u.order.chain = str_from(s->text);
        if (seed & 1)
            v->u.order.begins_at = v->u.order.ends_at = (int64_t)next(&seed);
        if (seed & 32)
            v->u.order.fence = 1 + (int64_t)next(&seed) % 100;
        if (v->u.order.fence)
            v->u.order.owner = STR("replica-7");
        break;
    case VALUE_FAILURE:
        v->u.failure = (struct failure){.count = (unsigned)next(&seed) % 100,
                                        .failed_at = (int64_t)next(&seed),
                                        .retry_at = (int64_t)next(&seed),
                                        .kind = ERROR_CHALLENGE,
                                        .permanent = seed & 1,
                                        .waived = seed & 2,
                                        .text = str_from(s->text)};
        if (seed & 16)
            v->u.failure.config = STR("5f");
        break;
    case VALUE_DEMAND:
        v->u.demand.last_seen_at = (int64_t)next(&seed);
        break;
    case VALUE_SENT:
        snprintf(s->text, sizeof(s->text), "%u %ur", (unsigned)next(&seed), (unsigned)next(&seed));
        v->u.sent.times = str_from(s->text);
        break;
    case VALUE_BACKOFF:
        v->u.backoff.retry_at = (int64_t)next(&seed);
        break;
    default:
        v->u.renew_config.expire_at = (int64_t)next(&seed);
    }
}

void value_sample_make(struct value_sample *s, enum value_type type, unsigned name, uint64_t seed,
                       size_t size)
{
    memset(&s->v, 0, sizeof(s->v));
    snprintf(s->name, sizeof(s->name), type == VALUE_ACCOUNT ? "me@n%u.test" : "n%u.test", name);
    snprintf(s->directory, sizeof(s->directory), "https://ca.test/directory");
    snprintf(s->url, sizeof(s->url), "https://ca.test/order/%llu", (unsigned long long)seed);
    snprintf(s->text, sizeof(s->text), "urn:ietf:params:acme:error:dns: attempt %llu",
             (unsigned long long)seed);
    s->v.type = type;
    if (type != VALUE_ACCOUNT)
        s->v.subject.name = str_from(s->name);
    s->v.directory = str_from(s->directory);
    s->v.apart = name % 3 == 0;
    make_fields(s, seed, size);
}

static void print_text(struct buf *out, const char *label, struct str s)
{
    buf_printf(out, " %s=", label);
    buf_escaped(out, s);
}

/* Long bytes by their digest. */
static void print_bytes(struct buf *out, const char *label, struct str s)
{
    char hex[65];

    if (digest_sha256_hex(s, hex))
        return;
    buf_printf(out, " %s=%zu:%.16s", label, s.len, hex);
}

static void print_credential(const struct value_credential *c, struct buf *out)
{
    struct str fingerprint = {(const char *)c->facts.fingerprint, sizeof(c->facts.fingerprint)};

    print_bytes(out, "leaf", c->leaf);
    print_bytes(out, "chain", c->chain);
    print_bytes(out, "key", c->key);
    print_bytes(out, "fingerprint", fingerprint);
    print_text(out, "issuer", c->managed.issuer);
    print_text(out, "order_url", c->managed.order_url);
    buf_printf(out, " %d %lld-%lld issued=%lld active=%d revoked=%d renewed=%d", c->facts.key_type,
               (long long)c->facts.not_before, (long long)c->facts.not_after,
               (long long)c->managed.issued_at, c->managed.active, c->managed.revoked,
               c->managed.renewed);
}

void value_sample_print(const struct value *v, struct buf *out)
{
    const struct value_order *o = &v->u.order;
    const struct failure *f = &v->u.failure;

    buf_printf(out, "%d apart=%d", v->type, v->apart);
    print_text(out, "name", v->type == VALUE_ACCOUNT ? v->u.account.email : v->subject.name);
    if (v->subject.family)
        buf_printf(out, " family=%d", v->subject.family);
    print_text(out, "directory", v->directory);
    switch (v->type) {
    case VALUE_ACCOUNT:
        print_text(out, "api_uri", v->u.account.api_uri);
        print_text(out, "key", v->u.account.key);
        print_text(out, "url", v->u.account.url);
        buf_printf(out, " created=%lld", (long long)v->u.account.created_at);
        break;
    case VALUE_CREDENTIAL:
        print_credential(&v->u.credential, out);
        break;
    case VALUE_ORDER:
        print_bytes(out, "key", o->key);
        print_text(out, "url", o->url);
        print_text(out, "account", o->account_url);
        print_text(out, "chain", o->chain);
        buf_printf(out, " state=%d started=%lld begins=%lld-%lld", o->state,
                   (long long)o->started_at, (long long)o->begins_at, (long long)o->ends_at);
        if (o->fence)
            buf_printf(out, " owner=%.*s fence=%lld", STR_ARG(o->owner), (long long)o->fence);
        break;
    case VALUE_FAILURE:
        print_text(out, "text", f->text);
        print_text(out, "config", f->config);
        buf_printf(out, " count=%u failed=%lld retry=%lld kind=%s permanent=%d waived=%d", f->count,
                   (long long)f->failed_at, (long long)f->retry_at, error_kind_name(f->kind),
                   f->permanent, f->waived);
        break;
    case VALUE_SENT:
        print_text(out, "times", v->u.sent.times);
        break;
    default:
        /* One number each, at the same place. */
        buf_printf(out, " at=%lld", (long long)v->u.demand.last_seen_at);
    }
}
