#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"
#include "reconciler/base/key_type.h"
#include "reconciler/base/str.h"

/*
 * Private keys as bytes ("packed"; what credentials, segments and storage hold) and, for the moment
 * of use, as EVP_PKEY. Packed: P-256 and P-384 the big-endian scalar, 32 and 48 bytes; all others
 * PKCS#8 DER. Every buf that takes key bytes here should be a BUF_SECRET. Errors are ERROR_CRYPTO
 * if nothing else is said.
 */

#define KEY_PACKED_MAX ((size_t)16 << 10) /* RSA-16384 fits */
#define KEY_PEM_MAX ((size_t)32 << 10)

/* A new key, NULL with *e. RSA takes 0.1 to 2 seconds: not on the loop. Free with EVP_PKEY_free. */
EVP_PKEY *key_generate(enum key_type type, struct error *e) MUST_CHECK;
/* A new key, packed: key_generate and key_pack in one. */
int key_generate_packed(enum key_type type, struct buf *packed, struct error *e) MUST_CHECK;

/* PEM text: PKCS#8, PKCS#1 or SEC1, the first private key in it. Encrypted ones are refused. */
EVP_PKEY *key_parse(struct str pem, struct error *e) MUST_CHECK;
/* A private JWK of RSA or P-256/P-384 (RFC 7518 §6): Kong stores account keys so as well. */
EVP_PKEY *key_parse_jwk(struct str json, struct error *e) MUST_CHECK;
/* Either: JSON text is a JWK, everything else PEM. */
EVP_PKEY *key_parse_text(struct str text, struct error *e) MUST_CHECK;
/* Appends PKCS#8 PEM. */
int key_print(const EVP_PKEY *key, struct buf *pem, struct error *e) MUST_CHECK;
/* The same from packed bytes; `leaf` (DER) lends the public point, STR_NONE derives it. */
int key_print_packed(enum key_type type, struct str packed, struct str leaf, struct buf *pem,
                     struct error *e) MUST_CHECK;

enum key_type key_type_of(const EVP_PKEY *key);
int key_pack(const EVP_PKEY *key, enum key_type *type, struct buf *packed,
             struct error *e) MUST_CHECK;
/* PEM straight to packed, without OpenSSL's decoders for EC and RSA (1 us against 390). */
int key_pack_pem(struct str pem, enum key_type *type, struct buf *packed,
                 struct error *e) MUST_CHECK;
/*
 * The same, and does it belong to this leaf (DER)? Goes by the public half that the PEM carries, as
 * OpenSSL does, and computes it (20 us for EC) only where there is none.
 */
int key_pack_pem_for(struct str pem, struct str leaf, enum key_type *type, struct buf *packed,
                     bool *matches, struct error *e) MUST_CHECK;
/*
 * Packed bytes as a key (EC about 12 us, RSA 4 us). `leaf` is the DER of the certificate that it
 * belongs to and lends the public point; STR_NONE derives it (10 us more). Free with EVP_PKEY_free.
 */
EVP_PKEY *key_unpack(enum key_type type, struct str packed, struct str leaf,
                     struct error *e) MUST_CHECK;
/*
 * Is this the private key of that leaf? Computed from the private half (20 us for EC). 1 yes, 0 no,
 * -1 with *e: unreadable.
 */
int key_matches(enum key_type type, struct str packed, struct str leaf, struct error *e) MUST_CHECK;
