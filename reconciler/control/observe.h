#pragma once

#include "reconciler/base/error.h"
#include "reconciler/core/reconcile.h"
#include "reconciler/settings/settings.h"

struct store;
struct store_name;
struct chain_pool;

/* What exists, as core wants to see it. */

struct observe_options {
    struct store *store;       /* for observe_source, and further key families */
    const char *storage_error; /* "" or NULL: usable */
    /*
     * Since when an order for the name is being worked on; 0: none is. NULL: a journaled one counts
     * as such (a reading verb cannot tell). The daemon itself takes journaled ones up again, so
     * they do not hold it back.
     */
    int64_t (*ordering_since)(void *context, struct subject subject);
    /* What the CA says of an order under way; valid until the next turn. NULL: nobody can tell. */
    struct str (*ordering_trouble)(void *context, struct subject subject);
    void *context;
};

/* Strings of `out` point into the store, or are what the options gave. */
void observe_name(const struct store_name *n, const struct observe_options *options,
                  struct observed_name *out);

/*
 * The whole store, for core/reconcile.h: what is observed is one sorted list; use it before the
 * store changes. `options` is pointed at.
 */
struct reconcile_source observe_source(const struct observe_options *options);

/*
 * The state under a prefix as a reading verb sees it: no lock, no write, a server may be running.
 */
struct observation {
    struct store *store;
    struct chain_pool *chains;
    bool is_present;                /* there is a state at all */
    size_t damaged;                 /* records that could not be read ... */
    char damage[ERROR_MESSAGE_MAX]; /* ... and what is wrong with the first of them */
};

/* An empty one, to be filled; close it either way. -1: memory. */
int observation_new(const struct settings *s, struct observation *o, struct error *e) MUST_CHECK;
/*
 * 0 also where nothing is there; what is there and cannot be read is ERROR_STORAGE: a plan that was
 * made without it would be made up. Close it either way.
 */
int observation_open(const struct settings *s, struct observation *o, struct error *e) MUST_CHECK;
void observation_close(struct observation *o);

/* A name that never got a certificate has no lifetime: it stays demanded this long. */
#define OBSERVE_DEMAND_SECONDS 3600

/* Was it seen on demand within one lifetime of its certificate (design 5.4)? */
bool observe_is_demanded(const struct store_name *n, int64_t now);
/* Until when it is, unless it is seen again; 0: it never was. */
int64_t observe_demanded_until(const struct store_name *n);
