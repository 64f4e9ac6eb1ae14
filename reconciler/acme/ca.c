#include "reconciler/acme/ca.h"

#include <openssl/evp.h>

#include "reconciler/acme/url.h"
#include "reconciler/base/value.h"
#include "reconciler/pki/jws.h"
#include "reconciler/pki/key.h"

/* Without blanks and control characters, as keys of the storage need it. */
static bool is_one_word(struct str text, size_t max)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] <= 0x20 || text.ptr[i] == 0x7f)
            return false;
    return text.len <= max;
}

static bool is_email(struct str text)
{
    static const struct str scheme = STR_INIT("mailto:");

    return is_one_word(text, VALUE_EMAIL_MAX) &&
           !str_equal_nocase(str_slice(text, 0, scheme.len), scheme);
}

static bool is_usable_key(struct str text)
{
    struct error ignored;
    EVP_PKEY *key = text.len <= VALUE_KEY_MAX ? key_parse_text(text, &ignored) : NULL;
    bool is_usable = key && jws_key_is_usable(key);

    EVP_PKEY_free(key);
    return is_usable;
}

static bool is_binding(struct str hmac_key)
{
    struct buf secret = BUF_SECRET(JWS_HMAC_KEY_MAX);
    bool decodes = jws_base64url_decode(hmac_key, &secret) == 0 && secret.len;

    buf_free(&secret);
    return decodes;
}

enum acme_ca_fault acme_ca_check(const struct ca *ca)
{
    if (!is_email(ca->email))
        return ACME_CA_EMAIL;
    if (!acme_url_is_usable(ca->directory) || !is_one_word(ca->api_uri, VALUE_URL_MAX))
        return ACME_CA_URL;
    if (ca->account_key.ptr && !is_usable_key(ca->account_key))
        return ACME_CA_KEY;
    if (ca->eab_kid.len && ca->eab_hmac_key.len && !is_binding(ca->eab_hmac_key))
        return ACME_CA_BINDING;
    return ACME_CA_FINE;
}
