#pragma once

#include <stddef.h>

#include "reconciler/base/error.h"
#include "replay.h"

/* Bytes of the log that nobody understands, kept for a person to look at: they may hold a key. */

#define DAMAGED_NAME "damaged"

/*
 * Appends the damaged ranges of `log` to the file `damaged` in `directory`, durably, as far as
 * FILE_DAMAGED_MAX goes. -1 with *e.
 */
int damaged_keep(int directory, int log, const struct replay_damage *damages, size_t count,
                 struct error *e) MUST_CHECK;
