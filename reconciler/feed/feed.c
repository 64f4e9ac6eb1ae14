#include "reconciler/feed/feed.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/base/channel.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/vec.h"
#include "reconciler/feed/receiver.h"
#include "reconciler/feed/tickets.h"

struct waiter {
    uint64_t generation;
    void (*done)(void *context);
    void *context;
};

struct waiters vec(struct waiter);

struct feed {
    struct feed_state state;
    struct channel_segment segments[CHANNEL_SEGMENTS_MAX]; /* the state's */
    LIST_HEAD(, receiver) receivers;
    struct waiters waiters;
    struct tickets *tickets;
    struct event *look, *rotation;
};

/* ---- generations ---- */

static void resume_all(struct feed *f)
{
    struct receiver *r;

    LIST_FOREACH(r, &f->receivers, others)
    receiver_resume(r);
}

static int find_segment(const struct channel_segment *list, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].id == id)
            return list[i].fd;
    return -1;
}

/* Closes those of the first list that the second has not. */
static void drop_segments(const struct channel_segment *list, size_t count,
                          const struct channel_segment *kept, size_t kept_count)
{
    for (size_t i = 0; i < count; i++)
        if (find_segment(kept, kept_count, list[i].id) < 0)
            close(list[i].fd);
}

int feed_publish(struct feed *f, uint64_t generation, const struct channel_segment *newest_first,
                 size_t count, struct error *e)
{
    struct feed_state *s = &f->state;
    struct channel_segment next[CHANNEL_SEGMENTS_MAX];

    if (count > CHANNEL_SEGMENTS_MAX)
        BUG("more segments than a manifest holds");
    for (size_t i = 0; i < count; i++) {
        int own = find_segment(s->segments, s->count, newest_first[i].id);
        next[i] = newest_first[i];
        next[i].fd = own >= 0 ? own : fcntl(newest_first[i].fd, F_DUPFD_CLOEXEC, 3);
        if (next[i].fd >= 0)
            continue;
        error_errno(e, ERROR_IO, errno, "cannot keep a segment");
        drop_segments(next, i, s->segments, s->count);
        return -1;
    }
    drop_segments(s->segments, s->count, next, count);
    memcpy(f->segments, next, count * sizeof(*next));
    s->count = count;
    s->generation = generation;
    resume_all(f);
    return 0;
}

/* ---- acknowledgements ---- */

/* By all that are there, and there is one: with nobody at all nobody would answer. */
static bool is_acknowledged(const struct feed *f, uint64_t generation)
{
    const struct receiver *r;
    bool has_one = false;

    LIST_FOREACH(r, &f->receivers, others)
    {
        has_one |= receiver_has(r, generation);
        if (!receiver_allows(r, generation))
            return false;
    }
    return has_one;
}

static void on_changed(void *context)
{
    struct feed *f = context;

    for (size_t i = 0; i < f->waiters.len;) {
        struct waiter w = f->waiters.items[i];
        if (!is_acknowledged(f, w.generation)) {
            i++;
            continue;
        }
        memmove(&f->waiters.items[i], &f->waiters.items[i + 1], (--f->waiters.len - i) * sizeof(w));
        w.done(w.context); /* may add waiters: start over */
        i = 0;
    }
}

int feed_when_acknowledged(struct feed *f, uint64_t generation, void (*done)(void *context),
                           void *context)
{
    if (is_acknowledged(f, generation)) {
        done(context);
        return 0;
    }
    return vec_push(&f->waiters,
                    ((struct waiter){.generation = generation, .done = done, .context = context}));
}

size_t feed_current(const struct feed *f)
{
    const struct receiver *r;
    size_t current = 0;

    LIST_FOREACH(r, &f->receivers, others)
    current += receiver_has(r, f->state.generation);
    return current;
}

/* ---- clocks ---- */

static void on_look(int fd, short what, void *context)
{
    struct feed *f = context;
    struct receiver *r, *next;
    int64_t now = clock_steady_ms();

    (void)fd;
    (void)what;
    for (r = LIST_FIRST(&f->receivers); r; r = next) {
        next = LIST_NEXT(r, others);
        receiver_resume(r); /* where it was the kernel that had no room */
        receiver_look(r, now);
    }
}

static void set_rotation(struct feed *f, int64_t in_ms)
{
    const struct timeval in = {in_ms / 1000, in_ms % 1000 * 1000};

    tickets_print(f->tickets, &f->state.tickets);
    event_add(f->rotation, &in);
}

static void on_rotation(int fd, short what, void *context)
{
    struct feed *f = context;
    struct receiver *r;

    (void)fd;
    (void)what;
    set_rotation(f, tickets_rotate(f->tickets));
    LIST_FOREACH(r, &f->receivers, others)
    r->needs_tickets = true;
    resume_all(f);
}

/* ---- life ---- */

void feed_join(struct feed *f, struct receiver *r, const struct receiver_face *face, void *link)
{
    *r = (struct receiver){
        .face = face, .link = link, .state = &f->state, .changed = on_changed, .context = f};
    LIST_INSERT_HEAD(&f->receivers, r, others);
}

void feed_leave(struct receiver *r)
{
    LIST_REMOVE(r, others);
}

struct feed *feed_new(struct event_base *base, int tickets, struct error *e)
{
    const struct timeval second = {1, 0};
    struct feed *f = calloc(1, sizeof(*f));

    if (!f)
        return error_no_memory(e);
    f->state.segments = f->segments;
    f->tickets = tickets_new(tickets, e);
    if (!f->tickets)
        goto out;
    f->look = event_new(base, -1, EV_PERSIST, on_look, f);
    f->rotation = evtimer_new(base, on_rotation, f);
    if (!f->look || !f->rotation || event_add(f->look, &second)) {
        error_memory(e);
        goto out;
    }
    set_rotation(f, tickets_rotate(f->tickets));
    return f;
out:
    feed_free(f);
    return NULL;
}

void feed_free(struct feed *f)
{
    if (!f)
        return;
    if (f->look)
        event_free(f->look);
    if (f->rotation)
        event_free(f->rotation);
    drop_segments(f->state.segments, f->state.count, NULL, 0);
    vec_free(&f->waiters);
    tickets_free(f->tickets);
    explicit_bzero(&f->state.tickets, sizeof(f->state.tickets));
    free(f);
}
