#pragma once

#include "reconciler/core/render.h"
#include "reconciler/core/saved.h"
#include "reconciler/io/source.h"

/*
 * A plan on disk: what diff --out writes, for a person to look at and approve, and apply and
 * `run --approve` read. Its member "hash" is the SHA-256 of a line for each action, sorted by name:
 * "issue a.example", "issue+ b.example" where it overrides a declared certificate. What does not
 * bear the hash of its actions is not what somebody has approved.
 */

/* A million names with all their places. */
#define PLAN_FILE_MAX ((uint64_t)1 << 30)

#define PLAN_FILE_HASH_SIZE 65

/* The hash of a plan. 0, or -1 (memory). */
int plan_file_hash(const struct plan *plan, char hash[PLAN_FILE_HASH_SIZE],
                   struct error *e) MUST_CHECK;

/*
 * Writes the plan as `diff --format json` prints it with made_at and hash, beside `path` and
 * renames it over: it is there whole or not at all. The flush of `options` is not used. 0, or -1
 * with *e (ERROR_IO with the file named, ERROR_MEMORY).
 */
int plan_file_write(const char *path, const struct plan *plan, const struct render_options *options,
                    struct error *e) MUST_CHECK;

/*
 * What such a file holds, in `arena`. 0, or -1 with *e: ERROR_INVALID for what diff --out does not
 * write or what was changed since, ERROR_MEMORY.
 */
int plan_file_parse(struct str json, struct arena *arena, struct saved_plan *saved,
                    struct error *e) MUST_CHECK;
/*
 * Reads it; `path` may be "-". The file is named in *e: ERROR_IO and ERROR_LIMIT too. *set is what
 * was read, the caller's to source_free either way.
 */
int plan_file_read(const char *path, struct arena *arena, struct saved_plan *saved,
                   struct source_set **set, struct error *e) MUST_CHECK;
