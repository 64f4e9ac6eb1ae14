#include "slab.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#define SLAB_SIZE ((size_t)4 << 20)

struct slab {
    size_t used;
    size_t takers;
    bool is_current; /* of its pool: kept when nobody uses it */
    char bytes[];
};

static struct slab *make(void)
{
    struct slab *s =
        mmap(NULL, SLAB_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (s == MAP_FAILED)
        return NULL;
    madvise(s, SLAB_SIZE, MADV_DONTDUMP);
    return s;
}

static void drop(struct slab *s)
{
    explicit_bzero(s->bytes, s->used);
    munmap(s, SLAB_SIZE);
}

void slab_release(void *home)
{
    struct slab *s = home;

    if (--s->takers)
        return;
    if (s->is_current) {
        explicit_bzero(s->bytes, s->used);
        s->used = 0;
    } else {
        drop(s);
    }
}

void slab_pool_fini(struct slab_pool *pool)
{
    struct slab *s = pool->current;

    pool->current = NULL;
    if (!s)
        return;
    s->is_current = false;
    if (!s->takers)
        drop(s);
}

void *slab_take(struct slab_pool *pool, size_t size, void **home)
{
    const size_t room = SLAB_SIZE - sizeof(struct slab);
    struct slab *s = pool->current;
    void *bytes;

    if (size > room)
        return NULL;
    if (s && room - s->used < size) {
        slab_pool_fini(pool);
        s = NULL;
    }
    if (!s) {
        s = make();
        if (!s)
            return NULL;
        s->is_current = true;
        pool->current = s;
    }
    bytes = s->bytes + s->used;
    s->used += size;
    s->takers++;
    *home = s;
    return bytes;
}
