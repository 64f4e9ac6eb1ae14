#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "str.h"

/*
 * A hash map of objects that carry their own key: for tables that change and may hold a million
 * names. 32 bytes an item beside the item, at most. Not for iterating in order.
 * The map owns the table only, never the items.
 */
struct map_slot {
    void *item; /* NULL = free */
    uint64_t hash;
};

struct map {
    struct str (*key)(const void *item); /* must not change while the item is in the map */
    uint64_t seed; /* of the hash; makes keys from outside collide at random */
    struct map_slot *slots;
    size_t len;
    size_t cap; /* a power of two, or 0 */
};

#define MAP_INIT(key_of, hash_seed) ((struct map){.key = (key_of), .seed = (hash_seed)})

void map_free(struct map *m);
/* NULL: not there. */
void *map_find(const struct map *m, struct str key);
/* Room for one more map_put that cannot fail; 0, or -1 when memory is out. */
int map_reserve(struct map *m) MUST_CHECK;
/* Puts an item whose key is not there yet; 0, or -1 when memory is out (m unchanged). */
int map_put(struct map *m, void *item) MUST_CHECK;
/* Takes the item out and returns it; NULL: not there. */
void *map_take(struct map *m, struct str key);
/* Walks all items, in no order: start with *cursor 0, ends with NULL. Nothing may change meanwhile.
 */
void *map_next(const struct map *m, size_t *cursor);
