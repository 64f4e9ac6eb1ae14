#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/base/value.h"
#include "reconciler/core/policy.h"

struct certificate_facts;
struct issuance_result;
struct pass;
struct store;
struct store_name;

/* What is to become of a certificate that an order has brought. */
enum outcome {
    OUTCOME_SERVE, /* it takes the place of what was there */
    OUTCOME_KEEP,  /* it begins later, and a good one is there: kept until then */
    OUTCOME_REFUSE /* it has expired: worth nothing */
};

/*
 * Judges what was issued for `n` (NULL: nothing is known of the name yet). *vain: ERROR_NEEDLESS
 * and why, if another order would be due at once; else ERROR_NONE. Pure.
 */
enum outcome outcome_judge(const struct certificate_facts *issued, struct str name,
                           const struct store_name *n, const struct policy *policy, int64_t now,
                           struct error *vain);

/* When it is due. */
int64_t outcome_renewal(const struct certificate_facts *issued, struct str name,
                        const struct policy *policy);

/*
 * The account's limit: true where it is known already, and the name waits for it like all others
 * that are not ordered, without a failure of its own. False: it is news, and recorded with this
 * name's failure; from now on all others wait.
 */
bool outcome_is_of_account(struct pass *p, struct policy *policy, const struct issuance_result *r,
                           const struct error *e, int64_t now);

/* A record of this type for what the result is of; its fields are the caller's. */
struct value outcome_record(enum value_type type, const struct issuance_result *r);
/* The failure record of an order that failed, or came in vain; its text is e's. */
struct value outcome_value(const struct pass *p, const struct issuance_result *r,
                           const struct error *e, int64_t now);
/* Says it, with the time of the next try (`none`: only a change brings it), and has the breaker
 * expect that one. */
void outcome_tell(struct pass *p, const struct value *v, const struct error *e, int64_t now);
/* Says that the subject's new certificate is durable. */
void outcome_tell_stored(const struct pass *p, struct subject subject);
