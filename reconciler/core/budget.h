#pragma once

#include "reconciler/base/urgency.h"
#include "reconciler/core/plan.h"

/*
 * What a CA lets us do: its limits as data, a ledger of what was drawn, and plans that fit both.
 * Each limit is a bucket of `count` that refills evenly over `seconds`, as Let's Encrypt's are.
 * Pure.
 */

enum budget_scope {
    BUDGET_ORDERS,   /* new orders of the account */
    BUDGET_DOMAIN,   /* certificates of one registered domain */
    BUDGET_SET,      /* certificates of one exact set of names; ours have one name each */
    BUDGET_FAILURES, /* failed authorizations of one name */
    BUDGET_SCOPE_COUNT
};

struct budget_limit {
    uint32_t count; /* 0: there is no such limit */
    int64_t seconds;
};

struct budget_limits {
    struct budget_limit scopes[BUDGET_SCOPE_COUNT];
    bool renewals_exempt; /* a renewal of the same set draws on neither orders nor domain */
    bool ari_exempt;      /* one inside its ARI window draws on nothing at all */
};

/* The published limits of a CA that we know, by its directory; NULL: none known, none assumed. */
const struct budget_limits *budget_known(struct str directory);

/*
 * A row of the settings: "orders=300/3h domain=50/7d set=5/7d failures=5/1h renewals=exempt
 * ari=exempt", any part may be left out. Units s, m, h, d. 0, or -1 with ERROR_USAGE.
 */
int budget_parse(struct str text, struct budget_limits *limits, struct error *e) MUST_CHECK;

/*
 * Rows of the setting acme_limits, "https://ca.example/ orders=300/3h domain=50/7d": the beginning
 * of the directory, then its limits. budget_check: are they all understood? 0, or -1 with
 * ERROR_USAGE. budget_find: those of the CA with this directory, perhaps in *room, else those that
 * are known; NULL: none are.
 */
int budget_check(char *const *rows, size_t count, struct error *e) MUST_CHECK;
const struct budget_limits *budget_find(char *const *rows, size_t count, struct str directory,
                                        struct budget_limits *room);

const char *budget_scope_name(enum budget_scope scope); /* "orders" ... */

/* Something that happened and counts. Each draws on what it counts against alone. */
enum budget_kind {
    BUDGET_SENT,    /* a newOrder, whatever became of it: draws as budget_take does */
    BUDGET_ORDERED, /* one that the account alone is known to have drawn for */
    BUDGET_FAILED
};
struct budget_event {
    struct str name;
    int64_t at;
    enum budget_kind kind;
    bool renewal; /* sent, ordered: a renewal of the same set */
    bool ari;
};

/* What is drawn, by account, domain, set and name. Limits are copied. Free with budget_free. */
struct budget;
struct budget *budget_new(const struct budget_limits *limits) MUST_CHECK;
void budget_free(struct budget *b); /* NULL is fine */

/*
 * Puts history in, oldest first (`events` is sorted in place). What happened was let through, so no
 * bucket goes below empty by it, whatever else we believe. 0, or -1 (memory).
 */
int budget_record(struct budget *b, struct budget_event *events, size_t count,
                  struct error *e) MUST_CHECK;

/*
 * History from what is observed: of each name all newOrders that were sent, its last issuance and
 * its last failure. Only what came from `ca`. What seems to lie ahead, since a clock was
 * wrong, counts as of now; by more than the longest window, not at all.
 */
int budget_record_observed(struct budget *b, const struct observed *observed, const struct ca *ca,
                           int64_t now, struct error *e) MUST_CHECK;

/* An order that is under way has drawn already, though its newOrder is still to be sent. -1:
 * memory.
 */
int budget_draw_open(struct budget *b, const struct plan *plan, int64_t now,
                     struct error *e) MUST_CHECK;

/* An order that is to be sent. */
struct budget_request {
    struct str name;
    bool renewal; /* there is a certificate of this name from this CA */
    bool ari;     /* its renewal time came from the CA */
};

/* What `a` would ask for when it is an issue or a renewal. */
struct budget_request budget_request_of(const struct action *a, int64_t now);

/* Draws on the limits at `at`; call in order of time. 0, or -1 (memory). */
int budget_take(struct budget *b, const struct budget_request *r, int64_t at,
                struct error *e) MUST_CHECK;

/*
 * For orders that come one by one: `now` if the request fits (nothing is drawn yet), else when to
 * ask again. Those who have to wait for the same limit get one refill after the other, in the order
 * in which they ask, so that a thousand of them do not all come back for the next one.
 */
int64_t budget_promise(struct budget *b, const struct budget_request *r, int64_t now);
/*
 * One order more than was wanted, for a name on its way: it draws on `b` (NULL: no limits are
 * known) where it fits; else -1, and *e tells when it will.
 */
int budget_draw(struct budget *b, const struct budget_request *r, int64_t now,
                struct error *e) MUST_CHECK;

struct budget_bucket; /* budget_bucket.h */
const struct budget_limits *budget_limits_in(const struct budget *b);
/* The bucket that `name` draws on in `scope`, made if it is not there. NULL: memory. */
struct budget_bucket *budget_bucket_of(struct budget *b, enum budget_scope scope, struct str name);
/* True if the request draws on `scope`. */
bool budget_draws_on(const struct budget_limits *limits, const struct budget_request *r,
                     enum budget_scope scope);

/* One limit that an action draws on. */
struct budget_draw {
    enum budget_scope scope;
    struct str of;   /* domain or name; "account" */
    uint32_t count;  /* of the limit ... */
    int64_t seconds; /* ... and what it is counted over */
    uint32_t left;   /* when the action has drawn on it, at its time */
    int64_t fits_at; /* when this limit alone would let it pass */
};

struct budget_note {
    struct budget_draw draws[BUDGET_SCOPE_COUNT];
    size_t count;
};

/*
 * The same plan with every order in it that would not fit put off: WAIT, reason budget, at the time
 * when it fits, renewals nearest to their end first, then first certificates that the file names,
 * then those on demand. Each order gets its note. `b` holds the history, and then the planned
 * orders too: it is for this one plan. `plan` itself is returned if nothing in it orders. 0, or -1
 * (memory).
 */
int budget_plan(struct budget *b, const struct plan *plan, int64_t now, struct arena *arena,
                const struct plan **fitting, struct error *e) MUST_CHECK;

/*
 * How urgent an order of a desired name is. What visitors ask for is no renewal once its
 * certificate has ended: nobody is served by it any more.
 */
struct urgency budget_plan_urgency_of(const struct action *a);
/* Which of two orders is to go first (negative: a): by urgency, then by name. A total order. */
int budget_plan_urgency(const struct action *a, const struct action *b);
