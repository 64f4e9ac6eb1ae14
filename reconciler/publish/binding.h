#pragma once

#include "reconciler/base/attr.h"
#include "reconciler/base/str.h"

/*
 * Where the bytes of a credential lie: in memory of its own, or in a mapped segment, so that what
 * is served is not held twice.
 */
struct credential;
struct segment;

/* `leaf` and `key` equal its own and lie in `segment`, which it holds from here on. */
void binding_to_segment(struct credential *c, struct str leaf, struct str key,
                        struct segment *segment);
/*
 * Back to memory of its own, if it lies in a segment: what is no longer served must not keep a
 * whole mapping alive. -1: out of memory, it stays where it is.
 */
int binding_to_memory(struct credential *c) MUST_CHECK;
