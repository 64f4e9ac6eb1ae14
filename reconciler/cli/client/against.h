#pragma once

#include "reconciler/cli/verb.h"
#include "reconciler/core/reconcile.h"
#include "reconciler/settings/settings.h"

/*
 * What a plan is made against instead of the state under the prefix (--against): another file, as
 * if all that it asks for had been issued this instant; the certificates page of a server; or
 * nothing.
 */

struct against;

/* With another file: what its certificates are taken to live. */
#define AGAINST_LIFETIME_SECONDS (INT64_C(90) * 86400)

/*
 * `what` is a URL (http:// or https://, of a status listener or of its /certificates), the word
 * "none", or a FILE. VERB_DONE, or an exit code after what is wrong went to stderr. against_close
 * it either way.
 */
int against_open(const struct command *c, const struct settings *s, const char *what, int64_t now,
                 struct against **against);
void against_close(struct against *a); /* NULL is fine */

/* Strings of what is observed belong to `a`. */
struct reconcile_source against_source(struct against *a);
