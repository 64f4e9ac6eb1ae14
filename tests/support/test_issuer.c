#include "tests/support/test_issuer.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "reconciler/pki/pem.h"

struct test_issuer {
    struct test_issuer *parent;
    EVP_PKEY *key;
    X509 *certificate;
    long serial;
};

static void need(int done, const char *what)
{
    if (done)
        return;
    fprintf(stderr, "test_issuer: cannot %s\n", what);
    abort();
}

static void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    need(extension && X509_add_ext(x, extension, -1) == 1, "add an extension");
    X509_EXTENSION_free(extension);
}

static X509 *make(struct test_issuer *by, const char *cn, EVP_PKEY *key, int64_t from, int64_t to)
{
    X509 *x = X509_new();
    X509_NAME *subject = X509_get_subject_name(x);

    need(X509_set_version(x, X509_VERSION_3) == 1, "set the version");
    ASN1_INTEGER_set(X509_get_serialNumber(x), by ? ++by->serial : 1);
    ASN1_TIME_set(X509_getm_notBefore(x), (time_t)from);
    ASN1_TIME_set(X509_getm_notAfter(x), (time_t)to);
    if (cn)
        need(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1,
                                        -1, 0) == 1,
             "set the name");
    X509_set_issuer_name(x, by ? X509_get_subject_name(by->certificate) : subject);
    need(X509_set_pubkey(x, key) == 1, "set the key");
    return x;
}

/* The extensions of an odd one, in the place of our own. */
static bool add_odd(X509 *x, X509 *issuer, const struct test_leaf *odd)
{
    X509V3_CTX context;
    int n = 0;

    X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
    for (; n < TEST_EXTENSIONS_MAX && odd->extensions[n][0]; n++) {
        X509_EXTENSION *extension =
            X509V3_EXT_conf(NULL, &context, odd->extensions[n][0], odd->extensions[n][1]);

        need(extension && X509_add_ext(x, extension, -1) == 1, "add an extension");
        X509_EXTENSION_free(extension);
    }
    if (odd->is_v1)
        need(X509_set_version(x, X509_VERSION_1), "set the version");
    return n > 0;
}

struct test_issuer *test_issuer_new(const char *name, struct test_issuer *parent)
{
    return test_issuer_new_odd(
        name, parent, &(struct test_leaf){.not_before = 1700000000, .not_after = 2000000000});
}

struct test_issuer *test_issuer_new_odd(const char *name, struct test_issuer *parent,
                                        const struct test_leaf *odd)
{
    struct test_issuer *i = calloc(1, sizeof(*i));
    X509 *by;

    need(i != NULL, "allocate");
    i->parent = parent;
    i->key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    need(i->key != NULL, "make a key");
    i->certificate = make(parent, name, i->key, odd->not_before, odd->not_after);
    by = parent ? parent->certificate : i->certificate;
    if (!add_odd(i->certificate, by, odd))
        add_extension(i->certificate, by, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(i->certificate, i->certificate, NID_subject_key_identifier, "hash");
    need(X509_sign(i->certificate, parent ? parent->key : i->key, EVP_sha256()) > 0, "sign");
    return i;
}

void test_issuer_free(struct test_issuer *i)
{
    if (!i)
        return;
    EVP_PKEY_free(i->key);
    X509_free(i->certificate);
    free(i);
}

struct test_issuer *test_issuer_new_row(const char *name, struct test_issuer *parent,
                                        unsigned count)
{
    char text[64];

    for (unsigned n = 1; n <= count; n++) {
        snprintf(text, sizeof(text), "%s %u", name, n);
        parent = test_issuer_new(text, parent);
    }
    return parent;
}

void test_issuer_free_row(struct test_issuer *last)
{
    while (last) {
        struct test_issuer *parent = last->parent;

        test_issuer_free(last);
        last = parent;
    }
}

static void put(X509 *x, struct buf *der)
{
    unsigned char *bytes = NULL;
    int len = i2d_X509(x, &bytes);

    need(len > 0 && buf_append(der, bytes, (size_t)len) == 0, "encode");
    OPENSSL_free(bytes);
}

void test_issuer_sign(struct test_issuer *i, const struct test_leaf *leaf, struct buf *der)
{
    X509 *x = make(i, leaf->cn, leaf->key, leaf->not_before, leaf->not_after);

    if (leaf->names)
        add_extension(x, i->certificate, NID_subject_alt_name, leaf->names);
    add_extension(x, i->certificate, NID_authority_key_identifier, "keyid");
    add_odd(x, i->certificate, leaf);
    need(X509_sign(x, i->key, EVP_sha256()) > 0, "sign");
    put(x, der);
    X509_free(x);
}

void test_issuer_der(struct test_issuer *i, struct buf *der)
{
    put(i->certificate, der);
}

void test_issuer_sign_pem(struct test_issuer *i, const struct test_leaf *leaf, struct buf *pem)
{
    struct buf der = BUF_INIT((size_t)64 << 10);

    test_issuer_sign(i, leaf, &der);
    pem_append(pem, "CERTIFICATE", buf_view(&der));
    for (; i->parent; i = i->parent) {
        buf_clear(&der);
        test_issuer_der(i, &der);
        pem_append(pem, "CERTIFICATE", buf_view(&der));
    }
    buf_free(&der);
}
