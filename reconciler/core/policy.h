#ifndef CORE_POLICY_H
#define CORE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "reconciler/base/key_type.h"
#include "reconciler/base/str.h"

/* When things are due: renewal window, backoff, jitter. Pure arithmetic, in unix seconds (design
 * 5). */

/* From this failure on, tries are a day apart. */
#define POLICY_DAILY_FAILURES 4
/* A storage that cannot be written is looked at again after this long. */
#define POLICY_STORAGE_RETRY_SECONDS 60

struct policy {
    bool threshold_is_stated;
    double threshold_days; /* renew_threshold_days of the file */
    bool backoff_is_stated;
    double backoff_minutes; /* fail_backoff_minutes: a floor when stated */
    struct str directory;   /* the one in use: a certificate of another one is drift */
    enum key_type key_type; /* of new keys; KEY_NONE: not compared with those that are there */
    uint64_t jitter_seed;   /* from the account and the prefix; 0 in diff without storage */
};

enum policy_clamp { POLICY_NOT_CLAMPED, POLICY_CLAMPED_LOW, POLICY_CLAMPED_HIGH };

/* Seconds during which it is valid, both ends included (RFC 5280 §4.1.2.5); 0 if it never is. */
int64_t policy_lifetime(int64_t not_before, int64_t not_after);

/*
 * The instant at which a certificate is due: a third of its lifetime is left, half for lifetimes of
 * ten days or less; a stated threshold instead, held between a twentieth and a half of the
 * lifetime; `ari_at` (0 = none) if that is earlier. *clamp may be NULL.
 */
int64_t policy_renew_at(int64_t not_before, int64_t not_after, const struct policy *policy,
                        int64_t ari_at, enum policy_clamp *clamp);

/*
 * The instant before which a failed name is not tried again: failed_at + 1, 10, 100 minutes, then a
 * day, at most a tenth of `lifetime` (0 = no certificate yet: a day), at least the stated floor,
 * ±10 % jitter that depends only on seed, name and failure count and crosses neither bound; never
 * before `retry_at`. failures 0: `retry_at`.
 */
int64_t policy_retry_at(unsigned failures, int64_t failed_at, int64_t retry_at, int64_t lifetime,
                        struct str name, const struct policy *policy);

/*
 * The registered domain of a host name by the public suffix list that libpsl has built in
 * ("example.co.uk" for "www.example.co.uk"), a view into `name`. `name` itself where it is a public
 * suffix, an IPv4 address, or one label. `name` is lower case.
 */
struct str policy_registered_domain(struct str name);

#endif
