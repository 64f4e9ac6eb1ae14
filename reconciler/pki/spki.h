#pragma once

#include <stdbool.h>

#include "reconciler/base/key_type.h"
#include "reconciler/base/str.h"

/* AlgorithmIdentifiers and public keys (RFC 5280 §4.1.2.7, RFC 5480, RFC 8017 §A.1), inside pki
 * only. */

struct spki {
    struct str der;        /* the whole SubjectPublicKeyInfo */
    struct str public_key; /* content of its BIT STRING */
    enum key_type key_type;
    const char *algorithm; /* "RSA", "EC", "ED25519" ..., "OTHER" */
};

/* Takes a SubjectPublicKeyInfo off the cursor; false if it is broken. */
bool spki_take(struct str *cursor, struct spki *spki);
/*
 * What an AlgorithmIdentifier's content names: KEY_P256, KEY_P384, KEY_RSA_2048 (for RSA of
 * whatever size), or KEY_OTHER. *algorithm may be NULL.
 */
enum key_type spki_algorithm(struct str identifier, const char **algorithm);
/* A named curve's key type by its OID; KEY_OTHER for one that we do not pack. */
enum key_type spki_curve(struct str oid);
/* By the modulus, sign byte cut off. */
enum key_type spki_rsa_type(struct str modulus);
/* RSAPublicKey: modulus and exponent; false if broken. */
bool spki_rsa(struct str public_key, struct str *modulus, struct str *exponent);
