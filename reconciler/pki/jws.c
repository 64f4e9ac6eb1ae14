#include "reconciler/pki/jws.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "reconciler/base/base64.h"
#include "reconciler/base/json_out.h"
#include "reconciler/base/key_type.h"
#include "reconciler/pki/der.h"
#include "reconciler/pki/jwk.h"
#include "reconciler/pki/key.h"

#define JWS_HEADER_MAX ((size_t)32 << 10)
#define JWS_SIGNATURE_MAX 1024 /* bytes: RSA of 8,192 bits */
#define JWS_RSA_BITS_MIN 2048
#define JWS_RSA_BITS_MAX 8192

void jws_base64url(struct buf *out, struct str bytes)
{
    base64_append(out, BASE64_URL, bytes);
}

int jws_base64url_decode(struct str text, struct buf *out)
{
    char *room = buf_reserve(out, BASE64_ROOM(text.len));
    ptrdiff_t len = room ? base64_decode(BASE64_URL, text, room) : -1;

    if (len >= 0)
        buf_commit(out, (size_t)len);
    return len < 0 ? -1 : 0;
}

/* ---- signing ---- */

static const struct {
    enum key_type type; /* KEY_OTHER: RSA of whatever size */
    const char *name;
    size_t number_size; /* of r and s */
} algorithms[] = {{KEY_P256, "ES256", 32}, {KEY_P384, "ES384", 48}, {KEY_OTHER, "RS256", 0}};

/* Index into algorithms, or -1. */
static int algorithm_of(const EVP_PKEY *key)
{
    enum key_type type = key_type_of(key);

    if (type == KEY_P256 || type == KEY_P384)
        return type == KEY_P256 ? 0 : 1;
    if (EVP_PKEY_is_a(key, "RSA") == 1 && EVP_PKEY_get_bits(key) >= JWS_RSA_BITS_MIN &&
        EVP_PKEY_get_bits(key) <= JWS_RSA_BITS_MAX)
        return 2;
    return -1;
}

bool jws_key_is_usable(const EVP_PKEY *key)
{
    return algorithm_of(key) >= 0;
}

/* ECDSA-Sig-Value to r || s (RFC 7518 §3.4). */
static int flatten_signature(struct str der, size_t size, unsigned char *out)
{
    struct str fields, numbers[2];

    if (!der_take(&der, DER_SEQUENCE, &fields))
        return -1;
    for (int i = 0; i < 2; i++) {
        if (!der_take_unsigned(&fields, &numbers[i]) || numbers[i].len > size)
            return -1;
        memset(out, 0, size - numbers[i].len);
        memcpy(out + size - numbers[i].len, numbers[i].ptr, numbers[i].len);
        out += size;
    }
    return 0;
}

static int sign(EVP_PKEY *key, int algorithm, struct str input, struct buf *out, struct error *e)
{
    const size_t size = algorithms[algorithm].number_size;
    unsigned char signature[JWS_SIGNATURE_MAX], flat[96];
    size_t len = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *digest = algorithms[algorithm].type == KEY_P384 ? EVP_sha384() : EVP_sha256();
    int done =
        context && EVP_DigestSignInit(context, NULL, digest, NULL, key) == 1 &&
        EVP_DigestSign(context, signature, &len, (const unsigned char *)input.ptr, input.len) == 1;

    EVP_MD_CTX_free(context);
    if (done && size) {
        done = flatten_signature((struct str){(const char *)signature, len}, size, flat) == 0;
        jws_base64url(out, (struct str){(const char *)flat, 2 * size});
    } else if (done) {
        jws_base64url(out, (struct str){(const char *)signature, len});
    }
    ERR_clear_error();
    return done ? 0 : error_set(e, ERROR_CRYPTO, "the account key cannot sign");
}

/* {"protected":"...","payload":"...","signature":" without the signature; *input is what gets
 * signed. */
static void put_signed_parts(struct buf *out, struct str header, struct str payload,
                             struct buf *input)
{
    size_t dot;

    jws_base64url(input, header);
    dot = input->len;
    buf_char(input, '.');
    jws_base64url(input, payload);
    buf_cstr(out, "{\"protected\":\"");
    buf_str(out, str_slice(buf_view(input), 0, dot));
    buf_cstr(out, "\",\"payload\":\"");
    buf_str(out, str_slice(buf_view(input), dot + 1, input->len));
    buf_cstr(out, "\",\"signature\":\"");
}

static int put_header(const EVP_PKEY *key, const char *algorithm, const struct jws_header *header,
                      struct buf *out, struct error *e)
{
    struct json_out json = json_out_compact(out);
    struct buf jwk = BUF_INIT(JWS_HEADER_MAX);

    json_out_object(&json);
    json_out_member_cstr(&json, "alg", algorithm);
    if (header->kid.ptr) {
        json_out_member_str(&json, "kid", header->kid);
    } else {
        if (jwk_print_public(key, &jwk, e)) {
            buf_free(&jwk);
            return -1;
        }
        json_out_key(&json, "jwk");
        json_out_raw(&json, buf_view(&jwk));
        buf_free(&jwk);
    }
    if (header->nonce.ptr)
        json_out_member_str(&json, "nonce", header->nonce);
    json_out_member_str(&json, "url", header->url);
    json_out_end(&json);
    return out->failed ? error_memory(e) : 0;
}

int jws_sign(EVP_PKEY *key, const struct jws_header *header, struct str payload, struct buf *out,
             struct error *e)
{
    struct buf text = BUF_INIT(JWS_HEADER_MAX), input = BUF_INIT(out->max);
    int algorithm = algorithm_of(key), result = -1;

    if (algorithm < 0)
        return error_set(e, ERROR_CRYPTO,
                         "the account key is neither P-256, P-384 nor RSA of %d to %d bits",
                         JWS_RSA_BITS_MIN, JWS_RSA_BITS_MAX);
    if (put_header(key, algorithms[algorithm].name, header, &text, e))
        goto out;
    put_signed_parts(out, buf_view(&text), payload, &input);
    if (input.failed) {
        error_memory(e);
        goto out;
    }
    if (sign(key, algorithm, buf_view(&input), out, e))
        goto out;
    buf_cstr(out, "\"}");
    result = out->failed ? error_memory(e) : 0;
out:
    buf_free(&text);
    buf_free(&input);
    return result;
}

static int sign_binding(struct str hmac_key, struct str input, struct buf *out)
{
    struct buf secret = BUF_SECRET(JWS_HMAC_KEY_MAX);
    unsigned char mac[32];
    unsigned len = 0;
    int result = -1;

    if (jws_base64url_decode(hmac_key, &secret) == 0 && secret.len &&
        HMAC(EVP_sha256(), secret.data, (int)secret.len, (const unsigned char *)input.ptr,
             input.len, mac, &len) &&
        len == sizeof(mac)) {
        jws_base64url(out, (struct str){(const char *)mac, sizeof(mac)});
        result = 0;
    }
    buf_free(&secret);
    return result;
}

int jws_bind_account(const EVP_PKEY *account_key, struct str kid, struct str hmac_key,
                     struct str url, struct buf *out, struct error *e)
{
    struct buf jwk = BUF_INIT(JWS_HEADER_MAX), header = BUF_INIT(JWS_HEADER_MAX);
    struct buf input = BUF_INIT(4 * JWS_HEADER_MAX);
    struct json_out json = json_out_compact(&header);
    int result = -1;

    if (jwk_print_public(account_key, &jwk, e))
        goto out;
    json_out_object(&json);
    json_out_member_cstr(&json, "alg", "HS256");
    json_out_member_str(&json, "kid", kid);
    json_out_member_str(&json, "url", url);
    json_out_end(&json);
    put_signed_parts(out, buf_view(&header), buf_view(&jwk), &input);
    if (sign_binding(hmac_key, buf_view(&input), out)) {
        error_set(e, ERROR_ACCOUNT, "the external account's HMAC key is not base64url");
        e->permanent = true;
        goto out;
    }
    buf_cstr(out, "\"}");
    result = header.failed || input.failed || out->failed ? error_memory(e) : 0;
out:
    buf_free(&jwk);
    buf_free(&header);
    buf_free(&input);
    return result;
}
