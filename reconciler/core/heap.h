#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A binary heap in room that the caller provides: what comes `before` all others is at the top. */
struct heap {
    void **items;
    size_t count;
    bool (*before)(const void *a, const void *b);
};

void heap_push(struct heap *h, void *item); /* there must be room */
void *heap_pop(struct heap *h);             /* there must be an item */
