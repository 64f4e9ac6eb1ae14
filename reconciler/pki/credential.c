#include "reconciler/pki/credential.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/pki/alt_name.h"
#include "reconciler/pki/certificate.h"
#include "reconciler/pki/chain.h"
#include "reconciler/pki/issued.h"
#include "reconciler/pki/key.h"
#include "reconciler/pki/pem.h"

#define CREDENTIAL_SERIAL_BITS 127

/* Leaf and key in one block of our own. */
struct own {
    size_t size;
    char bytes[];
};

static void release_own(void *home)
{
    struct own *own = home;

    explicit_bzero(own->bytes, own->size);
    free(own);
}

/* Copies leaf and key into a block of its own. */
static struct own *keep(struct str *leaf, struct str *key)
{
    struct own *own = malloc(sizeof(*own) + leaf->len + key->len);

    if (!own)
        return NULL;
    own->size = leaf->len + key->len;
    memcpy(own->bytes, leaf->ptr, leaf->len);
    if (key->len)
        memcpy(own->bytes + leaf->len, key->ptr, key->len);
    *leaf = (struct str){own->bytes, leaf->len};
    *key = (struct str){own->bytes + leaf->len, key->len};
    return own;
}

struct credential *credential_new_raw(struct chain_pool *pool, const struct credential_raw *raw,
                                      struct error *e)
{
    struct credential *c = calloc(1, sizeof(*c));

    if (!c)
        return error_no_memory(e);
    *c = (struct credential){
        .facts = raw->facts, .leaf = raw->leaf, .key = raw->key, .references = 1};
    c->chain = chain_intern(pool, raw->chain, e);
    if (!c->chain && e->kind != ERROR_NONE)
        goto out;
    if (!raw->home) {
        c->home = keep(&c->leaf, &c->key);
        c->home_release = release_own;
    } else {
        c->home = raw->home;
        c->home_release = raw->home_release;
    }
    if (c->home)
        return c;
    error_memory(e);
out:
    chain_unref(c->chain);
    free(c);
    return NULL;
}

struct credential *credential_ref(struct credential *c)
{
    c->references++;
    return c;
}

void credential_unref(struct credential *c)
{
    if (!c || --c->references)
        return;
    if (c->home_release)
        c->home_release(c->home);
    chain_unref(c->chain);
    free(c);
}

void credential_rebind(struct credential *c, struct str leaf, struct str key, void *home,
                       void (*home_release)(void *home))
{
    if (c->home_release)
        c->home_release(c->home);
    c->leaf = leaf;
    c->key = key;
    c->home = home;
    c->home_release = home_release;
}

/* ---- from PEM ---- */

/* Every certificate's DER, one behind the other; *leaf_len is the first one's. */
static int read_certificates(struct str pem, struct buf *der, size_t *leaf_len, struct error *e)
{
    struct pem_reader reader = PEM_READER(PEM_CERTIFICATE, pem);
    struct pem_block block;
    int found;

    if (pem_read_first(&reader, der, &block, e))
        return -1;
    *leaf_len = der->len;
    while ((found = pem_read(&reader, der, e)) == 1)
        continue;
    return found;
}

/* A PEM chain taken apart. */
struct pieces {
    struct buf der;
    struct credential_raw raw; /* leaf, chain and facts */
};

static int take_apart(struct str pem, struct pieces *p, struct error *e)
{
    size_t leaf_len;

    if (read_certificates(pem, &p->der, &leaf_len, e))
        return -1;
    p->raw.leaf = str_slice(buf_view(&p->der), 0, leaf_len);
    p->raw.chain = str_slice(buf_view(&p->der), leaf_len, p->der.len);
    return certificate_read_facts(p->raw.leaf, &p->raw.facts, e);
}

#define PIECES_INIT ((struct pieces){.der = BUF_INIT(CERTIFICATE_DER_MAX + CHAIN_BYTES_MAX)})

struct credential *credential_from_pem(struct chain_pool *pool, struct str certificate,
                                       struct str key, struct error *e)
{
    struct pieces p = PIECES_INIT;
    struct buf packed = BUF_SECRET(KEY_PACKED_MAX);
    struct credential *c = NULL;
    bool matches;

    if (take_apart(certificate, &p, e) ||
        key_pack_pem_for(key, p.raw.leaf, &p.raw.facts.key_type, &packed, &matches, e))
        goto out;
    if (!matches) {
        error_set(e, ERROR_CRYPTO, "certificate does not match key");
        goto out;
    }
    p.raw.key = buf_view(&packed);
    c = credential_new_raw(pool, &p.raw, e);
out:
    buf_free(&p.der);
    buf_free(&packed);
    return c;
}

struct credential *credential_from_issued(struct chain_pool *pool, struct str certificate,
                                          const struct issued_expectation *expected,
                                          struct error *e)
{
    struct pieces p = PIECES_INIT;
    struct certificate_view leaf;
    struct credential *c = NULL;

    if (!take_apart(certificate, &p, e) && !certificate_parse(p.raw.leaf, &leaf, e) &&
        !issued_check_leaf(&leaf, expected, e)) {
        p.raw.facts.key_type = expected->key_type;
        p.raw.key = expected->key;
        c = credential_new_raw(pool, &p.raw, e);
    }
    buf_free(&p.der);
    return c;
}

int credential_to_pem(const struct credential *c, struct buf *certificate, struct buf *key,
                      struct error *e)
{
    struct str rest = chain_bytes(c->chain), der;

    if (certificate) {
        pem_append(certificate, "CERTIFICATE", c->leaf);
        while (chain_next(&rest, &der))
            pem_append(certificate, "CERTIFICATE", der);
        if (certificate->failed)
            return error_memory(e);
    }
    return key ? key_print_packed(c->facts.key_type, c->key, c->leaf, key, e) : 0;
}

/* ---- self-signed ---- */

static int add_alt_name(X509 *x, const char *name)
{
    GENERAL_NAMES *names = alt_name_make(str_from(name));
    int done = names && X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT);

    GENERAL_NAMES_free(names);
    return done;
}

static int set_serial(X509 *x)
{
    BIGNUM *serial = BN_new();
    int done = serial &&
               BN_rand(serial, CREDENTIAL_SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
               BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x));

    BN_free(serial);
    return done;
}

static int fill(X509 *x, const struct credential_self_signed *options, EVP_PKEY *key)
{
    X509_NAME *name = X509_get_subject_name(x);

    return X509_set_version(x, X509_VERSION_3) && set_serial(x) &&
           ASN1_TIME_set(X509_getm_notBefore(x), (time_t)options->not_before) &&
           ASN1_TIME_set(X509_getm_notAfter(x), (time_t)options->not_after) &&
           X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC,
                                      (const unsigned char *)options->name, -1, -1, 0) &&
           X509_set_issuer_name(x, name) && X509_set_pubkey(x, key) &&
           add_alt_name(x, options->name) && X509_sign(x, key, EVP_sha256()) > 0;
}

struct credential *credential_make_self_signed(const struct credential_self_signed *options,
                                               struct error *e)
{
    struct buf packed = BUF_SECRET(KEY_PACKED_MAX);
    EVP_PKEY *key = key_generate(options->key_type, e);
    X509 *x = X509_new();
    unsigned char *der = NULL;
    struct credential_raw raw = {0};
    struct credential *c = NULL;
    int len = -1;

    if (!key || key_pack(key, &raw.facts.key_type, &packed, e))
        goto out;
    if (x && fill(x, options, key))
        len = i2d_X509(x, &der);
    if (len < 0) {
        ERR_clear_error();
        error_set(e, ERROR_CRYPTO, "cannot make a certificate for %s", options->name);
        goto out;
    }
    raw.leaf = (struct str){(const char *)der, (size_t)len};
    raw.key = buf_view(&packed);
    if (certificate_read_facts(raw.leaf, &raw.facts, e))
        goto out;
    c = credential_new_raw(NULL, &raw, e);
out:
    OPENSSL_free(der);
    X509_free(x);
    EVP_PKEY_free(key);
    buf_free(&packed);
    return c;
}
