#include "live.h"

#include <stdlib.h>

#define LIVE_FIRST_CAPACITY 64

void live_free(struct live *l)
{
    free(l->slots);
    *l = (struct live){0};
}

static void place(struct live_slot *slots, size_t cap, struct live_slot slot)
{
    size_t i = slot.hash & (cap - 1);

    while (slots[i].offset)
        i = (i + 1) & (cap - 1);
    slots[i] = slot;
}

int live_reserve(struct live *l, size_t count)
{
    size_t cap = l->cap ? l->cap : LIVE_FIRST_CAPACITY;
    struct live_slot *slots;

    /* At most three quarters full. */
    while ((l->len + count) * 4 > cap * 3)
        cap *= 2;
    if (cap == l->cap)
        return 0;
    slots = calloc(cap, sizeof(*slots));
    if (!slots)
        return -1;
    for (size_t i = 0; i < l->cap; i++)
        if (l->slots[i].offset)
            place(slots, cap, l->slots[i]);
    free(l->slots);
    l->slots = slots;
    l->cap = cap;
    return 0;
}

int live_find(const struct live *l, uint32_t hash, live_matches *matches, void *context,
              struct live_slot **slot)
{
    size_t mask = l->cap - 1;

    if (!l->len)
        return 0;
    for (size_t i = hash & mask; l->slots[i].offset; i = (i + 1) & mask) {
        int same = l->slots[i].hash == hash ? matches(context, l->slots[i].offset) : 0;
        if (same) {
            *slot = &l->slots[i];
            return same;
        }
    }
    return 0;
}

void live_put(struct live *l, struct live_slot slot)
{
    place(l->slots, l->cap, slot);
    l->len++;
}

void live_remove(struct live *l, struct live_slot *slot)
{
    size_t mask = l->cap - 1;
    size_t hole = (size_t)(slot - l->slots);

    /* What follows moves up, unless its own place lies behind the hole. */
    for (size_t i = (hole + 1) & mask; l->slots[i].offset; i = (i + 1) & mask) {
        size_t home = l->slots[i].hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        l->slots[hole] = l->slots[i];
        hole = i;
    }
    l->slots[hole] = (struct live_slot){0};
    l->len--;
}

bool live_has(const struct live *l, uint32_t hash, uint64_t offset)
{
    size_t mask = l->cap - 1;

    if (!l->len)
        return false;
    for (size_t i = hash & mask; l->slots[i].offset; i = (i + 1) & mask)
        if (l->slots[i].offset == offset)
            return true;
    return false;
}
