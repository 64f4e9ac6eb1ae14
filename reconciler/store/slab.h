#pragma once

#include <stddef.h>

#include "reconciler/base/attr.h"

/*
 * Where the bytes of credentials lie between being loaded and being served from a segment: blocks
 * of many, given back to the system whole. On the heap they would leave holes that nobody fills: a
 * million names' worth of them. Left out of core dumps, wiped when given back.
 */
struct slab;

struct slab_pool {
    struct slab *current; /* has room, or NULL */
};

/*
 * `size` bytes; *home is what slab_release takes, once for each of them. NULL: out of memory, or
 * too large.
 */
void *slab_take(struct slab_pool *pool, size_t size, void **home) MUST_CHECK;
void slab_release(void *home);
/* Bytes that were taken live on until they are released. */
void slab_pool_fini(struct slab_pool *pool);
