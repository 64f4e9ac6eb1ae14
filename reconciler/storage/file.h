#pragma once

#include "storage.h"

/*
 * `storage: shm`: an append-only log at prefix/storage/log (append_log.h for its bytes). Storing
 * something is one append and one fsync; what no longer counts is left behind by a compaction when
 * there is more of it than of what counts. Damaged bytes are kept in prefix/storage/damaged. All of
 * it blocks; one thread at a time may be in it. Every failure is ERROR_STORAGE (or ERROR_MEMORY)
 * and leaves the file usable, holding what it held before.
 */
struct file;

/* Compaction waits for this much garbage, however little is live. */
#define FILE_GARBAGE_FLOOR ((uint64_t)1 << 20)
/* And copies this much beside each put. */
#define FILE_COMPACTION_STEP ((size_t)4 << 20)
/* What is kept of damaged bytes in all. */
#define FILE_DAMAGED_MAX ((uint64_t)64 << 20)

/*
 * Opens it; a writer takes the prefix' lock (lock.h). NULL with *e: ERROR_IN_USE where another
 * process has it. read_only without anything there is an empty storage, not an error.
 */
struct file *file_open(const char *prefix, bool read_only, struct error *e) MUST_CHECK;
void file_close(struct file *f); /* NULL is fine */

/*
 * Hands out all live values; to be called once, before any put. Damage does not fail it: it goes to
 * `problems` (zeroed by the caller, freed with storage_problems_free) and everything that is sound
 * is handed out.
 */
int file_load(struct file *f, storage_each *each, void *context, struct storage_problems *problems,
              struct error *e) MUST_CHECK;
/*
 * One step: after a crash all of the values are there or none, and durable when it is STORAGE_OK.
 * Guards are held against what was there before.
 */
enum storage_outcome file_put(struct file *f, const struct storage_change *changes, size_t count,
                              struct error *e) MUST_CHECK;
/* Reads the record of a key, if there is one, into `arena`. */
int file_get(const struct file *f, struct str key, struct arena *arena, struct value *v,
             struct storage_version *version, struct error *e) MUST_CHECK;
/* The live keys with this prefix behind `cursor`, in no order, in `arena`. */
int file_list(const struct file *f, struct str prefix, struct str cursor, struct arena *arena,
              struct str **keys, size_t *count, struct error *e) MUST_CHECK;
/* As storage_probe, storage_check and storage_restore (storage.h). */
int file_probe(struct file *f, size_t room, struct error *e) MUST_CHECK;
int file_check(const struct file *f, struct error *e) MUST_CHECK;
int file_restore(struct file *f, storage_all *all, void *context, struct error *e) MUST_CHECK;
