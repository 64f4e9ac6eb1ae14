#include "reconciler/pki/check.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "reconciler/pki/certificate.h"
#include "reconciler/pki/key.h"
#include "reconciler/pki/pem.h"

/*
 * This runs for every certificate of the file at every reload: a few microseconds each. It
 * reads with the readers of this floor; only what those do not know goes to OpenSSL.
 */
#define CHECK_PUBLIC_KEY_MAX ((size_t)16 << 10)

/* The first certificate of a PEM text; its DER stays in `der`. */
static int read_first(struct str pem, struct buf *der, struct certificate_view *view,
                      struct error *e)
{
    struct pem_reader reader = PEM_READER(PEM_CERTIFICATE, pem);
    struct pem_block block;

    return pem_read_first(&reader, der, &block, e) ? -1 : certificate_parse(buf_view(der), view, e);
}

int pki_check_certificate(void *context, struct str cert, struct str key, struct validity *valid,
                          const char **field, struct error *e)
{
    struct buf der = BUF_INIT(CERTIFICATE_DER_MAX), packed = BUF_SECRET(KEY_PACKED_MAX);
    struct certificate_view view;
    enum key_type type;
    bool matches = true;
    int result = -1;

    (void)context;
    if (cert.ptr && read_first(cert, &der, &view, e)) {
        *field = "cert";
        error_prefix(e, "invalid certificate");
        goto out;
    }
    if (cert.ptr && valid)
        *valid = (struct validity){view.not_before, view.not_after};
    if (key.ptr && (cert.ptr ? key_pack_pem_for(key, view.der, &type, &packed, &matches, e)
                             : key_pack_pem(key, &type, &packed, e))) {
        *field = "key";
        error_prefix(e, "invalid key");
        goto out;
    }
    if (!matches) {
        *field = "";
        error_set(e, ERROR_INVALID, "certificate does not match key");
        goto out;
    }
    result = 0;
out:
    buf_free(&der);
    buf_free(&packed);
    return result;
}

int pki_check_ca_certificate(struct str cert, int64_t now, struct error *e)
{
    struct buf der = BUF_INIT(CERTIFICATE_DER_MAX);
    struct certificate_view view;
    int rc = read_first(cert, &der, &view, e);

    if (rc)
        error_prefix(e, "invalid certificate");
    else if (view.not_after < now)
        rc = error_set(e, ERROR_INVALID, "certificate expired, \"Not After\" time is in the past");
    else if (!view.is_ca)
        rc = error_set(e, ERROR_INVALID,
                       "certificate does not appear to be a CA because it is missing the \"CA\" "
                       "basic constraint");
    buf_free(&der);
    return rc;
}

const char *pki_certificate_algorithm(void *context, struct str cert)
{
    struct buf der = BUF_INIT(CERTIFICATE_DER_MAX);
    struct certificate_view view = {0};
    struct error e;
    int failed = read_first(cert, &der, &view, &e);

    (void)context;
    buf_free(&der);
    return failed ? NULL : view.algorithm;
}

/* A PEM public key: SubjectPublicKeyInfo, or PKCS#1. */
static EVP_PKEY *read_public(struct str pem)
{
    struct buf der = BUF_INIT(CHECK_PUBLIC_KEY_MAX);
    struct pem_reader reader = PEM_READER(PEM_PUBLIC_KEY, pem);
    struct pem_block block;
    struct error e;
    EVP_PKEY *key = NULL;
    const unsigned char *p;

    if (pem_read_first(&reader, &der, &block, &e) == 0) {
        p = (const unsigned char *)der.data;
        key = str_starts(block.label, STR("RSA"))
                  ? d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, (long)der.len)
                  : d2i_PUBKEY(NULL, &p, (long)der.len);
    }
    ERR_clear_error();
    buf_free(&der);
    return key;
}

int pki_check_key(void *context, struct str private_key, struct str public_key, const char **field,
                  struct error *e)
{
    EVP_PKEY *private_half = NULL, *public_half = NULL;
    int result = -1;

    (void)context;
    *field = "pem";
    if (!private_key.ptr && !public_key.ptr)
        return error_set(e, ERROR_INVALID,
                         "need to supply a PEM formatted public and/or private key.");
    if (public_key.ptr && !(public_half = read_public(public_key)))
        error_set(e, ERROR_INVALID, "could not load public key");
    else if (private_key.ptr && !(private_half = key_parse(private_key, e)))
        error_set(e, ERROR_INVALID, "could not load private key");
    else if (private_half && public_half && EVP_PKEY_eq(private_half, public_half) != 1)
        error_set(e, ERROR_INVALID, "public key does not match private key");
    else
        result = 0;
    ERR_clear_error();
    EVP_PKEY_free(private_half);
    EVP_PKEY_free(public_half);
    return result;
}

bool pki_covers_sni(struct str cert, struct str sni)
{
    struct buf der = BUF_INIT(CERTIFICATE_DER_MAX);
    struct certificate_view view;
    struct error e;
    bool covers = read_first(cert, &der, &view, &e) || certificate_covers_sni(&view, sni);

    buf_free(&der);
    return covers;
}
