#include "reconciler/serve/parsed.h"

#include <CUnit/Basic.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/segment_maker.h"

static struct segment_maker *maker;

static void test_hit_and_miss(void)
{
    struct parsed_cache *c = parsed_cache_new(0);
    struct segment_credential a = segment_maker_credential(maker, "a.test", KEY_P256);
    struct segment_credential moved = a;
    char *copy = str_dup(a.leaf);
    struct parsed first, second;
    struct error e;

    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT_EQUAL(parsed_get(c, STR("x.test"), &a, &first, &e), 0);
    CU_ASSERT_FALSE(first.was_there);
    CU_ASSERT_EQUAL(X509_check_private_key(first.leaf, first.key), 1);
    CU_ASSERT_EQUAL(sk_X509_num(first.chain), 1);
    CU_ASSERT_EQUAL(X509_verify(first.leaf, X509_get0_pubkey(sk_X509_value(first.chain, 0))), 1);
    /* the same bytes at another place, as after a merge */
    moved.leaf.ptr = copy;
    CU_ASSERT_EQUAL(parsed_get(c, STR("x.test"), &moved, &second, &e), 0);
    CU_ASSERT_TRUE(second.was_there);
    CU_ASSERT_PTR_EQUAL(first.leaf, second.leaf);
    CU_ASSERT_EQUAL(parsed_count(c), 1);
    free(copy);
    parsed_cache_free(c);
}

static void test_key_types(void)
{
    static const enum key_type types[] = {KEY_P256, KEY_P384, KEY_RSA_2048};
    struct parsed_cache *c = parsed_cache_new(16);

    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        struct segment_credential a = segment_maker_credential(maker, "k.test", types[i]);
        struct parsed p;
        struct error e;
        CU_ASSERT_EQUAL(parsed_get(c, STR("x.test"), &a, &p, &e), 0);
        CU_ASSERT_EQUAL(X509_check_private_key(p.leaf, p.key), 1);
    }
    CU_ASSERT_EQUAL(parsed_count(c), 3);
    CU_ASSERT_EQUAL(parsed_chain_count(c), 1);
    parsed_cache_free(c);
}

/* A leaf may come back with another chain, or none. */
static void test_chains(void)
{
    struct segment_maker *other = segment_maker_new("another issuer");
    struct parsed_cache *c = parsed_cache_new(16);
    struct segment_credential a = segment_maker_credential(maker, "a.test", KEY_P256);
    struct segment_credential b = segment_maker_credential(other, "b.test", KEY_P256);
    struct segment_credential swapped = a, bare = a;
    struct parsed p;
    struct error e;

    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    swapped.chain = b.chain;
    bare.chain = STR("");
    CU_ASSERT_EQUAL(parsed_get(c, STR("x.test"), &a, &p, &e), 0);
    CU_ASSERT_EQUAL(parsed_chain_count(c), 1);
    CU_ASSERT_EQUAL(parsed_get(c, STR("x.test"), &swapped, &p, &e), 0);
    CU_ASSERT_TRUE(p.was_there);
    CU_ASSERT_EQUAL(parsed_chain_count(c), 1);
    CU_ASSERT_EQUAL(parsed_get(c, STR("x.test"), &b, &p, &e), 0);
    CU_ASSERT_EQUAL(parsed_chain_count(c), 1);
    CU_ASSERT_EQUAL(parsed_get(c, STR("x.test"), &bare, &p, &e), 0);
    CU_ASSERT_PTR_NULL(p.chain);
    CU_ASSERT_EQUAL(parsed_get(c, STR("x.test"), &a, &p, &e), 0);
    CU_ASSERT_EQUAL(sk_X509_num(p.chain), 1);
    CU_ASSERT_EQUAL(parsed_chain_count(c), 2);
    parsed_cache_free(c);
    segment_maker_free(other);
}

/* More than there are slots: the cache stays bounded, and what is used stays in it. */
static void test_clock(void)
{
    struct parsed_cache *c = parsed_cache_new(PARSED_SLOTS_MIN);
    struct segment_credential hot = segment_maker_credential(maker, "hot.test", KEY_P256);
    struct parsed p;
    struct error e;

    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT_EQUAL(parsed_get(c, STR("x.test"), &hot, &p, &e), 0);
    for (int i = 0; i < 24; i++) {
        struct segment_credential cold = segment_maker_credential(maker, "cold.test", KEY_P256);
        CU_ASSERT_EQUAL(parsed_get(c, STR("x.test"), &cold, &p, &e), 0);
        CU_ASSERT_FALSE(p.was_there);
        CU_ASSERT_EQUAL(parsed_get(c, STR("x.test"), &hot, &p, &e), 0);
        /* the very first round of the hand clears every mark and takes slot 0 */
        CU_ASSERT_TRUE(p.was_there || i == PARSED_SLOTS_MIN - 1);
    }
    CU_ASSERT_EQUAL(parsed_count(c), PARSED_SLOTS_MIN);
    parsed_cache_free(c);
}

static bool is_even(const void *context, struct str name, struct str leaf)
{
    CU_ASSERT_TRUE(leaf.len > 0);
    (void)context;
    return (name.ptr[0] - 'a') % 2 == 0;
}

static bool is_none(const void *context, struct str name, struct str leaf)
{
    (void)context;
    (void)name;
    (void)leaf;
    return false;
}

/* What is retired goes; the rest is found as before, and there is room for others. */
static void test_forget(void)
{
    static const char names[] = "abcdefghijklmnop";
    struct parsed_cache *c = parsed_cache_new(PARSED_SLOTS_MIN);
    struct segment_credential all[PARSED_SLOTS_MIN];
    struct parsed p;
    struct error e;

    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    for (size_t i = 0; i < PARSED_SLOTS_MIN; i++) {
        all[i] = segment_maker_credential(maker, "x.test", KEY_P256);
        CU_ASSERT_EQUAL(parsed_get(c, (struct str){names + i, 1}, &all[i], &p, &e), 0);
    }
    parsed_forget(c, is_even, NULL);
    CU_ASSERT_EQUAL(parsed_count(c), PARSED_SLOTS_MIN / 2);
    for (size_t i = 0; i < PARSED_SLOTS_MIN; i++) {
        CU_ASSERT_EQUAL(parsed_get(c, (struct str){names + i, 1}, &all[i], &p, &e), 0);
        CU_ASSERT_EQUAL(p.was_there, i % 2 == 0);
    }
    parsed_forget(c, is_none, NULL);
    CU_ASSERT_EQUAL(parsed_count(c), 0);
    CU_ASSERT_EQUAL(parsed_chain_count(c), 0);
    CU_ASSERT_EQUAL(parsed_get(c, STR("a"), &all[0], &p, &e), 0);
    CU_ASSERT_FALSE(p.was_there);
    parsed_cache_free(c);
}

static void test_broken(void)
{
    struct parsed_cache *c = parsed_cache_new(16);
    struct segment_credential good = segment_maker_credential(maker, "a.test", KEY_P256), bad;
    char many[20000];
    struct parsed p;
    struct error e;

    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    bad = good;
    bad.leaf.len--;
    CU_ASSERT_EQUAL(parsed_get(c, STR("x.test"), &bad, &p, &e), -1);
    bad = good;
    bad.leaf = STR("garbage");
    CU_ASSERT_EQUAL(parsed_get(c, STR("x.test"), &bad, &p, &e), -1);
    bad = good;
    bad.key.len = 0;
    CU_ASSERT_EQUAL(parsed_get(c, STR("x.test"), &bad, &p, &e), -1);
    bad = good;
    bad.chain.len--;
    CU_ASSERT_EQUAL(parsed_get(c, STR("x.test"), &bad, &p, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_CRYPTO);
    for (size_t over = 0; over < 2; over++) {
        bad = good;
        bad.chain = (struct str){many, (PARSED_CHAIN_MAX + over) * good.chain.len};
        for (size_t i = 0; i < PARSED_CHAIN_MAX + over; i++)
            memcpy(many + i * good.chain.len, good.chain.ptr, good.chain.len);
        CU_ASSERT_EQUAL(parsed_get(c, STR("x.test"), &bad, &p, &e), over ? -1 : 0);
    }
    CU_ASSERT_EQUAL(parsed_get(c, STR("x.test"), &good, &p, &e), 0);
    CU_ASSERT_EQUAL(parsed_count(c), 1);
    CU_ASSERT_EQUAL(parsed_chain_count(c), 1);
    parsed_cache_free(c);
    parsed_cache_free(NULL);
}

int main(void)
{
    CU_TestInfo tests[] = {{"hit and miss", test_hit_and_miss},
                           {"key types", test_key_types},
                           {"chains", test_chains},
                           {"clock", test_clock},
                           {"forget", test_forget},
                           {"broken", test_broken},
                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "parsed", .pTests = tests}, CU_SUITE_INFO_NULL};

    maker = segment_maker_new("test issuer");
    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    segment_maker_free(maker);
    return CU_get_number_of_failures() ? 1 : 0;
}
