#pragma once

#include <stdint.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/str.h"

/*
 * Every key of every map, once: a name becomes a small number, and a schema looks fields up by
 * number. Numbers count from 0 in the order of first sight. Names live in the arena.
 */
struct names {
    struct arena *arena;
    struct str *items;
    uint32_t count;
    uint32_t cap;
    uint32_t *slots; /* open addressing: number + 1, 0 = free */
    uint32_t slot_count;
    uint64_t seed;
    uint32_t *follower; /* which name came after this one the last time */
    uint32_t last;
};

#define NAMES_NONE UINT32_MAX

/* 0, or -1 when memory is out. names_fini in either case. */
int names_init(struct names *n, struct arena *arena) MUST_CHECK;
void names_fini(struct names *n);
/* The number of `name`, a new one if it was not seen; NAMES_NONE when memory is out. */
uint32_t names_put(struct names *n, struct str name) MUST_CHECK;
/* The number of `name`, or NAMES_NONE if it was never seen. */
uint32_t names_find(const struct names *n, struct str name);
struct str names_text(const struct names *n, uint32_t number);
