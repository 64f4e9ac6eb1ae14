#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "due.h"
#include "phrase.h"
#include "reconciler/base/ca.h"
#include "reconciler/base/map.h"
#include "reconciler/base/record.h"
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
    const struct store_name *n = item;
    const char *text = (const char *)(n + 1);

    return (struct str){text, (size_t)(n->subject.name.ptr + n->subject.name.len - text)};
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

static void free_text(struct str s)
{
    free((char *)s.ptr);
}

/* Copies a text; ptr NULL: out of memory. */
static struct str copy_text(struct str s)
{
    return (struct str){str_dup(s), s.len};
}

/* A record behind its directory: struct store_failure and the like. NULL: out of memory. */
static void *make_kept(const struct value *v)
{
    struct str *kept = record_new(v, sizeof(*kept));

    if (!kept)
        return NULL;
    *kept = copy_text(v->directory);
    if (kept->ptr)
        return kept;
    record_free(v->type, kept, sizeof(*kept));
    return NULL;
}

static void free_kept(enum value_type type, void *kept)
{
    if (kept)
        free_text(*(struct str *)kept);
    record_free(type, kept, sizeof(struct str));
}

/* Puts `kept` (NULL: nothing) where a record of this type belongs. */
static void set_kept(struct store_name *n, enum value_type type, void *kept)
{
    void *old = NULL;

    if (type == VALUE_FAILURE) {
        old = n->failure;
        n->failure = kept;
    } else if (type == VALUE_ORDER) {
        old = n->order;
        n->order = kept;
    } else if (type == VALUE_SENT) {
        old = n->sent;
        n->sent = kept;
    }
    free_kept(type, old);
}

static void clear_credential(struct store *s, struct store_name *n)
{
    credential_unref(n->credential);
    n->credential = NULL;
    phrase_drop(&s->phrases, n->managed.issuer);
    phrase_drop(&s->phrases, n->directory);
    free_text(n->managed.order_url);
    n->directory = STR_NONE;
    n->managed = (struct managed_facts){0};
}

static void clear(struct store *s, struct store_name *n)
{
    clear_credential(s, n);
    set_kept(n, VALUE_FAILURE, NULL);
    set_kept(n, VALUE_ORDER, NULL);
    set_kept(n, VALUE_SENT, NULL);
}

/* ---- names ---- */

static struct store_name *make_name(struct store *s, struct subject subject)
{
    char room[SUBJECT_KEY_MAX];
    struct str key = subject_key(&subject, room);
    struct store_name *n = calloc(1, sizeof(*n) + key.len);
    char *text;

    if (!n)
        return NULL;
    text = (char *)(n + 1);
    memcpy(text, key.ptr, key.len);
    n->subject =
        (struct subject){{text + key.len - subject.name.len, subject.name.len}, subject.family};
    if (map_reserve(&s->names) || roster_add(&s->roster, n)) {
        free(n);
        return NULL;
    }
    (void)!map_put(&s->names, n);
    return n;
}

struct store_name *store_find(const struct store *s, struct subject subject)
{
    char room[SUBJECT_KEY_MAX];

    return map_find(&s->names, subject_key(&subject, room));
}

struct store_name *store_need(struct store *s, struct subject subject)
{
    struct store_name *n = store_find(s, subject);

    return n ? n : make_name(s, subject);
}

static bool is_empty(const struct store_name *n)
{
    return !n->credential && !n->failure && !n->order && !n->sent && !n->last_seen_at;
}

static void drop(struct store *s, struct store_name *n)
{
    (void)!due_set(&s->due, n, 0);
    map_take(&s->names, key_of(n));
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
        .facts = v->facts, .leaf = v->leaf, .key = v->key, .chain = v->chain};
    struct credential *c;
    char *bytes = v->managed.active && !v->managed.revoked
                      ? slab_take(&s->slabs, v->leaf.len + v->key.len, &raw.home)
                      : NULL;

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

static bool is_ours(const struct store *s, bool apart, struct str directory)
{
    return apart == s->apart && (!apart || str_equal_cstr(directory, s->directory));
}

/* One of two certificates of a name; see store_meet. */
struct rival {
    const struct certificate_facts *facts;
    const struct managed_facts *managed;
    struct str directory;
    bool is_ours;
};

/* What was found: by whom it has to be better. */
struct meeting {
    struct str directory; /* the file's */
    int64_t now;
};

static int compare_numbers(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static bool is_usable(const struct rival *r, int64_t now)
{
    return !r->managed->revoked && r->facts->not_after >= now;
}

static bool names_another(const struct rival *r, struct str directory)
{
    return r->directory.len && directory.len && !str_equal(r->directory, directory);
}

/* More than 0: `a` is better. */
static int compare(const struct rival *a, const struct rival *b, const struct meeting *m)
{
    const int64_t ranks[][2] = {
        {is_usable(a, m->now), is_usable(b, m->now)},
        {a->managed->fence, b->managed->fence},
        {a->is_ours, b->is_ours},
        {names_another(b, m->directory), names_another(a, m->directory)},
        {a->facts->not_before, b->facts->not_before},
        {a->facts->not_after, b->facts->not_after},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(ranks); i++)
        if (ranks[i][0] != ranks[i][1])
            return compare_numbers(ranks[i][0], ranks[i][1]);
    return memcmp(a->facts->fingerprint, b->facts->fingerprint, sizeof(a->facts->fingerprint));
}

/* Is what the name has better than the certificate `v` that was found? */
static bool is_better(const struct store *s, const struct store_name *n, const struct value *v,
                      const struct meeting *m)
{
    const struct value_credential *c = &v->u.credential;
    const struct rival there = {&c->facts, &c->managed, v->directory,
                                is_ours(s, v->apart, v->directory)};
    struct rival here;

    if (!m || !n->credential)
        return false;
    here = (struct rival){&n->credential->facts, &n->managed, n->directory,
                          is_ours(s, n->apart, n->directory)};
    return compare(&here, &there, m) > 0;
}

static int apply_credential(struct store *s, struct store_name *n, const struct value *v,
                            const struct meeting *m, struct error *e)
{
    const struct value_credential *from = &v->u.credential;
    struct store_name made = {.managed = from->managed};

    if (is_better(s, n, v, m))
        return 0;
    made.managed.issuer = phrase_hold(&s->phrases, from->managed.issuer);
    made.directory = phrase_hold(&s->phrases, v->directory);
    made.managed.order_url = copy_text(from->managed.order_url);
    if (made.managed.issuer.ptr && made.directory.ptr && made.managed.order_url.ptr)
        made.credential = make_credential(s, from, e);
    else
        error_memory(e);
    if (!made.credential) {
        clear_credential(s, &made);
        return -1;
    }
    clear_credential(s, n);
    n->credential = made.credential;
    n->directory = made.directory;
    n->apart = v->apart;
    n->managed = made.managed;
    return 0;
}

static int apply_to(struct store *s, struct store_name *n, const struct value *v,
                    const struct meeting *m, struct error *e)
{
    void *kept;

    if (v->type == VALUE_CREDENTIAL)
        return apply_credential(s, n, v, m, e);
    if (v->type == VALUE_DEMAND) {
        if (is_ours(s, v->apart, v->directory) || n->last_seen_at < v->u.demand.last_seen_at)
            n->last_seen_at = v->u.demand.last_seen_at;
        return 0;
    }
    kept = make_kept(v);
    if (!kept)
        return error_memory(e);
    set_kept(n, v->type, kept);
    return 0;
}

static void take_away(struct store *s, struct store_name *n, enum value_type type)
{
    if (type == VALUE_CREDENTIAL)
        clear_credential(s, n);
    else if (type == VALUE_DEMAND)
        n->last_seen_at = 0;
    else
        set_kept(n, type, NULL);
}

/* ---- accounts ---- */

/* The place of the account with this logical key; the end where there is none. */
static size_t account_place(const struct store *s, const struct value *v)
{
    size_t i = 0;

    while (i < s->accounts.len &&
           !(str_equal(s->accounts.items[i]->account.email, v->u.account.email) &&
             str_equal(s->accounts.items[i]->account.api_uri, v->u.account.api_uri)))
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
        free_kept(VALUE_ACCOUNT, s->accounts.items[at]);
        s->accounts.items[at] = s->accounts.items[--s->accounts.len];
        return 0;
    }
    a = make_kept(v);
    if (!a || vec_reserve(&s->accounts)) {
        free_kept(VALUE_ACCOUNT, a);
        return error_memory(e);
    }
    if (at < s->accounts.len)
        free_kept(VALUE_ACCOUNT, s->accounts.items[at]);
    else
        s->accounts.len++;
    s->accounts.items[at] = a;
    return 0;
}

const struct store_account *store_find_account(const struct store *s, const struct ca *ca)
{
    for (size_t i = 0; i < s->accounts.len; i++)
        if (str_equal(s->accounts.items[i]->directory, ca->directory) &&
            str_equal(s->accounts.items[i]->account.email, ca->email))
            return s->accounts.items[i];
    return NULL;
}

/* ---- */

static void apply_gone(struct store *s, const struct value *v)
{
    struct store_name *n = store_find(s, v->subject);

    if (!n || is_empty(n))
        return;
    take_away(s, n, v->type);
    if (is_empty(n))
        drop(s, n);
}

static int apply_name(struct store *s, const struct value *v, const struct meeting *m,
                      struct error *e)
{
    struct store_name *n = store_find(s, v->subject);
    bool is_new = !n;

    if (is_new)
        n = make_name(s, v->subject);
    if (!n)
        return error_memory(e);
    if (!apply_to(s, n, v, m, e))
        return 0;
    if (is_new)
        drop(s, n);
    return -1;
}

static int apply(struct store *s, const struct value *v, const struct meeting *m, struct error *e)
{
    /* What only Kong nodes read says nothing new; visitors ask for a name, whatever its key. */
    if (v->type == VALUE_BACKOFF || v->type == VALUE_RENEW_CONFIG ||
        (v->type == VALUE_DEMAND && v->subject.family != FAMILY_FIRST))
        return 0;
    if (!is_ours(s, v->apart, v->directory) &&
        (v->gone || (v->type != VALUE_CREDENTIAL && v->type != VALUE_DEMAND)))
        return 0;
    if (v->type == VALUE_ACCOUNT)
        return apply_account(s, v, e);
    if (!v->gone)
        return apply_name(s, v, m, e);
    apply_gone(s, v);
    return 0;
}

int store_apply(struct store *s, const struct value *v, struct error *e)
{
    return apply(s, v, NULL, e);
}

int store_meet(struct store *s, const struct value *v, struct str directory, int64_t now,
               struct error *e)
{
    return apply(s, v, &(struct meeting){directory, now}, e);
}

static void begin_value(const struct store *s, const struct store_name *n, enum value_type type,
                        struct str directory, struct value *v)
{
    *v = (struct value){
        .type = type, .apart = s->apart, .directory = directory, .subject = n->subject};
}

bool store_credential_value(const struct store *s, const struct store_name *n, struct value *v)
{
    const struct credential *c = n->credential;

    if (!c)
        return false;
    begin_value(s, n, VALUE_CREDENTIAL, n->directory, v);
    v->apart = n->apart;
    v->u.credential = (struct value_credential){.leaf = c->leaf,
                                                .chain = chain_bytes(c->chain),
                                                .key = c->key,
                                                .facts = c->facts,
                                                .managed = n->managed};
    return true;
}

bool store_order_value(const struct store *s, const struct store_name *n, struct value *v)
{
    if (!n->order)
        return false;
    begin_value(s, n, VALUE_ORDER, n->order->directory, v);
    v->u.order = n->order->order;
    return true;
}

bool store_failure_value(const struct store *s, const struct store_name *n, struct value *v)
{
    if (!n->failure)
        return false;
    begin_value(s, n, VALUE_FAILURE, n->failure->directory, v);
    v->u.failure = n->failure->failure;
    return true;
}

bool store_demand_value(const struct store *s, const struct store_name *n, struct value *v)
{
    begin_value(s, n, VALUE_DEMAND, str_from(s->directory), v);
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
                        .u.account = a->account};
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
        free_kept(VALUE_ACCOUNT, s->accounts.items[i]);
    vec_free(&s->accounts);
    free(s->directory);
    free(s);
}
