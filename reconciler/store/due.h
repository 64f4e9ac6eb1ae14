#pragma once

#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/attr.h"

/* When names are looked at next: a heap by time, in which a name's place is known to it. */
struct store_name;

struct due_entry {
    int64_t at;
    struct store_name *name;
};

struct due {
    struct due_entry *items;
    size_t len;
    size_t cap;
};

void due_free(struct due *d);
/* Moves `n` to `at`, 0 takes it out. -1: out of memory. */
int due_set(struct due *d, struct store_name *n, int64_t at) MUST_CHECK;
/* The earliest, or NULL. */
struct store_name *due_first(const struct due *d);
