#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/certificate_facts.h"
#include "reconciler/base/failure.h"
#include "reconciler/base/str.h"
#include "reconciler/base/subject.h"

/* What exists: certificate facts, open orders, failures. Made by the shell from the store, read by
 * plan. */

struct observed_name {
    struct subject subject;

    bool has_certificate;
    struct certificate_facts facts; /* of the leaf */
    struct managed_facts managed;
    struct str top_issuer; /* of the last certificate of its chain */
    struct str directory;  /* URL it was issued by; "" = unknown */
    int64_t ari_at; /* renewal instant chosen inside the CA's ARI window (RFC 9773); 0 = none */

    struct failure failure;
    struct str failure_directory; /* of the CA that it failed at; "" = unknown */

    /* Of a further family: the end of the first one's certificate, which is in use; 0: none is. */
    int64_t first_ends_at;

    int64_t next_at; /* the next certificate is in hand and begins then; 0 = there is none */
    int64_t next_ends_at;
    struct str next_directory; /* that it came from */

    bool order_open;          /* an order of ours is under way or journaled ... */
    bool order_sent;          /* ... and its newOrder is among `sent` */
    struct str order_trouble; /* what the CA says of a try of that order that it goes on with */
    struct str sent;          /* when newOrders were sent, as base/sent.h has it; "" = never */
    struct str sent_directory;
    int64_t limited_until; /* an order of it was found not to fit the CA's limits before; or 0 */
};

struct observed {
    const struct observed_name *names; /* sorted by subject, each once */
    size_t count;
    bool storage_usable; /* the write-read probe went through */
};
