#include "map.h"

#include <stdlib.h>

/* Open addressing, linear probing, at most two thirds full; removal closes the gap. */
#define MAP_FIRST_CAPACITY 16

static uint64_t hash_of(const struct map *m, struct str key)
{
    return str_hash(key, m->seed);
}

void map_free(struct map *m)
{
    free(m->slots);
    m->slots = NULL;
    m->len = 0;
    m->cap = 0;
}

/* The slot that holds `key`, or the free one where it would go. The map has a free slot. */
static size_t probe(const struct map *m, struct str key, uint64_t hash)
{
    size_t mask = m->cap - 1;
    size_t i = (size_t)hash & mask;

    while (m->slots[i].item &&
           !(m->slots[i].hash == hash && str_equal(m->key(m->slots[i].item), key)))
        i = (i + 1) & mask;
    return i;
}

void *map_find(const struct map *m, struct str key)
{
    return m->len ? m->slots[probe(m, key, hash_of(m, key))].item : NULL;
}

static int grow(struct map *m)
{
    size_t cap = m->cap ? m->cap * 2 : MAP_FIRST_CAPACITY;
    struct map_slot *slots = calloc(cap, sizeof(*slots));

    if (!slots)
        return -1;
    for (size_t k = 0; k < m->cap; k++) {
        size_t i = (size_t)m->slots[k].hash & (cap - 1);
        if (!m->slots[k].item)
            continue;
        while (slots[i].item)
            i = (i + 1) & (cap - 1);
        slots[i] = m->slots[k];
    }
    free(m->slots);
    m->slots = slots;
    m->cap = cap;
    return 0;
}

int map_reserve(struct map *m)
{
    return (m->len + 1) * 3 <= m->cap * 2 ? 0 : grow(m);
}

int map_put(struct map *m, void *item)
{
    struct str key = m->key(item);
    uint64_t hash = hash_of(m, key);

    if (map_reserve(m))
        return -1;
    m->slots[probe(m, key, hash)] = (struct map_slot){item, hash};
    m->len++;
    return 0;
}

void *map_take(struct map *m, struct str key)
{
    size_t mask = m->cap - 1;
    size_t hole, i;
    void *item;

    if (!m->len)
        return NULL;
    hole = probe(m, key, hash_of(m, key));
    item = m->slots[hole].item;
    if (!item)
        return NULL;
    /* What follows moves up, unless its own place lies behind the hole. */
    for (i = (hole + 1) & mask; m->slots[i].item; i = (i + 1) & mask) {
        size_t home = (size_t)m->slots[i].hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        m->slots[hole] = m->slots[i];
        hole = i;
    }
    m->slots[hole] = (struct map_slot){0};
    m->len--;
    return item;
}

void *map_next(const struct map *m, size_t *cursor)
{
    while (*cursor < m->cap) {
        void *item = m->slots[(*cursor)++].item;
        if (item)
            return item;
    }
    return NULL;
}
