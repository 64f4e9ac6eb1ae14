#pragma once

#include <stdint.h>

#include "reconciler/base/buf.h"

/* Units from which on a time is rounded: a lifetime must look right, a jittered wait need not. */
#define SPAN_EXACT 10
#define SPAN_COARSE 2

/*
 * "90 days", "36 hours", "5 minutes": the largest unit that comes out even, or of which there are
 * `enough` to be rounded.
 */
void span_print(struct buf *out, int64_t seconds, int64_t enough);
/* `before`, and an instant. */
void span_print_time(struct buf *out, const char *before, int64_t at);
