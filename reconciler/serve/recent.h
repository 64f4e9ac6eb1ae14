#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/str.h"

/*
 * What was met within the last so many milliseconds, in bounded memory: when it is full, the oldest
 * of a few is forgotten. Known by a 64-bit keyed hash.
 */
struct recent;

/* `slots` is rounded up to a power of two. NULL when memory is out. */
struct recent *recent_new(size_t slots, int64_t keep_ms) MUST_CHECK;
void recent_free(struct recent *r); /* NULL is fine */
/* Was it marked within keep_ms before `now_ms` (any steady clock)? */
bool recent_has(const struct recent *r, struct str what, int64_t now_ms);
void recent_mark(struct recent *r, struct str what, int64_t now_ms);
void recent_forget(struct recent *r, struct str what);
