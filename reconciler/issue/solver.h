#ifndef ISSUE_SOLVER_H
#define ISSUE_SOLVER_H

#include <stdint.h>

#include "reconciler/base/challenge.h"
#include "reconciler/base/error.h"

/*
 * Who makes a challenge's answer known to the CA: handed in. An owner is one order, and is told of
 * by issuance_presented once all that it has presented can be found.
 */
struct solver {
    void *context;
    /* Copied. -1 with *e: it cannot be presented, and nobody will be told. */
    int (*present)(void *context, uint64_t owner, const struct challenge *challenge,
                   struct error *e);
    /* All that the owner has presented; nothing is fine. */
    void (*cleanup)(void *context, uint64_t owner);
};

#endif
