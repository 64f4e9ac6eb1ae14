#include "recent.h"

#include <stdlib.h>
#include <sys/random.h>

#define WAYS 4 /* slots that one thing may be in */

struct mark {
    uint64_t hash;
    int64_t until_ms; /* 0 = free */
};

struct recent {
    int64_t keep_ms;
    uint64_t seed, mask; /* of the first slot */
    struct mark marks[];
};

struct recent *recent_new(size_t slots, int64_t keep_ms)
{
    size_t count = WAYS;
    struct recent *r;

    while (count < slots)
        count *= 2;
    r = calloc(1, sizeof(*r) + count * sizeof(r->marks[0]));
    if (!r)
        return NULL;
    r->keep_ms = keep_ms;
    r->mask = count - WAYS;
    if (getrandom(&r->seed, sizeof(r->seed), GRND_NONBLOCK) < 0)
        r->seed = (uintptr_t)r;
    return r;
}

void recent_free(struct recent *r)
{
    free(r);
}

/* Where this hash has its mark; r->mask + WAYS = nowhere. */
static size_t find(const struct recent *r, uint64_t hash)
{
    size_t first = hash & r->mask;

    for (size_t i = first; i < first + WAYS; i++)
        if (r->marks[i].until_ms && r->marks[i].hash == hash)
            return i;
    return r->mask + WAYS;
}

bool recent_has(const struct recent *r, struct str what, int64_t now_ms)
{
    size_t at = find(r, str_hash(what, r->seed));

    return at < r->mask + WAYS && r->marks[at].until_ms > now_ms;
}

void recent_mark(struct recent *r, struct str what, int64_t now_ms)
{
    uint64_t hash = str_hash(what, r->seed);
    size_t at = find(r, hash), first = hash & r->mask;

    if (at == r->mask + WAYS) {
        at = first;
        for (size_t i = first + 1; i < first + WAYS; i++)
            if (r->marks[i].until_ms < r->marks[at].until_ms)
                at = i;
    }
    r->marks[at] = (struct mark){.hash = hash, .until_ms = now_ms + r->keep_ms};
}

void recent_forget(struct recent *r, struct str what)
{
    size_t at = find(r, str_hash(what, r->seed));

    if (at < r->mask + WAYS)
        r->marks[at].until_ms = 0;
}
