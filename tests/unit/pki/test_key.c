#include <CUnit/Basic.h>
#include <openssl/core_names.h>
#include <openssl/encoder.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/pki/jws.h"
#include "reconciler/pki/key.h"
#include "reconciler/pki/pem.h"
#include "reconciler/pki/private_key.h"
#include "tests/support/test_issuer.h"

#define DER_MAX ((size_t)1 << 16)

static const struct {
    const char *algorithm, *curve;
    size_t bits;
    enum key_type type;
} kinds[] = {
    {"EC", "P-256", 0, KEY_P256},      {"EC", "P-384", 0, KEY_P384},
    {"EC", "P-521", 0, KEY_OTHER},     {"RSA", NULL, 1024, KEY_OTHER},
    {"RSA", NULL, 2048, KEY_RSA_2048}, {"RSA", NULL, 3072, KEY_RSA_3072},
    {"ED25519", NULL, 0, KEY_OTHER},
};

static EVP_PKEY *keys[ARRAY_LENGTH(kinds)];
static struct test_issuer *issuer;

static struct buf leaf_of(EVP_PKEY *key)
{
    struct buf der = BUF_INIT(DER_MAX);

    test_issuer_sign(issuer, &(struct test_leaf){.key = key, .names = "DNS:a.test", .cn = "a.test"},
                     &der);
    return der;
}

/* OpenSSL's own writing of a key; false where it has none of that structure. */
static bool encode(EVP_PKEY *key, const char *structure, const char *cipher, struct buf *pem)
{
    OSSL_ENCODER_CTX *context =
        OSSL_ENCODER_CTX_new_for_pkey(key, EVP_PKEY_KEYPAIR, "PEM", structure, NULL);
    unsigned char *text = NULL;
    size_t len = 0;
    bool done;

    if (cipher) {
        OSSL_ENCODER_CTX_set_cipher(context, cipher, NULL);
        OSSL_ENCODER_CTX_set_passphrase(context, (const unsigned char *)"secret", 6);
    }
    done = OSSL_ENCODER_to_data(context, &text, &len) == 1 && buf_append(pem, text, len) == 0;
    OPENSSL_free(text);
    OSSL_ENCODER_CTX_free(context);
    return done;
}

/* Each kind in each form that OpenSSL writes: packed, and back to the same key. */
static void packs_and_unpacks(void)
{
    static const char *const structures[] = {"PrivateKeyInfo", "type-specific"};

    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct buf leaf = leaf_of(keys[i]);

        for (size_t k = 0; k < ARRAY_LENGTH(structures); k++) {
            struct buf pem = BUF_SECRET(KEY_PEM_MAX), packed = BUF_SECRET(KEY_PACKED_MAX);
            enum key_type type = KEY_NONE;
            bool matches = false;
            struct error e;
            EVP_PKEY *back;

            if (encode(keys[i], structures[k], NULL, &pem)) {
                CU_ASSERT_EQUAL_FATAL(key_pack_pem(buf_view(&pem), &type, &packed, &e), 0);
                CU_ASSERT_EQUAL(type, kinds[i].type);
                if (private_key_scalar_size(type))
                    CU_ASSERT_EQUAL(packed.len, private_key_scalar_size(type));
                back = key_unpack(type, buf_view(&packed), buf_view(&leaf), &e);
                CU_ASSERT_EQUAL(EVP_PKEY_eq(back, keys[i]), 1);
                CU_ASSERT_EQUAL(key_type_of(back), type);
                EVP_PKEY_free(back);
                back = key_unpack(type, buf_view(&packed), STR_NONE, &e);
                CU_ASSERT_EQUAL(EVP_PKEY_eq(back, keys[i]), 1);
                EVP_PKEY_free(back);
                back = key_parse(buf_view(&pem), &e);
                CU_ASSERT_EQUAL(EVP_PKEY_eq(back, keys[i]), 1);
                EVP_PKEY_free(back);
                CU_ASSERT_EQUAL(key_matches(type, buf_view(&packed), buf_view(&leaf), &e), 1);
                buf_clear(&packed);
                CU_ASSERT_EQUAL(
                    key_pack_pem_for(buf_view(&pem), buf_view(&leaf), &type, &packed, &matches, &e),
                    0);
                CU_ASSERT_TRUE(matches);
            } else {
                CU_ASSERT_EQUAL(kinds[i].type, KEY_OTHER);
            }
            buf_free(&pem);
            buf_free(&packed);
        }
        buf_free(&leaf);
    }
}

/* Every key against every leaf. */
static void matches_its_leaf_only(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct buf leaf = leaf_of(keys[i]);

        for (size_t k = 0; k < ARRAY_LENGTH(kinds); k++) {
            struct buf packed = BUF_SECRET(KEY_PACKED_MAX), pem = BUF_SECRET(KEY_PEM_MAX);
            enum key_type type;
            bool matches = i != k;
            struct error e;

            CU_ASSERT_EQUAL(key_pack(keys[k], &type, &packed, &e), 0);
            CU_ASSERT_EQUAL(key_matches(type, buf_view(&packed), buf_view(&leaf), &e), i == k);
            CU_ASSERT_EQUAL(key_print(keys[k], &pem, &e), 0);
            buf_clear(&packed);
            CU_ASSERT_EQUAL(
                key_pack_pem_for(buf_view(&pem), buf_view(&leaf), &type, &packed, &matches, &e), 0);
            CU_ASSERT_EQUAL(matches, i == k);
            buf_free(&packed);
            buf_free(&pem);
        }
        buf_free(&leaf);
    }
    for (int n = 0; n < 2; n++) { /* the same kind, another key */
        EVP_PKEY *other = n ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")
                            : EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
        struct buf leaf = leaf_of(other), packed = BUF_SECRET(KEY_PACKED_MAX);
        enum key_type type;
        struct error e;

        CU_ASSERT_EQUAL(key_pack(keys[n ? 0 : 4], &type, &packed, &e), 0);
        CU_ASSERT_EQUAL(key_matches(type, buf_view(&packed), buf_view(&leaf), &e), 0);
        buf_free(&packed);
        buf_free(&leaf);
        EVP_PKEY_free(other);
    }
}

/* What we print is byte for byte what OpenSSL prints. */
static void prints_like_openssl(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct buf expected = BUF_SECRET(KEY_PEM_MAX), pem = BUF_SECRET(KEY_PEM_MAX);
        struct error e;

        CU_ASSERT_TRUE(encode(keys[i], "PrivateKeyInfo", NULL, &expected));
        CU_ASSERT_EQUAL(key_print(keys[i], &pem, &e), 0);
        CU_ASSERT_TRUE(str_equal(buf_view(&pem), buf_view(&expected)));
        buf_free(&pem);
        buf_free(&expected);
    }
}

/*
 * SEC1 as `openssl ecparam -genkey` writes it, behind a byte order mark and parameters, and without
 * the public half.
 */
static void odd_pems(void)
{
    static const char parameters[] =
        "\xef\xbb\xbf-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC "
        "PARAMETERS-----\n";
    struct buf pem = BUF_SECRET(KEY_PEM_MAX), packed = BUF_SECRET(KEY_PACKED_MAX);
    struct buf bare = BUF_SECRET(KEY_PACKED_MAX), leaf = leaf_of(keys[0]);
    enum key_type type;
    bool matches;
    struct error e;

    buf_cstr(&pem, parameters);
    CU_ASSERT_TRUE(encode(keys[0], "type-specific", NULL, &pem));
    CU_ASSERT_EQUAL(key_pack_pem(buf_view(&pem), &type, &packed, &e), 0);
    CU_ASSERT_EQUAL(type, KEY_P256);
    /* ECPrivateKey { 1, scalar, [0] prime256v1 } */
    buf_append(&bare, "\x30\x31\x02\x01\x01\x04\x20", 7);
    buf_str(&bare, buf_view(&packed));
    buf_append(&bare, "\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 12);
    buf_clear(&pem);
    buf_clear(&packed);
    pem_append(&pem, "EC PRIVATE KEY", buf_view(&bare));
    CU_ASSERT_EQUAL(key_pack_pem_for(buf_view(&pem), buf_view(&leaf), &type, &packed, &matches, &e),
                    0);
    CU_ASSERT_TRUE(matches);
    buf_free(&pem);
    buf_free(&packed);
    buf_free(&bare);
    buf_free(&leaf);
}

static void refuses(void)
{
    static const struct {
        const char *what, *pem;
    } rows[] = {
        {"nothing", ""},
        {"prose", "not a key"},
        {"a certificate", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"},
        {"an empty key", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"},
        {"garbage", "-----BEGIN PRIVATE KEY-----\nAAAAAAAA\n-----END PRIVATE KEY-----\n"},
        {"not base64", "-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n"},
        {"unfinished", "-----BEGIN PRIVATE KEY-----\nAAAA\n"},
        {"a zero scalar", "-----BEGIN EC PRIVATE KEY-----\n"
                          "MDECAQEEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAoAoGCCqGSM49AwEH\n"
                          "-----END EC PRIVATE KEY-----\n"},
    };
    struct buf pem = BUF_SECRET(KEY_PEM_MAX * 2), packed = BUF_SECRET(KEY_PACKED_MAX);
    enum key_type type;
    struct error e;
    char *zeros = calloc(1, KEY_PEM_MAX);

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        e.message[0] = '\0';
        if (key_pack_pem(str_from(rows[i].pem), &type, &packed, &e) != -1) {
            printf("\n%s\n", rows[i].what);
            CU_FAIL("taken");
        }
        CU_ASSERT_TRUE(e.message[0] != '\0');
    }
    CU_ASSERT_TRUE(encode(keys[0], "PrivateKeyInfo", "AES-128-CBC", &pem));
    CU_ASSERT_EQUAL(key_pack_pem(buf_view(&pem), &type, &packed, &e), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "passphrases are not supported"));
    buf_clear(&pem);
    CU_ASSERT_TRUE(encode(keys[0], "type-specific", "AES-128-CBC", &pem));
    CU_ASSERT_EQUAL(key_pack_pem(buf_view(&pem), &type, &packed, &e), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "passphrases are not supported"));
    /* One byte more than there is room for. */
    buf_clear(&pem);
    pem_append(&pem, "PRIVATE KEY", (struct str){zeros, KEY_PEM_MAX});
    CU_ASSERT_EQUAL(key_pack_pem(buf_view(&pem), &type, &packed, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_LIMIT);
    CU_ASSERT_PTR_NULL(
        key_unpack(KEY_OTHER, (struct str){zeros, KEY_PACKED_MAX + 1}, STR_NONE, &e));
    CU_ASSERT_EQUAL(e.kind, ERROR_LIMIT);
    CU_ASSERT_PTR_NULL(key_unpack(KEY_P256, STR("short"), STR_NONE, &e));
    CU_ASSERT_PTR_NULL(key_unpack(KEY_P256, (struct str){zeros, 32}, STR_NONE, &e));
    /* The group's order is no private key (SEC 1 §3.2.1), nor is what lies above. */
    memset(zeros, 0xff, 32);
    CU_ASSERT_PTR_NULL(key_unpack(KEY_P256, (struct str){zeros, 32}, STR_NONE, &e));
    CU_ASSERT_PTR_NULL(key_generate(KEY_OTHER, &e));
    free(zeros);
    buf_free(&pem);
    buf_free(&packed);
}

/* Damage at every byte: never a fault. */
static void damaged(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct buf packed = BUF_SECRET(KEY_PACKED_MAX);
        enum key_type type;
        struct error e;

        if (private_key_scalar_size(kinds[i].type))
            continue;
        CU_ASSERT_EQUAL(key_pack(keys[i], &type, &packed, &e), 0);
        for (size_t at = 0; at < packed.len && at < 64; at++) {
            packed.data[at] = (char)(packed.data[at] ^ 0x55);
            EVP_PKEY_free(key_unpack(type, buf_view(&packed), STR_NONE, &e));
            packed.data[at] = (char)(packed.data[at] ^ 0x55);
        }
        buf_free(&packed);
    }
}

static void put_member(struct buf *json, const char *name, EVP_PKEY *key, const char *parameter,
                       int size)
{
    unsigned char bytes[1024];
    BIGNUM *number = NULL;
    int len;

    CU_ASSERT_EQUAL_FATAL(EVP_PKEY_get_bn_param(key, parameter, &number), 1);
    len = BN_bn2binpad(number, bytes, size ? size : BN_num_bytes(number));
    buf_printf(json, ", \"%s\" : \"", name);
    jws_base64url(json, (struct str){(char *)bytes, (size_t)len});
    buf_cstr(json, "\"");
    BN_free(number);
}

static void reads_jwks(void)
{
    static const struct {
        const char *name, *parameter;
    } rsa[] = {{"n", OSSL_PKEY_PARAM_RSA_N},          {"e", OSSL_PKEY_PARAM_RSA_E},
               {"d", OSSL_PKEY_PARAM_RSA_D},          {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
               {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},    {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
               {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2}, {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1}};
    struct buf json = BUF_SECRET(KEY_PEM_MAX);
    struct error e;
    EVP_PKEY *back;

    buf_cstr(&json,
             "{\"kty\":\"RSA\",\"kid\":\"a\\\"b\",\"key_ops\":[\"sign\", true, 1],\"ext\":true");
    for (size_t i = 0; i < ARRAY_LENGTH(rsa); i++)
        put_member(&json, rsa[i].name, keys[4], rsa[i].parameter, 0);
    buf_cstr(&json, " } ");
    back = key_parse_jwk(buf_view(&json), &e);
    CU_ASSERT_EQUAL(EVP_PKEY_eq(back, keys[4]), 1);
    EVP_PKEY_free(back);

    for (size_t i = 0; i < 2; i++) {
        buf_clear(&json);
        buf_printf(&json, "{\"kty\":\"EC\",\"crv\":\"%s\"", kinds[i].curve);
        put_member(&json, "d", keys[i], OSSL_PKEY_PARAM_PRIV_KEY, i ? 48 : 32);
        buf_cstr(&json, "}");
        back = key_parse_jwk(buf_view(&json), &e);
        CU_ASSERT_EQUAL(EVP_PKEY_eq(back, keys[i]), 1);
        EVP_PKEY_free(back);
    }
    buf_free(&json);
}

static void refuses_jwks(void)
{
    static const char *const rows[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"kty\":\"oct\",\"k\":\"AAAA\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-521\",\"d\":\"AAAA\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":\"\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":\"A!\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":\"AAAA\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":\"AQAB\"} x",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":\"AQAB\"",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":7}",
        "{\"kty\":\"EC\" \"crv\":\"P-256\",\"d\":\"AQAB\"}",
        "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
        "{\"kty",
        "{\"kty\":[",
    };
    struct error e;

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        EVP_PKEY *key = key_parse_jwk(str_from(rows[i]), &e);
        CU_ASSERT_PTR_NULL(key);
        EVP_PKEY_free(key);
    }
}

static void generates(void)
{
    static const enum key_type types[] = {KEY_P256, KEY_P384, KEY_RSA_2048};

    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        struct buf packed = BUF_SECRET(KEY_PACKED_MAX);
        struct error e;
        EVP_PKEY *key;

        CU_ASSERT_EQUAL(key_generate_packed(types[i], &packed, &e), 0);
        key = key_unpack(types[i], buf_view(&packed), STR_NONE, &e);
        CU_ASSERT_EQUAL(key_type_of(key), types[i]);
        EVP_PKEY_free(key);
        buf_free(&packed);
    }
}

static int suite_up(void)
{
    issuer = test_issuer_new("Test Root", NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
        keys[i] = kinds[i].curve  ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", kinds[i].curve)
                  : kinds[i].bits ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", kinds[i].bits)
                                  : EVP_PKEY_Q_keygen(NULL, NULL, kinds[i].algorithm);
    return 0;
}

static int suite_down(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
        EVP_PKEY_free(keys[i]);
    test_issuer_free(issuer);
    return 0;
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("pki key", suite_up, suite_down);
    CU_add_test(suite, "packs and unpacks", packs_and_unpacks);
    CU_add_test(suite, "matches its leaf only", matches_its_leaf_only);
    CU_add_test(suite, "prints like OpenSSL", prints_like_openssl);
    CU_add_test(suite, "odd PEMs", odd_pems);
    CU_add_test(suite, "refuses", refuses);
    CU_add_test(suite, "damaged", damaged);
    CU_add_test(suite, "reads JWKs", reads_jwks);
    CU_add_test(suite, "refuses JWKs", refuses_jwks);
    CU_add_test(suite, "generates", generates);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
