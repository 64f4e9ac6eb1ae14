#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/address_block.h"
#include "reconciler/base/attr.h"
#include "reconciler/base/str.h"

/*
 * The names that visitors ask for and that have no certificate yet, from the handshake that a
 * worker tells of until one is there, or until nobody asks any more: queued, under way, or waiting
 * for a limit or after a failure. Anybody can make up such names, so they have bounds; what is
 * beyond one is dropped before anything is written down, counted, and said once a minute.
 * It holds nothing of the state that is lent, and may be used at any time.
 */
struct demands;

#define DEMANDS_DOMAIN_SECONDS 3600
/* Demands of the last hour that are remembered for their domain's sake; the oldest go first. */
#define DEMANDS_MARKS_MAX 100000
#define DEMANDS_SAY_SECONDS 60

enum demands_bound { DEMANDS_TOTAL, DEMANDS_ADDRESS, DEMANDS_DOMAIN, DEMANDS_BOUNDS };

struct demands_options {
    size_t bounds[DEMANDS_BOUNDS]; /* all, of one address block, of one registered domain an hour */
    /* Of these an address says nothing about the visitor: balancers. Views that must outlive it. */
    char *const *trusted;
    size_t trusted_count;
    struct str (*domain_of)(struct str name); /* the registered domain, a view of the name */
    void *context;
    /* What a person is to know: `text`, or that it is over (NULL). */
    void (*said)(void *context, const char *text);
};

/* NULL when memory is out. */
struct demands *demands_new(const struct demands_options *options) MUST_CHECK;
void demands_free(struct demands *d); /* NULL is fine */

/* A name of a handshake (lower case). True: demands_next has something, else it is beyond a bound.
 */
bool demands_hear(struct demands *d, struct str name, const struct address_block *from,
                  int64_t now);
/*
 * The next one that was heard, to be answered with demands_accept or demands_end; STR_NONE: none.
 * Valid until then.
 */
struct str demands_next(struct demands *d);
/* It is to be written down, and counts for its domain from now on. False: too many of that. */
bool demands_accept(struct demands *d, struct str name, int64_t now) MUST_CHECK;
/* It has a certificate, or is asked for no more. Nothing where it is not known. */
void demands_end(struct demands *d, struct str name);
/* One that storage holds from earlier: it counts, but for no address. -1: memory. */
int demands_restore(struct demands *d, struct str name, int64_t seen_at, int64_t now) MUST_CHECK;

size_t demands_count(const struct demands *d);
/* All that are known, in no order; start with *cursor 0. Nothing may change meanwhile. */
struct str demands_walk(const struct demands *d, size_t *cursor);
/* How many were dropped since the start. */
uint64_t demands_dropped(const struct demands *d);
/* Is it time to say that some were? */
bool demands_has_news(const struct demands *d, int64_t now);
/* Says what was dropped, where it is time; when to call again (unix seconds; 0 = no need). */
int64_t demands_say(struct demands *d, int64_t now);
