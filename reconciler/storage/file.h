#pragma once

#include "storage.h"

/*
 * `storage: shm`: an append-only log at prefix/storage/log (log.h for its bytes). Storing something
 * is one append and one fsync; what no longer counts is left behind by a compaction when there is
 * more of it than of what counts. Damaged bytes are kept in prefix/storage/damaged.
 */
extern const struct storage_operations file_operations;

/* Compaction waits for this much garbage, however little is live. */
#define FILE_GARBAGE_FLOOR ((uint64_t)1 << 20)
/* And copies this much beside each put. */
#define FILE_COMPACTION_STEP ((size_t)4 << 20)
/* What is kept of damaged bytes in all. */
#define FILE_DAMAGED_MAX ((uint64_t)64 << 20)
