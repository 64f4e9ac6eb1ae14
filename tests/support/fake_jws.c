#include "tests/support/fake_jws.h"

#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#include "reconciler/base/buf.h"
#include "reconciler/pki/jws.h"

#define TEXT_MAX ((size_t)1 << 20)

cJSON *fake_jws_part(const char *base64)
{
    struct buf text = BUF_INIT(TEXT_MAX);
    cJSON *json = NULL;

    if (jws_base64url_decode(str_from(base64), &text) == 0 && text.len)
        json = cJSON_ParseWithLength(text.data, text.len);
    buf_free(&text);
    return json;
}

const char *fake_jws_member(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static bool verify(EVP_PKEY *key, struct str input, struct buf *signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char *bytes = (unsigned char *)signature->data, *der = NULL;
    size_t len = signature->len;
    bool good;

    if (EVP_PKEY_is_a(key, "EC")) {
        ECDSA_SIG *sig = ECDSA_SIG_new();
        if (len != 64) {
            ECDSA_SIG_free(sig);
            EVP_MD_CTX_free(context);
            return false;
        }
        ECDSA_SIG_set0(sig, BN_bin2bn(bytes, 32, NULL), BN_bin2bn(bytes + 32, 32, NULL));
        len = (size_t)i2d_ECDSA_SIG(sig, &der);
        ECDSA_SIG_free(sig);
    }
    good = EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
           EVP_DigestVerify(context, der ? der : bytes, len, (const unsigned char *)input.ptr,
                            input.len) == 1;
    EVP_MD_CTX_free(context);
    OPENSSL_free(der);
    return good;
}

bool fake_jws_is_signed(const cJSON *jws, EVP_PKEY *key)
{
    struct buf signature = BUF_INIT(TEXT_MAX), input = BUF_INIT(TEXT_MAX);
    bool good;

    buf_printf(&input, "%s.%s", fake_jws_member(jws, "protected"), fake_jws_member(jws, "payload"));
    good = jws_base64url_decode(str_from(fake_jws_member(jws, "signature")), &signature) == 0 &&
           verify(key, buf_view(&input), &signature);
    buf_free(&signature);
    buf_free(&input);
    return good;
}
