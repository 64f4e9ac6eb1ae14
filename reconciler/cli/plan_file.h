#ifndef CLI_PLAN_FILE_H
#define CLI_PLAN_FILE_H

#include "reconciler/core/render.h"
#include "reconciler/core/saved.h"

/* A plan on disk: what diff --out writes, for a person to look at and approve, and apply reads. */

/* A million names with all their places. */
#define PLAN_FILE_MAX ((uint64_t)1 << 30)

/*
 * Writes the plan as `diff --format json` prints it, with made_at, beside `path` and renames it
 * over: it is there whole or not at all. The flush of `options` is not used. 0, or -1 with *e
 * (ERROR_IO with the file named, ERROR_MEMORY).
 */
int plan_file_write(const char *path, const struct plan *plan, const struct render_options *options,
                    struct error *e) MUST_CHECK;

/*
 * Reads it back; `path` may be "-". All in `arena`. 0, or -1 with *e, the file named: ERROR_IO,
 * ERROR_LIMIT, ERROR_INVALID for what diff --out does not write, ERROR_MEMORY.
 */
int plan_file_read(const char *path, struct arena *arena, struct saved_plan *saved,
                   struct error *e) MUST_CHECK;

#endif
