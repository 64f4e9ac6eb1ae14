#pragma once

#include "reconciler/cli/verb.h"
#include "reconciler/control/load.h"
#include "reconciler/control/observe.h"
#include "reconciler/core/reconcile.h"
#include "reconciler/settings/settings.h"

struct against;
struct approval;

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
    struct approval *approval;      /* NULL: nothing needs approval */
    struct reconciliation seen;     /* foretold, and held back by approval */
    int64_t now;
    int64_t built_at; /* policy.h; 0 with --now */
};

/*
 * Operands from `first_file` on are FILEs; --against is heeded. Returns an exit code; what went
 * wrong is printed. dry_run_close it either way. Says on stderr where the state is absent or
 * damaged, where this build cannot use the storage that the file names, and what is to be known of
 * hosts and declared certificates: of all, or of what stands for the name `about`.
 */
int dry_run_open(struct dry_run *d, const struct command *c, size_t first_file, struct str about);
/* The same without a word about the state: for who has heard it before. */
int dry_run_reopen(struct dry_run *d, const struct command *c, size_t first_file);
/* The plan as it would be if all of it were approved: what is saved, and what apply looks at. */
int dry_run_approved(struct dry_run *d, const struct plan **plan, struct error *e) MUST_CHECK;
void dry_run_close(struct dry_run *d);
