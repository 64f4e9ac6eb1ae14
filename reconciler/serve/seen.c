#include "seen.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "recent.h"

#define SLOTS 1024 /* addresses share one by chance, and for a second only */

struct seen {
    struct recent *names;
    uint64_t seed;
    int64_t second_ms; /* when `told` began to count */
    unsigned told;
    unsigned char told_for[SLOTS]; /* by hash of the address */
};

struct seen *seen_new(int64_t again_ms)
{
    struct seen *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->names = recent_new(SEEN_MAX, again_ms);
    if (getrandom(&s->seed, sizeof(s->seed), GRND_NONBLOCK) < 0)
        s->seed = (uintptr_t)s;
    if (s->names)
        return s;
    free(s);
    return NULL;
}

void seen_free(struct seen *s)
{
    if (!s)
        return;
    recent_free(s->names);
    free(s);
}

bool seen_has(const struct seen *s, struct str name, int64_t now_ms)
{
    return recent_has(s->names, name, now_ms);
}

bool seen_take(struct seen *s, const struct address_block *from, int64_t now_ms)
{
    unsigned char *told_for = &s->told_for[address_block_hash(from, s->seed) % SLOTS];

    if (now_ms - s->second_ms >= 1000) {
        s->second_ms = now_ms;
        s->told = 0;
        memset(s->told_for, 0, sizeof(s->told_for));
    }
    if (s->told >= SEEN_PER_SECOND || *told_for >= SEEN_PER_ADDRESS)
        return false;
    s->told++;
    ++*told_for;
    return true;
}

void seen_mark(struct seen *s, struct str name, int64_t now_ms)
{
    recent_mark(s->names, name, now_ms);
}
