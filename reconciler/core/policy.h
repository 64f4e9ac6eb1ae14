#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "reconciler/base/str.h"

/* When things are due: renewal window, backoff, jitter. Pure arithmetic, in unix seconds (design
 * 5). */

/* From this failure on, tries are a day apart. */
#define POLICY_DAILY_FAILURES 4
/* A storage that cannot be written is looked at again after this long; a wrong clock too. */
#define POLICY_STORAGE_RETRY_SECONDS 60
/*
 * A certificate that is due within so many seconds of its issuance was ordered in vain, however
 * short it lives: no name is ordered more often than the ladder of failures begins.
 */
#define POLICY_NEEDLESS_SECONDS 60
/* Renewals are moved forward by up to a fiftieth of the lifetime. */
#define POLICY_JITTER_PART 50

struct policy {
    bool threshold_is_stated;
    double threshold_days; /* renew_threshold_days of the file */
    bool backoff_is_stated;
    double backoff_minutes; /* fail_backoff_minutes: a floor when stated */
    struct str config;      /* the configuration's hash; "" = not told */
    uint64_t jitter_seed;   /* 0 but in a simulation: every reader finds the same dates */
    int64_t jitter_part; /* of the lifetime is the most that renewals are moved forward; 0: none */
    /* The CA wants no more orders of the account: when it said so, and until when; 0: it does not.
     */
    int64_t account_limited_at, account_limited_until;
    int64_t built_at; /* of this program: a clock before it is wrong; 0: any clock is right */
};

/* A clock from before this program was made says nothing of when certificates begin or end. */
bool policy_is_clock_wrong(const struct policy *policy, int64_t now);

enum policy_clamp { POLICY_NOT_CLAMPED, POLICY_CLAMPED_LOW, POLICY_CLAMPED_HIGH };

/* Seconds during which it is valid, both ends included (RFC 5280 §4.1.2.5); 0 if it never is. */
int64_t policy_lifetime(int64_t not_before, int64_t not_after);

/* What policy_renew_at looks at. */
struct policy_certificate {
    struct str name;
    int64_t not_before, not_after;
    int64_t ari_at; /* 0 = none */
};

/*
 * The instant at which a certificate is due: a third of its lifetime is left, half for lifetimes of
 * ten days or less; a stated threshold instead, held between a twentieth and a half of the
 * lifetime; earlier by policy_jitter, so that names that were issued together are not renewed
 * together; `ari_at` if that is earlier. *clamp may be NULL.
 */
int64_t policy_renew_at(const struct policy_certificate *certificate, const struct policy *policy,
                        enum policy_clamp *clamp);
/* 0 to `lifetime` / policy->jitter_part seconds, by seed and name alone. */
int64_t policy_jitter(int64_t lifetime, struct str name, const struct policy *policy);
/* Is what has just been issued due again, or nearly? `renew_at` as above. */
bool policy_is_needless(int64_t renew_at, int64_t now);

/*
 * The instant before which a failed name is not tried again: failed_at + 1, 10, 100 minutes, then a
 * day, at most a tenth of `lifetime` (0 = no certificate yet: a day), at least the stated floor,
 * ±10 % jitter that depends only on seed, name and failure count and crosses neither bound; never
 * before `retry_at`. failures 0: `retry_at`.
 */
int64_t policy_retry_at(unsigned failures, int64_t failed_at, int64_t retry_at, int64_t lifetime,
                        struct str name, const struct policy *policy);

/*
 * The same behind the `count`-th order in a row that brought what was due at once: no lifetime cuts
 * the wait, and a minute is the least.
 */
int64_t policy_needless_until(unsigned count, int64_t issued_at, struct str name,
                              const struct policy *policy);
/*
 * How long a Retry-After is obeyed: `asked`, but so that two tries are left before `not_after`, the
 * end of a certificate that is valid, and for a day where there is none (not_after 0). Never before
 * `ours`, what policy_retry_at says without it.
 */
int64_t policy_hold_retry(int64_t asked, int64_t failed_at, int64_t ours, int64_t not_before,
                          int64_t not_after, const struct policy *policy);

/*
 * The registered domain of a host name by the public suffix list that libpsl has built in
 * ("example.co.uk" for "www.example.co.uk"), a view into `name`. `name` itself where it is a public
 * suffix, an IPv4 address, or one label. `name` is lower case.
 */
struct str policy_registered_domain(struct str name);
