#pragma once

#include "reconciler/core/budget.h"
#include "reconciler/core/saved.h"

/*
 * The one composition of desired, observed, policy, budget and plan (design 1): run, diff, explain,
 * the pages and simulate call it, so that what is foretold is what is done. Pure.
 */

struct breaker;

/* Who knows what exists: the store of a server, a state that lies on disk, a page, nothing. */
struct reconcile_source {
    /* The names that came on demand and are within their time: fills `options` in. */
    int (*demands)(void *context, int64_t now, struct arena *arena, struct desired_options *options,
                   struct error *e);
    /* -1: memory. Called once a reconciliation, behind `demands`. */
    int (*observe)(void *context, const struct policy *policy, struct arena *arena,
                   struct observed **observed, struct error *e);
    void *context;
};

/* What decides about a name, besides what is desired and what is observed of it. */
struct reconcile_rules {
    struct policy policy;
    const struct ca *ca;               /* the configuration's */
    const struct saved_plan *approved; /* NULL: nothing needs approval */
    int64_t stopped_until;             /* nothing is ordered before, by the breaker; 0: it is */
    bool storage_usable;
};

struct reconcile_options {
    const struct model *model;
    const struct desired *desired; /* NULL, or what reconcile_desire has made of the model */
    struct desired_options asked;  /* all but the demands */
    struct str config;             /* the configuration's hash */
    int64_t built_at;              /* of this program; 0: any clock is right */
    const struct saved_plan *approved;
    const struct breaker *breaker; /* NULL: there is none */
    /*
     * Orders that do not fit the CA's limits wait in the plan, each with its date. Whoever orders
     * finds those out one by one, from the budget as it is then.
     */
    bool is_foretold;
    int64_t now;
};

struct reconciliation {
    const struct desired *desired;
    struct observed *observed;
    struct reconcile_rules rules;
    const struct plan *plan;
    /* Of what the CA lets us do, less what was done: and less the plan, where it is foretold. NULL:
     * no limits are known. */
    struct budget *budget;
};

/* What the file asks for, and who came on demand. In `arena`. -1: memory. */
int reconcile_desire(const struct reconcile_options *options, const struct reconcile_source *source,
                     struct arena *arena, struct desired **desired, struct error *e) MUST_CHECK;

/*
 * All names. What is made is in `arena`, the budget aside: reconcile_fini, either way. -1: memory.
 */
int reconcile_make(const struct reconcile_options *options, const struct reconcile_source *source,
                   struct arena *arena, struct reconciliation *r, struct error *e) MUST_CHECK;
void reconcile_fini(struct reconciliation *r);

/*
 * One name; either may be NULL, not both. The action may point at *room. An order that was found
 * not to fit the CA's limits waits for the date that it was given then.
 */
struct action reconcile_name(const struct reconcile_rules *rules,
                             const struct desired_name *desired,
                             const struct observed_name *observed, struct desired_name *room,
                             int64_t now);
