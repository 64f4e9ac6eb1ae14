#pragma once

#include "reconciler/base/error.h"
#include "reconciler/io/source.h"

/*
 * A copy of the newest configuration that was in force, under the prefix (0600: it may hold keys):
 * what a control that is restarted, or told to by acme_start_with_last_good, starts from when the
 * present file is bad. Replaced by rename; blocks, so for the job thread.
 */
int last_good_write(const char *prefix, const struct source_set *set, struct error *e) MUST_CHECK;
/* -1 with *e when there is none, or it is damaged. Free with source_free. */
int last_good_read(const char *prefix, struct source_set **set, struct error *e) MUST_CHECK;
