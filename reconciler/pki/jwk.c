#include "reconciler/pki/jwk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "reconciler/base/key_type.h"
#include "reconciler/pki/digest.h"
#include "reconciler/pki/jws.h"
#include "reconciler/pki/key.h"
#include "reconciler/pki/private_key.h"

#define JWK_NUMBER_MAX 2048 /* bytes: RSA of 16,384 bits */
#define JWK_PUBLIC_MAX ((size_t)8 << 10)

/* ---- reading ---- */

/*
 * A JWK is one flat object; what is read of it are strings without escapes. Other members may be
 * strings, literals, numbers, or arrays of those, and are stepped over.
 */
static void skip_blanks(struct str *cursor)
{
    while (cursor->len && strchr(" \t\r\n", cursor->ptr[0]) && cursor->ptr[0])
        *cursor = str_slice(*cursor, 1, cursor->len);
}

static bool take_char(struct str *cursor, char c)
{
    skip_blanks(cursor);
    if (!cursor->len || cursor->ptr[0] != c)
        return false;
    *cursor = str_slice(*cursor, 1, cursor->len);
    return true;
}

static bool take_string(struct str *cursor, struct str *text)
{
    size_t i;

    if (!take_char(cursor, '"'))
        return false;
    for (i = 0; i < cursor->len && cursor->ptr[i] != '"'; i++)
        if (cursor->ptr[i] == '\\')
            i++;
    if (i >= cursor->len)
        return false;
    *text = str_slice(*cursor, 0, i);
    *cursor = str_slice(*cursor, i + 1, cursor->len);
    return true;
}

static bool skip_literal(struct str *cursor)
{
    size_t i = 0;

    skip_blanks(cursor);
    while (i < cursor->len && cursor->ptr[i] && strchr("+-.0123456789Eaeflnrstu", cursor->ptr[i]))
        i++;
    *cursor = str_slice(*cursor, i, cursor->len);
    return i > 0;
}

static bool skip_value(struct str *cursor)
{
    struct str ignored;

    if (!take_char(cursor, '['))
        return take_string(cursor, &ignored) || skip_literal(cursor);
    if (take_char(cursor, ']'))
        return true;
    do {
        if (!take_string(cursor, &ignored) && !skip_literal(cursor))
            return false;
    } while (take_char(cursor, ','));
    return take_char(cursor, ']');
}

/* A member's string; STR_NONE where it is absent, no string, or the object is broken. */
static struct str member(struct str json, const char *name)
{
    struct str key, value, found = STR_NONE;

    if (!take_char(&json, '{'))
        return STR_NONE;
    do {
        if (!take_string(&json, &key) || !take_char(&json, ':'))
            return STR_NONE;
        if (str_equal_cstr(key, name) && !found.ptr && take_string(&json, &value))
            found = value;
        else if (!skip_value(&json))
            return STR_NONE;
    } while (take_char(&json, ','));
    if (!take_char(&json, '}'))
        return STR_NONE;
    skip_blanks(&json);
    return json.len ? STR_NONE : found;
}

/* A base64url member as a number without leading zeros. */
static int read_number(struct str json, const char *name, struct buf *bytes, struct str *number,
                       struct error *e)
{
    struct str text = member(json, name);
    size_t at = bytes->len;

    if (!text.len || jws_base64url_decode(text, bytes) || bytes->len - at > JWK_NUMBER_MAX)
        return error_set(e, ERROR_CRYPTO, "the JWK has no usable \"%s\"", name);
    *number = str_slice(buf_view(bytes), at, bytes->len);
    while (number->len > 1 && number->ptr[0] == 0)
        *number = str_slice(*number, 1, number->len);
    return 0;
}

int jwk_read_private(struct str json, struct buf *bytes, struct private_key *key, struct error *e)
{
    static const char *const names[PRIVATE_KEY_NUMBERS] = {"n", "e",  "d",  "p",
                                                           "q", "dp", "dq", "qi"};
    struct private_key found = {0};
    struct str kty = member(json, "kty"), crv;

    /* Decoding only shrinks: with this much room the views stay where they are. */
    if (json.len > JWK_TEXT_MAX || !buf_reserve(bytes, json.len))
        return error_set(e, ERROR_CRYPTO, "the JWK is too long");
    if (str_equal_cstr(kty, "RSA")) {
        found.is_rsa = true;
        for (size_t i = 0; i < PRIVATE_KEY_NUMBERS; i++)
            if (read_number(json, names[i], bytes, &found.numbers[i], e))
                return -1;
        found.type = KEY_OTHER;
    } else if (str_equal_cstr(kty, "EC")) {
        crv = member(json, "crv");
        found.type = str_equal_cstr(crv, "P-256")   ? KEY_P256
                     : str_equal_cstr(crv, "P-384") ? KEY_P384
                                                    : KEY_NONE;
        if (found.type == KEY_NONE)
            return error_set(e, ERROR_CRYPTO, "the JWK's curve is neither P-256 nor P-384");
        if (read_number(json, "d", bytes, &found.scalar, e))
            return -1;
    } else {
        return error_set(e, ERROR_CRYPTO, "not a private JWK of kty RSA or EC");
    }
    *key = found;
    return 0;
}

/* ---- printing ---- */

/* A number of the key as base64url; `size` 0 is its own length. */
static int put_number(const EVP_PKEY *key, const char *parameter, size_t size, struct buf *out)
{
    unsigned char bytes[JWK_NUMBER_MAX];
    BIGNUM *number = NULL;
    int len = -1;

    if (EVP_PKEY_get_bn_param(key, parameter, &number) == 1) {
        if (!size)
            size = (size_t)BN_num_bytes(number);
        if (size <= sizeof(bytes))
            len = BN_bn2binpad(number, bytes, (int)size);
    }
    BN_free(number);
    if (len < 0)
        return -1;
    jws_base64url(out, (struct str){(const char *)bytes, (size_t)len});
    return 0;
}

static int print_ec(const EVP_PKEY *key, enum key_type type, struct buf *out)
{
    size_t size = private_key_scalar_size(type);

    buf_printf(out, "{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"",
               type == KEY_P256 ? "P-256" : "P-384");
    if (put_number(key, OSSL_PKEY_PARAM_EC_PUB_X, size, out))
        return -1;
    buf_cstr(out, "\",\"y\":\"");
    if (put_number(key, OSSL_PKEY_PARAM_EC_PUB_Y, size, out))
        return -1;
    return buf_cstr(out, "\"}");
}

static int print_rsa(const EVP_PKEY *key, struct buf *out)
{
    buf_cstr(out, "{\"e\":\"");
    if (put_number(key, OSSL_PKEY_PARAM_RSA_E, 0, out))
        return -1;
    buf_cstr(out, "\",\"kty\":\"RSA\",\"n\":\"");
    if (put_number(key, OSSL_PKEY_PARAM_RSA_N, 0, out))
        return -1;
    return buf_cstr(out, "\"}");
}

int jwk_print_public(const EVP_PKEY *key, struct buf *out, struct error *e)
{
    enum key_type type = key_type_of(key);
    int result = private_key_scalar_size(type)    ? print_ec(key, type, out)
                 : EVP_PKEY_is_a(key, "RSA") == 1 ? print_rsa(key, out)
                                                  : -1;

    ERR_clear_error();
    if (out->failed)
        return error_memory(e);
    return result ? error_set(e, ERROR_CRYPTO, "the key has no JWK form here") : 0;
}

int jwk_thumbprint(const EVP_PKEY *key, char out[JWK_THUMBPRINT_SIZE], struct error *e)
{
    struct buf jwk = BUF_INIT(JWK_PUBLIC_MAX), text = BUF_INIT(JWK_THUMBPRINT_SIZE);
    unsigned char hash[32];
    int result = -1;

    if (jwk_print_public(key, &jwk, e))
        goto out;
    if (digest_sha256(buf_view(&jwk), hash)) {
        error_memory(e);
        goto out;
    }
    jws_base64url(&text, (struct str){(const char *)hash, sizeof(hash)});
    if (text.failed) {
        error_memory(e);
        goto out;
    }
    memcpy(out, text.data, JWK_THUMBPRINT_SIZE);
    result = 0;
out:
    buf_free(&jwk);
    buf_free(&text);
    return result;
}
