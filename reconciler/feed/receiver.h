#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "reconciler/base/channel.h"

/*
 * Whoever is given generations, as the feed sees it: a worker of this machine, or a data plane
 * elsewhere. What it lacks goes out in order, one generation at a time: the next one when this one
 * has been acknowledged. So what waits on its way is bounded, however slow it is.
 */

struct channel_segment;

/* What receivers are to have: the feed's, and the same for all. */
struct feed_state {
    uint64_t generation;                    /* 0 = none yet */
    const struct channel_segment *segments; /* newest first */
    size_t count;
    struct channel_message tickets;
};

/*
 * How things get there. Both: 0 it is on its way, 1 there is no room: receiver_resume when there
 * is, -1 the other end is gone, which the link sees to by itself.
 */
struct receiver_face {
    int (*send)(void *link, struct channel_message *m);
    int (*send_segment)(void *link, const struct channel_segment *segment);
    /* It owes an acknowledgement for too long, and counts no more. */
    void (*late)(void *link);
};

/* One that takes nothing of a generation, or does not acknowledge it, for so long is given up. */
#define RECEIVER_ACK_TIMEOUT_MS 5000
/* Segments that it has been sent since the last manifest, and those which that one named. */
#define RECEIVER_SENT_MAX (2 * CHANNEL_SEGMENTS_MAX)

/* Its link's to hold; feed_join first. */
struct receiver {
    const struct receiver_face *face;
    void *link;
    const struct feed_state *state;
    void (*changed)(void *context); /* what is acknowledged, or by whom it must be */
    void *context;
    bool is_live;    /* it takes generations, and is waited for */
    bool is_awaited; /* somebody serves there who cannot be told: nothing counts as acknowledged */
    bool needs_tickets;
    uint64_t acknowledged, under_way; /* generations; 0 = none */
    int64_t owes_since_ms; /* that it takes something, or acknowledges; steady clock; 0 = nothing */
    uint64_t sent[RECEIVER_SENT_MAX];
    size_t sent_count;
    LIST_ENTRY(receiver) others;
};

/* ---- for its link ---- */

/* It has come, and has nothing yet. */
void receiver_begin(struct receiver *r);
/* It is gone. */
void receiver_end(struct receiver *r);
void receiver_await(struct receiver *r, bool is_awaited);
/* Of a generation that was not sent: passed over. */
void receiver_acknowledged(struct receiver *r, uint64_t generation);
/* Sends what it lacks, as far as there is room. */
void receiver_resume(struct receiver *r);

/* ---- for the feed ---- */

bool receiver_has(const struct receiver *r, uint64_t generation);
/* Whether nobody serves there with less than this. */
bool receiver_allows(const struct receiver *r, uint64_t generation);
/* Gives it up where it is late. */
void receiver_look(struct receiver *r, int64_t now_ms);
