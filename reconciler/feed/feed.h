#pragma once

#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/error.h"

struct channel_segment;
struct event_base;
struct receiver;
struct receiver_face;

/*
 * Gives generations to all receivers (receiver.h), gathers what they acknowledge, and hands round
 * the keys of session tickets.
 */
struct feed;

/* `tickets` is tickets_new's. NULL with *e. */
struct feed *feed_new(struct event_base *base, int tickets, struct error *e) MUST_CHECK;
/* When all receivers have left. NULL is fine. */
void feed_free(struct feed *f);

/*
 * Its link holds the receiver, until feed_leave; receiver_begin when it has come, receiver_end when
 * it is gone.
 */
void feed_join(struct feed *f, struct receiver *r, const struct receiver_face *face, void *link);
void feed_leave(struct receiver *r);

/*
 * Makes these segments (newest first, at most CHANNEL_SEGMENTS_MAX) the current generation, for
 * those who are there and those who come; the feed has descriptors of its own. -1 with *e when
 * descriptors are out: the generation before it stays current.
 */
int feed_publish(struct feed *f, uint64_t generation, const struct channel_segment *newest_first,
                 size_t count, struct error *e) MUST_CHECK;

/*
 * Calls done(context) once every receiver that is there, and at least one, has acknowledged
 * `generation` or a later one, and none is awaited; at once if that is so already.
 */
int feed_when_acknowledged(struct feed *f, uint64_t generation, void (*done)(void *context),
                           void *context) MUST_CHECK;

/* Receivers that have the current generation. */
size_t feed_current(const struct feed *f);
