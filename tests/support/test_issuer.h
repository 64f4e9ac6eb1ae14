#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "reconciler/base/buf.h"

/* A certificate authority for tests: signs what it is told to, good or bad. Ends the program where
 * it cannot. */
struct test_issuer;
struct test_leaf;

struct test_issuer *test_issuer_new(const char *name, struct test_issuer *parent);
/* One by `parent` as odd as a leaf may be; key and names are not looked at. */
struct test_issuer *test_issuer_new_odd(const char *name, struct test_issuer *parent,
                                        const struct test_leaf *odd);
/* The last of so many, each by the one before; goes with all of them, and with `parent`. */
struct test_issuer *test_issuer_new_row(const char *name, struct test_issuer *parent,
                                        unsigned count);
void test_issuer_free_row(struct test_issuer *last);
void test_issuer_free(struct test_issuer *i); /* not its parent */

#define TEST_EXTENSIONS_MAX 3

struct test_leaf {
    EVP_PKEY *key;     /* its public half goes in */
    const char *names; /* subjectAltName as OpenSSL's text: "DNS:a,IP:1.2.3.4"; NULL = none */
    const char *cn;    /* NULL = an empty subject */
    int64_t not_before, not_after;
    const char *extensions[TEST_EXTENSIONS_MAX][2]; /* name or OID, and OpenSSL's text of it */
    bool is_v1;
};

/* Appends the leaf's DER. */
void test_issuer_sign(struct test_issuer *i, const struct test_leaf *leaf, struct buf *der);
/* Appends leaf and issuers (without the root) as PEM. */
void test_issuer_sign_pem(struct test_issuer *i, const struct test_leaf *leaf, struct buf *pem);
/* Appends the issuer's own certificate. */
void test_issuer_der(struct test_issuer *i, struct buf *der);
