#pragma once

#include "crew.h"
#include "reconciler/base/descriptor.h"
#include "reconciler/base/error.h"

/*
 * What one binary leaves to the next: a memfd of lines that name every descriptor and every
 * process. Settings travel in their own memfd. A build that reads another HANDOVER_FORMAT refuses.
 */
#define HANDOVER_FORMAT 1
#define HANDOVER_BYTES_MAX ((size_t)4 << 20)

/*
 * The memfd, and in `fds` all that must stay open over the exec, itself included. The memfd is the
 * caller's. -1 with *e.
 */
int handover_write(const struct crew *c, struct descriptor_list *fds, struct error *e) MUST_CHECK;
/*
 * Fills a crew that was only initialised. Its processes run and are the old binary's: the workers
 * stand as `old_pid` beside empty slots with their old channels, so that everything new gets fresh
 * ones. 0, or -1 with *e; descriptors that were taken are in the crew.
 */
int handover_read(struct crew *c, int state, struct error *e) MUST_CHECK;
