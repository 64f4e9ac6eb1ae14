#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/key_type.h"
#include "reconciler/base/str.h"

/* The DER forms of private keys, inside pki only: PKCS#8 (RFC 5958), SEC1 (RFC 5915), PKCS#1 (RFC
 * 8017 §A.1.2). */

#define PRIVATE_KEY_SCALAR_MAX 48
#define PRIVATE_KEY_POINT_MAX 97 /* uncompressed P-384 */

enum private_key_number {
    PRIVATE_KEY_N,
    PRIVATE_KEY_E,
    PRIVATE_KEY_D,
    PRIVATE_KEY_P,
    PRIVATE_KEY_Q,
    PRIVATE_KEY_DP,
    PRIVATE_KEY_DQ,
    PRIVATE_KEY_QI,
    PRIVATE_KEY_NUMBERS
};

/* Views into the DER. */
struct private_key {
    bool is_rsa;
    enum key_type type;
    struct str scalar;                       /* EC; of whatever length it was written in */
    struct str point;                        /* EC; STR_NONE where it was left out */
    struct str rsa;                          /* the whole RSAPrivateKey */
    struct str numbers[PRIVATE_KEY_NUMBERS]; /* RSA, unsigned big-endian */
};

/*
 * True for P-256, P-384 and two-prime RSA keys; false for anything else, well-formed or not:
 * OpenSSL may still know it.
 */
bool private_key_read_pkcs8(struct str der, struct private_key *key);
bool private_key_read_sec1(struct str der, struct private_key *key);
bool private_key_read_rsa(struct str der, struct private_key *key);

/* Bytes of an EC scalar, 0 for other types. */
size_t private_key_scalar_size(enum key_type type);
/* The scalar padded to its size in `out`; false if it is 0 or too long. */
bool private_key_scalar(const struct private_key *key, unsigned char *out);

/* Failure shows as out->failed; `out` is a BUF_SECRET. */
void private_key_put_ec(struct buf *out, enum key_type type, struct str scalar, struct str point);
void private_key_put_rsa(struct buf *out, struct str rsa);
