#ifndef CLI_DRY_RUN_H
#define CLI_DRY_RUN_H

#include "reconciler/cli/verb.h"
#include "reconciler/control/load.h"
#include "reconciler/control/observe.h"
#include "reconciler/core/budget.h"
#include "reconciler/core/plan.h"
#include "reconciler/settings.h"

struct against;

/*
 * The daemon's pass without a daemon: the file, the state under the prefix as it lies there, the
 * plan that follows from both. Reads only; a server may be running (design 1: a dry run is the same
 * function with another shell around it).
 */
struct dry_run {
    struct settings settings;
    struct loaded *loaded;
    struct observation observation; /* zeroed with --against */
    struct against *against;        /* NULL: the state under the prefix */
    struct desired *desired;
    struct observed *observed;
    struct policy policy;
    const struct plan *plan; /* within the limits of the CA, where they are known */
    struct budget *budget;   /* that it was fitted to; NULL: no limits are known */
    int64_t now;
    int64_t built_at; /* policy.h; 0 with --now */
};

/*
 * Operands from `first_file` on are FILEs; --against is heeded. Returns an exit code; what went
 * wrong is printed. dry_run_close it either way. Says on stderr where the state is absent or
 * damaged, and where this build cannot use the storage that the file names.
 */
int dry_run_open(struct dry_run *d, const struct command *c, size_t first_file);
/* The same without a word about the state: for who has heard it before. */
int dry_run_reopen(struct dry_run *d, const struct command *c, size_t first_file);
void dry_run_close(struct dry_run *d);

#endif
