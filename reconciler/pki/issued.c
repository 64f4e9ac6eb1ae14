#include "reconciler/pki/issued.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "reconciler/pki/certificate.h"
#include "reconciler/pki/chain.h"
#include "reconciler/pki/key.h"
#include "reconciler/pki/pem.h"

#define ISSUED_MAX (CHAIN_CERTIFICATES_MAX + 1)
/* 112 bits: RSA of 2048, no SHA-1. Debian's default, and what browsers ask for. */
#define ISSUED_AUTH_LEVEL 2

/* The certificates of an answer, leaf first. */
struct issued {
    struct buf der[ISSUED_MAX];
    struct certificate_view views[ISSUED_MAX];
    STACK_OF(X509) * certificates;
    int count;
};

int issued_check_leaf(const struct certificate_view *leaf,
                      const struct issued_expectation *expected, struct error *e)
{
    switch (key_matches(expected->key_type, expected->key, leaf->der, e)) {
    case -1:
        return -1;
    case 0:
        return error_set(e, ERROR_PROTOCOL, "the issued certificate is for another key");
    default:
        break;
    }
    if (!certificate_covers(leaf, expected->name))
        return error_set(e, ERROR_PROTOCOL, "the issued certificate does not cover the name");
    return 0;
}

/* ---- reading ---- */

static int add(struct issued *i, struct error *e)
{
    struct buf *der = &i->der[i->count];
    const unsigned char *p = (const unsigned char *)der->data;
    X509 *x;

    if (certificate_parse(buf_view(der), &i->views[i->count], e))
        return -1;
    x = d2i_X509(NULL, &p, (long)der->len);
    if (!x || !sk_X509_push(i->certificates, x)) {
        X509_free(x);
        return error_set(e, ERROR_PROTOCOL, "not a certificate: OpenSSL does not read it");
    }
    i->count++;
    return 0;
}

static int read_all(struct issued *i, struct str pem, struct error *e)
{
    struct pem_reader reader = PEM_READER(PEM_CERTIFICATE, pem);
    struct buf last = BUF_INIT(CERTIFICATE_DER_MAX);
    int found;

    while ((found = pem_read(&reader, i->count < ISSUED_MAX ? &i->der[i->count] : &last, e)) == 1) {
        if (i->count == ISSUED_MAX) {
            error_set(e, ERROR_PROTOCOL, "more than %d certificates", ISSUED_MAX);
            found = -1;
        } else if (add(i, e)) {
            found = -1;
        }
        if (found < 0)
            break;
    }
    buf_free(&last);
    if (found < 0) {
        e->kind = ERROR_PROTOCOL;
        return error_prefix(e, "the issued chain");
    }
    /* A CA answers with certificates alone (RFC 8555 §9.1): what is passed over may be one. */
    if (i->count == 0 || reader.skipped)
        return error_set(e, ERROR_PROTOCOL,
                         reader.skipped ? "the issued chain holds something else"
                                        : "the issued chain holds no certificate");
    return 0;
}

/* ---- judging ---- */

/* What keeps a leaf from being a TLS server's; NULL: nothing. */
static const char *leaf_fault(X509 *x)
{
    uint32_t flags = X509_get_extension_flags(x);
    uint32_t purposes = X509_get_extended_key_usage(x); /* all bits where it names none */

    if (X509_get_version(x) != X509_VERSION_3 || (flags & EXFLAG_INVALID))
        return "is no proper X.509 v3 certificate";
    if (X509_get_ext_by_NID(x, NID_ct_precert_poison, -1) >= 0)
        return "is a precertificate";
    if (flags & EXFLAG_CA)
        return "is one of a CA";
    if (flags & EXFLAG_CRITICAL)
        return "has a critical extension that clients do not know";
    if (!(purposes & (XKU_SSL_SERVER | XKU_ANYEKU)))
        return "is not for TLS servers (its extended key usage lacks serverAuth)";
    if (!(X509_get_key_usage(x) & KU_DIGITAL_SIGNATURE))
        return "is not for signatures (its key usage lacks digitalSignature)";
    if (flags & EXFLAG_SI)
        return "names itself as its issuer";
    return NULL;
}

static bool is_self_issued(X509 *x)
{
    return X509_get_extension_flags(x) & EXFLAG_SI;
}

/*
 * What keeps an issuer from being one; NULL: nothing. The last one may be out of date, if it is
 * what clients have themselves, or one more for old clients.
 */
static const char *issuer_fault(const struct issued *i, int at, int64_t now)
{
    X509 *x = sk_X509_value(i->certificates, at);
    bool is_last = at == i->count - 1;

    if (is_last && is_self_issued(x))
        return NULL;
    if (!(X509_get_extended_key_usage(x) & (XKU_SSL_SERVER | XKU_ANYEKU)))
        return "is not for issuers of TLS servers (its extended key usage lacks serverAuth)";
    if (is_last && at > 1)
        return NULL;
    if (i->views[at].not_after <= now)
        return "has expired";
    return i->views[at].not_before > now ? "is not valid yet" : NULL;
}

/* A root says by being trusted that it is a CA; old and home-made ones have no extension for it. */
static int on_verified(int ok, X509_STORE_CTX *context)
{
    X509 *x = X509_STORE_CTX_get_current_cert(context);

    return ok || (X509_STORE_CTX_get_error(context) == X509_V_ERR_INVALID_CA && is_self_issued(x));
}

static const char *verify_text(int code)
{
    switch (code) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return "was not issued by the next one";
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return "bears a signature that is not the next one's";
    case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
        return "has a critical extension that clients do not know";
    default:
        return X509_verify_cert_error_string(code);
    }
}

static int refuse(const struct issued *i, int at, const char *fault, struct error *e)
{
    return at == 0 ? error_set(e, ERROR_PROTOCOL, "the issued certificate %s", fault)
                   : error_set(e, ERROR_PROTOCOL, "certificate %d of %d of the issued chain %s",
                               at + 1, i->count, fault);
}

/* Did the path that OpenSSL found take each certificate, in the order in which they were sent? */
static bool is_in_order(const struct issued *i, X509_STORE_CTX *context)
{
    STACK_OF(X509) *path = X509_STORE_CTX_get0_chain(context);

    if (sk_X509_num(path) != i->count)
        return false;
    for (int n = 0; n < i->count; n++)
        if (sk_X509_value(path, n) != sk_X509_value(i->certificates, n))
            return false;
    return true;
}

/* Signatures, names, constraints, strength; the last certificate stands for what is trusted. */
static int verify_path(const struct issued *i, X509_STORE_CTX *context, STACK_OF(X509) * anchor,
                       struct error *e)
{
    X509_VERIFY_PARAM *parameters;
    int code;

    if (!X509_STORE_CTX_init(context, NULL, sk_X509_value(i->certificates, 0), i->certificates))
        return error_memory(e);
    parameters = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
    X509_VERIFY_PARAM_set_auth_level(parameters, ISSUED_AUTH_LEVEL);
    X509_VERIFY_PARAM_set_depth(parameters, ISSUED_MAX);
    X509_STORE_CTX_set0_trusted_stack(context, anchor);
    X509_STORE_CTX_set_verify_cb(context, on_verified);
    if (X509_verify_cert(context) != 1) {
        code = X509_STORE_CTX_get_error(context);
        return refuse(i, X509_STORE_CTX_get_error_depth(context), verify_text(code), e);
    }
    return is_in_order(i, context)
               ? 0
               : error_set(e, ERROR_PROTOCOL,
                           "the issued chain is not in the order of its issuers");
}

static int verify(const struct issued *i, struct error *e)
{
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    STACK_OF(X509) *anchor = sk_X509_new_null();
    int result;

    if (context && anchor && sk_X509_push(anchor, sk_X509_value(i->certificates, i->count - 1)) > 0)
        result = verify_path(i, context, anchor, e);
    else
        result = error_memory(e);
    X509_STORE_CTX_free(context);
    sk_X509_free(anchor);
    return result;
}

static int judge(const struct issued *i, const struct issued_expectation *expected, struct error *e)
{
    const char *fault;

    if (issued_check_leaf(&i->views[0], expected, e))
        return -1;
    fault = leaf_fault(sk_X509_value(i->certificates, 0));
    if (fault)
        return refuse(i, 0, fault, e);
    if (verify(i, e))
        return -1;
    for (int n = 1; n < i->count; n++) {
        fault = issuer_fault(i, n, expected->now);
        if (fault)
            return refuse(i, n, fault, e);
    }
    return 0;
}

/* A malloc'd copy; NULL for no text, or one that C strings cannot hold. */
static char *copy_text(struct str s)
{
    return s.ptr && !memchr(s.ptr, 0, s.len) ? str_dup(s) : NULL;
}

int issued_check(struct str pem, const struct issued_expectation *expected, char **top_issuer,
                 struct error *e)
{
    struct issued i = {.certificates = sk_X509_new_null()};
    int result = -1;

    for (int n = 0; n < ISSUED_MAX; n++)
        i.der[n] = BUF_INIT(CERTIFICATE_DER_MAX);
    if (!i.certificates)
        error_memory(e);
    else if (!read_all(&i, pem, e))
        result = judge(&i, expected, e);
    if (result == 0 && top_issuer)
        *top_issuer = copy_text(i.views[i.count - 1].issuer_cn);
    ERR_clear_error();
    sk_X509_pop_free(i.certificates, X509_free);
    for (int n = 0; n < ISSUED_MAX; n++)
        buf_free(&i.der[n]);
    return result;
}
