#include "reconciler/store/store.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/ca.h"
#include "reconciler/base/value.h"
#include "reconciler/pki/chain.h"
#include "reconciler/pki/credential.h"
#include "tests/support/value_sample.h"

#define NAMES 40
#define TEXT_MAX 4096

struct bench {
    struct chain_pool *chains;
    struct store *store;
};

static void begin(struct bench *b)
{
    b->chains = chain_pool_new();
    b->store = store_new(&(struct store_options){.apart = false, .directory = STR("")}, b->chains);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b->store);
}

static void end(struct bench *b)
{
    store_free(b->store);
    CU_ASSERT(chain_pool_count(b->chains) == 0);
    chain_pool_free(b->chains);
}

static void make(struct value_sample *s, enum value_type type, unsigned name, uint64_t seed)
{
    value_sample_make(s, type, name, seed, 200);
    s->v.apart = false;
}

/* What was applied last, as text; "" = taken away. By name and type. */
struct model {
    char text[NAMES][VALUE_TYPE_COUNT][640];
};

static void print(const struct value *v, char *text)
{
    struct buf b = BUF_INIT(TEXT_MAX);

    value_sample_print(v, &b);
    snprintf(text, 640, "%s", b.data);
    buf_free(&b);
}

/* What the store says of a name, printed as the value that it was made from. */
static void print_name(const struct store *s, const struct store_name *n, enum value_type type,
                       char *text)
{
    struct value v;
    bool found = false;

    *text = '\0';
    if (n && type == VALUE_CREDENTIAL)
        found = store_credential_value(s, n, &v);
    else if (n && type == VALUE_ORDER)
        found = store_order_value(s, n, &v);
    else if (n && type == VALUE_FAILURE)
        found = store_failure_value(s, n, &v);
    if (found)
        print(&v, text);
}

static bool agrees(const struct store *s, const struct model *m, unsigned name)
{
    static const enum value_type types[] = {VALUE_CREDENTIAL, VALUE_ORDER, VALUE_FAILURE};
    char host[32], text[640];
    const struct store_name *n;
    bool known = m->text[name][VALUE_DEMAND][0] || m->text[name][VALUE_SENT][0];

    snprintf(host, sizeof(host), "n%u.test", name);
    n = store_find(s, subject_first(str_from(host)));
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        print_name(s, n, types[i], text);
        known = known || *text;
        if (strcmp(text, m->text[name][types[i]]) != 0)
            return false;
    }
    if (n && n->sent && !strstr(m->text[name][VALUE_SENT], n->sent->sent.times.ptr))
        return false;
    return known == (n != NULL) && (n && n->sent) == (m->text[name][VALUE_SENT][0] != '\0');
}

static void expect_sorted(struct store *s, const struct model *m)
{
    size_t count, known = 0;
    struct store_name *const *names = store_sorted(s, &count);

    for (unsigned i = 0; i < NAMES; i++) {
        bool any = false;
        for (int type = 0; type < VALUE_TYPE_COUNT; type++)
            any = any || m->text[i][type][0];
        known += any;
    }
    CU_ASSERT(count == known && store_count(s) == known);
    for (size_t i = 1; i < count; i++)
        CU_ASSERT(str_compare(names[i - 1]->subject.name, names[i]->subject.name) < 0);
}

static void test_random(void)
{
    static struct model m;
    static struct value_sample s;
    uint64_t seed = 11;
    struct bench b;
    struct error e;

    begin(&b);
    memset(&m, 0, sizeof(m));
    for (int i = 0; i < 6000; i++) {
        static const enum value_type types[] = {VALUE_CREDENTIAL, VALUE_ORDER, VALUE_FAILURE,
                                                VALUE_DEMAND, VALUE_SENT};
        enum value_type type;
        unsigned name;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        type = types[(seed >> 33) % ARRAY_LENGTH(types)];
        name = (unsigned)(seed >> 40) % NAMES;
        make(&s, type, name, seed);
        s.v.gone = (seed >> 50) % 3 == 0;
        CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
        if (s.v.gone)
            m.text[name][type][0] = '\0';
        else
            print(&s.v, m.text[name][type]);
        if (!agrees(b.store, &m, name)) {
            fprintf(stderr, "step %d, name %u, type %d\n", i, name, (int)type);
            CU_FAIL("the store differs from the table");
            break;
        }
        if (seed >> 58 == 0)
            expect_sorted(b.store, &m);
    }
    expect_sorted(b.store, &m);
    end(&b);
}

/* The sorted view against qsort, while names come in all orders and go. */
static void test_sorted(void)
{
    static struct value_sample s;
    uint64_t seed = 5;
    struct bench b;
    struct error e;
    size_t count;

    begin(&b);
    for (unsigned round = 0; round < 40; round++) {
        struct store_name *const *names;
        for (unsigned i = 0; i < round * 5; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            make(&s, VALUE_DEMAND, (unsigned)(seed >> 44) % 3000, seed);
            s.v.gone = seed >> 62 == 0;
            CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
        }
        names = store_sorted(b.store, &count);
        CU_ASSERT_FATAL(names != NULL);
        CU_ASSERT(count == store_count(b.store));
        for (size_t i = 0; i < count; i++) {
            CU_ASSERT(store_find(b.store, names[i]->subject) == names[i]);
            CU_ASSERT(i == 0 ||
                      str_compare(names[i - 1]->subject.name, names[i]->subject.name) < 0);
        }
    }
    /* Thousands go at once: the view lets go of them by itself. */
    for (unsigned i = 0; i < 3000; i++) {
        make(&s, VALUE_DEMAND, i, 1);
        CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
    }
    for (unsigned i = 0; i < 2999; i++) {
        make(&s, VALUE_DEMAND, i, 1);
        s.v.gone = true;
        CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
    }
    CU_ASSERT(store_sorted(b.store, &count) != NULL && count == 1);
    end(&b);
}

static void test_empty(void)
{
    struct bench b;
    size_t count = 7;

    begin(&b);
    CU_ASSERT(store_sorted(b.store, &count) != NULL && count == 0);
    CU_ASSERT(store_find(b.store, subject_first(STR("a.test"))) == NULL);
    CU_ASSERT(store_due_next(b.store) == 0 && store_due_take(b.store, INT64_MAX) == NULL);
    end(&b);
    store_free(NULL);
}

/* Each family of a name has its own records, beside each other in the sorted view. */
static void test_families(void)
{
    static const enum key_family families[] = {FAMILY_RSA, FAMILY_FIRST, FAMILY_ECDSA};
    static struct value_sample s;
    struct store_name *const *names;
    struct bench b;
    struct error e;
    size_t count;

    begin(&b);
    for (unsigned i = 0; i < 6; i++) {
        make(&s, VALUE_CREDENTIAL, i / 3, i);
        s.v.subject.family = families[i % 3];
        CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
    }
    names = store_sorted(b.store, &count);
    CU_ASSERT_FATAL(names != NULL && count == 6);
    for (unsigned i = 0; i < 6; i++) {
        CU_ASSERT(names[i]->subject.family == (enum key_family)(i % 3));
        CU_ASSERT(str_equal_cstr(names[i]->subject.name, i < 3 ? "n0.test" : "n1.test"));
        CU_ASSERT(store_find(b.store, names[i]->subject) == names[i]);
    }
    s.v.gone = true; /* the last one: ECDSA of n1.test */
    CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
    CU_ASSERT(store_find(b.store, s.v.subject) == NULL && store_count(b.store) == 5);
    make(&s, VALUE_DEMAND, 1, 1); /* visitors ask for the name */
    s.v.subject.family = FAMILY_ECDSA;
    CU_ASSERT(store_apply(b.store, &s.v, &e) == 0 && store_count(b.store) == 5);
    end(&b);
}

/* Orders, failures and what was sent are of one directory; where they come from, that counts. */
static void test_scope(void)
{
    static const struct {
        bool apart;
        const char *directory;
        bool taken;
    } rows[] = {{false, "https://a.test/", false},
                {true, "https://a.test/", true},
                {true, "https://b.test/", false}};
    static struct value_sample s;
    struct chain_pool *chains = chain_pool_new();
    struct store *store;
    struct error e;

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        store = store_new(&(struct store_options){true, STR("https://a.test/")}, chains);
        CU_ASSERT_PTR_NOT_NULL_FATAL(store);
        make(&s, VALUE_FAILURE, 1, 1);
        s.v.apart = rows[i].apart;
        s.v.directory = str_from(rows[i].directory);
        CU_ASSERT(store_apply(store, &s.v, &e) == 0);
        CU_ASSERT((store_count(store) == 1) == rows[i].taken);
        store_free(store);
    }
    /* Kong's own keys hold certificates of any directory. */
    store = store_new(&(struct store_options){false, STR("")}, chains);
    make(&s, VALUE_CREDENTIAL, 1, 1);
    CU_ASSERT(store_apply(store, &s.v, &e) == 0 && store_count(store) == 1);
    make(&s, VALUE_BACKOFF, 2, 1);
    CU_ASSERT(store_apply(store, &s.v, &e) == 0 && store_count(store) == 1);
    store_free(store);
    chain_pool_free(chains);
}

/* A certificate in the storage: in the file's state, or in that of a directory that the settings
 * name or have named. */
struct stored {
    const char *directory; /* that it is of */
    bool apart;
    int64_t from, to;
    bool revoked;
    int64_t fence;
    unsigned char fingerprint;
};

static void make_stored(struct value_sample *s, const struct stored *c)
{
    make(s, VALUE_CREDENTIAL, 1, 3);
    s->v.apart = c->apart;
    s->v.directory = str_from(c->directory);
    s->v.u.credential.facts.not_before = c->from;
    s->v.u.credential.facts.not_after = c->to;
    s->v.u.credential.facts.fingerprint[0] = c->fingerprint;
    s->v.u.credential.managed.revoked = c->revoked;
    s->v.u.credential.managed.fence = c->fence;
}

static void find_stored(struct store *store, const struct stored *c, struct str directory)
{
    static struct value_sample s;
    struct error e;

    make_stored(&s, c);
    CU_ASSERT(store_meet(store, &s.v, directory, 100, &e) == 0);
}

#define A "https://a.test/"
#define B "https://b.test/"

/* Of several certificates of a name one stays, in whatever order they are found: at 100, the file's
 * directory being A. */
static void test_found(void)
{
    static const struct {
        bool apart;               /* the settings name A */
        struct stored one, other; /* the first one is to stay */
    } rows[] = {
        /* one that can be used, */
        {true, {B, false, 10, 200, false, 0, 1}, {A, true, 50, 99, false, 7, 2}},
        {true, {B, false, 10, 200, false, 0, 1}, {A, true, 50, 300, true, 7, 2}},
        {false, {A, false, 10, 100, false, 1, 1}, {A, false, 50, 99, false, 2, 2}},
        /* the greater fence, however late it comes, */
        {false, {B, false, 10, 200, false, 2, 1}, {A, false, 50, 300, false, 1, 2}},
        {false, {"", false, 10, 200, false, 1, 1}, {A, false, 50, 300, false, 0, 2}},
        {false, {A, false, 10, 50, false, 2, 1}, {A, false, 10, 99, false, 1, 2}},
        /* our own scope, */
        {true, {A, true, 10, 200, false, 0, 1}, {B, false, 50, 300, false, 0, 2}},
        {true, {A, true, 10, 200, false, 0, 1}, {B, true, 50, 300, false, 0, 2}},
        {true, {A, true, 10, 90, false, 0, 1}, {B, false, 50, 99, false, 0, 2}},
        /* the file's directory, or none, */
        {false, {A, false, 10, 200, false, 3, 1}, {B, false, 50, 300, false, 3, 2}},
        {false, {"", false, 10, 200, false, 0, 1}, {B, false, 50, 300, false, 0, 2}},
        {false, {"", false, 50, 200, false, 0, 1}, {A, false, 10, 300, false, 0, 2}},
        /* the dates, and what else tells two apart */
        {true, {B, true, 50, 200, false, 0, 1}, {"https://c.test/", false, 10, 300, false, 0, 2}},
        {true, {"", false, 50, 200, false, 0, 1}, {"", false, 10, 300, false, 0, 2}},
        {false, {A, false, 50, 300, false, 0, 1}, {A, false, 50, 200, false, 0, 2}},
        {false, {A, false, 50, 200, false, 0, 2}, {A, false, 50, 200, false, 0, 1}},
    };
    struct chain_pool *chains = chain_pool_new();

    for (size_t i = 0; i < 2 * ARRAY_LENGTH(rows); i++) {
        const struct stored *one = &rows[i / 2].one, *other = &rows[i / 2].other;
        const struct store_options options = {rows[i / 2].apart, STR(A)};
        struct store *store = store_new(&options, chains);
        const struct store_name *n;
        struct value_sample s;
        struct value v;
        struct error e;
        CU_ASSERT_PTR_NOT_NULL_FATAL(store);
        find_stored(store, i % 2 ? one : other, STR(A));
        find_stored(store, i % 2 ? other : one, STR(A));
        n = store_find(store, subject_first(STR("n1.test")));
        CU_ASSERT_PTR_NOT_NULL_FATAL(n);
        CU_ASSERT_EQUAL(n->credential->facts.fingerprint[0], one->fingerprint);
        /* Whoever writes it again finds its own key. */
        CU_ASSERT(store_credential_value(store, n, &v) && v.apart == one->apart &&
                  v.u.credential.managed.fence == one->fence);
        /* What we have put ourselves is what the storage holds now. */
        make_stored(&s, &(struct stored){A, options.apart, 20, 40, false, 0, 0});
        CU_ASSERT(store_apply(store, &s.v, &e) == 0);
        CU_ASSERT(n->credential->facts.not_after == 40 && n->apart == options.apart);
        store_free(store);
    }
    chain_pool_free(chains);
}

/* Before the file is known, no directory is another. */
static void test_found_without_file(void)
{
    struct bench b;

    begin(&b);
    find_stored(b.store, &(struct stored){A, false, 10, 200, false, 0, 1}, STR_NONE);
    find_stored(b.store, &(struct stored){B, false, 50, 200, false, 0, 2}, STR_NONE);
    CU_ASSERT_EQUAL(
        store_find(b.store, subject_first(STR("n1.test")))->credential->facts.fingerprint[0], 2);
    end(&b);
}

/* Who came on demand is still asked for when the settings name another directory. */
static void test_elsewhere_demanded(void)
{
    static struct value_sample s;
    struct bench b;
    struct error e;

    begin(&b);
    make(&s, VALUE_DEMAND, 1, 1);
    s.v.apart = true;
    s.v.u.demand.last_seen_at = 50;
    CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(store_find(b.store, subject_first(STR("n1.test"))));
    CU_ASSERT(store_find(b.store, subject_first(STR("n1.test")))->last_seen_at == 50);
    s.v.u.demand.last_seen_at = 40;
    CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
    CU_ASSERT(store_find(b.store, subject_first(STR("n1.test")))->last_seen_at == 50);
    end(&b);
}

static const struct store_account *find_account(const struct bench *b, const char *directory,
                                                const char *email)
{
    return store_find_account(
        b->store, &(struct ca){.directory = str_from(directory), .email = str_from(email)});
}

static void test_accounts(void)
{
    static struct value_sample s;
    const struct store_account *a;
    struct bench b;
    struct error e;

    begin(&b);
    make(&s, VALUE_ACCOUNT, 1, 1);
    CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
    make(&s, VALUE_ACCOUNT, 2, 2);
    s.v.directory = STR("https://other.test/");
    CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
    a = find_account(&b, "https://ca.test/directory", "me@n1.test");
    CU_ASSERT_FATAL(a != NULL);
    CU_ASSERT(str_equal_cstr(a->account.url, "https://ca.test/order/1"));
    make(&s, VALUE_ACCOUNT, 1, 3);
    CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
    a = find_account(&b, "https://ca.test/directory", "me@n1.test");
    CU_ASSERT(a && str_equal_cstr(a->account.url, "https://ca.test/order/3"));
    CU_ASSERT(!find_account(&b, "https://ca.test/directory", "me@n2.test"));
    s.v.gone = true;
    CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
    CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
    CU_ASSERT(!find_account(&b, "https://ca.test/directory", "me@n1.test"));
    CU_ASSERT(find_account(&b, "https://other.test/", "me@n2.test") != NULL);
    end(&b);
}

/* A value made from the store's own views may be applied again: to retire, to mark as revoked. */
static void test_apply_own_value(void)
{
    static struct value_sample s;
    struct credential *held;
    struct store_name *n;
    struct value v;
    struct bench b;
    struct error e;
    char before[640], after[640];

    begin(&b);
    make(&s, VALUE_CREDENTIAL, 1, 3);
    CU_ASSERT(s.v.u.credential.chain.len > 0);
    s.v.u.credential.managed.active = true;
    CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
    n = store_find(b.store, subject_first(STR("n1.test")));
    held = credential_ref(n->credential);
    CU_ASSERT(store_credential_value(b.store, n, &v));
    v.u.credential.managed.active = false;
    print(&v, before);
    CU_ASSERT(store_apply(b.store, &v, &e) == 0);
    CU_ASSERT(store_find(b.store, subject_first(STR("n1.test"))) == n && !n->managed.active);
    CU_ASSERT(store_credential_value(b.store, n, &v));
    print(&v, after);
    CU_ASSERT(strcmp(before, after) == 0);
    /* Who held the old one still can read it, even when the store is gone. */
    store_free(b.store);
    b.store = NULL;
    CU_ASSERT(str_equal(held->leaf, s.v.u.credential.leaf));
    credential_unref(held);
    end(&b);
}

static void test_refused_chain(void)
{
    static struct value_sample s;
    struct bench b;
    struct error e;

    begin(&b);
    make(&s, VALUE_CREDENTIAL, 1, 3);
    s.v.u.credential.chain = STR("not DER");
    CU_ASSERT(store_apply(b.store, &s.v, &e) == -1 && e.kind == ERROR_CRYPTO);
    CU_ASSERT(store_count(b.store) == 0);
    make(&s, VALUE_DEMAND, 1, 3);
    CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
    make(&s, VALUE_CREDENTIAL, 1, 3);
    s.v.u.credential.chain = STR("not DER");
    CU_ASSERT(store_apply(b.store, &s.v, &e) == -1);
    CU_ASSERT(store_count(b.store) == 1);
    end(&b);
}

#define DUE_NAMES 300

static void test_due(void)
{
    static struct value_sample s;
    int64_t at[DUE_NAMES] = {0};
    uint64_t seed = 77;
    struct bench b;
    struct error e;

    begin(&b);
    for (unsigned i = 0; i < DUE_NAMES; i++) {
        make(&s, VALUE_DEMAND, i, 1);
        CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
    }
    for (int step = 0; step < 20000; step++) {
        unsigned i;
        int64_t first = 0;
        struct store_name *n;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        i = (unsigned)(seed >> 33) % DUE_NAMES;
        make(&s, VALUE_DEMAND, i, 1);
        n = store_find(b.store, s.v.subject);
        at[i] = seed >> 61 == 0 ? 0 : (int64_t)((seed >> 40) % 1000) + 1;
        CU_ASSERT(store_due_set(b.store, n, at[i]) == 0);
        CU_ASSERT(n->due_at == at[i]);
        for (unsigned k = 0; k < DUE_NAMES; k++)
            if (at[k] && (!first || at[k] < first))
                first = at[k];
        if (store_due_next(b.store) != first) {
            CU_FAIL("another name is due first");
            break;
        }
        if (seed >> 59)
            continue;
        n = store_due_take(b.store, first);
        CU_ASSERT(store_due_take(b.store, 0) == NULL);
        CU_ASSERT(n != NULL && n->due_at == 0);
        for (unsigned k = 0; n && k < DUE_NAMES; k++) {
            make(&s, VALUE_DEMAND, k, 1);
            if (str_equal(s.v.subject.name, n->subject.name)) {
                CU_ASSERT(at[k] == first);
                at[k] = 0;
            }
        }
    }
    /* A name that goes is due no more. */
    for (unsigned i = 0; i < DUE_NAMES; i++) {
        make(&s, VALUE_DEMAND, i, 1);
        s.v.gone = true;
        CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
    }
    CU_ASSERT(store_due_next(b.store) == 0);
    end(&b);
}

static void test_need(void)
{
    static struct value_sample s;
    struct store_name *n;
    struct bench b;
    struct error e;

    begin(&b);
    n = store_need(b.store, subject_first(STR("n1.test")));
    CU_ASSERT_FATAL(n != NULL);
    CU_ASSERT(store_due_set(b.store, n, 5) == 0);
    /* Taking away what is not there does not take the name away. */
    make(&s, VALUE_FAILURE, 1, 1);
    s.v.gone = true;
    CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
    CU_ASSERT(store_need(b.store, subject_first(STR("n1.test"))) == n &&
              store_due_next(b.store) == 5);
    s.v.gone = false;
    CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
    s.v.gone = true;
    CU_ASSERT(store_apply(b.store, &s.v, &e) == 0);
    CU_ASSERT(store_find(b.store, subject_first(STR("n1.test"))) == NULL &&
              store_due_next(b.store) == 0);
    end(&b);
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("store/store", NULL, NULL);
    CU_add_test(suite, "random", test_random);
    CU_add_test(suite, "sorted", test_sorted);
    CU_add_test(suite, "empty", test_empty);
    CU_add_test(suite, "families", test_families);
    CU_add_test(suite, "scope", test_scope);
    CU_add_test(suite, "found", test_found);
    CU_add_test(suite, "found without a file", test_found_without_file);
    CU_add_test(suite, "demand of elsewhere", test_elsewhere_demanded);
    CU_add_test(suite, "accounts", test_accounts);
    CU_add_test(suite, "applying its own value", test_apply_own_value);
    CU_add_test(suite, "refused chain", test_refused_chain);
    CU_add_test(suite, "due", test_due);
    CU_add_test(suite, "need", test_need);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
