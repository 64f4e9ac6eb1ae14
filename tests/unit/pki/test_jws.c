#include <CUnit/Basic.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/pki/jwk.h"
#include "reconciler/pki/jws.h"
#include "reconciler/pki/key.h"
#include "tests/support/golden.h"

/*
 * The golden files were made by another implementation (Python's cryptography) from the keys beside
 * them: RS256 and HS256 signatures have one value only.
 */
#define GOLDEN "tests/golden/acme/"
#define TEXT_MAX ((size_t)1 << 16)
#define EAB_KEY "YSBrZXkgb2YgdGhlIGV4dGVybmFsIGFjY291bnQ"

static EVP_PKEY *rsa, *p256;

static struct buf read_file(const char *path)
{
    struct buf text = BUF_SECRET(TEXT_MAX);
    char part[TEXT_MAX];
    FILE *file = fopen(path, "r");

    if (!file) {
        perror(path);
        return text;
    }
    buf_append(&text, part, fread(part, 1, sizeof(part), file));
    fclose(file);
    return text;
}

static EVP_PKEY *read_key(const char *path)
{
    struct buf text = read_file(path);
    struct error e;
    EVP_PKEY *key = key_parse(buf_view(&text), &e);

    buf_free(&text);
    return key;
}

static void base64url(void)
{
    static const struct {
        struct str bytes;
        const char *text;
    } rows[] = {
        {STR_INIT(""), ""},
        {STR_INIT("f"), "Zg"},
        {STR_INIT("fo"), "Zm8"},
        {STR_INIT("foo"), "Zm9v"},
        {STR_INIT("foob"), "Zm9vYg"},
        {STR_INIT("fooba"), "Zm9vYmE"},
        {STR_INIT("foobar"), "Zm9vYmFy"},
        {STR_INIT("\xfb\xff\xbf"), "-_-_"},
        {STR_INIT("\0\0"), "AAA"},
    };
    static const char *const bad[] = {"Z",    "Zm9vY", "Zm9+", "Zm/v",
                                      "Zm 9", "Zm\n9", "Z=m9", "\xc3\xa4"};

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf text = BUF_INIT(100), back = BUF_INIT(100);

        jws_base64url(&text, rows[i].bytes);
        CU_ASSERT_TRUE(str_equal_cstr(buf_view(&text), rows[i].text));
        CU_ASSERT_EQUAL(jws_base64url_decode(buf_view(&text), &back), 0);
        CU_ASSERT_TRUE(str_equal(buf_view(&back), rows[i].bytes));
        buf_free(&text);
        buf_free(&back);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct buf back = BUF_INIT(100);

        CU_ASSERT_EQUAL(jws_base64url_decode(str_from(bad[i]), &back), -1);
        buf_free(&back);
    }
}

/* The example of RFC 7638 §3.1. */
static void rfc7638(void)
{
    static const char modulus[] =
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"
        "BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_"
        "FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4"
        "vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    struct buf bytes = BUF_INIT(1024);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    char thumbprint[JWK_THUMBPRINT_SIZE];
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params;
    BIGNUM *n;
    struct error e;

    CU_ASSERT_EQUAL(jws_base64url_decode(str_from(modulus), &bytes), 0);
    n = BN_bin2bn((unsigned char *)bytes.data, (int)bytes.len, NULL);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n);
    OSSL_PARAM_BLD_push_ulong(builder, OSSL_PKEY_PARAM_RSA_E, 65537);
    params = OSSL_PARAM_BLD_to_param(builder);
    CU_ASSERT_EQUAL(EVP_PKEY_fromdata_init(context), 1);
    CU_ASSERT_EQUAL(EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
    CU_ASSERT_EQUAL(jwk_thumbprint(key, thumbprint, &e), 0);
    CU_ASSERT_STRING_EQUAL(thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    BN_free(n);
    buf_free(&bytes);
}

static void jwks(void)
{
    static const struct {
        const char *jwk, *thumbprint;
    } rows[] = {{GOLDEN "jwk_rsa.json", GOLDEN "thumbprint_rsa.txt"},
                {GOLDEN "jwk_p256.json", GOLDEN "thumbprint_p256.txt"}};
    EVP_PKEY *keys[] = {rsa, p256};

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf jwk = BUF_INIT(TEXT_MAX);
        char thumbprint[JWK_THUMBPRINT_SIZE];
        struct error e;

        CU_ASSERT_EQUAL(jwk_print_public(keys[i], &jwk, &e), 0);
        CU_ASSERT_TRUE(golden_matches(rows[i].jwk, buf_view(&jwk)));
        CU_ASSERT_EQUAL(jwk_thumbprint(keys[i], thumbprint, &e), 0);
        CU_ASSERT_TRUE(golden_matches(rows[i].thumbprint, str_from(thumbprint)));
        buf_free(&jwk);
    }
}

/* Kong may store the account key as a JWK: the same key, read from both. */
static void private_jwk(void)
{
    struct buf text = read_file(GOLDEN "account_rsa.jwk");
    struct error e;
    EVP_PKEY *key = key_parse_jwk(buf_view(&text), &e);

    CU_ASSERT_PTR_NOT_NULL_FATAL(key);
    CU_ASSERT_EQUAL(EVP_PKEY_eq(key, rsa), 1);
    EVP_PKEY_free(key);
    buf_free(&text);
}

static void signatures(void)
{
    static const struct {
        const char *golden;
        struct jws_header header;
        const char *payload;
    } rows[] = {
        {GOLDEN "jws_kid.json",
         {.kid = STR_INIT("https://ca.test/account/1"),
          .nonce = STR_INIT("nonce-1"),
          .url = STR_INIT("https://ca.test/order")},
         "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"www.example.com\"}]}"},
        {GOLDEN "jws_jwk.json",
         {.nonce = STR_INIT("nonce-2"), .url = STR_INIT("https://ca.test/account")},
         "{\"termsOfServiceAgreed\":true}"},
        {GOLDEN "jws_get.json",
         {.kid = STR_INIT("https://ca.test/account/1"),
          .nonce = STR_INIT("nonce-3"),
          .url = STR_INIT("https://ca.test/orders/1")},
         ""},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = BUF_INIT(TEXT_MAX);
        struct error e;

        CU_ASSERT_EQUAL(jws_sign(rsa, &rows[i].header, str_from(rows[i].payload), &out, &e), 0);
        CU_ASSERT_TRUE(golden_matches(rows[i].golden, buf_view(&out)));
        CU_ASSERT_PTR_NULL(strstr(out.data, "\\/"));
        buf_free(&out);
    }
}

/* RFC 8555 §7.3.4. */
static void external_account(void)
{
    struct buf out = BUF_INIT(TEXT_MAX);
    struct error e;

    CU_ASSERT_EQUAL(
        jws_bind_account(rsa, STR("kid-1"), STR(EAB_KEY), STR("https://ca.test/account"), &out, &e),
        0);
    CU_ASSERT_TRUE(golden_matches(GOLDEN "eab.json", buf_view(&out)));
    buf_clear(&out);
    /* As people paste it. */
    CU_ASSERT_EQUAL(jws_bind_account(rsa, STR("kid-1"), STR(EAB_KEY "="),
                                     STR("https://ca.test/account"), &out, &e),
                    0);
    CU_ASSERT_TRUE(golden_matches(GOLDEN "eab.json", buf_view(&out)));
    CU_ASSERT_EQUAL(
        jws_bind_account(rsa, STR("kid-1"), STR("a b"), STR("https://ca.test/account"), &out, &e),
        -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_ACCOUNT);
    CU_ASSERT_TRUE(e.permanent);
    CU_ASSERT_EQUAL(
        jws_bind_account(rsa, STR("kid-1"), STR(""), STR("https://ca.test/account"), &out, &e), -1);
    buf_free(&out);
}

/* r and s with leading zeros turn up in one of 128: all of them have 64 bytes. */
static void ecdsa_signatures(void)
{
    const struct jws_header header = {.nonce = STR("n"), .url = STR("https://ca.test/")};
    EVP_PKEY *p384 = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");

    for (int i = 0; i < 400; i++) {
        struct buf out = BUF_INIT(TEXT_MAX), raw = BUF_INIT(TEXT_MAX);
        struct error e;
        struct str text;
        char *at;

        CU_ASSERT_EQUAL(jws_sign(i % 8 ? p256 : p384, &header, STR("{}"), &out, &e), 0);
        at = strstr(out.data, "\"signature\":\"") + strlen("\"signature\":\"");
        text = str_from(at);
        text.len -= 2;
        CU_ASSERT_EQUAL(jws_base64url_decode(text, &raw), 0);
        CU_ASSERT_EQUAL(raw.len, i % 8 ? 64 : 96);
        buf_free(&out);
        buf_free(&raw);
    }
    EVP_PKEY_free(p384);
}

static void usable_keys(void)
{
    static const struct {
        const char *curve;
        size_t bits;
        bool usable;
    } rows[] = {{"P-256", 0, true},      {"P-384", 0, true},  {"P-521", 0, false},
                {"secp256k1", 0, false}, {NULL, 1024, false}, {NULL, 2048, true}};
    const struct jws_header header = {.url = STR("https://ca.test/")};

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        EVP_PKEY *key = rows[i].curve ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", rows[i].curve)
                                      : EVP_PKEY_Q_keygen(NULL, NULL, "RSA", rows[i].bits);
        struct buf out = BUF_INIT(TEXT_MAX);
        struct error e;

        CU_ASSERT_EQUAL(jws_key_is_usable(key), rows[i].usable);
        CU_ASSERT_EQUAL(jws_sign(key, &header, STR(""), &out, &e), rows[i].usable ? 0 : -1);
        buf_free(&out);
        EVP_PKEY_free(key);
    }
}

static int suite_up(void)
{
    rsa = read_key(GOLDEN "account_rsa.pem");
    p256 = read_key(GOLDEN "account_p256.pem");
    return rsa && p256 ? 0 : 1;
}

static int suite_down(void)
{
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(p256);
    return 0;
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("pki jws", suite_up, suite_down);
    CU_add_test(suite, "base64url", base64url);
    CU_add_test(suite, "RFC 7638", rfc7638);
    CU_add_test(suite, "JWKs", jwks);
    CU_add_test(suite, "private JWK", private_jwk);
    CU_add_test(suite, "signatures", signatures);
    CU_add_test(suite, "external account", external_account);
    CU_add_test(suite, "ECDSA signatures", ecdsa_signatures);
    CU_add_test(suite, "usable keys", usable_keys);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
