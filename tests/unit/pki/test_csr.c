#include <CUnit/Basic.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/pki/csr.h"
#include "reconciler/pki/key.h"

#define LABEL_32 "abcdefghijklmnopqrstuvwxyz012345"

static void requests(void)
{
    static const struct {
        const char *name;
        enum key_type type;
        bool has_cn;
        int kind;
        const char *value; /* of the SAN's one entry */
        size_t value_len;
    } rows[] = {
        {"www.example.com", KEY_P256, true, GEN_DNS, "www.example.com", 15},
        {"www.example.com", KEY_P384, true, GEN_DNS, "www.example.com", 15},
        {"www.example.com", KEY_RSA_2048, true, GEN_DNS, "www.example.com", 15},
        {LABEL_32 "." LABEL_32, KEY_P256, false, GEN_DNS, LABEL_32 "." LABEL_32, 65},
        {&(LABEL_32 "." LABEL_32)[1], KEY_P256, true, GEN_DNS, &(LABEL_32 "." LABEL_32)[1], 64},
        {"192.0.2.7", KEY_P256, true, GEN_IPADD, "\xc0\x00\x02\x07", 4},
        {"2001:db8::7", KEY_P256, true, GEN_IPADD, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07",
         16},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf der = BUF_INIT(1 << 16);
        struct error e;
        EVP_PKEY *key = key_generate(rows[i].type, &e);
        const unsigned char *p;
        X509_REQ *request;
        STACK_OF(X509_EXTENSION) * extensions;
        GENERAL_NAMES *names;
        const ASN1_STRING *value;
        int kind;

        CU_ASSERT_EQUAL_FATAL(csr_build(key, str_from(rows[i].name), &der, &e), 0);
        p = (const unsigned char *)der.data;
        request = d2i_X509_REQ(NULL, &p, (long)der.len);
        CU_ASSERT_PTR_NOT_NULL_FATAL(request);
        CU_ASSERT_PTR_EQUAL((const char *)p, der.data + der.len);
        CU_ASSERT_EQUAL(X509_REQ_verify(request, key), 1);
        CU_ASSERT_EQUAL(X509_NAME_entry_count(X509_REQ_get_subject_name(request)), rows[i].has_cn);
        extensions = X509_REQ_get_extensions(request);
        names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
        CU_ASSERT_EQUAL(sk_X509_EXTENSION_num(extensions), 1);
        CU_ASSERT_EQUAL_FATAL(sk_GENERAL_NAME_num(names), 1);
        value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, 0), &kind);
        CU_ASSERT_EQUAL(kind, rows[i].kind);
        CU_ASSERT_EQUAL((size_t)ASN1_STRING_length(value), rows[i].value_len);
        CU_ASSERT_EQUAL(memcmp(ASN1_STRING_get0_data(value), rows[i].value, rows[i].value_len), 0);
        GENERAL_NAMES_free(names);
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
        X509_REQ_free(request);
        EVP_PKEY_free(key);
        buf_free(&der);
    }
}

static void refuses(void)
{
    static const struct str names[] = {STR_INIT(""), STR_INIT("a b.test"), STR_INIT("a\0b"),
                                       STR_INIT("\xc3\xa4.test"), STR_INIT("a\n.test")};
    char longest[CSR_NAME_MAX + 1];
    struct buf der = BUF_INIT(1 << 16);
    struct error e;
    EVP_PKEY *key = key_generate(KEY_P256, &e);

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        CU_ASSERT_EQUAL(csr_build(key, names[i], &der, &e), -1);
        CU_ASSERT_EQUAL(e.kind, ERROR_INVALID);
    }
    memset(longest, 'a', sizeof(longest));
    CU_ASSERT_EQUAL(csr_build(key, (struct str){longest, CSR_NAME_MAX}, &der, &e), 0);
    CU_ASSERT_EQUAL(csr_build(key, (struct str){longest, CSR_NAME_MAX + 1}, &der, &e), -1);
    EVP_PKEY_free(key);
    buf_free(&der);
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("pki csr", NULL, NULL);
    CU_add_test(suite, "requests", requests);
    CU_add_test(suite, "refuses", refuses);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
