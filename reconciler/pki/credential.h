#ifndef PKI_CREDENTIAL_H
#define PKI_CREDENTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/base/key_type.h"
#include "reconciler/base/str.h"

/*
 * A certificate (leaf + chain) with its private key as plain bytes: about 1 KB for P-256, never an
 * EVP_PKEY, X509 or SSL_CTX (design 4 "Credentials in memory").
 */

/* The issuer certificates above a leaf, interned: equal ones are one object. Reference-counted. */
struct chain;

/* What we need to know of a leaf, read once (RFC 5280 §4.1). Times in unix seconds. */
struct certificate_facts {
    int64_t not_before, not_after;
    enum key_type key_type;
    unsigned char fingerprint[32]; /* SHA-256 of the leaf's DER */
};

/*
 * Immutable and reference-counted (not atomically: one thread at a time owns it).
 * `leaf` and `key` are views; see credential_rebind.
 */
struct credential {
    struct certificate_facts facts;
    struct str leaf; /* DER */
    struct str key;  /* P-256, P-384: the big-endian scalar; others: PKCS#8 DER */
    const struct chain *chain;
    /* private */
    unsigned references;
    void *home;                        /* what keeps leaf and key alive: own memory, or a segment */
    void (*home_release)(void *home);
};

#endif
