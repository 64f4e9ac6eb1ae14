#pragma once

#include <stdint.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/error.h"
#include "reconciler/base/key_type.h"
#include "reconciler/base/str.h"

struct certificate_view;

/*
 * What a CA issued, before it is believed: would clients take it? Who is trusted is theirs to say:
 * the chain may end under any root, a private one or none that is sent.
 */

struct issued_expectation {
    enum key_type key_type;
    struct str key; /* packed (key.h) */
    struct str name;
    int64_t now; /* unix seconds; the leaf's own dates are not looked at */
};

/*
 * Is `pem` a leaf for this name and public key, which serves TLS servers (no CA, no precertificate,
 * no other purpose, no critical extension that nobody knows), signed by the certificate behind it,
 * and so on, each a CA that is in force, at most CHAIN_CERTIFICATES_MAX of them, and nothing else?
 * Half a millisecond. -1 with ERROR_PROTOCOL. *top_issuer (may be NULL) gets the issuer CN of the
 * last one, malloc'd or NULL.
 */
int issued_check(struct str pem, const struct issued_expectation *expected, char **top_issuer,
                 struct error *e) MUST_CHECK;
/* Key and name alone, of a leaf that went through issued_check once. */
int issued_check_leaf(const struct certificate_view *leaf,
                      const struct issued_expectation *expected, struct error *e) MUST_CHECK;
