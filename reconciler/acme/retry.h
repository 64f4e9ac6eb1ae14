#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "reconciler/base/error.h"

/* What may pass by itself is asked again a few times before it counts as a failure. */

struct acme_patience {
    unsigned times;
    int64_t pause_ms; /* before the first repetition; doubles */
};

/* After network errors, 5xx and short Retry-Afters. */
#define ACME_RETRIES_MAX 3
#define ACME_RETRY_PAUSE_MS 1000
extern const struct acme_patience acme_patience;
/*
 * A CA behind replicas does not know at once what another of them has just made. All together 15.5
 * seconds.
 */
#define ACME_LAG_RETRIES_MAX 5
#define ACME_LAG_PAUSE_MS 500
extern const struct acme_patience acme_patience_of_lag;
/* A CA that is busy for less than that is waited for: giving up would cost a minute of backoff. */
#define ACME_RETRY_AFTER_WAITED_MS 31000 /* 30 s, and what rounding up adds */

/* One thing that is asked; zeroed when it is asked for the first time. */
struct acme_retry {
    unsigned count; /* repetitions so far */
    int64_t at_ms;  /* the next one is not sent before; unix ms */
};

/* No answer, or one that says that the CA is busy. A rate limit without a time passes nobody knows
 * when. */
bool acme_retry_passes(const struct error *e);
/*
 * Plans the next try: as late as the CA asks, our own pause at least. False, and nothing planned:
 * it was tried often enough, or the CA wants more patience than that.
 */
bool acme_retry_again(struct acme_retry *r, const struct acme_patience *p, const struct error *e,
                      int64_t now_ms);
