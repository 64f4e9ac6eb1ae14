#pragma once

#include <openssl/types.h>
#include <stdbool.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/* JSON Web Signature as ACME uses it (RFC 7515, RFC 8555 §6.2). Failure of appends shows as
 * out->failed. */

#define JWS_HMAC_KEY_MAX ((size_t)1 << 10) /* of an external account, decoded */

void jws_base64url(struct buf *out, struct str bytes);
/* Without padding, though trailing `=` are let pass (people paste them). -1: any other byte or
 * length. */
int jws_base64url_decode(struct str text, struct buf *out) MUST_CHECK;

/* Can this key sign for an account: P-256, P-384 or RSA of 2048 to 8192 bits? */
bool jws_key_is_usable(const EVP_PKEY *key);

/* A protected header: kid (account URL) where there is one, else the key's own jwk. */
struct jws_header {
    struct str kid;   /* STR_NONE: jwk */
    struct str nonce; /* STR_NONE: none */
    struct str url;
};

/* Appends the flattened JSON serialisation, ES256, ES384 or RS256 by the key. An empty payload is
 * POST-as-GET. */
int jws_sign(EVP_PKEY *key, const struct jws_header *header, struct str payload, struct buf *out,
             struct error *e) MUST_CHECK;

/*
 * External account binding (RFC 8555 §7.3.4): the account's JWK signed by HS256 under the CA's key,
 * which is given as the CA hands it out, in base64url. -1 with ERROR_ACCOUNT where that does not
 * decode.
 */
int jws_bind_account(const EVP_PKEY *account_key, struct str kid, struct str hmac_key,
                     struct str url, struct buf *out, struct error *e) MUST_CHECK;
