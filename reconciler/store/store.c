#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "due.h"
#include "phrase.h"
#include "reconciler/base/map.h"
#include "reconciler/base/value.h"
#include "reconciler/base/vec.h"
#include "reconciler/pki/credential.h"
#include "reconciler/pki/chain.h"
#include "roster.h"
#include "slab.h"

struct store {
    bool apart;
    char *directory;
    struct chain_pool *chains; /* the caller's */
    struct map names;
    struct roster roster;
    struct due due;
    struct phrase_pool phrases;
    struct slab_pool slabs;
    struct {
        struct store_account **items;
        size_t len;
        size_t cap;
    } accounts;
};

/* A name owns its texts; the store's pointers to shared ones are dropped by clear_credential. */
static struct str key_of(const void *item)
{
    return ((const struct store_name *)item)->name;
}

static void free_name(struct store_name *n)
{
    free(n);
}

struct store *store_new(const struct store_options *options, struct chain_pool *chains)
{
    struct store *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->apart = options->apart;
    s->chains = chains;
    s->directory = str_dup(options->directory);
    s->names = MAP_INIT(key_of, (uint64_t)(uintptr_t)s);
    s->roster.free_name = free_name;
    phrase_pool_init(&s->phrases);
    if (s->directory && !vec_reserve(&s->roster))
        return s;
    store_free(s);
    return NULL;
}

/* ---- parts of a name ---- */

static void wipe_free(struct str s)
{
    if (s.ptr)
        explicit_bzero((char *)s.ptr, s.len);
    free((char *)s.ptr);
}

static void free_text(struct str s)
{
    free((char *)s.ptr);
}

static void clear_credential(struct store *s, struct store_name *n)
{
    credential_unref(n->credential);
    n->credential = NULL;
    phrase_drop(&s->phrases, n->issuer);
    phrase_drop(&s->phrases, n->directory);
    free_text(n->order_url);
    n->issuer = n->directory = n->order_url = STR_NONE;
    n->issued_at = 0;
    n->active = n->revoked = n->renewed = false;
}

static void free_failure(struct store_failure *f)
{
    if (f)
        free_text(f->text);
    free(f);
}

static void free_order(struct store_order *o)
{
    if (!o)
        return;
    wipe_free(o->key);
    free_text(o->url);
    free_text(o->account_url);
    free_text(o->directory);
    free_text(o->chain);
    free(o);
}

static void free_sent(struct store_sent *sent)
{
    if (!sent)
        return;
    free_text(sent->directory);
    free_text(sent->times);
    free(sent);
}

static void clear(struct store *s, struct store_name *n)
{
    clear_credential(s, n);
    free_failure(n->failure);
    free_order(n->order);
    free_sent(n->sent);
    n->failure = NULL;
    n->order = NULL;
    n->sent = NULL;
}

/* Copies a text; ptr NULL: out of memory. */
static struct str copy_text(struct str s)
{
    return (struct str){str_dup(s), s.len};
}

/* ---- names ---- */

static struct store_name *make_name(struct store *s, struct str name)
{
    struct store_name *n = calloc(1, sizeof(*n) + name.len);
    char *text;

    if (!n)
        return NULL;
    text = (char *)(n + 1);
    memcpy(text, name.ptr, name.len);
    n->name = (struct str){text, name.len};
    if (map_reserve(&s->names) || roster_add(&s->roster, n)) {
        free(n);
        return NULL;
    }
    (void)!map_put(&s->names, n);
    return n;
}

struct store_name *store_find(const struct store *s, struct str name)
{
    return map_find(&s->names, name);
}

struct store_name *store_need(struct store *s, struct str name)
{
    struct store_name *n = store_find(s, name);

    return n ? n : make_name(s, name);
}

static bool is_empty(const struct store_name *n)
{
    return !n->credential && !n->failure && !n->order && !n->sent && !n->last_seen_at;
}

static void drop(struct store *s, struct store_name *n)
{
    (void)!due_set(&s->due, n, 0);
    map_take(&s->names, n->name);
    roster_remove(&s->roster, n);
}

size_t store_count(const struct store *s)
{
    return s->names.len;
}

struct store_name *const *store_sorted(struct store *s, size_t *count)
{
    if (roster_sort(&s->roster))
        return NULL;
    *count = s->roster.len;
    return s->roster.items;
}

/* ---- taking values over ---- */

/* The bytes of one that is served soon lie in a slab until a segment holds them. */
static struct credential *make_credential(struct store *s, const struct value_credential *v,
                                          struct error *e)
{
    struct credential_raw raw = {
        .facts = {.not_before = v->not_before, .not_after = v->not_after, .key_type = v->key_type},
        .leaf = v->leaf,
        .key = v->key,
        .chain = v->chain};
    struct credential *c;
    char *bytes;

    memcpy(raw.facts.fingerprint, v->fingerprint, sizeof(raw.facts.fingerprint));
    bytes =
        v->active && !v->revoked ? slab_take(&s->slabs, v->leaf.len + v->key.len, &raw.home) : NULL;
    if (bytes) {
        memcpy(bytes, v->leaf.ptr, v->leaf.len);
        memcpy(bytes + v->leaf.len, v->key.ptr, v->key.len);
        raw.leaf.ptr = bytes;
        raw.key.ptr = bytes + v->leaf.len;
        raw.home_release = slab_release;
    }
    c = credential_new_raw(s->chains, &raw, e);
    if (!c && bytes)
        slab_release(raw.home);
    return c;
}

static int apply_credential(struct store *s, struct store_name *n, const struct value *v,
                            struct error *e)
{
    struct store_name made = {.issued_at = v->u.credential.issued_at,
                              .active = v->u.credential.active,
                              .revoked = v->u.credential.revoked,
                              .renewed = v->u.credential.renewed};

    made.issuer = phrase_hold(&s->phrases, v->u.credential.issuer);
    made.directory = phrase_hold(&s->phrases, v->directory);
    made.order_url = copy_text(v->u.credential.order_url);
    if (made.issuer.ptr && made.directory.ptr && made.order_url.ptr)
        made.credential = make_credential(s, &v->u.credential, e);
    else
        error_memory(e);
    if (!made.credential) {
        clear_credential(s, &made);
        return -1;
    }
    clear_credential(s, n);
    n->credential = made.credential;
    n->issuer = made.issuer;
    n->directory = made.directory;
    n->order_url = made.order_url;
    n->issued_at = made.issued_at;
    n->active = made.active;
    n->revoked = made.revoked;
    n->renewed = made.renewed;
    return 0;
}

static int apply_order(struct store_name *n, const struct value *v, struct error *e)
{
    struct store_order *o = calloc(1, sizeof(*o));

    if (!o)
        return error_memory(e);
    o->key = copy_text(v->u.order.key);
    o->url = copy_text(v->u.order.url);
    o->account_url = copy_text(v->u.order.account_url);
    o->directory = copy_text(v->directory);
    o->chain = copy_text(v->u.order.chain);
    o->begins_at = v->u.order.begins_at;
    o->ends_at = v->u.order.ends_at;
    o->state = (int)v->u.order.state;
    o->started_at = v->u.order.started_at;
    if (!o->key.ptr || !o->url.ptr || !o->account_url.ptr || !o->directory.ptr || !o->chain.ptr) {
        free_order(o);
        return error_memory(e);
    }
    free_order(n->order);
    n->order = o;
    return 0;
}

static int apply_failure(struct store_name *n, const struct value *v, struct error *e)
{
    const struct value_failure *from = &v->u.failure;
    struct store_failure *f = calloc(1, sizeof(*f));

    if (!f)
        return error_memory(e);
    *f = (struct store_failure){.count = from->count,
                                .failed_at = from->failed_at,
                                .retry_at = from->retry_at,
                                .kind = from->kind,
                                .permanent = from->permanent,
                                .waived = from->waived,
                                .text = copy_text(from->text)};
    if (!f->text.ptr) {
        free(f);
        return error_memory(e);
    }
    free_failure(n->failure);
    n->failure = f;
    return 0;
}

static int apply_sent(struct store_name *n, const struct value *v, struct error *e)
{
    struct store_sent *sent = calloc(1, sizeof(*sent));

    if (!sent)
        return error_memory(e);
    sent->directory = copy_text(v->directory);
    sent->times = copy_text(v->u.sent.times);
    if (!sent->directory.ptr || !sent->times.ptr) {
        free_sent(sent);
        return error_memory(e);
    }
    free_sent(n->sent);
    n->sent = sent;
    return 0;
}

static int apply_to(struct store *s, struct store_name *n, const struct value *v, struct error *e)
{
    switch (v->type) {
    case VALUE_CREDENTIAL:
        return apply_credential(s, n, v, e);
    case VALUE_ORDER:
        return apply_order(n, v, e);
    case VALUE_FAILURE:
        return apply_failure(n, v, e);
    case VALUE_SENT:
        return apply_sent(n, v, e);
    default:
        n->last_seen_at = v->u.demand.last_seen_at;
        return 0;
    }
}

static void take_away(struct store *s, struct store_name *n, enum value_type type)
{
    if (type == VALUE_CREDENTIAL) {
        clear_credential(s, n);
    } else if (type == VALUE_ORDER) {
        free_order(n->order);
        n->order = NULL;
    } else if (type == VALUE_FAILURE) {
        free_failure(n->failure);
        n->failure = NULL;
    } else if (type == VALUE_SENT) {
        free_sent(n->sent);
        n->sent = NULL;
    } else {
        n->last_seen_at = 0;
    }
}

/* ---- accounts ---- */

static void free_account(struct store_account *a)
{
    if (!a)
        return;
    wipe_free(a->key);
    free_text(a->directory);
    free_text(a->api_uri);
    free_text(a->email);
    free_text(a->url);
    free(a);
}

static struct store_account *make_account(const struct value *v)
{
    struct store_account *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    a->directory = copy_text(v->directory);
    a->api_uri = copy_text(v->u.account.api_uri);
    a->email = copy_text(v->name);
    a->key = copy_text(v->u.account.key);
    a->url = copy_text(v->u.account.url);
    a->created_at = v->u.account.created_at;
    if (a->directory.ptr && a->api_uri.ptr && a->email.ptr && a->key.ptr && a->url.ptr)
        return a;
    free_account(a);
    return NULL;
}

/* The place of the account with this logical key; the end where there is none. */
static size_t account_place(const struct store *s, const struct value *v)
{
    size_t i = 0;

    while (i < s->accounts.len && !(str_equal(s->accounts.items[i]->email, v->name) &&
                                    str_equal(s->accounts.items[i]->api_uri, v->u.account.api_uri)))
        i++;
    return i;
}

static int apply_account(struct store *s, const struct value *v, struct error *e)
{
    size_t at = account_place(s, v);
    struct store_account *a;

    if (v->gone) {
        if (at == s->accounts.len)
            return 0;
        free_account(s->accounts.items[at]);
        s->accounts.items[at] = s->accounts.items[--s->accounts.len];
        return 0;
    }
    a = make_account(v);
    if (!a || vec_reserve(&s->accounts)) {
        free_account(a);
        return error_memory(e);
    }
    if (at < s->accounts.len)
        free_account(s->accounts.items[at]);
    else
        s->accounts.len++;
    s->accounts.items[at] = a;
    return 0;
}

const struct store_account *store_find_account(const struct store *s, struct str directory,
                                               struct str email)
{
    for (size_t i = 0; i < s->accounts.len; i++)
        if (str_equal(s->accounts.items[i]->directory, directory) &&
            str_equal(s->accounts.items[i]->email, email))
            return s->accounts.items[i];
    return NULL;
}

/* ---- */

static bool is_ours(const struct store *s, const struct value *v)
{
    return v->apart == s->apart && (!s->apart || str_equal_cstr(v->directory, s->directory));
}

static void apply_gone(struct store *s, const struct value *v)
{
    struct store_name *n = store_find(s, v->name);

    if (!n || is_empty(n))
        return;
    take_away(s, n, v->type);
    if (is_empty(n))
        drop(s, n);
}

static int apply_name(struct store *s, const struct value *v, struct error *e)
{
    struct store_name *n = store_find(s, v->name);
    bool is_new = !n;

    if (is_new)
        n = make_name(s, v->name);
    if (!n)
        return error_memory(e);
    if (!apply_to(s, n, v, e))
        return 0;
    if (is_new)
        drop(s, n);
    return -1;
}

int store_apply(struct store *s, const struct value *v, struct error *e)
{
    /* What only Kong nodes read says nothing new. */
    if (!is_ours(s, v) || v->type == VALUE_BACKOFF || v->type == VALUE_RENEW_CONFIG)
        return 0;
    if (v->type == VALUE_ACCOUNT)
        return apply_account(s, v, e);
    if (!v->gone)
        return apply_name(s, v, e);
    apply_gone(s, v);
    return 0;
}

static void begin_value(const struct store *s, const struct store_name *n, enum value_type type,
                        struct value *v)
{
    *v = (struct value){.type = type, .apart = s->apart, .name = n->name};
    v->directory = str_from(s->directory);
}

bool store_credential_value(const struct store *s, const struct store_name *n, struct value *v)
{
    const struct credential *c = n->credential;
    struct value_credential *to = &v->u.credential;

    if (!c)
        return false;
    begin_value(s, n, VALUE_CREDENTIAL, v);
    v->directory = n->directory;
    *to = (struct value_credential){.leaf = c->leaf,
                                    .chain = chain_bytes(c->chain),
                                    .key = c->key,
                                    .key_type = c->facts.key_type,
                                    .not_before = c->facts.not_before,
                                    .not_after = c->facts.not_after,
                                    .issuer = n->issuer,
                                    .issued_at = n->issued_at,
                                    .order_url = n->order_url,
                                    .active = n->active,
                                    .revoked = n->revoked,
                                    .renewed = n->renewed};
    memcpy(to->fingerprint, c->facts.fingerprint, sizeof(to->fingerprint));
    return true;
}

bool store_order_value(const struct store *s, const struct store_name *n, struct value *v)
{
    const struct store_order *o = n->order;

    if (!o)
        return false;
    begin_value(s, n, VALUE_ORDER, v);
    v->directory = o->directory;
    v->u.order = (struct value_order){
        o->key,        o->url,   o->account_url, (enum value_order_state)o->state,
        o->started_at, o->chain, o->begins_at,   o->ends_at};
    return true;
}

bool store_failure_value(const struct store *s, const struct store_name *n, struct value *v)
{
    const struct store_failure *f = n->failure;

    if (!f)
        return false;
    begin_value(s, n, VALUE_FAILURE, v);
    v->u.failure = (struct value_failure){f->count,     f->failed_at, f->retry_at, f->kind,
                                          f->permanent, f->waived,    f->text};
    return true;
}

bool store_demand_value(const struct store *s, const struct store_name *n, struct value *v)
{
    begin_value(s, n, VALUE_DEMAND, v);
    v->u.demand.last_seen_at = n->last_seen_at;
    return n->last_seen_at != 0;
}

bool store_account_value(const struct store *s, size_t i, struct value *v)
{
    const struct store_account *a = i < s->accounts.len ? s->accounts.items[i] : NULL;

    if (!a)
        return false;
    *v = (struct value){.type = VALUE_ACCOUNT,
                        .apart = s->apart,
                        .directory = a->directory,
                        .name = a->email,
                        .u.account = {a->api_uri, a->key, a->url, a->created_at}};
    return true;
}

int store_due_set(struct store *s, struct store_name *n, int64_t at)
{
    return due_set(&s->due, n, at);
}

void store_limit_set(struct store_name *n, int64_t until)
{
    n->limited_until = until;
}

int64_t store_due_next(const struct store *s)
{
    const struct store_name *n = due_first(&s->due);

    return n ? n->due_at : 0;
}

struct store_name *store_due_take(struct store *s, int64_t now)
{
    struct store_name *n = due_first(&s->due);

    if (!n || n->due_at > now)
        return NULL;
    (void)!due_set(&s->due, n, 0);
    return n;
}

void store_free(struct store *s)
{
    struct store_name *n;
    size_t cursor = 0;

    if (!s)
        return;
    while ((n = map_next(&s->names, &cursor)))
        clear(s, n);
    roster_free(&s->roster);
    map_free(&s->names);
    due_free(&s->due);
    phrase_pool_fini(&s->phrases);
    slab_pool_fini(&s->slabs);
    for (size_t i = 0; i < s->accounts.len; i++)
        free_account(s->accounts.items[i]);
    vec_free(&s->accounts);
    free(s->directory);
    free(s);
}
