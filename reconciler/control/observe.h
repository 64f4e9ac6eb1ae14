#ifndef CONTROL_OBSERVE_H
#define CONTROL_OBSERVE_H

#include "reconciler/base/arena.h"
#include "reconciler/base/error.h"
#include "reconciler/core/desired.h"
#include "reconciler/core/observed.h"
#include "reconciler/settings.h"

struct store;
struct chain_pool;

/* What exists, as core wants to see it. */

/*
 * The whole store as one sorted list in `arena` (strings point into the store: use it before the
 * store changes). `storage_error` "" means usable.
 */
int observe_store(struct store *store, const char *storage_error, struct arena *arena,
                  struct observed **observed, struct error *e) MUST_CHECK;

/* The state under a prefix as a reading verb sees it: no lock, no write, a server may be running. */
struct observation {
    struct store *store;
    struct chain_pool *chains;
    bool is_present;                       /* there is a state at all */
    char storage_error[ERROR_MESSAGE_MAX]; /* "" or why it could not be read */
};

/* 0 also when nothing is there; -1 on memory only. */
int observation_open(const struct settings *s, struct observation *o, struct error *e) MUST_CHECK;
void observation_close(struct observation *o);

/* Demands (names that came on demand and are within their time) for desired_make; in `arena`. */
int observe_demands(struct store *store, int64_t now, struct arena *arena,
                    struct desired_demand **demands, size_t *count, struct error *e) MUST_CHECK;

#endif
