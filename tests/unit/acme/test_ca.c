#include "reconciler/acme/ca.h"

#include <CUnit/Basic.h>
#include <openssl/evp.h>
#include <string.h>

#include "reconciler/base/value.h"
#include "reconciler/pki/jws.h"
#include "reconciler/pki/key.h"

static struct ca sound(void)
{
    return (struct ca){.directory = STR("https://ca.test/dir"),
                       .api_uri = STR("https://ca.test/dir"),
                       .email = STR("a@b.test")};
}

static void emails(void)
{
    static const struct {
        const char *email;
        enum acme_ca_fault fault;
    } rows[] = {
        {"", ACME_CA_FINE},
        {"a@b.test", ACME_CA_FINE},
        {"mail@to.test", ACME_CA_FINE},
        {"j\xc3\xb6rg@b.test", ACME_CA_FINE},
        {" a@b.test", ACME_CA_EMAIL},
        {"a b@c.test", ACME_CA_EMAIL},
        {"a@b.test\n", ACME_CA_EMAIL},
        {"a@b.test\x7f", ACME_CA_EMAIL},
        {"mailto:a@b.test", ACME_CA_EMAIL},
        {"MailTo:a@b.test", ACME_CA_EMAIL},
    };
    char text[VALUE_EMAIL_MAX + 1];
    struct ca ca = sound();

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        ca.email = str_from(rows[i].email);
        CU_ASSERT_EQUAL(acme_ca_check(&ca), rows[i].fault);
    }
    memset(text, 'a', sizeof(text));
    ca.email = (struct str){text, VALUE_EMAIL_MAX};
    CU_ASSERT_EQUAL(acme_ca_check(&ca), ACME_CA_FINE);
    ca.email.len++;
    CU_ASSERT_EQUAL(acme_ca_check(&ca), ACME_CA_EMAIL);
}

/* The file's api_uri is part of keys in the storage, though the settings name another directory. */
static void urls(void)
{
    static const struct {
        const char *directory, *api_uri;
        enum acme_ca_fault fault;
    } rows[] = {
        {"https://ca.test", "https://ca.test", ACME_CA_FINE},
        {"http://ca.test/dir", "http://ca.test/dir", ACME_CA_URL},
        {"https://ca.test/a b", "https://ca.test/a b", ACME_CA_URL},
        {"https://", "https://", ACME_CA_URL},
        {"https://me@ca.test/", "https://me@ca.test/", ACME_CA_URL},
        {"https://other.test/dir", "http://ca.test/dir", ACME_CA_FINE},
        {"https://other.test/dir", "https://ca.test/dir ", ACME_CA_URL},
    };
    struct ca ca = sound();

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        ca.directory = str_from(rows[i].directory);
        ca.api_uri = str_from(rows[i].api_uri);
        CU_ASSERT_EQUAL(acme_ca_check(&ca), rows[i].fault);
    }
}

static void keys(void)
{
    struct buf pem = BUF_INIT(KEY_PEM_MAX);
    struct ca ca = sound();
    struct error e;
    EVP_PKEY *key = key_generate(KEY_P256, &e), *other = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

    CU_ASSERT_EQUAL_FATAL(key_print(key, &pem, &e), 0);
    ca.account_key = buf_view(&pem);
    CU_ASSERT_EQUAL(acme_ca_check(&ca), ACME_CA_FINE);
    buf_clear(&pem);
    CU_ASSERT_EQUAL_FATAL(key_print(other, &pem, &e), 0);
    ca.account_key = buf_view(&pem);
    CU_ASSERT_EQUAL(acme_ca_check(&ca), ACME_CA_KEY);
    ca.account_key = STR("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}"); /* public alone */
    CU_ASSERT_EQUAL(acme_ca_check(&ca), ACME_CA_KEY);
    ca.account_key = STR("");
    CU_ASSERT_EQUAL(acme_ca_check(&ca), ACME_CA_KEY);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    buf_free(&pem);
}

static void bindings(void)
{
    static char text[2 * JWS_HMAC_KEY_MAX];
    struct ca ca = sound();

    ca.eab_kid = STR("kid");
    CU_ASSERT_EQUAL(acme_ca_check(&ca), ACME_CA_FINE); /* half of it is not used */
    ca.eab_hmac_key = STR("c2VjcmV0");
    CU_ASSERT_EQUAL(acme_ca_check(&ca), ACME_CA_FINE);
    ca.eab_hmac_key = STR("not base64url");
    CU_ASSERT_EQUAL(acme_ca_check(&ca), ACME_CA_BINDING);
    memset(text, 'A', sizeof(text));
    ca.eab_hmac_key = (struct str){text, sizeof(text)};
    CU_ASSERT_EQUAL(acme_ca_check(&ca), ACME_CA_BINDING);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"emails", emails},     {"urls", urls},    {"keys", keys},
        {"bindings", bindings}, CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"acme/ca", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
