#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/channel.h"
#include "reconciler/base/counters.h"
#include "reconciler/base/str.h"

/*
 * A worker's end of its channel to control: sessions, segments, manifests (base/channel.h). While
 * control is away nothing happens, and the worker serves on.
 */
struct subscription;
struct event_base;
struct view;

/* Sent, and not dropped by a manifest. */
#define SUBSCRIPTION_SEGMENTS_MAX (2 * CHANNEL_SEGMENTS_MAX)
/* Between two HELLOs because of something that cannot be served. */
#define SUBSCRIPTION_RESYNC_MS 1000

struct subscription_options {
    struct event_base *base;
    int channel; /* stays the caller's */
    struct counters *counters;
    void *context;
    /* A new generation: the callee's from here on. It is acknowledged behind this. */
    void (*renewed)(void *context, struct view *view);
    void (*tickets)(void *context, unsigned char (*keys)[CHANNEL_TICKET_KEY_SIZE], size_t count);
    void (*answered)(void *context, struct str token, struct str answer); /* "" = none */
    /* The supervisor's: sockets of another slot, as our own of `address`; `fd` is the callee's, -1
     * where it could not be taken. */
    void (*cover)(void *context, unsigned slot, size_t address, int fd);
    void (*uncover)(void *context, unsigned slot);
};

/* Says HELLO. NULL when memory is out. */
struct subscription *subscription_new(const struct subscription_options *options) MUST_CHECK;
void subscription_free(struct subscription *s); /* NULL is fine */

/* Tells control that we go on; to be called every second. */
void subscription_beat(struct subscription *s);
/* Tells whoever reads the channel that we accept no more, and have closed idle connections. */
void subscription_drains(struct subscription *s);
/* Messages that are dropped, and counted, when the channel is full; false then. */
bool subscription_sni_seen(struct subscription *s, struct str name,
                           const struct address_block *from);
bool subscription_token_miss(struct subscription *s, struct str host, struct str token);
