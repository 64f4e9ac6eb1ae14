#include "reconciler/core/name_sort.h"

#include <endian.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW 8 /* bytes of a name that are compared at once */
/* Fewer items than this are put in order by insertion. */
#define SMALL 24

static struct str name_of(const struct name_item *item)
{
    return (struct str){item->name, item->len};
}

/* The bytes from `depth` on as a big-endian number, zeros behind the end: no host name holds a
 * zero. */
static uint64_t window_at(const struct name_item *item, size_t depth)
{
    uint64_t window = 0;
    size_t left = item->len > depth ? item->len - depth : 0;

    if (left)
        memcpy(&window, item->name + depth, left < WINDOW ? left : WINDOW);
    return be64toh(window);
}

static bool is_sorted(const struct name_item *items, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (str_compare(name_of(&items[i - 1]), name_of(&items[i])) > 0)
            return false;
    return true;
}

static void insertion_sort(struct name_item *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct name_item moving = items[i];
        size_t at = i;

        for (; at && str_compare(name_of(&items[at - 1]), name_of(&moving)) > 0; at--)
            items[at] = items[at - 1];
        items[at] = moving;
    }
}

/* One stable pass over one byte of the windows; false where all have the same byte and nothing
 * moved. */
static bool radix_pass(const struct name_item *from, struct name_item *to, size_t count, int shift)
{
    size_t starts[256] = {0};
    size_t sum = 0;

    for (size_t i = 0; i < count; i++)
        starts[from[i].window >> shift & 0xff]++;
    if (starts[from[0].window >> shift & 0xff] == count)
        return false;
    for (size_t byte = 0; byte < 256; byte++) {
        size_t here = starts[byte];
        starts[byte] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++)
        to[starts[from[i].window >> shift & 0xff]++] = from[i];
    return true;
}

static void sort_windows(struct name_item *items, struct name_item *spare, size_t count)
{
    struct name_item *from = items, *to = spare;

    for (int shift = 0; shift < 64; shift += 8)
        if (radix_pass(from, to, count, shift)) {
            struct name_item *swap = from;
            from = to;
            to = swap;
        }
    if (from != items)
        memcpy(items, from, count * sizeof(*items));
}

/* All items agree in their first `depth` bytes. Recurses once for every eight bytes of a name at
 * most. */
static void sort_from(struct name_item *items, struct name_item *spare, size_t count, size_t depth)
{
    if (count < SMALL) {
        insertion_sort(items, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        items[i].window = window_at(&items[i], depth);
    sort_windows(items, spare, count);
    for (size_t first = 0, last; first < count; first = last) {
        uint64_t window = items[first].window;

        for (last = first + 1; last < count && items[last].window == window;)
            last++;
        /* A zero in the lowest byte: all of them end inside this window, so they are equal. */
        if (last - first > 1 && window & 0xff)
            sort_from(items + first, spare, last - first, depth + WINDOW);
    }
}

void name_sort(struct name_item *items, struct name_item *spare, size_t count)
{
    if (!is_sorted(items, count))
        sort_from(items, spare, count, 0);
}

int name_sort_unique(struct str *names, size_t *count)
{
    struct name_item *sorted = reallocarray(NULL, *count + 1, 2 * sizeof(*sorted));
    size_t kept = 0;

    if (!sorted)
        return -1;
    for (size_t i = 0; i < *count; i++)
        sorted[i] = (struct name_item){.name = names[i].ptr, .len = (uint32_t)names[i].len};
    name_sort(sorted, sorted + *count, *count);
    for (size_t i = 0; i < *count; i++)
        if (!kept || !str_equal(names[kept - 1], name_of(&sorted[i])))
            names[kept++] = name_of(&sorted[i]);
    free(sorted);
    *count = kept;
    return 0;
}

static int compare_names(const void *name, const void *item)
{
    return str_compare(*(const struct str *)name, *(const struct str *)item);
}

const void *name_find(const void *items, size_t count, size_t size, struct str name)
{
    return count ? bsearch(&name, items, count, size, compare_names) : NULL;
}
