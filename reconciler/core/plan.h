#pragma once

#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"
#include "reconciler/core/desired.h"
#include "reconciler/core/observed.h"
#include "reconciler/core/policy.h"

/* plan = f(desired, observed, policy, now): the one place where it is decided what to do (design 1,
 * 5). Pure. */

/*
 * Without a good certificate, one that begins within so many seconds is waited for: clocks differ.
 * Where it begins later, another one is ordered.
 */
#define PLAN_EARLY_SECONDS ((int64_t)86400)

enum plan_action {
    PLAN_ISSUE,  /* order a first certificate */
    PLAN_RENEW,  /* order the next one */
    PLAN_ADOPT,  /* put a stored, valid one into the index */
    PLAN_KEEP,   /* nothing to do until `at` */
    PLAN_WAIT,   /* something to do, not before `at` */
    PLAN_BLOCK,  /* cannot be done as things stand */
    PLAN_RETIRE, /* out of the index, renewed no more */
    PLAN_ACTION_COUNT,
    PLAN_NOTHING = PLAN_ACTION_COUNT /* plan_decide only: neither desired nor active, not listed */
};

/* Ids of the one reason table in plan.c; plan_reason_id gives the stable word ("renewal_due"). */
enum plan_reason {
    REASON_MISSING, /* issue: no certificate yet */
    REASON_EXPIRED, /* issue or renew: the certificate has expired */
    REASON_REVOKED,
    REASON_RENEWAL_DUE,
    REASON_OTHER_DIRECTORY, /* the stored one came from another CA */
    REASON_OTHER_KEY_TYPE,  /* noted only: a new key type takes effect at the next renewal */
    REASON_FOUND_VALID,     /* adopt */
    REASON_NOT_DUE,         /* keep */
    REASON_NEXT_IN_HAND,    /* keep: the next one has been issued, and begins at `at` */
    REASON_NEXT_BEGINS,     /* renew: it has begun */
    REASON_NOT_YET_VALID,   /* wait, or issue: the certificate begins later */
    REASON_BACKOFF,         /* wait: failed before */
    REASON_NEEDLESS,        /* wait: the last ones were due when they were issued */
    REASON_CLOCK,           /* wait: the clock is before this program was built */
    REASON_BREAKER,         /* wait: more was ordered than can be explained */
    REASON_RATE_LIMITED,    /* wait: the CA named a time */
    REASON_ACCOUNT_LIMITED, /* wait: the CA named a time, to another name of the account */
    REASON_ORDER_OPEN,      /* wait: an order is under way */
    REASON_STORAGE,         /* wait: the storage cannot be written */
    REASON_BUDGET,          /* wait: would not fit the CA's limits */
    REASON_APPROVAL,        /* wait: nobody has approved it (saved.h) */
    REASON_STANDS_IN,       /* wait: nothing else of its name is there to be served */
    REASON_NOT_PUBLIC,      /* block ... */
    REASON_NO_ACCOUNT_KEY,
    REASON_NO_CA_CERTIFICATE,
    REASON_UNRESOLVED,
    REASON_TOS,
    REASON_STORAGE_UNSUPPORTED,
    REASON_BAD_EMAIL,
    REASON_BAD_URL,
    REASON_BAD_ACCOUNT_KEY,
    REASON_BAD_BINDING,
    REASON_REFUSED_BY_CA, /* block: a permanent refusal; tried again daily or when the file changes
                           */
    REASON_NOT_DECLARED,  /* retire */
    REASON_LEFT_ALONE,    /* the same: it carries the tag acme:off */
    REASON_COUNT
};

struct budget_note; /* budget.h: what an order draws on */

struct action {
    struct subject subject;
    enum plan_action action;
    enum plan_action wanted; /* for wait: what it waits to do; else the same as action */
    enum plan_reason reason;
    enum policy_clamp clamp;
    int64_t at; /* unix seconds when it happens or is looked at again; 0 = only a change brings it
                   back */
    int64_t renew_at; /* of the certificate that is there; 0 = none */
    int64_t asked_at; /* what the CA asked to wait for, if it is not waited for that long; else 0 */
    const struct desired_name *desired;   /* NULL for retire */
    const struct observed_name *observed; /* NULL: nothing is known of the name */
    const struct budget_note *budget;     /* NULL: the plan was made without limits */
    bool replaces;  /* what is ordered replaces the certificate of another CA */
    bool overrides; /* doing it makes a managed certificate replace desired->overrides, which it
                       does not yet */
};

struct plan {
    const struct action *items; /* sorted by subject */
    size_t count;
    size_t counts[PLAN_ACTION_COUNT];
    size_t override_count;
    int64_t next_at; /* the earliest `at` of all; 0 = none */
};

/* What `diff --exit-code` answers (design 6). */
enum plan_exit { PLAN_EXIT_NOTHING = 0, PLAN_EXIT_CHANGES = 2, PLAN_EXIT_STUCK = 4 };

/* The policy that the file asks for, by desired->acme; policy.h: built_at. */
struct policy plan_policy(const struct desired *desired, int64_t built_at);

/* There is a certificate that a client would take now, as far as dates and revocation tell. */
bool plan_is_good(const struct observed_name *observed, const struct policy *policy, int64_t now);
/* Its validity begins later; not with a clock that is wrong. */
bool plan_is_early(const struct observed_name *observed, const struct policy *policy, int64_t now);

/*
 * What a new file forgives: what the CA refused for good, under another one; at another CA than
 * `ca`, all. It is tried as if it had never failed.
 */
bool plan_is_forgiven(const struct observed_name *observed, const struct ca *ca,
                      const struct policy *policy);

/* Fills policy->account_limited_...: what `ca` said to any name, and has not been waived. */
void plan_heed_account(struct policy *policy, const struct ca *ca, const struct observed *observed,
                       int64_t now);

/*
 * The decision for one name; either pointer may be NULL, not both; `desired` may be what stands
 * beside it (desired_find_beside). Used by passes that look at what is due.
 */
struct action plan_decide(const struct desired_name *desired, const struct observed_name *observed,
                          const struct policy *policy, bool storage_usable, int64_t now);

/* The whole plan: a merge of both sorted lists over plan_decide. 0, or -1 (memory). */
int plan_make(const struct desired *desired, const struct observed *observed,
              const struct policy *policy, int64_t now, struct arena *arena, struct plan **plan,
              struct error *e) MUST_CHECK;

/* The next one of its items, counted; PLAN_NOTHING is none. */
void plan_append(struct plan *plan, struct action *items, const struct action *a);

/* The action of `subject` by binary search, or NULL. */
const struct action *plan_find(const struct plan *plan, struct subject subject);

/* Of the key that is there where nothing is ordered, else of the one that will be made. */
enum key_type plan_key_type(const struct action *a);

/* 4: a block, or a wait whose reason is budget, storage or backoff (a time that the CA named is
 * one); else 2: anything but keep; else 0. */
enum plan_exit plan_exit_code(const struct plan *plan);

/* pending, valid, due, failing, blocked, expired, revoked or retired: the `state` of /certificates.
 */
const char *plan_state(const struct action *a, int64_t now);

static inline bool plan_is_order(const struct action *a)
{
    return a->action == PLAN_ISSUE || a->action == PLAN_RENEW;
}
/* Does anything happen by it? Keeping, waiting and blocks are no deeds. */
static inline bool plan_is_deed(enum plan_action action)
{
    return action == PLAN_ISSUE || action == PLAN_RENEW || action == PLAN_ADOPT ||
           action == PLAN_RETIRE;
}

const char *plan_action_name(enum plan_action action); /* "issue" ... */
/* The reverse; PLAN_NOTHING for any other word. */
enum plan_action plan_action_from(struct str name);
const char *plan_reason_id(enum plan_reason reason);
/* The reason of a block that is not DESIRED_FREE; its sentence, which needs no fact, or NULL. */
enum plan_reason plan_block_reason(enum desired_block block);
const char *plan_reason_sentence(enum plan_reason reason);
/*
 * One sentence for people, with the facts of `a` in it: what the CA said is put in as it came, so
 * it is to be escaped like any text from outside. Appends to `out`; failure shows as out->failed.
 */
void plan_reason_print(const struct action *a, int64_t now, struct buf *out);
/* The same in `arena`; ptr NULL when memory is out. */
struct str plan_reason_text(const struct action *a, int64_t now, struct arena *arena);
