#include <CUnit/Basic.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/pki/certificate.h"
#include "reconciler/pki/credential.h"
#include "reconciler/pki/digest.h"
#include "tests/support/test_issuer.h"

#define DER_MAX ((size_t)1 << 20)

static struct test_issuer *root, *issuer;
static EVP_PKEY *p256;

static struct buf sign(EVP_PKEY *key, const char *names, const char *cn, int64_t from, int64_t to)
{
    struct buf der = BUF_INIT(DER_MAX);

    test_issuer_sign(issuer,
                     &(struct test_leaf){
                         .key = key, .names = names, .cn = cn, .not_before = from, .not_after = to},
                     &der);
    return der;
}

/* Dates on both sides of where UTCTime ends (RFC 5280 §4.1.2.5), and of the odd years. */
static void dates(void)
{
    static const int64_t times[] = {
        -631152000, /* 1950-01-01 */
        0,
        951782400, /* 2000-02-29 */
        1800000000,
        2524607999,   /* 2049-12-31T23:59:59, the last UTCTime */
        2524608000,   /* 2050-01-01, the first GeneralizedTime */
        4107542400,   /* 2100-03-01: 2100 is no leap year */
        253402300799, /* 9999-12-31T23:59:59 */
    };

    for (size_t i = 0; i < ARRAY_LENGTH(times); i++) {
        struct buf der = sign(p256, "DNS:a.test", "a.test", times[i], times[i]);
        struct certificate_view view;
        struct error e;

        CU_ASSERT_EQUAL_FATAL(certificate_parse(buf_view(&der), &view, &e), 0);
        CU_ASSERT_EQUAL(view.not_before, times[i]);
        CU_ASSERT_EQUAL(view.not_after, times[i]);
        buf_free(&der);
    }
}

static void key_types(void)
{
    static const struct {
        const char *algorithm, *curve;
        size_t bits;
        enum key_type type;
        const char *name;
    } rows[] = {
        {"EC", "P-256", 0, KEY_P256, "EC"},         {"EC", "P-384", 0, KEY_P384, "EC"},
        {"EC", "P-521", 0, KEY_OTHER, "EC"},        {"RSA", NULL, 1024, KEY_OTHER, "RSA"},
        {"RSA", NULL, 2048, KEY_RSA_2048, "RSA"},   {"RSA", NULL, 3072, KEY_RSA_3072, "RSA"},
        {"ED25519", NULL, 0, KEY_OTHER, "ED25519"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        EVP_PKEY *key = rows[i].curve  ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", rows[i].curve)
                        : rows[i].bits ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", rows[i].bits)
                                       : EVP_PKEY_Q_keygen(NULL, NULL, rows[i].algorithm);
        struct buf der = sign(key, "DNS:a.test", "a.test", 0, 1);
        struct certificate_view view;
        struct error e;

        CU_ASSERT_EQUAL_FATAL(certificate_parse(buf_view(&der), &view, &e), 0);
        CU_ASSERT_EQUAL(view.key_type, rows[i].type);
        CU_ASSERT_STRING_EQUAL(view.algorithm, rows[i].name);
        buf_free(&der);
        EVP_PKEY_free(key);
    }
}

/* Every field against OpenSSL's reader. */
static void fields(void)
{
    struct buf der = sign(p256, "DNS:a.test,DNS:*.b.test,IP:192.0.2.1,email:x@y.test", "Some Name",
                          1800000000, 1800000001);
    const unsigned char *p = (const unsigned char *)der.data;
    X509 *x = d2i_X509(NULL, &p, (long)der.len);
    struct certificate_view view;
    struct certificate_facts facts;
    unsigned char hash[32], *spki = NULL;
    struct error e;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &spki);
    const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
    const ASN1_OCTET_STRING *keyid = X509_get0_authority_key_id(x);

    CU_ASSERT_EQUAL_FATAL(certificate_parse(buf_view(&der), &view, &e), 0);
    CU_ASSERT_TRUE(str_equal(view.subject_cn, STR("Some Name")));
    CU_ASSERT_TRUE(str_equal(view.issuer_cn, STR("Test Issuer")));
    CU_ASSERT_TRUE(str_equal(view.spki, (struct str){(char *)spki, (size_t)len}));
    CU_ASSERT_EQUAL(view.serial.len, (size_t)ASN1_STRING_length(serial));
    CU_ASSERT_EQUAL(memcmp(view.serial.ptr, ASN1_STRING_get0_data(serial), view.serial.len), 0);
    CU_ASSERT_TRUE(
        str_equal(view.authority_key_id, (struct str){(const char *)ASN1_STRING_get0_data(keyid),
                                                      (size_t)ASN1_STRING_length(keyid)}));
    CU_ASSERT_FALSE(view.is_ca);
    CU_ASSERT_EQUAL(certificate_read_facts(buf_view(&der), &facts, &e), 0);
    CU_ASSERT_EQUAL(digest_sha256(buf_view(&der), hash), 0);
    CU_ASSERT_EQUAL(memcmp(facts.fingerprint, hash, 32), 0);
    CU_ASSERT_EQUAL(facts.not_after, 1800000001);
    CU_ASSERT_EQUAL(facts.key_type, KEY_P256);
    OPENSSL_free(spki);
    X509_free(x);
    buf_clear(&der);
    test_issuer_der(issuer, &der);
    CU_ASSERT_EQUAL(certificate_parse(buf_view(&der), &view, &e), 0);
    CU_ASSERT_TRUE(view.is_ca);
    CU_ASSERT_EQUAL(view.subject_key_id.len, 20);
    buf_free(&der);
}

static void covers(void)
{
    static const struct {
        const char *names, *name;
        bool covered;
    } rows[] = {
        {"DNS:a.test", "a.test", true},
        {"DNS:a.test", "A.TeSt", true},
        {"DNS:a.test", "b.a.test", false},
        {"DNS:a.test", "a.tes", false},
        {"DNS:x.test,DNS:a.test", "a.test", true},
        {"DNS:*.a.test", "b.a.test", true},
        {"DNS:*.a.test", "B.A.test", true},
        {"DNS:*.a.test", "a.test", false},
        {"DNS:*.a.test", "c.b.a.test", false},
        {"DNS:*.a.test", ".a.test", false},
        {"DNS:*.a.test", "*.a.test", true},
        {"DNS:*.a.test", "*.b.a.test", false},
        {"DNS:b*.a.test", "bc.a.test", false},
        {"IP:192.0.2.1", "192.0.2.1", true},
        {"IP:192.0.2.1", "192.0.2.2", false},
        {"DNS:192.0.2.1", "192.0.2.1", false}, /* an address is covered by an address */
        {"IP:2001:db8::1", "2001:DB8:0::1", true},
        {"IP:2001:db8::1", "2001:db8::2", false},
        {"DNS:a.test", "", false},
        {"email:a@a.test", "a.test", false},
        {NULL, "a.test", false}, /* the CN does not count */
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf der = sign(p256, rows[i].names, "a.test", 0, 1);
        struct certificate_view view;
        struct error e;

        CU_ASSERT_EQUAL_FATAL(certificate_parse(buf_view(&der), &view, &e), 0);
        if (certificate_covers(&view, str_from(rows[i].name)) != rows[i].covered) {
            printf("\n%s: %s\n", rows[i].names, rows[i].name);
            CU_FAIL("covers");
        }
        buf_free(&der);
    }
}

/* Cut or changed anywhere: refused or read, never a fault; what is cut is always refused. */
static void damaged(void)
{
    struct buf der = sign(p256, "DNS:a.test,IP:192.0.2.1", "a.test", 0, 1);
    struct certificate_view view;
    struct error e;
    char *copy = malloc(der.len + 1);

    for (size_t len = 0; len < der.len; len++) {
        char *cut = malloc(len ? len : 1); /* exact, so that a sanitizer sees reads beyond */
        memcpy(cut, der.data, len);
        CU_ASSERT_EQUAL(certificate_parse((struct str){cut, len}, &view, &e), -1);
        free(cut);
    }
    for (size_t i = 0; i < der.len; i++) {
        for (int change = 1; change < 256; change += 13) {
            memcpy(copy, der.data, der.len);
            copy[i] = (char)(copy[i] ^ change);
            if (certificate_parse((struct str){copy, der.len}, &view, &e) == 0)
                (void)certificate_covers(&view, STR("a.test"));
        }
    }
    memcpy(copy, der.data, der.len);
    copy[der.len] = 0;
    CU_ASSERT_EQUAL(certificate_parse((struct str){copy, der.len + 1}, &view, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_CRYPTO);
    free(copy);
    buf_free(&der);
}

static void too_long(void)
{
    char *bytes = calloc(1, CERTIFICATE_DER_MAX + 1);
    struct certificate_view view;
    struct error e;

    CU_ASSERT_EQUAL(certificate_parse((struct str){bytes, CERTIFICATE_DER_MAX + 1}, &view, &e), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "too long"));
    free(bytes);
}

static int suite_up(void)
{
    root = test_issuer_new("Test Root", NULL);
    issuer = test_issuer_new("Test Issuer", root);
    p256 = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    return p256 ? 0 : 1;
}

static int suite_down(void)
{
    EVP_PKEY_free(p256);
    test_issuer_free(issuer);
    test_issuer_free(root);
    return 0;
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("pki certificate", suite_up, suite_down);
    CU_add_test(suite, "dates", dates);
    CU_add_test(suite, "key types", key_types);
    CU_add_test(suite, "fields", fields);
    CU_add_test(suite, "covers", covers);
    CU_add_test(suite, "damaged", damaged);
    CU_add_test(suite, "too long", too_long);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
