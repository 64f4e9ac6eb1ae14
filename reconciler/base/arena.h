#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "attr.h"
#include "str.h"

/*
 * Memory that is dropped whole: a generation's document, model, desired and plan.
 * Allocations are zeroed, aligned for any object, and live until arena_free.
 * Not thread-safe; an arena may be handed to another thread as a whole.
 */
struct arena;

/*
 * What several arenas, and arrays on the heap beside them, may take together. Memory that an arena
 * has mapped counts, whether it is used or not.
 */
struct arena_limit {
    size_t max, used;
    bool was_reached; /* something was refused for it */
};

struct arena_options {
    size_t max_bytes; /* all allocations together; 0 = no limit */
    bool secret;      /* wiped when freed, left out of core dumps */
};

/* NULL when memory is out. Free with arena_free. */
struct arena *arena_new(const struct arena_options *options) MUST_CHECK;
void arena_free(struct arena *a); /* NULL is fine */

/* From now on `limit` holds for what the arena maps; NULL: no more. It must live until then. */
void arena_share(struct arena *a, struct arena_limit *limit);
/* Counts memory on the heap with the arena's; -1: the limit it shares does not allow it. */
int arena_charge(struct arena *a, size_t size) MUST_CHECK;
void arena_refund(struct arena *a, size_t size);
/* What the limit still allows; SIZE_MAX / 2 without one. */
size_t arena_room(const struct arena *a);

/* Zeroed memory, or NULL when memory or the limit is out. */
void *arena_alloc(struct arena *a, size_t size) MUST_CHECK;
/* `count` zeroed items of `size` bytes, NULL also when the product overflows. */
void *arena_array(struct arena *a, size_t count, size_t size) MUST_CHECK;
/* A NUL-terminated copy (the NUL is not counted); ptr NULL when memory is out. */
struct str arena_str(struct arena *a, struct str s) MUST_CHECK;
struct str arena_printf(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3) MUST_CHECK;
size_t arena_used(const struct arena *a);

/* Test seam: the n-th arena_alloc from now fails (1 = the next one); 0 switches it off. */
void arena_fail_after(struct arena *a, size_t n);
