#include "reconciler/feed/tickets.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "reconciler/base/channel.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/descriptor.h"

#define PAGE_FORMAT 1 /* over an upgrade two builds share the page */

struct set {
    int64_t made_ms; /* the newest; steady clock, which outlives us */
    uint32_t count;
    unsigned char keys[CHANNEL_TICKET_KEYS][CHANNEL_TICKET_KEY_SIZE]; /* newest first */
};

/* We may be killed at any moment: the set that is not current is written, then it is current. */
struct page {
    _Atomic uint32_t format; /* 0 = never written */
    _Atomic uint32_t current;
    struct set sets[2];
};

_Static_assert(sizeof(struct page) <= DESCRIPTOR_TICKETS_SIZE, "keys fit into their page");

struct tickets {
    struct page *page;
};

static const struct set *current(const struct tickets *t)
{
    return &t->page->sets[atomic_load(&t->page->current) & 1];
}

static void add_key(struct tickets *t, int64_t made_ms)
{
    const struct set *old = current(t);
    uint32_t next = !(atomic_load(&t->page->current) & 1);
    struct set *set = &t->page->sets[next];

    memcpy(set->keys[1], old->keys[0], sizeof(set->keys[0]) * (CHANNEL_TICKET_KEYS - 1));
    if (getrandom(set->keys[0], CHANNEL_TICKET_KEY_SIZE, 0) != CHANNEL_TICKET_KEY_SIZE)
        BUG("no randomness for ticket keys");
    set->count = old->count < CHANNEL_TICKET_KEYS ? old->count + 1 : CHANNEL_TICKET_KEYS;
    set->made_ms = made_ms;
    atomic_store(&t->page->current, next);
}

/* Of a clock that has gone back, or of a build that writes it in another way: none. */
static bool is_sound(const struct tickets *t, int64_t now_ms)
{
    const struct set *set = current(t);

    return atomic_load(&t->page->format) == PAGE_FORMAT && set->count >= 1 &&
           set->count <= CHANNEL_TICKET_KEYS && set->made_ms <= now_ms &&
           now_ms - set->made_ms < TICKETS_ROTATION_MS * CHANNEL_TICKET_KEYS;
}

int64_t tickets_rotate(struct tickets *t)
{
    int64_t now = clock_steady_ms(), made = current(t)->made_ms;

    /* Hours in which nobody was there to do it count, too: their keys are nobody's. */
    for (; now - made >= TICKETS_ROTATION_MS; made += TICKETS_ROTATION_MS)
        add_key(t, made + TICKETS_ROTATION_MS);
    return made + TICKETS_ROTATION_MS - now;
}

struct tickets *tickets_new(int fd, struct error *e)
{
    struct tickets *t = calloc(1, sizeof(*t));
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;

    if (!t)
        return error_no_memory(e);
    t->page = mmap(NULL, DESCRIPTOR_TICKETS_SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (t->page == MAP_FAILED) {
        error_errno(e, ERROR_IO, errno, "ticket keys");
        free(t);
        return NULL;
    }
    madvise(t->page, DESCRIPTOR_TICKETS_SIZE, MADV_DONTDUMP);
    (void)!mlock(t->page, DESCRIPTOR_TICKETS_SIZE); /* as far as RLIMIT_MEMLOCK allows */
    if (is_sound(t, clock_steady_ms())) {
        tickets_rotate(t);
        return t;
    }
    explicit_bzero(t->page, sizeof(*t->page));
    add_key(t, clock_steady_ms());
    atomic_store(&t->page->format, PAGE_FORMAT);
    return t;
}

void tickets_free(struct tickets *t)
{
    if (!t)
        return;
    munmap(t->page, DESCRIPTOR_TICKETS_SIZE);
    free(t);
}

void tickets_print(const struct tickets *t, struct channel_message *m)
{
    const struct set *set = current(t);

    *m = (struct channel_message){.type = CHANNEL_TICKET_KEYS_SET};
    m->u.tickets.count = set->count;
    memcpy(m->u.tickets.keys, set->keys, sizeof(set->keys));
}
