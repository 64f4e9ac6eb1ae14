#ifndef CONTROL_APPROVAL_H
#define CONTROL_APPROVAL_H

#include "reconciler/core/saved.h"
#include "reconciler/settings.h"

/* The plan that somebody has approved, for `run --approve` (setting acme_approve). */

struct approval {
    struct arena *arena;
    struct saved_plan plan; /* empty: nothing is approved */
    char sha256[65];        /* of the file; "" = there was none */
};

/*
 * Looks again: 0 with *next NULL if nothing has changed since `before` (NULL: never looked), else
 * the new one; -1 with *e if the file cannot be read, or is no plan with the right hash. A file
 * that only apply brings need not be there yet.
 */
int approval_read(const struct settings *s, const struct approval *before, struct approval **next,
                  struct error *e) MUST_CHECK;
void approval_free(struct approval *a); /* NULL is fine */

/* apply: puts a plan, as diff --out wrote it, where a server with this prefix looks for it. */
int approval_bring(const struct settings *s, struct str plan, struct error *e) MUST_CHECK;

#endif
