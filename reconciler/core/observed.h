#ifndef CORE_OBSERVED_H
#define CORE_OBSERVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/base/key_type.h"
#include "reconciler/base/str.h"

/* What exists: certificate facts, open orders, failures. Made by the shell from the store, read by
 * plan. */

struct observed_name {
    struct str name;

    bool has_certificate;
    int64_t not_before, not_after; /* of the leaf; the lifetime is not_after - not_before + 1 */
    int64_t issued_at;             /* by our own clock; 0 = unknown (written by somebody else) */
    bool renewed;                  /* it came by a renewal: of the CA's limits it drew on fewer */
    struct str issuer;             /* common name of the issuer */
    struct str top_issuer;         /* of the last certificate of its chain */
    struct str directory;          /* URL it was issued by; "" = unknown */
    enum key_type key_type;
    unsigned char fingerprint[32]; /* SHA-256 of the leaf */
    bool revoked;
    int64_t ari_at; /* renewal instant chosen inside the CA's ARI window (RFC 9773); 0 = none */
    bool active;    /* in the index and renewed; false: retired, or found in storage and not adopted
                       yet */

    unsigned failures; /* in a row, since the last success */
    int64_t failed_at; /* the last one */
    int64_t retry_at;  /* stated by the CA (Retry-After); 0 = none */
    enum error_kind failure_kind;
    bool failure_permanent;
    bool failure_waived;     /* somebody wants it tried again at once */
    struct str failure_text; /* the CA's own words */

    int64_t next_at; /* the next certificate is in hand and begins then; 0 = there is none */
    int64_t next_ends_at;
    struct str next_directory; /* that it came from */

    bool order_open; /* an order of ours is under way or journaled ... */
    bool order_sent; /* ... and its newOrder is among `sent` */
    struct str order_trouble; /* what the CA says of a try of that order that it goes on with */
    struct str sent;          /* when newOrders were sent, as base/sent.h has it; "" = never */
    struct str sent_directory;
};

struct observed {
    const struct observed_name *names; /* sorted by name, each once */
    size_t count;
    bool storage_usable; /* the write-read probe went through */
    struct str storage_error;
};

#endif
