#include "reconciler/publish/declared.h"

#include <CUnit/Basic.h>

#include "reconciler/base/buf.h"
#include "reconciler/pki/chain.h"
#include "reconciler/pki/credential.h"

#define PEM_MAX ((size_t)1 << 20)
#define PAIRS 4

struct bench {
    struct chain_pool *chains;
    struct declared *pool;
    struct buf certificates[PAIRS], keys[PAIRS];
};

static void begin(struct bench *b)
{
    b->chains = chain_pool_new();
    b->pool = declared_new(b->chains);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b->pool);
    for (size_t i = 0; i < PAIRS; i++) {
        struct credential_self_signed options = {KEY_P256, "localhost", 1700000000, 1800000000};
        struct error e;
        struct credential *c = credential_make_self_signed(&options, &e);
        CU_ASSERT_PTR_NOT_NULL_FATAL(c);
        b->certificates[i] = BUF_INIT(PEM_MAX);
        b->keys[i] = BUF_SECRET(PEM_MAX);
        CU_ASSERT(credential_to_pem(c, &b->certificates[i], &b->keys[i], &e) == 0);
        credential_unref(c);
    }
}

static void end(struct bench *b)
{
    declared_free(b->pool);
    CU_ASSERT(chain_pool_count(b->chains) == 0);
    chain_pool_free(b->chains);
    for (size_t i = 0; i < PAIRS; i++) {
        buf_free(&b->certificates[i]);
        buf_free(&b->keys[i]);
    }
}

static struct declared_pem pair(const struct bench *b, size_t certificate, size_t key)
{
    return (struct declared_pem){buf_view(&b->certificates[certificate]), buf_view(&b->keys[key])};
}

/* Prepares and commits; the results' credentials in `out`, for comparing only. */
static void load(struct bench *b, const struct declared_pem *pems, size_t count,
                 struct credential *out[PAIRS])
{
    struct declared_batch *batch = NULL;
    const struct declared_result *results;
    struct error e;
    size_t found;

    CU_ASSERT_FATAL(declared_prepare(b->pool, pems, count, &batch, &e) == 0);
    CU_ASSERT(declared_commit(b->pool, batch, &e) == 0);
    results = declared_results(batch, &found);
    CU_ASSERT(found == count);
    for (size_t i = 0; i < count; i++) {
        out[i] = results[i].credential;
        CU_ASSERT((results[i].credential == NULL) == (results[i].error != NULL));
    }
    declared_batch_free(batch);
}

static void test_interning(void)
{
    struct credential *first[PAIRS], *second[PAIRS];
    struct declared_pem pems[PAIRS];
    struct bench b;

    begin(&b);
    pems[0] = pair(&b, 0, 0);
    pems[1] = pair(&b, 1, 1);
    pems[2] = pair(&b, 0, 0);
    load(&b, pems, 3, first);
    CU_ASSERT(first[0] && first[0] == first[2] && first[0] != first[1]);
    CU_ASSERT(declared_count(b.pool) == 2);
    pems[0] = pair(&b, 1, 1);
    pems[1] = pair(&b, 2, 2);
    load(&b, pems, 2, second);
    CU_ASSERT(second[0] == first[1]);
    /* What the newest generation does not use is gone. */
    CU_ASSERT(declared_count(b.pool) == 2);
    load(&b, pems, 0, second);
    CU_ASSERT(declared_count(b.pool) == 0);
    end(&b);
}

/* A credential that somebody serves outlives its place in the pool. */
static void test_held(void)
{
    struct credential *out[PAIRS], *held;
    struct declared_pem pem;
    struct bench b;

    begin(&b);
    pem = pair(&b, 0, 0);
    load(&b, &pem, 1, out);
    held = credential_ref(out[0]);
    load(&b, &pem, 0, out);
    CU_ASSERT(declared_count(b.pool) == 0);
    CU_ASSERT(held->facts.not_after == 1800000000 && held->leaf.len > 0);
    credential_unref(held);
    end(&b);
}

static void test_bad_pairs(void)
{
    struct credential *out[PAIRS];
    struct declared_pem pems[PAIRS];
    struct bench b;

    begin(&b);
    pems[0] = pair(&b, 0, 1); /* another key */
    pems[1] = (struct declared_pem){STR("nonsense"), STR("")};
    pems[2] = pair(&b, 2, 2);
    pems[3] = pair(&b, 0, 0);
    load(&b, pems, 4, out);
    CU_ASSERT(!out[0] && !out[1] && out[2] && out[3]);
    CU_ASSERT(declared_count(b.pool) == 2);
    end(&b);
}

static void test_too_long(void)
{
    struct credential *out[PAIRS];
    struct declared_pem pems[2];
    struct bench b;

    begin(&b);
    b.certificates[0].max = b.certificates[1].max = DECLARED_PAIR_MAX + PEM_MAX;
    while (b.certificates[0].len + b.keys[0].len < DECLARED_PAIR_MAX)
        buf_char(&b.certificates[0], '\n');
    while (b.certificates[1].len + b.keys[1].len < DECLARED_PAIR_MAX + 1)
        buf_char(&b.certificates[1], '\n');
    pems[0] = pair(&b, 0, 0);
    pems[1] = pair(&b, 1, 1);
    load(&b, pems, 2, out);
    CU_ASSERT(out[0] != NULL && out[1] == NULL);
    end(&b);
}

/* A batch that is not committed leaves no trace. */
static void test_dropped_batch(void)
{
    struct credential *out[PAIRS];
    struct declared_batch *batch = NULL;
    struct declared_pem pems[PAIRS];
    struct bench b;
    struct error e;

    begin(&b);
    pems[0] = pair(&b, 0, 0);
    load(&b, pems, 1, out);
    pems[1] = pair(&b, 1, 1);
    CU_ASSERT(declared_prepare(b.pool, pems, 2, &batch, &e) == 0);
    declared_batch_free(batch);
    CU_ASSERT(declared_count(b.pool) == 1);
    declared_batch_free(NULL);
    end(&b);
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("publish/declared", NULL, NULL);
    CU_add_test(suite, "interning", test_interning);
    CU_add_test(suite, "held", test_held);
    CU_add_test(suite, "bad pairs", test_bad_pairs);
    CU_add_test(suite, "too long", test_too_long);
    CU_add_test(suite, "dropped batch", test_dropped_batch);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
