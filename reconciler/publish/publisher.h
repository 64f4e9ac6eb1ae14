#pragma once

#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/base/str.h"
#include "reconciler/snapshot/segment.h"

struct challenge_board;
struct channel_segment;
struct index;
struct job_thread;

/*
 * Turns what changed into sealed segments and a generation (design 4 "Snapshots"): credentials from
 * the index, the challenge board, the gate and the routes. Merges the stack in the background.
 */
struct publisher;

/* Whoever is given generations. */
struct publisher_receivers {
    void *context;
    /* The segments stay ours, at most CHANNEL_SEGMENTS_MAX. -1 with *e: they keep what they had. */
    int (*publish)(void *context, uint64_t generation, const struct channel_segment *newest_first,
                   size_t count, struct error *e);
    /* Calls done(argument) once all have acknowledged it, or a later one; -1: no memory. */
    int (*when_acknowledged)(void *context, uint64_t generation, void (*done)(void *argument),
                             void *argument);
};

struct publisher_options {
    struct index *index;
    struct publisher_receivers receivers;
    struct challenge_board *board;
    struct job_thread *jobs;
    /* A merge is done: call publisher_deliver when nobody else owns the index. */
    void (*ready)(void *context);
    void *context;
};

/* What the file says to receivers besides. */
struct publisher_rules {
    struct segment_gate gate;
    struct segment_routes routes;
};

struct publisher *publisher_new(const struct publisher_options *options,
                                struct error *e) MUST_CHECK;
void publisher_free(struct publisher *p); /* after the job thread has ended; NULL is fine */

/* ---- with the index in hand, on whichever thread owns it ---- */

/* Makes segments of the index' changes and, if `rules` is not NULL, of these. */
int publisher_build(struct publisher *p, const struct publisher_rules *rules,
                    struct error *e) MUST_CHECK;

/* ---- on the loop ---- */

/*
 * Builds what is new (a small change) and announces it to the workers: everything since the last
 * call is one generation. Once all live receivers have it, the board tells whose challenges it
 * holds. Returns the number of the newest generation, whether it is new or not;
 * 0 with *e: nothing was announced, call it again later.
 */
uint64_t publisher_announce(struct publisher *p, struct error *e) MUST_CHECK;

/*
 * Seconds until publisher_announce is to be called for a merge that rids segments of keys that nobody
 * needs any more; INT64_MAX: none is.
 */
int64_t publisher_wait(const struct publisher *p);

/* Ends a merge that has finished. */
void publisher_deliver(struct publisher *p);

/* Generations announced since the start. */
uint64_t publisher_count(const struct publisher *p);
