#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/address_block.h"
#include "reconciler/base/channel.h"

struct CU_SuiteInfo;
struct event_base;
struct feed;
struct workers;

/* Feed and workers between fake ends: workers, supervisor, and a clock that stands still. */

#define FED_SLOTS 2
#define FED_SECOND 1000
/* Segments of a generation that is as large as one may be. */
#define FED_LARGE CHANNEL_SEGMENTS_MAX

struct fed {
    struct event_base *base;
    struct feed *feed;
    struct workers *workers;
    int channels[FED_SLOTS][2]; /* end: 0 control's, 1 the worker's */
    int supervisor[2];
    char seen[64], missed[64];
    struct address_block seen_from;
    int acknowledged, seen_count;
};

extern struct fed fed;

/* As after control's start; who is in the slots is not told yet. */
void fed_begin_untold(void);
/* And with workers 40 and 41, which were there before us. */
void fed_begin(void);
void fed_end(void);
/* All that can be done now; several turns, for what one makes ready in another. */
void fed_turn(void);
void fed_pass(int seconds);

/* The supervisor's word of a slot; with `is_new` over a channel that nobody had before. */
void fed_tell(uint32_t slot, int64_t pid, bool has_old, bool is_new);
/* What the supervisor was told next, of this slot and worker. */
void fed_expect_told(enum channel_type type, uint32_t slot, int64_t pid);
void fed_expect_nothing_told(void);

/* The next message at that end; type 0 when there is none. */
struct channel_message fed_take_from(int channel);
struct channel_message fed_take(size_t slot);
struct channel_message fed_take_type(size_t slot, enum channel_type type);
void fed_expect_manifest(size_t slot, uint64_t generation);
void fed_say(size_t slot, struct channel_message m, uint64_t session);
void fed_say_type(size_t slot, enum channel_type type, uint64_t session);
void fed_acknowledge(size_t slot, uint64_t session, uint64_t generation);
/* Answers the RESET that waits; its session. */
uint64_t fed_greet(size_t slot);
/* A worker that starts on a channel of its own. */
uint64_t fed_arrive(uint32_t slot, int64_t pid);

void fed_publish(uint64_t generation, const uint64_t *ids, size_t count);
void fed_publish_one(uint64_t generation, uint64_t id);
void fed_publish_large(uint64_t generation);
/* Counts in fed.acknowledged. */
void fed_wait_for(uint64_t generation);
/* Runs the suites; the program's exit code. */
int fed_run(struct CU_SuiteInfo *suites);
