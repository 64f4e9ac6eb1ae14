#include <CUnit/Basic.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/pki/chain.h"
#include "reconciler/pki/issued.h"
#include "reconciler/pki/key.h"
#include "reconciler/pki/pem.h"
#include "tests/support/test_issuer.h"

/* What a CA may send for an order of ours, and what no client would take. */

#define NOW 1800000000
#define TEXT_MAX ((size_t)1 << 20)

static struct test_issuer *root, *issuer, *stranger;
static EVP_PKEY *p256;
static struct buf key;
static const struct test_leaf plain = {
    .names = "DNS:a.test", .cn = "a.test", .not_before = NOW - 3600, .not_after = NOW + 86400};

static struct test_leaf leaf_with(const char *name, const char *value)
{
    struct test_leaf leaf = plain;

    leaf.key = p256;
    leaf.extensions[0][0] = name;
    leaf.extensions[0][1] = value;
    return leaf;
}

static int check(struct str pem, const char *name, char **top, struct error *e)
{
    const struct issued_expectation expected = {
        .key_type = KEY_P256, .key = buf_view(&key), .name = str_from(name), .now = NOW};

    return issued_check(pem, &expected, top, e);
}

/* Says what came out, where that is something else. NULL: nothing is wrong. */
static void expect(const char *what, struct str pem, const char *fault)
{
    struct error e = {0};
    int result = check(pem, "a.test", NULL, &e);

    if (result == (fault ? -1 : 0) && (!fault || strstr(e.message, fault)))
        return;
    printf("\n%s: %s", what, result ? e.message : "taken");
    CU_FAIL("another end");
}

static void append(struct buf *pem, struct test_issuer *i)
{
    struct buf der = BUF_INIT(TEXT_MAX);

    test_issuer_der(i, &der);
    pem_append(pem, "CERTIFICATE", buf_view(&der));
    buf_free(&der);
}

static void leaves(void)
{
    static const struct {
        const char *name, *value, *fault; /* fault NULL: taken */
    } rows[] = {
        {NULL, NULL, NULL},
        {"extendedKeyUsage", "serverAuth", NULL},
        {"extendedKeyUsage", "clientAuth,serverAuth", NULL},
        {"extendedKeyUsage", "anyExtendedKeyUsage", NULL},
        {"extendedKeyUsage", "clientAuth", "is not for TLS servers"},
        {"extendedKeyUsage", "critical,codeSigning", "is not for TLS servers"},
        {"keyUsage", "critical,digitalSignature", NULL},
        {"keyUsage", "digitalSignature,keyEncipherment", NULL},
        {"keyUsage", "keyEncipherment", "lacks digitalSignature"},
        {"basicConstraints", "critical,CA:FALSE", NULL},
        {"basicConstraints", "CA:TRUE", "is one of a CA"},
        {"1.2.3.4.5", "DER:0500", NULL},
        {"1.2.3.4.5", "critical,DER:0500", "a critical extension that clients do not know"},
        {"1.3.6.1.4.1.11129.2.4.3", "critical,DER:0500", "is a precertificate"},
        {"1.3.6.1.5.5.7.1.24", "DER:3003020105", NULL}, /* must-staple */
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct test_leaf leaf = leaf_with(rows[i].name, rows[i].value);
        struct buf pem = BUF_INIT(TEXT_MAX), alone = BUF_INIT(TEXT_MAX), der = BUF_INIT(TEXT_MAX);

        test_issuer_sign_pem(issuer, &leaf, &pem);
        expect(rows[i].value ? rows[i].value : "plain", buf_view(&pem), rows[i].fault);
        /* A CA whose root is all that there is may send the leaf alone. */
        test_issuer_sign(root, &leaf, &der);
        pem_append(&alone, "CERTIFICATE", buf_view(&der));
        expect(rows[i].value ? rows[i].value : "alone", buf_view(&alone), rows[i].fault);
        buf_free(&pem);
        buf_free(&alone);
        buf_free(&der);
    }
}

static void first_version(void)
{
    struct test_leaf leaf = leaf_with(NULL, NULL);
    struct buf pem = BUF_INIT(TEXT_MAX);

    /* A newer X509_sign makes version 3 of whatever has extensions. */
    if (OpenSSL_version_num() >= 0x30100000L)
        return;
    leaf.is_v1 = true;
    test_issuer_sign_pem(issuer, &leaf, &pem);
    expect("v1", buf_view(&pem), "v3");
    buf_free(&pem);
}

/* What stands behind the leaf: by which issuers, in which order. */
static void chains(void)
{
    struct test_issuer *twin = test_issuer_new("Test Issuer", root); /* the name, another key */
    struct test_issuer *no_ca =
        test_issuer_new_odd("No CA", root,
                            &(struct test_leaf){.not_before = 0,
                                                .not_after = 2000000000,
                                                .extensions = {{"basicConstraints", "CA:FALSE"}}});
    struct test_issuer *old =
        test_issuer_new_odd("Old", root, &(struct test_leaf){.not_before = 0, .not_after = NOW});
    struct test_issuer *young = test_issuer_new_odd(
        "Young", root, &(struct test_leaf){.not_before = NOW + 1, .not_after = 2000000000});
    struct test_issuer *mail = test_issuer_new_odd(
        "Mail", root,
        &(struct test_leaf){.not_before = 0,
                            .not_after = 2000000000,
                            .extensions = {{"basicConstraints", "critical,CA:TRUE"},
                                           {"extendedKeyUsage", "emailProtection"}}});
    struct test_issuer *narrow = test_issuer_new_odd(
        "Narrow", root,
        &(struct test_leaf){.not_before = 0,
                            .not_after = 2000000000,
                            .extensions = {{"basicConstraints", "critical,CA:TRUE"},
                                           {"nameConstraints", "critical,permitted;DNS:b.test"}}});
    struct test_issuer *bare_root = test_issuer_new_odd(
        "Bare", NULL,
        &(struct test_leaf){
            .not_before = 0, .not_after = NOW, .extensions = {{"1.2.3", "DER:0500"}}});
    const struct {
        const char *what;
        struct test_issuer *by, *behind[3];
        const char *fault;
    } rows[] = {
        {"its issuer", issuer, {issuer}, NULL},
        {"the root as well", issuer, {issuer, root}, NULL},
        {"a root alone", root, {root}, NULL},
        {"a root that does not say it is a CA, and has expired", bare_root, {bare_root}, NULL},
        {"a stranger", issuer, {stranger}, "the issued certificate was not issued by the next one"},
        {"a namesake",
         issuer,
         {twin, root},
         "the issued certificate was not issued by the next one"},
        {"the wrong order", issuer, {root, issuer}, "not in the order"},
        {"more than the path", issuer, {issuer, root, stranger}, "was not issued by the next one"},
        {"one twice", issuer, {issuer, issuer}, "not in the order"},
        {"an issuer that is no CA", no_ca, {no_ca, root}, "certificate 2 of 3 of the issued chain"},
        {"an issuer that has expired",
         old,
         {old},
         "certificate 2 of 2 of the issued chain has expi"},
        {"the same below a root",
         old,
         {old, root},
         "certificate 2 of 3 of the issued chain has exp"},
        {"an issuer that is not valid yet", young, {young, root}, "is not valid yet"},
        {"an issuer for mail", mail, {mail, root}, "is not for issuers of TLS servers"},
        {"an issuer for other names", narrow, {narrow, root}, "permitted subtree violation"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct test_leaf leaf = leaf_with(NULL, NULL);
        struct buf pem = BUF_INIT(TEXT_MAX), der = BUF_INIT(TEXT_MAX);

        test_issuer_sign(rows[i].by, &leaf, &der);
        pem_append(&pem, "CERTIFICATE", buf_view(&der));
        for (size_t k = 0; k < 3 && rows[i].behind[k]; k++)
            append(&pem, rows[i].behind[k]);
        expect(rows[i].what, buf_view(&pem), rows[i].fault);
        buf_free(&pem);
        buf_free(&der);
    }
    test_issuer_free(twin);
    test_issuer_free(no_ca);
    test_issuer_free(old);
    test_issuer_free(young);
    test_issuer_free(mail);
    test_issuer_free(narrow);
    test_issuer_free(bare_root);
}

static void a_bit_of_the_signature(void)
{
    struct test_leaf leaf = leaf_with(NULL, NULL);
    struct buf pem = BUF_INIT(TEXT_MAX), der = BUF_INIT(TEXT_MAX);

    test_issuer_sign(issuer, &leaf, &der);
    der.data[der.len - 1] ^= 1;
    pem_append(&pem, "CERTIFICATE", buf_view(&der));
    append(&pem, issuer);
    expect("a bit", buf_view(&pem), "the issued certificate bears a signature");
    buf_free(&pem);
    buf_free(&der);
}

/* Signed by its own key: a root that nobody has. */
static void its_own_issuer(void)
{
    struct test_issuer *self =
        test_issuer_new_odd("a.test", NULL,
                            &(struct test_leaf){.not_before = 0,
                                                .not_after = 2000000000,
                                                .extensions = {{"subjectAltName", "DNS:a.test"}}});
    struct test_leaf leaf = leaf_with(NULL, NULL);
    struct buf pem = BUF_INIT(TEXT_MAX), der = BUF_INIT(TEXT_MAX);

    test_issuer_sign(self, &leaf, &der); /* by that name, of that name */
    pem_append(&pem, "CERTIFICATE", buf_view(&der));
    expect("self-issued", buf_view(&pem), "names itself as its issuer");
    test_issuer_free(self);
    buf_free(&pem);
    buf_free(&der);
}

static void length_and_rest(void)
{
    struct test_issuer *row =
        test_issuer_new_row("Step", test_issuer_new("Test Root", NULL), CHAIN_CERTIFICATES_MAX);
    struct test_leaf leaf = leaf_with(NULL, NULL);
    struct buf pem = BUF_INIT(TEXT_MAX);
    struct error e;
    char *top = NULL;

    test_issuer_sign_pem(row, &leaf, &pem);
    CU_ASSERT_EQUAL(check(buf_view(&pem), "a.test", &top, &e), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(top);
    CU_ASSERT_STRING_EQUAL(top, "Test Root");
    free(top);
    CU_ASSERT_EQUAL(check(buf_view(&pem), "b.test", NULL, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_PROTOCOL);
    buf_clear(&pem);
    row = test_issuer_new_row("Last", row, 1);
    test_issuer_sign_pem(row, &leaf, &pem);
    expect("one more", buf_view(&pem), "more than 11 certificates");
    expect("none", STR(""), "no certificate");
    buf_clear(&pem);
    buf_cstr(&pem, "\xef\xbb\xbf");
    test_issuer_sign_pem(issuer, &leaf, &pem);
    expect("a byte order mark", buf_view(&pem), NULL);
    buf_cstr(&pem, "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
    expect("a CRL", buf_view(&pem), "the issued chain holds something else");
    test_issuer_free_row(row);
    buf_free(&pem);
}

static int suite_up(void)
{
    enum key_type type;
    struct error e;

    root = test_issuer_new("Test Root", NULL);
    issuer = test_issuer_new("Test Issuer", root);
    stranger = test_issuer_new("Stranger", NULL);
    p256 = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    key = BUF_SECRET(KEY_PACKED_MAX);
    return p256 && key_pack(p256, &type, &key, &e) == 0 ? 0 : 1;
}

static int suite_down(void)
{
    EVP_PKEY_free(p256);
    test_issuer_free(stranger);
    test_issuer_free(issuer);
    test_issuer_free(root);
    buf_free(&key);
    return 0;
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("pki issued", suite_up, suite_down);
    CU_add_test(suite, "leaves", leaves);
    CU_add_test(suite, "first version", first_version);
    CU_add_test(suite, "chains", chains);
    CU_add_test(suite, "a bit of the signature", a_bit_of_the_signature);
    CU_add_test(suite, "its own issuer", its_own_issuer);
    CU_add_test(suite, "length and rest", length_and_rest);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
