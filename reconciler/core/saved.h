#pragma once

#include "reconciler/core/plan.h"

/*
 * A plan that a person has seen and approved, compared with what a fresh one says. Pure: who reads
 * the file (`diff --format json` with "made_at") fills these structs.
 */

#define SAVED_MAX_AGE_SECONDS 86400
/* A plan that was made this much later than now was made by another clock, not in the future. */
#define SAVED_CLOCK_SKEW_SECONDS 300

struct saved_action {
    struct str name;
    enum key_type key_type; /* with the name what it is known by; KEY_NONE: not told */
    enum plan_action action;
    bool overrides; /* the JSON member "overrides" is not null */
};

struct saved_plan {
    const struct saved_action *items; /* sorted by name and key type, each once */
    size_t count;
    int64_t made_at;
    const char **files; /* that it was made from, as they were named there; NULL-terminated */
    size_t file_count;
};

enum saved_verdict {
    SAVED_SAME,   /* still to be done, or still nothing to do */
    SAVED_DONE,   /* has happened meanwhile */
    SAVED_DIFFERS /* something else would happen now */
};

/* The action of a fresh plan that it has become; NULL: none. */
const struct action *saved_find(const struct saved_action *saved, const struct plan *fresh);

/* What became of one saved action; `fresh` is the name's action now, NULL if it has none. */
enum saved_verdict saved_judge(const struct saved_action *saved, const struct action *fresh);

/*
 * Compares everything. 0: *deeds, in `arena`, is what of `saved` is still to be done: an order
 * under way too, for a server is at it, or one that died has left it to be finished. -1:
 * ERROR_INVALID if the plan is too old or any name in it has another action now (*e names the
 * first, and how many there are), ERROR_MEMORY.
 */
int saved_compare(const struct saved_plan *saved, const struct plan *fresh, int64_t now,
                  int64_t max_age_seconds, struct arena *arena, struct plan **deeds,
                  struct error *e) MUST_CHECK;

/* For `run --approve`: first certificates, overrides and retirements wait; renewals never do. */
bool saved_needs_approval(const struct action *a);
/*
 * True if `a` needs no approval, or stands in `saved` as it is. Several plans that were approved
 * may be one here: a name may then be there more than once.
 */
bool saved_covers(const struct saved_plan *saved, const struct action *a);

/* What it takes to hold back what nobody has approved. */
struct saved_guard {
    const struct saved_plan *approved; /* NULL: nothing needs approval */
    const struct policy *policy;
    const struct ca *ca; /* that renews what waits for its retirement */
    bool storage_usable;
    int64_t now;
};

/*
 * What becomes of `a`: itself, or a wait with the reason approval. A name whose retirement waits
 * stays as it is, and is renewed meanwhile; *room is then what its renewal is desired by.
 * `g->approved` is not NULL.
 */
struct action saved_hold(const struct saved_guard *g, const struct action *a,
                         struct desired_name *room);
/* The same for all of a plan, in `arena`; `plan` itself where nothing needs approval. */
int saved_hold_plan(const struct saved_guard *g, const struct plan *plan, struct arena *arena,
                    const struct plan **held, struct error *e) MUST_CHECK;
