#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/control/load.h"
#include "reconciler/control/observe.h"

struct breaker;
struct credential;
struct declared;
struct index;
struct publisher;
struct source_set;
struct store;

/*
 * From a configuration's bytes to everything that follows from it: model, desired names, served
 * credentials, sealed segments and the full plan. It may run on the job thread: for that time the
 * store, the index, the declared pool and the publisher's stack are lent to it, and nobody else
 * touches them.
 */

/*
 * What became of the declared certificates. Which of them are valid changes with time: it holds
 * from `since` to before `until`; then a sweep is due.
 */
struct configuration_declared {
    int64_t since, until;
    size_t unusable_count;            /* that cannot be served */
    char unusable[ERROR_MESSAGE_MAX]; /* the first of them, in words */
    size_t invalid_count;             /* of which no key type is valid now */
    char invalid[ERROR_MESSAGE_MAX];
};

/* What a configuration asks for. Lives until the next one has taken its place. */
struct configuration {
    struct loaded *loaded;
    struct desired *desired;
    struct policy policy;
    uint64_t routes_hash;
    char md5[33]; /* Kong's configuration_hash; "" until it has been computed, off the way to the
                     workers */
    struct configuration_declared declared; /* as of the last plan */
};

void configuration_free(struct configuration *g); /* NULL is fine */

/* The state that is lent. */
struct configuration_state {
    const struct settings *settings;
    char *const *environment;
    struct store *store;
    struct index *index;
    struct declared *declared;
    struct publisher *publisher;
    const struct saved_plan *approved; /* NULL: nothing needs approval */
    struct credential *defaults[2];    /* the built-in certificate: primary, alternate (or NULL) */
    struct observe_options observe;
    const struct breaker *breaker; /* NULL: none */
};

/* The full plan of a sweep; its arena holds the actions. Strings point into store and generation.
 */
struct configuration_plan {
    struct arena *arena;
    const struct plan *plan;
    const struct action **orders; /* its issues and renewals, the most urgent first */
    size_t order_count;
    struct budget *budget; /* what is left of the CA's limits; NULL: none are known */
    struct policy policy;  /* that it was made by */
    struct configuration_declared declared;
};

void configuration_plan_free(struct configuration_plan *p);

/* One name: what is desired of it and what is known of it; either may be NULL, not both. */
struct configuration_name {
    const struct desired_name *desired;
    const struct observed_name *observed;
    struct desired_name room; /* the action may point at it */
};

/*
 * What is to be done for a name: the plan's decision, held back until it is approved, or until it
 * fits the CA's limits where that has been found out already (its date in the store).
 */
struct action configuration_decide(const struct configuration_state *state,
                                   const struct configuration *g, struct configuration_name *name,
                                   int64_t now);

/*
 * Parses and checks `set`; of the state, by the settings and the environment alone. 0: *g is the
 * next one, what it desires still to be worked out. 1: the file
 * is refused, *refused says why (the caller frees it). -1 with *e: memory.
 */
int configuration_parse(const struct configuration_state *state, const struct source_set *set,
                        int64_t now, struct configuration **g, struct loaded **refused,
                        struct error *e) MUST_CHECK;

/*
 * Puts it in force: what it desires, declared credentials into the index, routes and credentials into segments
 * (`before` NULL: the first one), and the full plan. -1 with *e: some of it may be in force.
 */
int configuration_enforce(const struct configuration_state *state, struct configuration *g,
                          const struct configuration *before, int64_t now,
                          struct configuration_plan *plan, struct error *e) MUST_CHECK;

/* Are other declared certificates valid than at the last plan? */
bool configuration_is_outdated(const struct configuration *g, int64_t now);
/* When that will be so; 0: never, or it is so. */
int64_t configuration_next_date(const struct configuration *g, int64_t now);
/* The full plan again, and every credential in or out of the index as the time demands. */
int configuration_sweep(const struct configuration_state *state, const struct configuration *g,
                        int64_t now, struct configuration_plan *plan, struct error *e) MUST_CHECK;

/*
 * Puts the managed credential of the action's name into the index or takes it out: it is served
 * while it is valid, and when it is not, only if nothing declared covers the name (design 5.3).
 */
int configuration_serve(const struct configuration_state *state, const struct configuration *g,
                        const struct action *a, int64_t now, struct error *e) MUST_CHECK;
