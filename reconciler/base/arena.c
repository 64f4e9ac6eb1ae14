#include "arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ARENA_FIRST_BLOCK ((size_t)16 << 10)
#define ARENA_LARGEST_BLOCK ((size_t)4 << 20)
#define ARENA_ALIGNMENT 16
#define ARENA_PAGE ((size_t)4096)
#define ARENA_WIPE_PAGES 512
/* From here on a block is worth huge pages: an arena that large takes a fault each 4 KiB else. */
#define ARENA_HUGE_BLOCK ((size_t)2 << 20)

struct block {
    struct block *next;
    size_t size; /* of the mapping */
    size_t used; /* header included */
};

struct arena {
    struct block *blocks; /* the newest first; only it has room */
    size_t next_size;
    size_t used;
    size_t max;
    size_t fail_after;
    struct arena_limit *limit; /* NULL: none */
    bool secret;
};

/* `unit` is a power of two. */
static size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) & ~(unit - 1);
}

struct arena *arena_new(const struct arena_options *options)
{
    struct arena *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    a->next_size = ARENA_FIRST_BLOCK;
    a->max = options && options->max_bytes ? options->max_bytes : SIZE_MAX / 2;
    a->secret = options && options->secret;
    return a;
}

/* Pages of the block that nobody wrote to are not there; to wipe them would bring them in. */
static void wipe(struct block *b)
{
    unsigned char resident[ARENA_WIPE_PAGES];
    size_t used = b->used;

    for (size_t at = 0; at < used; at += ARENA_WIPE_PAGES * ARENA_PAGE) {
        char *from = (char *)b + at;
        size_t len =
            used - at < ARENA_WIPE_PAGES * ARENA_PAGE ? used - at : ARENA_WIPE_PAGES * ARENA_PAGE;

        if (mincore(from, len, resident))
            memset(resident, 1, sizeof(resident));
        for (size_t page = 0; page * ARENA_PAGE < len; page++) {
            size_t rest = len - page * ARENA_PAGE;

            if (resident[page] & 1)
                explicit_bzero(from + page * ARENA_PAGE, rest < ARENA_PAGE ? rest : ARENA_PAGE);
        }
    }
}

void arena_free(struct arena *a)
{
    struct block *b, *next;

    if (!a)
        return;
    for (b = a->blocks; b; b = next) {
        size_t size = b->size;
        next = b->next;
        if (a->secret)
            wipe(b);
        munmap(b, size);
    }
    free(a);
}

void arena_share(struct arena *a, struct arena_limit *limit)
{
    a->limit = limit;
}

int arena_charge(struct arena *a, size_t size)
{
    if (!a->limit)
        return 0;
    if (size > a->limit->max - a->limit->used) {
        a->limit->was_reached = true;
        return -1;
    }
    a->limit->used += size;
    return 0;
}

void arena_refund(struct arena *a, size_t size)
{
    if (a->limit)
        a->limit->used -= size;
}

size_t arena_room(const struct arena *a)
{
    return a->limit ? a->limit->max - a->limit->used : SIZE_MAX / 2;
}

static struct block *add_block(struct arena *a, size_t need)
{
    size_t size = a->next_size;
    struct block *b;

    if (size < need + sizeof(*b))
        size = round_up(need + sizeof(*b), 4096);
    if (arena_charge(a, size))
        return NULL;
    b = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b == MAP_FAILED)
        return NULL;
    if (a->secret)
        madvise(b, size, MADV_DONTDUMP);
    if (size >= ARENA_HUGE_BLOCK)
        madvise(b, size, MADV_HUGEPAGE);
    b->size = size;
    b->used = round_up(sizeof(*b), ARENA_ALIGNMENT);
    /* An oversized block goes behind the current one, which may still have room. */
    if (a->blocks && size > a->next_size) {
        b->next = a->blocks->next;
        a->blocks->next = b;
    } else {
        b->next = a->blocks;
        a->blocks = b;
        if (a->next_size < ARENA_LARGEST_BLOCK)
            a->next_size *= 2;
    }
    return b;
}

static void *take(struct arena *a, size_t size, size_t alignment)
{
    struct block *b = a->blocks;
    size_t at;

    if (a->fail_after && --a->fail_after == 0)
        return NULL;
    if (size > a->max - a->used)
        return NULL;
    at = b ? round_up(b->used, alignment) : 0;
    if (!b || at > b->size || b->size - at < size) {
        b = add_block(a, size + ARENA_ALIGNMENT);
        if (!b)
            return NULL;
        at = b->used;
    }
    b->used = at + size;
    a->used += size;
    return (char *)b + at;
}

void *arena_alloc(struct arena *a, size_t size)
{
    return take(a, size ? size : 1, ARENA_ALIGNMENT);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / 2 / size)
        return NULL;
    return arena_alloc(a, count * size);
}

struct str arena_str(struct arena *a, struct str s)
{
    char *copy = take(a, s.len + 1, 1);

    if (!copy)
        return STR_NONE;
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return (struct str){copy, s.len};
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    char *text;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        return STR_NONE;
    text = take(a, (size_t)len + 1, 1);
    if (!text)
        return STR_NONE;
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return (struct str){text, (size_t)len};
}

size_t arena_used(const struct arena *a)
{
    return a->used;
}

void arena_fail_after(struct arena *a, size_t n)
{
    a->fail_after = n;
}
