#ifndef CONTROL_LIMITS_H
#define CONTROL_LIMITS_H

#include "reconciler/core/budget.h"
#include "reconciler/settings.h"

/* The limits of a CA: those that the setting acme_limits states, else those that are known. */

/* Are all rows of the setting understood? 0, or -1 with ERROR_USAGE and the path. */
int limits_check(const struct settings *s, struct error *e) MUST_CHECK;

/* Those of the CA with this directory, perhaps in *room; NULL: none are known. */
const struct budget_limits *limits_find(const struct settings *s, struct str directory,
                                        struct budget_limits *room);

/*
 * One newOrder more than was wanted, for a name on its way: it draws on `b` (NULL: nothing is known
 * of limits) where it fits; else -1, and *e tells when it will.
 */
int limits_draw(struct budget *b, const struct budget_request *r, int64_t now,
                struct error *e) MUST_CHECK;

#endif
