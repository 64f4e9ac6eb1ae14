#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "reconciler/base/str.h"

/* The pace of asking whether a CA is done (RFC 8555 §7.5.1). Zeroed is "not begun". */
struct acme_poll {
    unsigned count;     /* answers so far that said "not yet" */
    int64_t started_ms; /* 0: not begun */
    int64_t next_ms;    /* not before; 0: at once */
};

/* Begins; the first question is due at once. */
void acme_poll_begin(struct acme_poll *p, int64_t now_ms);
/*
 * Not yet: sets the next time by Retry-After (held to ACME_POLL_RETRY_AFTER_MAX_MS), else by the
 * schedule. False: that would be beyond ACME_POLL_DEADLINE_MS.
 */
bool acme_poll_again(struct acme_poll *p, struct str retry_after, int64_t now_ms);
