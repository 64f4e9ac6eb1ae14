#include <CUnit/Basic.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/pki/check.h"
#include "reconciler/pki/key.h"
#include "tests/support/test_issuer.h"

#define PEM_MAX ((size_t)1 << 20)

enum { P256, P384, P521, RSA_2048, ED25519, OTHER_P256, KINDS };

static struct {
    EVP_PKEY *key;
    struct buf cert, pem, public_pem;
} kinds[KINDS];

static struct test_issuer *issuer;

static struct str text_of(int i)
{
    return i < 0 ? STR_NONE : buf_view(&kinds[i].cert);
}

static void pairs(void)
{
    for (int c = 0; c < KINDS; c++) {
        for (int k = 0; k < KINDS; k++) {
            const char *field = "unset";
            struct error e;
            int result =
                pki_check_certificate(NULL, text_of(c), buf_view(&kinds[k].pem), NULL, &field, &e);

            CU_ASSERT_EQUAL(result, c == k ? 0 : -1);
            if (c != k) {
                CU_ASSERT_STRING_EQUAL(field, "");
                CU_ASSERT_STRING_EQUAL(e.message, "certificate does not match key");
            }
        }
    }
}

static void single_texts(void)
{
    const struct str good_cert = text_of(P256), good_key = buf_view(&kinds[P256].pem);
    const struct {
        struct str cert, key;
        const char *field, *text; /* NULL: nothing wrong */
    } rows[] = {
        {good_cert, good_key, NULL, NULL},
        {good_cert, STR_NONE, NULL, NULL},
        {STR_NONE, good_key, NULL, NULL},
        {STR_NONE, STR_NONE, NULL, NULL},
        {STR("not a certificate"), STR_NONE, "cert", "invalid certificate: "},
        {STR(""), good_key, "cert", "invalid certificate: "},
        {good_key, good_key, "cert", "invalid certificate: "},
        {STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), good_key, "cert",
         "invalid certificate: "},
        {good_cert, STR("not a key"), "key", "invalid key: "},
        {STR_NONE, STR(""), "key", "invalid key: "},
        {good_cert, good_cert, "key", "invalid key: "},
        {STR_NONE,
         STR("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE "
             "KEY-----\n"),
         "key", "invalid key: it is encrypted; passphrases are not supported"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const char *field = "unset";
        struct error e;
        int result = pki_check_certificate(NULL, rows[i].cert, rows[i].key, NULL, &field, &e);

        CU_ASSERT_EQUAL(result, rows[i].field ? -1 : 0);
        if (rows[i].field) {
            CU_ASSERT_STRING_EQUAL(field, rows[i].field);
            CU_ASSERT_EQUAL(strncmp(e.message, rows[i].text, strlen(rows[i].text)), 0);
        }
    }
}

/* Only the first certificate counts, and what stands before it does not. */
static void first_block(void)
{
    struct buf text = BUF_INIT(PEM_MAX);
    const char *field;
    struct error e;

    buf_cstr(&text, "subject=CN = a.test\n");
    buf_str(&text, buf_view(&kinds[P256].pem));
    buf_str(&text, text_of(P256));
    buf_str(&text, text_of(RSA_2048));
    buf_cstr(&text, "-----BEGIN CERTIFICATE-----\nbroken");
    CU_ASSERT_EQUAL(
        pki_check_certificate(NULL, buf_view(&text), buf_view(&kinds[P256].pem), NULL, &field, &e),
        0);
    buf_free(&text);
}

static void algorithms(void)
{
    static const char *const names[] = {"EC", "EC", "EC", "RSA", "ED25519", "EC"};

    for (int i = 0; i < KINDS; i++)
        CU_ASSERT_STRING_EQUAL(pki_certificate_algorithm(NULL, text_of(i)), names[i]);
    CU_ASSERT_PTR_NULL(pki_certificate_algorithm(NULL, STR("no")));
    CU_ASSERT_PTR_NULL(pki_certificate_algorithm(NULL, STR("")));
}

static void key_entities(void)
{
    const struct str private_key = buf_view(&kinds[P256].pem);
    const struct str public_key = buf_view(&kinds[P256].public_pem);
    const struct {
        struct str private_key, public_key;
        const char *text; /* NULL: nothing wrong */
    } rows[] = {
        {private_key, public_key, NULL},
        {private_key, STR_NONE, NULL},
        {STR_NONE, public_key, NULL},
        {buf_view(&kinds[RSA_2048].pem), buf_view(&kinds[RSA_2048].public_pem), NULL},
        {buf_view(&kinds[ED25519].pem), buf_view(&kinds[ED25519].public_pem), NULL},
        {STR_NONE, STR_NONE, "need to supply a PEM formatted public and/or private key."},
        {STR("x"), public_key, "could not load private key"},
        {public_key, STR_NONE, "could not load private key"},
        {private_key, STR("x"), "could not load public key"},
        {STR_NONE, private_key, "could not load public key"},
        {private_key, buf_view(&kinds[OTHER_P256].public_pem),
         "public key does not match private key"},
        {private_key, buf_view(&kinds[RSA_2048].public_pem),
         "public key does not match private key"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const char *field = "unset";
        struct error e;
        int result = pki_check_key(NULL, rows[i].private_key, rows[i].public_key, &field, &e);

        CU_ASSERT_EQUAL(result, rows[i].text ? -1 : 0);
        if (rows[i].text) {
            CU_ASSERT_STRING_EQUAL(field, "pem");
            CU_ASSERT_STRING_EQUAL(e.message, rows[i].text);
        }
    }
}

static void fill(int i, EVP_PKEY *key)
{
    struct error e;
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long len;

    kinds[i].key = key;
    kinds[i].cert = BUF_INIT(PEM_MAX);
    kinds[i].pem = BUF_SECRET(PEM_MAX);
    kinds[i].public_pem = BUF_INIT(PEM_MAX);
    test_issuer_sign_pem(issuer, &(struct test_leaf){.key = key, .names = "DNS:a.test"},
                         &kinds[i].cert);
    if (key_print(key, &kinds[i].pem, &e))
        abort();
    PEM_write_bio_PUBKEY(bio, key);
    len = BIO_get_mem_data(bio, &text);
    buf_append(&kinds[i].public_pem, text, (size_t)len);
    BIO_free(bio);
}

static int suite_up(void)
{
    issuer = test_issuer_new("Root", NULL);
    fill(P256, EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"));
    fill(P384, EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"));
    fill(P521, EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521"));
    fill(RSA_2048, EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048));
    fill(ED25519, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
    fill(OTHER_P256, EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"));
    return 0;
}

static int suite_down(void)
{
    for (int i = 0; i < KINDS; i++) {
        EVP_PKEY_free(kinds[i].key);
        buf_free(&kinds[i].cert);
        buf_free(&kinds[i].pem);
        buf_free(&kinds[i].public_pem);
    }
    test_issuer_free(issuer);
    return 0;
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("pki check", suite_up, suite_down);
    CU_add_test(suite, "pairs", pairs);
    CU_add_test(suite, "single texts", single_texts);
    CU_add_test(suite, "first block", first_block);
    CU_add_test(suite, "algorithms", algorithms);
    CU_add_test(suite, "key entities", key_entities);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
