#pragma once

#include <stddef.h>

#include "reconciler/base/address_block.h"
#include "reconciler/base/attr.h"
#include "reconciler/base/channel.h"
#include "reconciler/base/counters.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/*
 * What a worker does with connections: TLS by the view's certificates, challenges, and Kong's
 * answers by the view's routes.
 */
struct edge;
struct event_base;
struct view;
struct worker_options;

struct edge_options {
    struct event_base *base;
    const struct worker_options *worker;
    struct counters *counters;
    size_t connections; /* at most */
    void *context;
    bool (*sni_seen)(void *context, struct str name, const struct address_block *from);
    bool (*token_miss)(void *context, struct str host, struct str token);
    void (*drained)(void *context);
};

/* NULL with *e. */
struct edge *edge_new(const struct edge_options *options, struct error *e) MUST_CHECK;
void edge_free(struct edge *edge); /* NULL is fine */

/* Serves this view, which is the edge's from here on; accepts connections from the first one on. */
void edge_renew(struct edge *edge, struct view *view);
void edge_set_ticket_keys(struct edge *edge, unsigned char (*keys)[CHANNEL_TICKET_KEY_SIZE],
                          size_t count);
/* Control's answer to token_miss; an empty one: there is none. */
void edge_answer(struct edge *edge, struct str token, struct str answer);
/*
 * Accepts from a socket of another slot, too, as from our own of `address`, until edge_uncover of
 * that slot. `fd` is the edge's from here on. Where that cannot be (-1: there was no descriptor to
 * take it with), it is said, and closed.
 */
void edge_cover(struct edge *edge, unsigned slot, size_t address, int fd);
void edge_uncover(struct edge *edge, unsigned slot);
/*
 * Accepts nothing more; `drained` is called once nothing runs any more. `is_quick`: idle
 * connections are closed at once. May be called again to hurry.
 */
void edge_drain(struct edge *edge, bool is_quick);
