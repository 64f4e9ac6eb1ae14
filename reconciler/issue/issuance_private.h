#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "reconciler/base/map.h"
#include "reconciler/base/vec.h"
#include "reconciler/issue/authorities.h"
#include "reconciler/issue/batch.h"
#include "reconciler/issue/issuance.h"
#include "reconciler/issue/urgent.h"

struct event;

/* What issuance consists of. Private to issuance.c and step.c. */

/* An order that has ended and whose challenges are still presented. */
struct grace {
    uint64_t owner;
    int64_t until_ms; /* steady */
};

struct graces vec(struct grace);

struct issuance {
    struct issuance_options options;
    struct authorities authorities;
    uint64_t next_task;
    struct map by_name;
    struct urgent queue;
    struct batch_list batches;
    size_t running[URGENCY_KINDS];
    struct urgent keyless; /* running ones whose key takes long: one is made at a time */
    bool is_making_key;
    struct urgent released;
    struct urgent unasking; /* released ones that ask the CA for nothing */
    /* Before the released: newOrders that have been counted, and refused requests with a new nonce,
     * which nobody else can use meanwhile. */
    struct urgent ahead;
    struct go_list ended;
    size_t in_flight;
    size_t counted; /* newOrders that have been, or are being, counted and are not sent yet */
    bool is_draining;
    bool has_trouble; /* a task's is to be shown */
    bool is_probing;
    int64_t progress_ms; /* steady */
    int64_t clock_ms;    /* what step_now_ms adds to the steady clock */
    struct graces graces;
    struct event *turn; /* the next look, by timer or at once */
};
