#include "reconciler/pki/csr.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "reconciler/pki/alt_name.h"

static bool is_printable(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] <= ' ' || name.ptr[i] > '~')
            return false;
    return name.len > 0 && name.len <= CSR_NAME_MAX;
}

static int add_extensions(X509_REQ *request, struct str name)
{
    GENERAL_NAMES *names = alt_name_make(name);
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    int done =
        names &&
        X509V3_add1_i2d(&extensions, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1 &&
        X509_REQ_add_extensions(request, extensions) == 1;

    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    GENERAL_NAMES_free(names);
    return done;
}

static int fill(X509_REQ *request, EVP_PKEY *key, struct str name)
{
    X509_NAME *subject = X509_REQ_get_subject_name(request);

    if (name.len <= CSR_COMMON_NAME_MAX &&
        !X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC,
                                    (const unsigned char *)name.ptr, (int)name.len, -1, 0))
        return 0;
    return X509_REQ_set_version(request, X509_REQ_VERSION_1) && X509_REQ_set_pubkey(request, key) &&
           add_extensions(request, name) && X509_REQ_sign(request, key, EVP_sha256()) > 0;
}

int csr_build(EVP_PKEY *key, struct str name, struct buf *der, struct error *e)
{
    X509_REQ *request = X509_REQ_new();
    unsigned char *bytes = NULL;
    int len = -1, result = -1;

    if (!is_printable(name)) {
        error_set(e, ERROR_INVALID, "not a name for a certificate request");
        goto out;
    }
    if (request && fill(request, key, name))
        len = i2d_X509_REQ(request, &bytes);
    if (len < 0)
        error_set(e, ERROR_CRYPTO, "cannot make a certificate request");
    else if (buf_append(der, bytes, (size_t)len))
        error_memory(e);
    else
        result = 0;
out:
    ERR_clear_error();
    OPENSSL_free(bytes);
    X509_REQ_free(request);
    return result;
}
