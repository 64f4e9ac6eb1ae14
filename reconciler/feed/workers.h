#pragma once

#include <stddef.h>

#include "reconciler/base/address_block.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

struct channel_message;
struct event_base;
struct feed;

/*
 * The workers of this machine as receivers: one slot each, with a channel (base/channel.h) that the
 * supervisor renews for each worker that it starts. One that does not greet, acknowledge or beat in
 * time, or has spoilt its channel, is killed, and replaced.
 */
struct workers;

/* From its start, as the supervisor tells it, to its first word. */
#define WORKERS_START_TIMEOUT_MS 30000
/* From our RESET, where it runs already, to its HELLO. */
#define WORKERS_HELLO_TIMEOUT_MS 5000
/* From the end of its channel to the supervisor's word that it has died. */
#define WORKERS_END_MS 1000
/* One of which nothing was heard, not even CHANNEL_BEAT, in so many of our own seconds. */
#define WORKERS_SILENT_SECONDS 30
/* Messages of one worker that are taken at a time: others have their turn. */
#define WORKERS_BATCH 64

struct workers_options {
    struct event_base *base;
    struct feed *feed;
    const int *channels; /* one a slot; they stay the caller's */
    size_t count;
    int supervisor; /* channel; -1 = none (tests) */
    void *context;
    void (*token_missed)(void *context, size_t slot, struct str host, struct str token);
    void (*sni_seen)(void *context, struct str name, const struct address_block *from);
};

/*
 * Until the supervisor has told who is in a slot, somebody may serve there who was a predecessor's
 * of ours: nothing counts as acknowledged. NULL with *e.
 */
struct workers *workers_new(const struct workers_options *options, struct error *e) MUST_CHECK;
void workers_free(struct workers *w); /* before the feed; NULL is fine */

/* The supervisor's CHANNEL_SLOT; `fd`, what was attached to it or -1, is taken over. */
void workers_told(struct workers *w, const struct channel_message *m, int fd);

/*
 * The answer to token_missed; `answer` STR_NONE: there is none. Dropped when the channel is full.
 */
void workers_answer_token(struct workers *w, size_t slot, struct str host, struct str token,
                          struct str answer);
