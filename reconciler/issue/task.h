#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "reconciler/acme/order.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/ca.h"
#include "reconciler/base/error.h"
#include "reconciler/base/key_type.h"
#include "reconciler/base/urgency.h"
#include "reconciler/base/value.h"

struct authority_use;
struct batch;
struct issuance;
struct issuance_wish;
struct store;

/* One name's order on its way, as issuance moves it. Private to issuance.c and task.c. */

enum task_state {
    TASK_QUEUED,
    TASK_BUSY,     /* a job, the journal, the CA or the workers have it */
    TASK_READY,    /* its next step may leave with the batch */
    TASK_RELEASED, /* it leaves as soon as there is room */
    TASK_WAITING,  /* until wait_ms */
    TASK_ENDED
};

struct task {
    TAILQ_ENTRY(task) link; /* of its batch */
    TAILQ_ENTRY(task) go;   /* of those that wait: queued, for a key, released, ended */
    struct issuance *owner;
    struct batch *batch;
    struct authority_use *authority;
    char *key_text; /* subject_key: it holds the name */
    struct subject subject;
    enum key_type key_type;
    bool is_renewal;
    struct urgency urgency;
    enum task_state state;
    int64_t wait_ms; /* unix ms */
    int64_t wanted_at;
    int64_t started_at;
    uint64_t number; /* never used twice: the cookie of its requests */
    struct buf key;  /* packed; empty = still to be made */
    char *url;       /* of the order; NULL = not known */
    char *chain;     /* what it brought before, PEM; NULL = that is still to come */
    struct buf sent; /* when newOrders were sent for it, as base/sent.h has them */
    bool is_theirs;  /* there is a certificate from this CA */
    bool is_drawn;   /* the next newOrder has drawn on the CA's limits */
    bool is_counted; /* a newOrder is about to be sent: it has been, or is being, journaled */
    int64_t sent_at; /* ... as sent at this time */
    struct acme_order *order; /* NULL before its first step */
    /* What the CA last reported of a try that it goes on with, NULL = nothing: as it was told, and
     * as it is shown since issuance_deliver. */
    char *told_trouble, *trouble;
    bool is_publishing;
    bool failed;
    struct error error;
};

struct task *task_new(struct issuance *owner, const struct issuance_wish *wish) MUST_CHECK;
void task_free(struct task *t); /* wipes the key; NULL is fine */

/* The CA that it is, or is to be, ordered at. */
const struct ca *task_ca(const struct task *t);

/*
 * Takes over what the store knows of the name at this CA: when newOrders were sent, and the
 * order that it has journaled, its key, and its URL or what it has brought. An issuance that those
 * times do not tell of is put among them: the next one will hide it.
 */
void task_take_up(struct task *t, const struct store *store, const struct ca *ca, int64_t now);

/* Makes the key; for the job thread. The outcome is in t->failed. */
void task_make_key(struct task *t);

/*
 * The journal entry as it stands: key alone, or key and order URL. `pem` holds the key's text while
 * the value is used; a BUF_SECRET. -1 with *e.
 */
int task_value(const struct task *t, const struct ca *ca, struct buf *pem, struct value *v,
               struct error *e) MUST_CHECK;

/*
 * When newOrders were sent, the counted one too; gone where there was none. `times` holds them
 * while the value is used. -1: memory.
 */
int task_sent_value(const struct task *t, const struct ca *ca, struct buf *times,
                    struct value *v) MUST_CHECK;
/* The counted newOrder is sent; or it is not, and counts no more. */
void task_sent(struct task *t, bool is_sent);
