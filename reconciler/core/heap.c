#include "reconciler/core/heap.h"

void heap_push(struct heap *h, void *item)
{
    size_t at = h->count++;

    for (; at && h->before(item, h->items[(at - 1) / 2]); at = (at - 1) / 2)
        h->items[at] = h->items[(at - 1) / 2];
    h->items[at] = item;
}

void *heap_pop(struct heap *h)
{
    void *top = h->items[0], *moving = h->items[--h->count];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < h->count && h->before(h->items[child + 1], h->items[child]))
            child++;
        if (child >= h->count || !h->before(h->items[child], moving))
            break;
        h->items[at] = h->items[child];
        at = child;
    }
    h->items[at] = moving;
    return top;
}
