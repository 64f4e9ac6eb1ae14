#ifndef SUPPORT_TEST_ISSUER_H
#define SUPPORT_TEST_ISSUER_H

#include <openssl/types.h>
#include <stdint.h>

#include "reconciler/base/buf.h"

/* A certificate authority for tests: signs what it is told to, good or bad. Ends the program where
 * it cannot. */
struct test_issuer;

struct test_issuer *test_issuer_new(const char *name, struct test_issuer *parent);
void test_issuer_free(struct test_issuer *i); /* not its parent */

struct test_leaf {
    EVP_PKEY *key;     /* its public half goes in */
    const char *names; /* subjectAltName as OpenSSL's text: "DNS:a,IP:1.2.3.4"; NULL = none */
    const char *cn;    /* NULL = an empty subject */
    int64_t not_before, not_after;
};

/* Appends the leaf's DER. */
void test_issuer_sign(struct test_issuer *i, const struct test_leaf *leaf, struct buf *der);
/* Appends leaf and issuers (without the root) as PEM. */
void test_issuer_sign_pem(struct test_issuer *i, const struct test_leaf *leaf, struct buf *pem);
/* Appends the issuer's own certificate. */
void test_issuer_der(struct test_issuer *i, struct buf *der);

#endif
