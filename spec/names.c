#include "names.h"

#include <stdlib.h>

#define NAMES_FIRST_SLOTS 2048

int names_init(struct names *n, struct arena *arena)
{
    *n = (struct names){.arena = arena, .last = NAMES_NONE};
    /* A seed that no file can know: the address is random, and hashes never leave this table. */
    n->seed = (uint64_t)(uintptr_t)arena * 0x9e3779b97f4a7c15u;
    n->slots = calloc(NAMES_FIRST_SLOTS, sizeof(*n->slots));
    n->slot_count = n->slots ? NAMES_FIRST_SLOTS : 0;
    return n->slots ? 0 : -1;
}

void names_fini(struct names *n)
{
    free(n->slots);
    free(n->items);
    free(n->follower);
    *n = (struct names){0};
}

struct str names_text(const struct names *n, uint32_t number)
{
    return number < n->count ? n->items[number] : STR_NONE;
}

static uint32_t *slot_of(const struct names *n, struct str name)
{
    uint32_t mask = n->slot_count - 1;
    uint32_t at = (uint32_t)str_hash(name, n->seed) & mask;

    while (n->slots[at] && !str_equal(n->items[n->slots[at] - 1], name))
        at = (at + 1) & mask;
    return &n->slots[at];
}

uint32_t names_find(const struct names *n, struct str name)
{
    return *slot_of(n, name) - 1;
}

static int widen(struct names *n)
{
    uint32_t wanted = n->slot_count * 2;
    uint32_t *slots;

    if (arena_charge(n->arena, n->slot_count * sizeof(*slots)))
        return -1;
    slots = calloc(wanted, sizeof(*slots));
    if (!slots)
        return -1;
    free(n->slots);
    n->slots = slots;
    n->slot_count = wanted;
    for (uint32_t i = 0; i < n->count; i++)
        *slot_of(n, n->items[i]) = i + 1;
    return 0;
}

static int add_room(struct names *n)
{
    uint32_t cap = n->cap ? n->cap * 2 : NAMES_FIRST_SLOTS / 2;
    struct str *items;
    uint32_t *follower;

    if (arena_charge(n->arena, (cap - n->cap) * (sizeof(*items) + sizeof(*follower))))
        return -1;
    items = realloc(n->items, cap * sizeof(*items));
    if (!items)
        return -1;
    n->items = items;
    follower = realloc(n->follower, cap * sizeof(*follower));
    if (!follower)
        return -1;
    n->follower = follower;
    n->cap = cap;
    return 0;
}

static uint32_t find_or_add(struct names *n, struct str name)
{
    uint32_t *slot = slot_of(n, name);
    struct str copy;

    if (*slot)
        return *slot - 1;
    if (n->count == n->cap && add_room(n))
        return NAMES_NONE;
    copy = arena_str(n->arena, name);
    if (!copy.ptr)
        return NAMES_NONE;
    if (n->count >= n->slot_count / 2) {
        if (widen(n))
            return NAMES_NONE;
        slot = slot_of(n, name);
    }
    n->items[n->count] = copy;
    n->follower[n->count] = NAMES_NONE;
    *slot = ++n->count;
    return n->count - 1;
}

uint32_t names_put(struct names *n, struct str name)
{
    uint32_t number = NAMES_NONE;

    /* Records repeat their keys in one order, so that the last successor is nearly always right. */
    if (n->last != NAMES_NONE)
        number = n->follower[n->last];
    if (number == NAMES_NONE || !str_equal(n->items[number], name)) {
        number = find_or_add(n, name);
        if (number == NAMES_NONE)
            return NAMES_NONE;
        if (n->last != NAMES_NONE)
            n->follower[n->last] = number;
    }
    n->last = number;
    return number;
}
