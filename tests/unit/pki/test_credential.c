#include <CUnit/Basic.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "reconciler/base/attr.h"
#include "reconciler/pki/certificate.h"
#include "reconciler/pki/chain.h"
#include "reconciler/pki/credential.h"
#include "reconciler/pki/issued.h"
#include "reconciler/pki/key.h"
#include "tests/support/test_issuer.h"

#define PEM_MAX ((size_t)1 << 20)

static struct test_issuer *root, *middle, *issuer;
static EVP_PKEY *ec, *rsa;

struct pair {
    struct buf certificate, key;
};

static struct pair make_pair(EVP_PKEY *key, const char *name)
{
    struct pair p = {BUF_INIT(PEM_MAX), BUF_SECRET(PEM_MAX)};
    char names[100];
    struct error e;

    snprintf(names, sizeof(names), "DNS:%s", name);
    test_issuer_sign_pem(issuer,
                         &(struct test_leaf){.key = key,
                                             .names = names,
                                             .cn = name,
                                             .not_before = 1800000000,
                                             .not_after = 1800000001},
                         &p.certificate);
    CU_ASSERT_EQUAL(key_print(key, &p.key, &e), 0);
    return p;
}

static void free_pair(struct pair *p)
{
    buf_free(&p->certificate);
    buf_free(&p->key);
}

/* PEM in, the same PEM out. */
static void round_trips(void)
{
    EVP_PKEY *kinds[] = {ec, rsa};

    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct pair p = make_pair(kinds[i], "a.test");
        struct chain_pool *pool = chain_pool_new();
        struct buf certificate = BUF_INIT(PEM_MAX), key = BUF_SECRET(PEM_MAX);
        struct error e;
        struct credential *c =
            credential_from_pem(pool, buf_view(&p.certificate), buf_view(&p.key), &e);

        CU_ASSERT_PTR_NOT_NULL_FATAL(c);
        CU_ASSERT_EQUAL(c->facts.not_before, 1800000000);
        CU_ASSERT_EQUAL(c->facts.not_after, 1800000001);
        CU_ASSERT_EQUAL(c->facts.key_type, i ? KEY_RSA_2048 : KEY_P256);
        CU_ASSERT_EQUAL(credential_to_pem(c, &certificate, &key, &e), 0);
        CU_ASSERT_TRUE(str_equal(buf_view(&certificate), buf_view(&p.certificate)));
        CU_ASSERT_TRUE(str_equal(buf_view(&key), buf_view(&p.key)));
        CU_ASSERT_EQUAL(credential_to_pem(c, NULL, NULL, &e), 0);
        credential_unref(c);
        chain_pool_free(pool);
        buf_free(&certificate);
        buf_free(&key);
        free_pair(&p);
    }
}

static void chains_are_interned(void)
{
    struct pair a = make_pair(ec, "a.test"), b = make_pair(rsa, "b.test");
    struct chain_pool *pool = chain_pool_new();
    struct error e;
    struct credential *one =
        credential_from_pem(pool, buf_view(&a.certificate), buf_view(&a.key), &e);
    struct credential *two =
        credential_from_pem(pool, buf_view(&b.certificate), buf_view(&b.key), &e);
    struct str rest, der;
    size_t count = 0;

    CU_ASSERT_PTR_EQUAL(one->chain, two->chain);
    CU_ASSERT_PTR_EQUAL(chain_bytes(one->chain).ptr, chain_bytes(two->chain).ptr);
    CU_ASSERT_EQUAL(chain_pool_count(pool), 1);
    for (rest = chain_bytes(one->chain); chain_next(&rest, &der);)
        count++;
    CU_ASSERT_EQUAL(count, 2);
    credential_ref(one);
    credential_unref(one);
    credential_unref(one);
    CU_ASSERT_EQUAL(chain_pool_count(pool), 1);
    /* The pool's owner may go first. */
    chain_pool_free(pool);
    credential_unref(two);
    credential_unref(NULL);
    chain_pool_free(NULL);
    free_pair(&a);
    free_pair(&b);
}

static void chain_limits(void)
{
    struct chain_pool *pool = chain_pool_new();
    struct buf bytes = BUF_INIT(CHAIN_BYTES_MAX + 10);
    struct error e;
    const struct chain *chain;

    e.kind = ERROR_IO;
    CU_ASSERT_PTR_NULL(chain_intern(NULL, STR(""), &e));
    CU_ASSERT_EQUAL(e.kind, ERROR_NONE);
    CU_ASSERT_PTR_NULL(chain_intern(pool, STR("\x30\x01"), &e));
    CU_ASSERT_EQUAL(e.kind, ERROR_CRYPTO);
    CU_ASSERT_PTR_NULL(chain_intern(pool, STR("\x04\x00"), &e));
    CU_ASSERT_EQUAL(e.kind, ERROR_CRYPTO);
    for (int i = 0; i < CHAIN_CERTIFICATES_MAX; i++)
        buf_append(&bytes, "\x30\x00", 2);
    chain = chain_intern(pool, buf_view(&bytes), &e);
    CU_ASSERT_PTR_NOT_NULL(chain);
    CU_ASSERT_PTR_EQUAL(chain_intern(pool, buf_view(&bytes), &e), chain);
    chain_unref(chain);
    chain_unref(chain);
    CU_ASSERT_EQUAL(chain_pool_count(pool), 0);
    buf_append(&bytes, "\x30\x00", 2);
    CU_ASSERT_PTR_NULL(chain_intern(pool, buf_view(&bytes), &e));
    CU_ASSERT_EQUAL(e.kind, ERROR_LIMIT);
    buf_clear(&bytes);
    while (bytes.len <= CHAIN_BYTES_MAX)
        buf_append(&bytes, "\x30\x00", 2);
    CU_ASSERT_PTR_NULL(chain_intern(pool, buf_view(&bytes), &e));
    CU_ASSERT_EQUAL(e.kind, ERROR_LIMIT);
    buf_free(&bytes);
    chain_pool_free(pool);
}

static void refuses(void)
{
    struct pair a = make_pair(ec, "a.test"), b = make_pair(rsa, "b.test");
    struct chain_pool *pool = chain_pool_new();
    struct error e;

    CU_ASSERT_PTR_NULL(credential_from_pem(pool, buf_view(&a.certificate), buf_view(&b.key), &e));
    CU_ASSERT_STRING_EQUAL(e.message, "certificate does not match key");
    CU_ASSERT_PTR_NULL(credential_from_pem(pool, STR("no PEM"), buf_view(&a.key), &e));
    CU_ASSERT_PTR_NULL(credential_from_pem(pool, buf_view(&a.certificate), STR("no PEM"), &e));
    CU_ASSERT_PTR_NULL(credential_from_pem(pool, buf_view(&a.key), buf_view(&a.key), &e));
    buf_cstr(&a.certificate, "-----BEGIN CERTIFICATE-----\nAAAA");
    CU_ASSERT_PTR_NULL(credential_from_pem(pool, buf_view(&a.certificate), buf_view(&a.key), &e));
    CU_ASSERT_EQUAL(chain_pool_count(pool), 0);
    chain_pool_free(pool);
    free_pair(&a);
    free_pair(&b);
}

static void issued(void)
{
    struct pair a = make_pair(ec, "a.test");
    struct chain_pool *pool = chain_pool_new();
    struct buf key = BUF_SECRET(KEY_PACKED_MAX);
    struct issued_expectation expected;
    struct credential *c;
    enum key_type type;
    struct error e;

    CU_ASSERT_EQUAL(key_pack(ec, &type, &key, &e), 0);
    expected =
        (struct issued_expectation){.key_type = type, .key = buf_view(&key), .name = STR("a.test")};
    c = credential_from_issued(pool, buf_view(&a.certificate), &expected, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT_TRUE(str_equal(c->key, buf_view(&key)));
    CU_ASSERT_TRUE(c->key.ptr != key.data);
    credential_unref(c);
    expected.name = STR("b.test");
    CU_ASSERT_PTR_NULL(credential_from_issued(pool, buf_view(&a.certificate), &expected, &e));
    CU_ASSERT_EQUAL(e.kind, ERROR_PROTOCOL);
    chain_pool_free(pool);
    buf_free(&key);
    free_pair(&a);
}

struct home {
    unsigned released;
};

static void release(void *home)
{
    ((struct home *)home)->released++;
}

/* From stored bytes, without reading them; then elsewhere; then gone. */
static void raw_and_rebound(void)
{
    struct home home = {0}, other = {0};
    struct credential_raw raw = {.facts = {.not_after = 7, .key_type = KEY_P256},
                                 .leaf = STR("leaf"),
                                 .key = STR("key"),
                                 .chain = STR("\x30\x00")};
    struct chain_pool *pool = chain_pool_new();
    struct error e;
    struct credential *c = credential_new_raw(pool, &raw, &e);

    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT_TRUE(str_equal(c->leaf, STR("leaf")) && c->leaf.ptr != raw.leaf.ptr);
    CU_ASSERT_TRUE(str_equal(c->key, STR("key")));
    CU_ASSERT_EQUAL(c->facts.not_after, 7);
    credential_rebind(c, STR("LEAF"), STR("KEY"), &home, release);
    CU_ASSERT_TRUE(str_equal(c->leaf, STR("LEAF")));
    CU_ASSERT_EQUAL(home.released, 0);
    credential_rebind(c, STR("LEAF"), STR("KEY"), &other, release);
    CU_ASSERT_EQUAL(home.released, 1);
    credential_unref(c);
    CU_ASSERT_EQUAL(other.released, 1);

    raw.home = &home;
    raw.home_release = release;
    c = credential_new_raw(pool, &raw, &e);
    CU_ASSERT_PTR_EQUAL(c->leaf.ptr, raw.leaf.ptr);
    credential_unref(c);
    CU_ASSERT_EQUAL(home.released, 2);
    /* A failure leaves the home alone. */
    raw.chain = STR("\x30");
    CU_ASSERT_PTR_NULL(credential_new_raw(pool, &raw, &e));
    CU_ASSERT_EQUAL(home.released, 2);
    chain_pool_free(pool);
}

static void self_signed(void)
{
    static const struct {
        enum key_type type;
        const char *name;
    } rows[] = {{KEY_P256, "localhost"}, {KEY_RSA_2048, "localhost"}, {KEY_P256, "127.0.0.1"}};

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct credential_self_signed options = {.key_type = rows[i].type,
                                                       .name = rows[i].name,
                                                       .not_before = 1800000000,
                                                       .not_after = 2600000000};
        struct error e;
        struct credential *c = credential_make_self_signed(&options, &e);
        struct certificate_view view;

        CU_ASSERT_PTR_NOT_NULL_FATAL(c);
        CU_ASSERT_EQUAL(certificate_parse(c->leaf, &view, &e), 0);
        CU_ASSERT_TRUE(certificate_covers(&view, str_from(rows[i].name)));
        CU_ASSERT_TRUE(str_equal(view.subject, view.issuer));
        CU_ASSERT_EQUAL(view.not_after, 2600000000);
        CU_ASSERT_EQUAL(view.serial.len, 16);
        CU_ASSERT_PTR_NULL(c->chain);
        CU_ASSERT_EQUAL(key_matches(c->facts.key_type, c->key, c->leaf, &e), 1);
        credential_unref(c);
    }
}

static int suite_up(void)
{
    root = test_issuer_new("Root", NULL);
    middle = test_issuer_new("Middle", root);
    issuer = test_issuer_new("Issuer", middle);
    ec = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    rsa = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    return ec && rsa ? 0 : 1;
}

static int suite_down(void)
{
    EVP_PKEY_free(ec);
    EVP_PKEY_free(rsa);
    test_issuer_free(issuer);
    test_issuer_free(middle);
    test_issuer_free(root);
    return 0;
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("pki credential", suite_up, suite_down);
    CU_add_test(suite, "round trips", round_trips);
    CU_add_test(suite, "chains are interned", chains_are_interned);
    CU_add_test(suite, "chain limits", chain_limits);
    CU_add_test(suite, "refuses", refuses);
    CU_add_test(suite, "issued", issued);
    CU_add_test(suite, "raw and rebound", raw_and_rebound);
    CU_add_test(suite, "self-signed", self_signed);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
