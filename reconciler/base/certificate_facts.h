#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "key_type.h"
#include "str.h"

/* What we need to know of a leaf, read once (RFC 5280 §4.1). Times in unix seconds. */
struct certificate_facts {
    int64_t not_before, not_after; /* the lifetime is not_after - not_before + 1 */
    enum key_type key_type;
    unsigned char fingerprint[32]; /* SHA-256 of the leaf's DER */
};

/* What is remembered of a managed one besides. */
struct managed_facts {
    struct str issuer; /* common name of the issuer */
    struct str order_url;
    int64_t issued_at; /* by our own clock; 0 = unknown (written by somebody else) */
    int64_t fence;     /* of the lease that it was ordered under; 0 = none */
    bool active;       /* in the index and renewed; false: retired, or found and not adopted yet */
    bool revoked;
    bool renewed; /* it took the place of another one of this name and CA */
};
