#pragma once

#include <stdint.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/certificate_facts.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/*
 * A certificate (leaf + chain) with its private key as plain bytes: about 1 KB for P-256, never an
 * EVP_PKEY, X509 or SSL_CTX (design 4 "Credentials in memory").
 */

/* The issuer certificates above a leaf, interned: equal ones are one object. See chain.h. */
struct chain;
struct chain_pool;

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
    void *home; /* what keeps leaf and key alive: own memory, or a segment */
    void (*home_release)(void *home);
};

/*
 * All makers give one reference, or NULL with *e. They copy what they are given, but for
 * credential_new_raw with a home.
 */

/*
 * Declared: leaf first, chain behind it as it is to be sent, and its key; about 3 us for P-256.
 * The key is compared with the leaf (ERROR_CRYPTO, "certificate does not match key"); names and
 * dates are not looked at.
 */
struct credential *credential_from_pem(struct chain_pool *pool, struct str certificate,
                                       struct str key, struct error *e) MUST_CHECK;

/* Issued: a chain that went through issued_check; key and name are compared once more. */
struct issued_expectation;
struct credential *credential_from_issued(struct chain_pool *pool, struct str certificate,
                                          const struct issued_expectation *expected,
                                          struct error *e) MUST_CHECK;

/* Bytes that this program stored once and whose facts it knows: nothing is parsed. */
struct credential_raw {
    struct certificate_facts facts;
    struct str leaf, key, chain; /* as in struct credential; chain as chain_bytes */
    void *home; /* NULL: leaf and key are copied; else they live in there, and the credential owns
                   it */
    void (*home_release)(void *home);
};
/* On failure the home stays the caller's. */
struct credential *credential_new_raw(struct chain_pool *pool, const struct credential_raw *raw,
                                      struct error *e) MUST_CHECK;

/* A pair nobody signed, for the built-in default: SAN and CN are `name`. */
struct credential_self_signed {
    enum key_type key_type;
    const char *name; /* "localhost" */
    int64_t not_before, not_after;
};
struct credential *credential_make_self_signed(const struct credential_self_signed *options,
                                               struct error *e) MUST_CHECK;

struct credential *credential_ref(struct credential *c);
void credential_unref(struct credential *c); /* wipes the key if it owns it; NULL is fine */

/*
 * The same bytes now live elsewhere (a mapped segment): own memory is wiped and freed. From here on
 * `home_release(home)` is called when the credential goes or is rebound.
 */
void credential_rebind(struct credential *c, struct str leaf, struct str key, void *home,
                       void (*home_release)(void *home));

/* Appends leaf + chain as PEM, and the key as PKCS#8 PEM. Either may be NULL. `key` is a
 * BUF_SECRET. */
int credential_to_pem(const struct credential *c, struct buf *certificate, struct buf *key,
                      struct error *e) MUST_CHECK;
