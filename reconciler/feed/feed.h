#pragma once

#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/address_block.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

struct event_base;

/*
 * The workers as control sees them: sends generations, gathers acknowledgements, has a worker that
 * does not acknowledge replaced, hands round the ticket keys (design 4 "Channels").
 */
struct feed;

/* A worker that is this late with an acknowledgement is killed and replaced. */
#define FEED_ACK_TIMEOUT_MS 5000
/* So is one of which nothing was heard, not even CHANNEL_BEAT, in so many of our own seconds. */
#define FEED_SILENT_SECONDS 30
/* A ticket key encrypts for this long and decrypts for CHANNEL_TICKET_KEYS times that. */
#define FEED_TICKET_SECONDS 3600

/* A segment of the current generation; `fd` is the caller's: the feed keeps a copy of its own. */
struct feed_segment {
    uint64_t id;
    uint64_t size;
    int fd;
};

struct feed_options {
    struct event_base *base;
    const int *channels; /* one a slot */
    size_t count;
    int supervisor; /* channel; -1 = none (tests) */
    void *context;
    void (*token_missed)(void *context, size_t slot, struct str host, struct str token);
    void (*sni_seen)(void *context, struct str name, const struct address_block *from);
};

struct feed *feed_new(const struct feed_options *options, struct error *e) MUST_CHECK;
void feed_free(struct feed *f); /* NULL is fine */

/*
 * Makes these segments (newest first, at most CHANNEL_SEGMENTS_MAX) the current generation and
 * sends every worker what it lacks. Workers that come later get it too. -1 with *e when descriptors
 * are out: the workers then serve the generation that they have.
 */
int feed_publish(struct feed *f, uint64_t generation, const struct feed_segment *newest_first,
                 size_t count, struct error *e) MUST_CHECK;

/*
 * Calls done(context) once every live worker, and at least one, has acknowledged `generation` or a
 * later one; at once if that is so already. Live is one that has said HELLO in the present session;
 * a slot that has said nothing since feed_new counts as one that is late: a predecessor's worker
 * may serve there.
 */
int feed_when_acknowledged(struct feed *f, uint64_t generation, void (*done)(void *context),
                           void *context) MUST_CHECK;

/*
 * The answer to token_missed; `answer` STR_NONE: there is none. Dropped when the channel is full.
 */
void feed_answer_token(struct feed *f, size_t slot, struct str host, struct str token,
                       struct str answer);

/* Live workers, and those of them that serve the current generation. */
size_t feed_live(const struct feed *f);
size_t feed_current(const struct feed *f);
