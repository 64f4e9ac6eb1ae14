#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>

#include "reconciler/base/buf.h"
#include "reconciler/pki/certificate.h"
#include "reconciler/pki/chain.h"
#include "reconciler/pki/check.h"
#include "reconciler/pki/credential.h"
#include "reconciler/pki/key.h"

/* Any bytes as a certificate in DER, and as PEM text of certificate and key. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(struct str view, struct str whole)
{
    return !view.ptr || (view.ptr >= whole.ptr && view.ptr + view.len <= whole.ptr + whole.len);
}

static void read_der(struct str der)
{
    struct certificate_view view;
    struct error e;

    if (certificate_parse(der, &view, &e))
        return;
    if (!is_inside(view.serial, der) || !is_inside(view.issuer_cn, der) ||
        !is_inside(view.subject_cn, der) || !is_inside(view.public_key, der) ||
        !is_inside(view.san, der) || !is_inside(view.authority_key_id, der))
        abort();
    (void)certificate_covers(&view, STR("www.example.com"));
    (void)certificate_covers(&view, STR("192.0.2.1"));
    if (key_matches(KEY_P256, STR("01234567890123456789012345678901"), der, &e) == 1)
        abort();
}

static void read_pem(struct str text)
{
    struct chain_pool *pool = chain_pool_new();
    struct buf packed = BUF_SECRET(KEY_PACKED_MAX);
    struct error e;
    const char *field;
    enum key_type type;

    credential_unref(credential_from_pem(pool, text, text, &e));
    (void)pki_check_certificate(NULL, text, text, NULL, &field, &e);
    (void)pki_certificate_algorithm(NULL, text);
    if (key_pack_pem(text, &type, &packed, &e) == 0 && !packed.len)
        abort();
    EVP_PKEY_free(key_parse_jwk(text, &e));
    buf_free(&packed);
    chain_pool_free(pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str input = {(const char *)data, size};

    read_der(input);
    read_pem(input);
    return 0;
}
