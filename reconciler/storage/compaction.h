#pragma once

#include <stddef.h>

#include "ledger.h"
#include "reconciler/base/error.h"

/*
 * Rewriting a log without what no longer counts, in steps between which the old one is written to
 * as ever. Until the rename the old one is the truth, and a crash leaves only a file that the next
 * start removes.
 */

#define COMPACTION_NAME "log.new"

struct compaction;

/* NULL with *e: the disk is full, read-only ... */
struct compaction *compaction_begin(const struct ledger *from, int directory,
                                    struct error *e) MUST_CHECK;
/* Copies at least `budget` bytes, or all. 1: there is more; 0: all is copied; -1 with *e: abort it.
 */
int compaction_step(struct compaction *c, const struct ledger *from, size_t budget,
                    struct error *e) MUST_CHECK;
/*
 * When all is copied: makes the new log durable and gives it `name`; *from becomes it. The
 * directory is still to be synced. -1 with *e: *from is as before, abort it. Otherwise `c` is gone.
 */
int compaction_finish(struct compaction *c, struct ledger *from, const char *name,
                      struct error *e) MUST_CHECK;
void compaction_abort(struct compaction *c); /* NULL is fine */
