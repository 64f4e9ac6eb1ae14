#pragma once

#include "reconciler/core/saved.h"
#include "reconciler/settings/settings.h"

/* The plan that somebody has approved, for `run --approve` (setting acme_approve). */

struct approval {
    struct arena *arena;
    struct saved_plan plan; /* of all files; empty: nothing is approved */
    char sha256[2][65];     /* of the files: the setting's, apply's; "" = there is none */
};

/*
 * Looks again at the file that the setting names, and at what apply has brought, if it has. 0 with
 * *next NULL if nothing has changed since `before` (NULL: never looked), else the new one. -1 with
 * *e if one cannot be read, or is no plan with the right hash: then `before` still holds, and
 * without it *next is what could be read (NULL: memory).
 */
int approval_read(const struct settings *s, const struct approval *before, struct approval **next,
                  struct error *e) MUST_CHECK;
/* Whether `e` says no more than that the file of the setting has never been there: it is awaited.
 */
bool approval_is_awaited(const struct settings *s, const struct approval *before,
                         const struct error *e);
void approval_free(struct approval *a); /* NULL is fine */

/* apply: puts a plan, as diff --out wrote it, where a server with this prefix looks for it. */
int approval_bring(const struct settings *s, struct str plan, struct error *e) MUST_CHECK;
