#pragma once

#include <stdbool.h>

#include "reconciler/base/error.h"

struct control;
struct source_set;

/*
 * The care for what lies under the prefix: whether it can be written, whether it is still there,
 * who else may write it. What is amiss is a condition, and while the storage is not usable nothing
 * is ordered. What vanished is written anew from what memory holds. `control` is a struct control
 * everywhere.
 */

/* How soon a prefix that vanished is noticed where nothing is written meanwhile. */
#define PREFIX_LOOK_MS 2000
/* Until a storage that failed is tried again. */
#define PREFIX_RETRY_SECONDS 30
/* Until one that could not be written anew is: the supervisor makes a folder at once. */
#define PREFIX_FIRST_RESTORE_SECONDS 1
#define PREFIX_RESTORE_SECONDS 5
/* So many tries in vain, half a minute, and orders under way have failed. */
#define PREFIX_LOSSES_MAX 7

/* A put or a probe failed; it works. */
void prefix_failed(void *control, const struct error *e);
void prefix_vanished(void *control, const struct error *e); /* because storage_check failed */
void prefix_works(void *control);

/* For two timers: the try after a failure, and the look that comes again and again. */
void prefix_on_retry(int fd, short what, void *control);
void prefix_on_look(int fd, short what, void *control);

/*
 * In a turn: begins to write anew what vanished, where that is wanted and the journal has nothing
 * under way. True: the state is lent to it, until a later turn.
 */
bool prefix_restore(struct control *c);

/*
 * Keeps the file as the last good one; the set is taken over. Behind one that is being written only
 * the newest waits.
 */
void prefix_keep(struct control *c, struct source_set *set);
