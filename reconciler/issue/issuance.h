#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/base/key_type.h"
#include "reconciler/base/str.h"
#include "reconciler/base/subject.h"
#include "reconciler/base/urgency.h"
#include "reconciler/issue/order_journal.h"
#include "reconciler/issue/solver.h"

struct ca;
struct event_base;
struct httpc;
struct job_thread;
struct store;

/*
 * Orders on their way, in batches (design 4): names queue up, a batch of them moves through the
 * steps of RFC 8555 together, each challenge is announced to every worker before the CA hears of
 * it. Each newOrder is journaled with its key before it is sent, and its order's URL as soon as it
 * is answered: neither waits for the batch, nor for requests.
 */
struct issuance;

#define ISSUANCE_BATCH_MAX 1024
/* Of those that visitors ask for, as many are under way: requests and keys are left for others. */
#define ISSUANCE_DEMANDED_MAX 32
/* Late members of a batch are left behind after this long, as a batch of their own. */
#define ISSUANCE_PATIENCE_MS 50
/*
 * The next batch is admitted when no order as urgent as it is under way, or nothing has made
 * progress for this long.
 */
#define ISSUANCE_STALL_MS 1000
/* Requests under way at once at one CA. */
#define ISSUANCE_IN_FLIGHT_MAX 64
/* newOrders that are counted ahead of being sent: as many as can follow those under way. */
#define ISSUANCE_COUNTED_MAX 64
/* Challenges stay presented this long after their order: the CA's other vantage points come late. */
#define ISSUANCE_GRACE_MS 30000
#define ISSUANCE_GRACES_MAX 4096 /* orders that do; with more, the oldest go earlier */

/* What became of an order; views valid during the call. A failed one has no chain. */
struct issuance_result {
    struct subject subject;
    struct str chain; /* PEM, leaf first; checked against key and name */
    enum key_type key_type;
    struct str key; /* packed */
    const struct ca *ca;
    bool lacks_chain; /* it offered none that is preferred */
    struct str order_url;
    int64_t ended_at; /* by the clock that the order began with, whatever was set meanwhile */
    bool is_renewal;
};

struct issuance_options {
    struct event_base *base;
    struct httpc *httpc;
    struct job_thread *jobs;
    struct order_journal journal;
    struct solver solver;
    const struct store *store; /* journaled orders are taken up from it, in issuance_deliver */
    void *context;
    /* Another newOrder for a name than the one that was wanted: does it fit the CA's limits? -1:
     * *e. */
    int (*draw)(void *context, struct str name, bool renewal, struct error *e);
    /* Something is ready for issuance_deliver. */
    void (*ready)(void *context);
    /* Outcomes, from issuance_deliver. The subject stays known until issuance_close. */
    void (*issued)(void *context, const struct issuance_result *result);
    void (*failed)(void *context, const struct issuance_result *result, const struct error *e,
                   bool is_resumable);
    /* The write-read probe failed: no order was sent, and the queue is empty now. */
    void (*storage_failed)(void *context, const struct error *e);
    void (*storage_works)(void *context);
};

struct issuance *issuance_new(const struct issuance_options *options, struct error *e) MUST_CHECK;
void issuance_free(struct issuance *i); /* after the job thread has ended; NULL is fine */

/*
 * The CA for orders that begin from now on (copied); NULL: none, nothing is begun. What runs is
 * finished where it began.
 */
int issuance_use(struct issuance *i, const struct ca *ca, struct error *e) MUST_CHECK;

/* An order to be queued. */
struct issuance_wish {
    struct subject subject;
    enum key_type key_type;
    bool is_renewal;
    struct urgency urgency;
};

/*
 * Queues an order for a subject. One that is queued already gets the new urgency; one that is under
 * way is left alone. -1 with *e (memory).
 */
int issuance_want(struct issuance *i, const struct issuance_wish *wish, struct error *e) MUST_CHECK;
/* Takes one that has not begun out of the queue. */
void issuance_unwant(struct issuance *i, struct subject subject);
void issuance_unwant_all(struct issuance *i);
/* Is it queued or under way? */
bool issuance_has(const struct issuance *i, struct subject subject);
/* Since when (unix seconds); 0: it is not. */
int64_t issuance_since(const struct issuance *i, struct subject subject);
/* What the CA reports of its order's try, and goes on with; STR_NONE: nothing. Valid until the next
 * turn. */
struct str issuance_trouble(const struct issuance *i, struct subject subject);
/* The outcome has been dealt with: the name is forgotten. */
void issuance_close(struct issuance *i, struct subject subject);

/* What the solver's `owner` has presented can be found. */
void issuance_presented(struct issuance *i, uint64_t owner);

/* Admits what waits, and hands out outcomes. To be called while the store is ours. */
void issuance_deliver(struct issuance *i);

/*
 * Begins nothing any more, and brings to its journal what is under way: newOrders that were sent,
 * validations that the CA has begun (nobody would answer it later), certificates being fetched.
 */
void issuance_drain(struct issuance *i);
/* Nothing of that is left but what the journal has. */
bool issuance_is_drained(const struct issuance *i);

/* An answer of httpc that carries one of our cookies. */
struct httpc_done;
void issuance_reply(struct issuance *i, const struct httpc_done *done);

/* Why the CA could not be used when it was last tried, or NULL. */
const struct error *issuance_account_error(const struct issuance *i);
/* The CA is tried again at once, even where it has named a later time. */
void issuance_retry(struct issuance *i);
size_t issuance_queued(const struct issuance *i);
size_t issuance_running(const struct issuance *i);
