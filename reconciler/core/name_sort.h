#pragma once

#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/str.h"

/* Sorting a million host names without a million cache misses a comparison. */

struct name_item {
    uint64_t window; /* private: eight bytes of the name, as a number */
    const char *name;
    uint32_t len;
    uint32_t tag; /* the caller's */
};

/*
 * Sorts by bytes, then length, equal names in the order in which they came: eight bytes at a time
 * by radix, so the time is bounded by the bytes, whatever they are. `spare` has room for as many
 * items.
 */
void name_sort(struct name_item *items, struct name_item *spare, size_t count);
/* Sorts names and drops what is there twice: *count of them are left. -1 when memory is out. */
int name_sort_unique(struct str *names, size_t *count) MUST_CHECK;

/*
 * The item of that name among `count` sorted ones of `size` bytes, whose first member is their
 * name (struct str); NULL where there is none.
 */
const void *name_find(const void *items, size_t count, size_t size, struct str name);
