#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "reconciler/base/error.h"
#include "value_json.h"

struct event_base;
struct memory_space;

/*
 * The durable or shared store of records, whatever keeps it. Asynchronous: no call waits for it,
 * and each answer comes by the loop of `base`, never during the call that asked. Every question is
 * answered once, in the order of asking among those of one kind of record, unless the storage is
 * closed before. A failure is ERROR_STORAGE (or ERROR_MEMORY) and leaves it usable, holding what it
 * held.
 */
struct storage;

#define STORAGE_VALUES_MAX 4096  /* of one put */
#define STORAGE_KEYS_MAX 65536   /* of one answer of a list */
#define STORAGE_PROBLEMS_MAX 100 /* kept; more are only counted */
#define STORAGE_PROBE_MAX ((size_t)16 << 20)
#define STORAGE_VERSION_SIZE 32

enum storage_kind {
    STORAGE_MEMORY, /* of a memory_space (memory.h): for tests */
    STORAGE_FILE    /* `shm`: an append-only log under prefix/storage (disk.h) */
};

struct storage_options {
    enum storage_kind kind;
    const char *prefix; /* the file adapter creates it (0700) unless read_only; copied */
    /* For looking on while a server may be writing: no lock, no write, nothing created or repaired.
     */
    bool read_only;
    struct memory_space *space; /* of the memory adapter; outlives it */
};

/* What was found damaged: told, survived, and for a person to look at. */
struct storage_problems {
    struct error *items;
    size_t len; /* at most STORAGE_PROBLEMS_MAX */
    size_t cap;
    size_t total;
};

void storage_problems_free(struct storage_problems *p);
/* Adds `problem` (or only counts it). */
void storage_problem(struct storage_problems *p, const struct error *problem);
/* The problem that `v` was not handed out, or not taken, because of `why`. */
void storage_refused(struct storage_problems *p, const struct value *v, const struct error *why);

/*
 * Gets a value, valid during the call. -1 with ERROR_MEMORY ends a load; with any other error the
 * value is passed over, and a problem tells.
 */
typedef int storage_each(void *context, const struct value *v, struct error *e);
/* Hands every value that its owner believes in to `put`, and stops where that fails. */
typedef int storage_all(void *context, storage_each *put, void *to, struct error *e);

/* Whom a storage tells what it was not asked. */
struct storage_face {
    /*
     * A value that is there: each once while it is loaded, in no particular order, and on any
     * thread: what it fills is the storage's until `loaded`. After that, by the loop, each that
     * somebody else has written; where v->gone, deleted.
     */
    storage_each *found;
    /*
     * All have been handed out; damage does not fail that: it is among the problems, and everything
     * that is sound was found. `e`: it cannot be opened or read, ERROR_IN_USE where another process
     * has it; nothing but storage_close can follow.
     */
    void (*loaded)(void *context, const struct storage_problems *problems, const struct error *e);
    /* It is away (why), or there again (NULL): told on change. May be NULL. */
    void (*health)(void *context, const struct error *e);
    void *context;
};

/* Opens it and begins to load it. NULL with *e: memory. */
struct storage *storage_open(struct event_base *base, const struct storage_options *options,
                             const struct storage_face *face, struct error *e) MUST_CHECK;
/* Waits for what it is writing; the questions not answered are dropped untold. NULL is fine. */
void storage_close(struct storage *s);

/* What a record was when it was read; opaque. */
struct storage_version {
    bool is_there;
    unsigned char bytes[STORAGE_VERSION_SIZE];
};

enum storage_guard {
    STORAGE_ANY,      /* whatever is there */
    STORAGE_ABSENT,   /* only where nothing is */
    STORAGE_UNCHANGED /* only where it is still what it was when `version` was read */
};

/* One value of a put; with v->gone its key is deleted. All is the caller's until the answer. */
struct storage_change {
    const struct value *value;
    enum storage_guard guard;
    struct storage_version version;
    /* Seconds after which it may be gone, 0 = never. Where a storage forgets nothing it stays: what
     * counts is what the value says. */
    int64_t ttl;
};

enum storage_outcome {
    STORAGE_OK,
    STORAGE_CONFLICT, /* a guard did not hold: read again, and decide again */
    STORAGE_FAILED,   /* *e; of an adapter without transactions, the first ones may be written */
    /* *e: the storage is not there any more, and took nothing of this nor of what was asked behind
     * it; storage_restore mends that. */
    STORAGE_VANISHED
};

/* `e` is set unless the outcome is STORAGE_OK or STORAGE_CONFLICT. */
typedef void storage_done(void *context, enum storage_outcome outcome, const struct error *e);

/*
 * Writes the values in their order. An adapter with transactions (storage_is_atomic) writes all or
 * none of them; another stops at the first that it cannot write, so that a prefix of them is
 * written: put what is needed first first. What is answered with STORAGE_OK is durable. -1 with *e
 * (memory, or what no storage takes): not asked.
 */
int storage_put(struct storage *s, const struct storage_change *changes, size_t count,
                storage_done *done, void *context, struct error *e) MUST_CHECK;
bool storage_is_atomic(const struct storage *s);

/* `v` is valid during the call; NULL: nothing is there, `version` says so too, or *e is set. */
typedef void storage_got(void *context, const struct value *v,
                         const struct storage_version *version, const struct error *e);
/* Reads the record with the key of `which` (type, apart and directory, subject or account). */
int storage_get(struct storage *s, const struct value *which, storage_got *got, void *context,
                struct error *e) MUST_CHECK;

/* Logical keys in byte order, valid during the call. `is_whole`: there are none behind them. */
typedef void storage_listed(void *context, const struct str *keys, size_t count, bool is_whole,
                            const struct error *e);
/*
 * The first `max` keys (at most STORAGE_KEYS_MAX) that begin with `prefix` and lie behind
 * `cursor`, the last key of the answer before ("" at first). May cost a look at all there is: for
 * people's verbs, not for a renewal.
 */
int storage_list(struct storage *s, struct str prefix, struct str cursor, size_t max,
                 storage_listed *listed, void *context, struct error *e) MUST_CHECK;

/*
 * Can `room` bytes be written, read back and deleted? Asked before any order is sent. `room` is
 * held between one block and STORAGE_PROBE_MAX; reckon 4 KiB an order.
 */
int storage_probe(struct storage *s, size_t room, storage_done *done, void *context,
                  struct error *e) MUST_CHECK;

/*
 * Is what was opened still what a restart would find? STORAGE_VANISHED: it was removed, moved, cut
 * or replaced meanwhile, or its lock was. Every put and probe asks this first.
 */
int storage_check(struct storage *s, storage_done *done, void *context, struct error *e) MUST_CHECK;

/*
 * Where it has vanished: takes the lock again, makes what is missing and writes everything anew, as
 * one step; from what it still has open where that is whole, else what `all` hands out, on any
 * thread: what that reads is the storage's until the answer. A log that somebody put there is kept
 * as `log.replaced`. STORAGE_OK: also where nothing was amiss; else the state is as before.
 */
int storage_restore(struct storage *s, storage_all *all, void *from, storage_done *done,
                    void *context, struct error *e) MUST_CHECK;

/* ---- for adapters ---- */

enum storage_question {
    STORAGE_PUT,
    STORAGE_GET,
    STORAGE_LIST,
    STORAGE_PROBE,
    STORAGE_CHECK,
    STORAGE_RESTORE
};

/* A question under way, with its answer. The adapter gives it back by storage_answer. */
struct storage_ask {
    STAILQ_ENTRY(storage_ask) link; /* the adapter's */
    enum storage_question question;
    union {
        struct {
            const struct storage_change *changes;
            size_t count;
        } put;
        struct {
            struct str key;
            struct value value; /* in `arena`, where version.is_there */
            struct storage_version version;
        } get;
        struct {
            struct str prefix, cursor;
            size_t max;
            struct str *keys; /* in `arena` */
            size_t count;
            bool is_whole;
        } list;
        size_t room;
        struct {
            storage_all *all;
            void *from;
        } restore;
    } u;
    struct arena *arena; /* of a get or a list, for strings and answers; secret */
    enum storage_outcome outcome;
    struct error error; /* unless OK or CONFLICT */
    /* private */
    union {
        storage_done *done;
        storage_got *got;
        storage_listed *listed;
    } tell;
    void *context;
};

STAILQ_HEAD(storage_asks, storage_ask);

struct storage_operations {
    const char *name;
    bool is_atomic;
    struct storage *(*open)(struct event_base *base, const struct storage_options *options,
                            const struct storage_face *face, struct error *e);
    void (*ask)(struct storage *s, struct storage_ask *ask); /* its own until the answer */
    void (*close)(struct storage *s);
};

/* First member of every adapter's own struct. */
struct storage {
    const struct storage_operations *operations;
    struct storage_face face;
    bool read_only;
};

/* Tells the answer and frees it. Only by the loop. */
void storage_answer(struct storage_ask *ask);
/* Takes all of them off and frees them untold. */
void storage_drop(struct storage_asks *asks);
/* Does the guard hold, the record being of version `now`? */
bool storage_holds(const struct storage_change *change, const struct storage_version *now);
/* Answers a list from `keys`, which it sorts; its first `max` are the answer. */
void storage_take_keys(struct storage_ask *ask, struct str *keys, size_t count);
