#include "roster.h"

#include <endian.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/vec.h"
#include "store.h"

/* Names that went are swept out when there are this many, and more than a quarter of all. */
#define GONE_FLOOR 1024

/* For sorting many names without looking each of them up for each comparison. */
struct sort_key {
    uint64_t prefix; /* the first eight bytes, in an order that numbers have */
    struct store_name *name;
};

void roster_free(struct roster *r)
{
    for (size_t i = 0; i < r->len; i++)
        r->free_name(r->items[i]);
    vec_free(r);
    r->sorted = r->gone = 0;
}

int roster_add(struct roster *r, struct store_name *n)
{
    if (vec_reserve(r))
        return -1;
    if (r->len == r->sorted)
        r->is_tail_in_order = true;
    r->is_tail_in_order =
        r->is_tail_in_order &&
        (!r->len || subject_compare(&r->items[r->len - 1]->subject, &n->subject) < 0);
    r->items[r->len++] = n;
    return 0;
}

/* Drops the names that went, in place. */
static void sweep(struct roster *r)
{
    size_t kept = 0, sorted = 0;

    if (!r->gone)
        return;
    for (size_t i = 0; i < r->len; i++) {
        if (r->items[i]->is_gone) {
            r->free_name(r->items[i]);
            continue;
        }
        sorted += i < r->sorted;
        r->items[kept++] = r->items[i];
    }
    r->len = kept;
    r->sorted = sorted;
    r->gone = 0;
}

void roster_remove(struct roster *r, struct store_name *n)
{
    n->is_gone = true;
    r->gone++;
    if (r->gone > GONE_FLOOR && r->gone * 4 > r->len)
        sweep(r);
}

static uint64_t prefix_of(struct str name)
{
    uint64_t prefix = 0;

    memcpy(&prefix, name.ptr, name.len < sizeof(prefix) ? name.len : sizeof(prefix));
    return be64toh(prefix);
}

static int compare_keys(const void *left, const void *right)
{
    const struct sort_key *a = left, *b = right;

    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    return subject_compare(&a->name->subject, &b->name->subject);
}

static int sort_tail(struct roster *r)
{
    size_t count = r->len - r->sorted;
    struct store_name **tail = r->items + r->sorted;
    struct sort_key *keys = calloc(count, sizeof(*keys));

    if (!keys)
        return -1;
    for (size_t i = 0; i < count; i++)
        keys[i] = (struct sort_key){prefix_of(tail[i]->subject.name), tail[i]};
    qsort(keys, count, sizeof(*keys), compare_keys);
    for (size_t i = 0; i < count; i++)
        tail[i] = keys[i].name;
    free(keys);
    return 0;
}

/* How many of the first `count` come before `subject`. */
static size_t rank(const struct roster *r, size_t count, const struct subject *subject)
{
    size_t low = 0;

    while (low < count) {
        size_t middle = low + (count - low) / 2;
        if (subject_compare(&r->items[middle]->subject, subject) < 0)
            low = middle + 1;
        else
            count = middle;
    }
    return low;
}

/* The tail's names go to their places from the last on, so that each stretch in between moves once.
 */
static int merge_tail(struct roster *r)
{
    size_t count = r->len - r->sorted;
    size_t end = r->sorted;
    struct store_name **tail = malloc(count * sizeof(struct store_name *));

    if (!tail)
        return -1;
    memcpy(tail, r->items + r->sorted, count * sizeof(struct store_name *));
    for (size_t left = count; left > 0; left--) {
        size_t at = rank(r, end, &tail[left - 1]->subject);
        memmove(r->items + at + left, r->items + at, (end - at) * sizeof(struct store_name *));
        r->items[at + left - 1] = tail[left - 1];
        end = at;
    }
    free(tail);
    return 0;
}

int roster_sort(struct roster *r)
{
    sweep(r);
    if (r->sorted == r->len)
        return 0;
    if (!r->is_tail_in_order) {
        if (sort_tail(r))
            return -1;
        if (r->sorted && merge_tail(r))
            return -1;
    }
    r->sorted = r->len;
    return 0;
}
