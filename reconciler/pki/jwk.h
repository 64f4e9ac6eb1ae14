#pragma once

#include <openssl/types.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/* JSON Web Keys (RFC 7517, RFC 7518 §6) of EC and RSA. */

#define JWK_TEXT_MAX ((size_t)32 << 10)

struct private_key; /* private_key.h */

/*
 * A private JWK's numbers: decoded into `bytes` (an empty BUF_SECRET of JWK_TEXT_MAX), `key` has
 * views of them. RSA needs its CRT numbers. -1 with ERROR_CRYPTO. key_parse_jwk (key.h) is the face
 * of this.
 */
int jwk_read_private(struct str json, struct buf *bytes, struct private_key *key,
                     struct error *e) MUST_CHECK;

/* Appends the public JWK, members in RFC 7638 order: {"crv","kty","x","y"} or {"e","kty","n"}. */
int jwk_print_public(const EVP_PKEY *key, struct buf *out, struct error *e) MUST_CHECK;

#define JWK_THUMBPRINT_SIZE 44 /* 43 characters and NUL */
/* SHA-256 thumbprint of the public half (RFC 7638), base64url. */
int jwk_thumbprint(const EVP_PKEY *key, char out[JWK_THUMBPRINT_SIZE], struct error *e) MUST_CHECK;
