#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/error.h"
#include "value_json.h"

/*
 * The durable store of records behind one set of functions. All of them block; one thread at a
 * time may be in them. Every failure is ERROR_STORAGE (or ERROR_MEMORY) and leaves the storage
 * usable, holding what it held before.
 */
struct storage;

#define STORAGE_VALUES_MAX 4096  /* of one put */
#define STORAGE_PROBLEMS_MAX 100 /* kept; more are only counted */
#define STORAGE_PROBE_MAX ((size_t)16 << 20)

enum storage_kind {
    STORAGE_MEMORY, /* gone when closed: for tests */
    STORAGE_FILE    /* `shm`: an append-only log under prefix/storage */
};

struct storage_options {
    enum storage_kind kind;
    const char *prefix; /* the file backend creates it (0700) unless read_only */
    /* For looking on while a server may be writing: no lock, no write, nothing created or repaired.
     */
    bool read_only;
};

/* What was found damaged: told, survived, and for a person to look at. */
struct storage_problems {
    struct error *items;
    size_t len; /* at most STORAGE_PROBLEMS_MAX */
    size_t cap;
    size_t total;
};

void storage_problems_free(struct storage_problems *p);

/*
 * Opens it; a writer of files takes the prefix' lock (lock.h). NULL with *e: ERROR_IN_USE where
 * another process has it. read_only without anything there is an empty storage, not an error.
 */
struct storage *storage_open(const struct storage_options *options, struct error *e) MUST_CHECK;
void storage_close(struct storage *s); /* NULL is fine */

/*
 * Gets each value once, in no particular order, valid during the call. -1 with ERROR_MEMORY ends
 * the load; with any other error the value is passed over, and a problem tells.
 */
typedef int storage_each(void *context, const struct value *v, struct error *e);

/*
 * Hands out all live values; to be called once, before any put. Damage does not fail it: it goes to
 * `problems` (zeroed by the caller, freed with storage_problems_free) and everything that is sound
 * is handed out.
 */
int storage_load(struct storage *s, storage_each *each, void *context,
                 struct storage_problems *problems, struct error *e) MUST_CHECK;

/*
 * Writes `count` values (those with `gone` set delete their key) as one step: after a crash all of
 * them are there or none. When it returns 0 they are durable.
 */
int storage_put(struct storage *s, const struct value *values, size_t count,
                struct error *e) MUST_CHECK;

/*
 * Can `room` bytes be written, read back and deleted? Asked before any order is sent. `room` is
 * held between one block and STORAGE_PROBE_MAX; reckon 4 KiB an order.
 */
int storage_probe(struct storage *s, size_t room, struct error *e) MUST_CHECK;

/*
 * Is what was opened still what a restart would find? -1 with *e (ERROR_STORAGE): it was removed,
 * moved, cut or replaced meanwhile, or the lock was. Every put and probe asks this first.
 */
int storage_check(struct storage *s, struct error *e) MUST_CHECK;

/* Hands every value that the caller believes in to `put`, and stops where that fails. */
typedef int storage_all(void *context, storage_each *put, void *to, struct error *e);
/*
 * Where storage_check fails: takes the lock again, makes what is missing and writes everything
 * anew, as one step; from the open log where that still has all of it, else what `all` hands out. A
 * log that somebody put there is kept as `log.replaced`. 0 (nothing was amiss, too), or -1 with *e
 * and the state as before: ERROR_IN_USE where another process has taken the place.
 */
int storage_restore(struct storage *s, storage_all *all, void *context, struct error *e) MUST_CHECK;

/* ---- for backends ---- */

struct storage_operations {
    const char *name;
    struct storage *(*open)(const struct storage_options *options, struct error *e);
    int (*load)(struct storage *s, storage_each *each, void *context,
                struct storage_problems *problems, struct error *e);
    int (*put)(struct storage *s, const struct value *values, size_t count, struct error *e);
    int (*probe)(struct storage *s, size_t room, struct error *e);
    int (*check)(struct storage *s, struct error *e); /* NULL, both: it cannot vanish */
    int (*restore)(struct storage *s, storage_all *all, void *context, struct error *e);
    void (*close)(struct storage *s);
};

/* First member of every backend's own struct. */
struct storage {
    const struct storage_operations *operations;
    bool read_only;
};

/* The problem that `v` was not handed out, or not taken, because of `why`. */
void storage_refused(struct storage_problems *p, const struct value *v, const struct error *why);
/* Adds `problem` (or only counts it). */
void storage_problem(struct storage_problems *p, const struct error *problem);
