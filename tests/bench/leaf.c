#include "leaf.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_PLACES 2 /* subject and SAN */
#define SERIAL_SIZE 8

struct leaf_maker {
    EVP_PKEY *issuer_key;
    X509 *issuer;
    EVP_MD_CTX *signer;
    unsigned char body[LEAF_DER_MAX]; /* TBSCertificate */
    size_t body_size;
    size_t name_at[NAME_PLACES], point_at, serial_at;
    long long begin, end;
};

static int add_extension(X509 *c, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;
    int rc;

    X509V3_set_ctx(&context, issuer, c, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    rc = extension && X509_add_ext(c, extension, -1);
    X509_EXTENSION_free(extension);
    return rc;
}

static X509 *begin_certificate(const char *name, EVP_PKEY *key, const X509 *issuer, long age,
                               long days)
{
    X509 *c = X509_new();
    X509_NAME *subject = X509_get_subject_name(c);

    X509_set_version(c, 2);
    X509_gmtime_adj(X509_getm_notBefore(c), -86400 * age);
    X509_gmtime_adj(X509_getm_notAfter(c), 86400 * (days - age) - 1);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(c, issuer ? X509_get_subject_name(issuer) : subject);
    X509_set_pubkey(c, key);
    return c;
}

static X509 *make_issuer(EVP_PKEY *key)
{
    X509 *c = begin_certificate("Bench Intermediate", key, NULL, 365, 3650);

    ASN1_INTEGER_set(X509_get_serialNumber(c), 1);
    if (!add_extension(c, c, NID_basic_constraints, "critical,CA:TRUE") ||
        !add_extension(c, c, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(c, c, NID_subject_key_identifier, "hash") ||
        !X509_sign(c, key, EVP_sha256())) {
        X509_free(c);
        return NULL;
    }
    return c;
}

/* Where `part` begins in the template, from `from` on. */
static size_t find(const struct leaf_maker *m, const void *part, size_t size, size_t from)
{
    const unsigned char *at = memmem(m->body + from, m->body_size - from, part, size);

    return at ? (size_t)(at - m->body) : 0;
}

static int take_template(struct leaf_maker *m, X509 *leaf, const char *name,
                         const unsigned char *point, const unsigned char *serial)
{
    unsigned char *body = m->body;
    int size = i2d_re_X509_tbs(leaf, NULL);

    if (size <= 0 || size > LEAF_DER_MAX)
        return 0;
    m->body_size = (size_t)i2d_re_X509_tbs(leaf, &body);
    for (size_t i = 0, from = 0; i < NAME_PLACES; i++, from = m->name_at[i - 1] + 1)
        if ((m->name_at[i] = find(m, name, strlen(name), from)) == 0)
            return 0;
    m->point_at = find(m, point, LEAF_POINT_SIZE, 0);
    m->serial_at = find(m, serial, SERIAL_SIZE, 0);
    return m->point_at && m->serial_at;
}

static int build_template(struct leaf_maker *m, long age, long days)
{
    static const unsigned char serial[SERIAL_SIZE] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 1};
    char name[LEAF_NAME_SIZE], san[LEAF_NAME_SIZE + 8];
    unsigned char point[LEAF_POINT_SIZE];
    EVP_PKEY *key = leaf_key(point);
    BIGNUM *number = BN_bin2bn(serial, sizeof(serial), NULL);
    struct tm tm;
    X509 *c;
    int rc;

    leaf_name(0, name);
    snprintf(san, sizeof(san), "DNS:%s", name);
    c = begin_certificate(name, key, m->issuer, age, days);
    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(c));
    rc = add_extension(c, m->issuer, NID_key_usage, "critical,digitalSignature") &&
         add_extension(c, m->issuer, NID_ext_key_usage, "serverAuth,clientAuth") &&
         add_extension(c, m->issuer, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(c, m->issuer, NID_authority_key_identifier, "keyid") &&
         add_extension(c, m->issuer, NID_subject_alt_name, san) &&
         X509_sign(c, m->issuer_key, EVP_sha256()) && take_template(m, c, name, point, serial);
    ASN1_TIME_to_tm(X509_get0_notBefore(c), &tm);
    m->begin = timegm(&tm);
    ASN1_TIME_to_tm(X509_get0_notAfter(c), &tm);
    m->end = timegm(&tm);
    X509_free(c);
    BN_free(number);
    EVP_PKEY_free(key);
    return rc;
}

struct leaf_maker *leaf_maker_new(long age, long days)
{
    struct leaf_maker *m = calloc(1, sizeof(*m));
    unsigned char point[LEAF_POINT_SIZE];

    m->issuer_key = leaf_key(point);
    m->issuer = make_issuer(m->issuer_key);
    m->signer = EVP_MD_CTX_new();
    if (m->issuer && build_template(m, age, days))
        return m;
    leaf_maker_free(m);
    return NULL;
}

void leaf_maker_free(struct leaf_maker *m)
{
    if (!m)
        return;
    EVP_MD_CTX_free(m->signer);
    X509_free(m->issuer);
    EVP_PKEY_free(m->issuer_key);
    free(m);
}

X509 *leaf_maker_issuer(const struct leaf_maker *m)
{
    return m->issuer;
}

void leaf_maker_times(const struct leaf_maker *m, long long *begin, long long *end)
{
    *begin = m->begin;
    *end = m->end;
}

/* SEQUENCE header for `size` bytes of content, 256 to 65535 of them. */
static size_t put_header(unsigned char *out, size_t size)
{
    out[0] = 0x30;
    out[1] = 0x82;
    out[2] = (unsigned char)(size >> 8);
    out[3] = (unsigned char)size;
    return 4;
}

size_t leaf_make(struct leaf_maker *m, unsigned number, const unsigned char *point,
                 unsigned char *out)
{
    /* ecdsa-with-SHA256 */
    static const unsigned char algorithm[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                              0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
    char name[LEAF_NAME_SIZE];
    unsigned char signature[80];
    size_t signature_size = sizeof(signature), size, at;

    leaf_name(number, name);
    for (size_t i = 0; i < NAME_PLACES; i++)
        memcpy(m->body + m->name_at[i], name, LEAF_NAME_SIZE - 1);
    memcpy(m->body + m->point_at, point, LEAF_POINT_SIZE);
    for (size_t i = 0; i < 4; i++)
        m->body[m->serial_at + 4 + i] = (unsigned char)(number >> (24 - 8 * i));
    if (!EVP_DigestSignInit(m->signer, NULL, EVP_sha256(), NULL, m->issuer_key) ||
        !EVP_DigestSign(m->signer, signature, &signature_size, m->body, m->body_size))
        return 0;
    size = m->body_size + sizeof(algorithm) + 3 + signature_size;
    at = put_header(out, size);
    memcpy(out + at, m->body, m->body_size);
    at += m->body_size;
    memcpy(out + at, algorithm, sizeof(algorithm));
    at += sizeof(algorithm);
    out[at++] = 0x03; /* BIT STRING without unused bits */
    out[at++] = (unsigned char)(signature_size + 1);
    out[at++] = 0;
    memcpy(out + at, signature, signature_size);
    return at + signature_size;
}

void leaf_name(unsigned number, char out[LEAF_NAME_SIZE])
{
    snprintf(out, LEAF_NAME_SIZE, "h%07u.bench.test", number % LEAF_NUMBERS);
}

EVP_PKEY *leaf_key(unsigned char point[LEAF_POINT_SIZE])
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    size_t size = 0;

    if (!key || !EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point,
                                                 LEAF_POINT_SIZE, &size)) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}
