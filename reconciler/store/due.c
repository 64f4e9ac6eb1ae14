#include "due.h"

#include <stdlib.h>

#include "reconciler/base/vec.h"
#include "store.h"

void due_free(struct due *d)
{
    vec_free(d);
}

static void place(struct due *d, size_t slot, struct due_entry entry)
{
    d->items[slot] = entry;
    entry.name->due_slot = (uint32_t)slot;
}

/* Puts `entry` at `slot` or, where a parent is later, higher up. */
static void rise(struct due *d, size_t slot, struct due_entry entry)
{
    while (slot && d->items[(slot - 1) / 2].at > entry.at) {
        place(d, slot, d->items[(slot - 1) / 2]);
        slot = (slot - 1) / 2;
    }
    place(d, slot, entry);
}

/* Puts `entry` at `slot` or, where a child is earlier, further down. */
static void sink(struct due *d, size_t slot, struct due_entry entry)
{
    for (;;) {
        size_t child = slot * 2 + 1;
        if (child + 1 < d->len && d->items[child + 1].at < d->items[child].at)
            child++;
        if (child >= d->len || d->items[child].at >= entry.at)
            break;
        place(d, slot, d->items[child]);
        slot = child;
    }
    place(d, slot, entry);
}

static void move(struct due *d, size_t slot, struct due_entry entry)
{
    if (slot && d->items[(slot - 1) / 2].at > entry.at)
        rise(d, slot, entry);
    else
        sink(d, slot, entry);
}

static void take_out(struct due *d, struct store_name *n)
{
    size_t slot = n->due_slot;
    struct due_entry last = d->items[--d->len];

    n->due_at = 0;
    if (slot < d->len)
        move(d, slot, last);
}

int due_set(struct due *d, struct store_name *n, int64_t at)
{
    if (!at) {
        if (n->due_at)
            take_out(d, n);
        return 0;
    }
    if (!n->due_at) {
        if (d->len >= UINT32_MAX || vec_reserve(d))
            return -1;
        n->due_slot = (uint32_t)d->len++;
    }
    n->due_at = at;
    move(d, n->due_slot, (struct due_entry){at, n});
    return 0;
}

struct store_name *due_first(const struct due *d)
{
    return d->len ? d->items[0].name : NULL;
}
