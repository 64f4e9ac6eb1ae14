#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/channel.h"
#include "reconciler/base/error.h"
#include "reconciler/snapshot/segment.h"

/*
 * The short stack of live segments, newest first, and when to merge. A lookup probes every segment
 * of names in turn, so they are merged geometrically. One thread owns a stack.
 */
struct stack;

#define STACK_NAMES_MAX (CHANNEL_SEGMENTS_MAX - SEGMENT_KINDS) /* beside one of each other kind */
/* More than this come only when merging cannot keep up: then half of them at once. */
#define STACK_COMFORTABLE 32

struct stack_segment {
    uint64_t id;
    int fd; /* the memfd, the stack's */
    uint64_t size;
    struct segment *mapped; /* the stack's reference */
    bool is_stale;          /* a newer one knows a name whose credential it holds */
};

/*
 * A retired key lies in its segment until that is merged; small ones are merged for it at once,
 * large ones within an hour, and not more often.
 */
#define STACK_SMALL_NAMES 10000
#define STACK_SMALL_GAP_MS 10000
#define STACK_LARGE_WAIT_MS 1800000
#define STACK_LARGE_GAP_MS 3600000

/* Segments are numbered from `first_id` on, each number used once. NULL: out of memory. */
struct stack *stack_new(uint64_t first_id) MUST_CHECK;
void stack_free(struct stack *s); /* NULL is fine */

/*
 * Maps `fd` and puts it on top; one of a kind that does not stack replaces the one before. The
 * stack owns `fd` from here on, on failure too. Returns the entry (valid until the stack changes)
 * or NULL with *e; ERROR_LIMIT when the stack is full: merge first.
 */
const struct stack_segment *stack_push(struct stack *s, int fd, uint64_t size,
                                       struct error *e) MUST_CHECK;

/* All live segments, those of names newest first; at most CHANNEL_SEGMENTS_MAX. */
size_t stack_count(const struct stack *s);
const struct stack_segment *stack_at(const struct stack *s, size_t i);

/* One merge of neighbours in the stack, to be run on any thread while the stack is used on. */
struct stack_merge {
    struct segment *segments[CHANNEL_SEGMENTS_MAX]; /* newest first */
    size_t count;
    bool is_bottom; /* nothing lies below: tombstones can go */
    uint64_t oldest_id;
    int fd; /* of the result; -1 */
    uint64_t size;
    struct error error; /* why there is no result */
};

/*
 * Is a merge worth it now, or due since stale ones are to go? True fills *m; then stack_merge_run,
 * then stack_merge_end, whatever happens. One at a time. `now_ms` is of the steady clock.
 */
bool stack_merge_begin(struct stack *s, int64_t now_ms, struct stack_merge *m) MUST_CHECK;
/* Milliseconds until it is to be asked again for stale ones that it saw; INT64_MAX: there are none.
 */
int64_t stack_merge_wait(const struct stack *s, int64_t now_ms);
/* Touches nothing but `m`. */
void stack_merge_run(struct stack_merge *m);
/*
 * Puts the result in place of what was merged: *entry gets it (NULL where nothing remained: all
 * were tombstones). -1 with *e: the stack is as before.
 */
int stack_merge_end(struct stack *s, struct stack_merge *m, const struct stack_segment **entry,
                    struct error *e) MUST_CHECK;
