#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/attr.h"

/*
 * Where in the log the live record of each key lies: 16 bytes a slot and no keys, which stand in
 * the log itself. Two keys with one hash are told apart by looking there.
 */
struct live_slot {
    uint64_t offset; /* 0 = free: the header lies there */
    uint32_t size;
    uint32_t hash;
};

struct live {
    struct live_slot *slots;
    size_t len;
    size_t cap; /* a power of two, or 0 */
};

/* Is the record at `offset` the one of the key that is looked for? 1, 0, or -1: it cannot be read.
 */
typedef int live_matches(void *context, uint64_t offset);

void live_free(struct live *l);
/* Room for `count` more live_put; -1: out of memory. */
int live_reserve(struct live *l, size_t count) MUST_CHECK;
/* 1: *slot is the key's; 0: it has none; -1: `matches` failed. */
int live_find(const struct live *l, uint32_t hash, live_matches *matches, void *context,
              struct live_slot **slot) MUST_CHECK;
/* Puts a key that live_find did not find; needs live_reserve before. */
void live_put(struct live *l, struct live_slot slot);
void live_remove(struct live *l, struct live_slot *slot);
/* Is the record with this hash at this offset live? */
bool live_has(const struct live *l, uint32_t hash, uint64_t offset);
