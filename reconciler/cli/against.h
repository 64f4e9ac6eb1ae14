#ifndef CLI_AGAINST_H
#define CLI_AGAINST_H

#include "reconciler/cli/verb.h"
#include "reconciler/control/load.h"
#include "reconciler/core/desired.h"
#include "reconciler/core/observed.h"
#include "reconciler/settings.h"

/*
 * What a plan is made against instead of the state under the prefix (--against): another file, as if
 * all that it asks for had been issued this instant; the certificates page of a server; or nothing.
 */

struct against;

/* With another file: what its certificates are taken to live. */
#define AGAINST_LIFETIME_SECONDS (INT64_C(90) * 86400)

/*
 * `what` is a URL (http:// or https://, of a status listener or of its /certificates), the word
 * "none", or a FILE. VERB_DONE, or an exit code after what is wrong went to stderr. against_close it either way.
 */
int against_open(const struct command *c, const struct settings *s, const char *what, int64_t now,
                 struct against **against);
void against_close(struct against *a); /* NULL is fine */

/* Names that a server has on demand; in `arena`. -1: memory. */
int against_demands(const struct against *a, int64_t now, struct arena *arena,
                    struct desired_options *options, struct error *e) MUST_CHECK;
/* Sorted by name; strings belong to `a`. -1: memory. */
int against_observe(const struct against *a, const struct policy *policy, struct arena *arena,
                    struct observed **observed, struct error *e) MUST_CHECK;

#endif
