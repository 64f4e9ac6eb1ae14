#include "reconciler/feed/feed.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/base/channel.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/happening.h"
#include "reconciler/base/vec.h"

struct slot {
    struct feed *feed;
    size_t number;
    int channel;
    struct event *readable, *writable;
    uint64_t session; /* the last RESET sent; 0 = none yet */
    bool is_live;     /* it said HELLO in that session */
    bool is_awaited;  /* no word yet since we started: one of our predecessor's may serve there */
    int64_t pid;
    uint64_t acknowledged;    /* generation */
    uint64_t sent_generation; /* newest manifest that is in the channel */
    int64_t owes_since_ms;    /* an acknowledgement, or a word; steady clock; 0 = nothing */
    unsigned silent_seconds;  /* of a live one */
    bool needs_tickets;
    bool is_reported;                    /* CHANNEL_WORKER_READY went out for this pid */
    uint64_t sent[CHANNEL_SEGMENTS_MAX]; /* segments that it has */
    size_t sent_count;
};

struct waiter {
    uint64_t generation;
    void (*done)(void *context);
    void *context;
};

struct waiters vec(struct waiter);

struct feed {
    struct feed_options options;
    struct slot *slots;
    uint64_t generation;
    struct feed_segment segments[CHANNEL_SEGMENTS_MAX];
    size_t segment_count;
    struct waiters waiters;
    struct event *clock;    /* late workers */
    struct event *rotation; /* ticket keys */
    struct channel_message tickets;
    uint64_t next_session;
};

/* ---- sending ---- */

/* 0 sent, 1 full, -1 the channel is broken (it is the supervisor's to mend). */
static int send_to(struct slot *s, struct channel_message *m, int fd)
{
    struct error e;
    int rc;

    m->session = s->session;
    rc = channel_send(s->channel, m, fd, &e);
    if (rc < 0)
        happening_tell_error(HAPPENING_CHANNEL_BROKEN, &e,
                             FIELDS(field_int("slot", (int64_t)s->number)));
    return rc;
}

static bool has_segment(const struct slot *s, uint64_t id)
{
    for (size_t i = 0; i < s->sent_count; i++)
        if (s->sent[i] == id)
            return true;
    return false;
}

static int send_segments(struct slot *s)
{
    const struct feed *f = s->feed;

    for (size_t i = 0; i < f->segment_count; i++) {
        struct channel_message m = {.type = CHANNEL_SEGMENT};
        int rc;
        if (has_segment(s, f->segments[i].id))
            continue;
        m.u.segment.id = f->segments[i].id;
        m.u.segment.size = f->segments[i].size;
        if (s->sent_count == CHANNEL_SEGMENTS_MAX)
            return 1; /* the manifest ahead of these has not been sent: it prunes the list */
        rc = send_to(s, &m, f->segments[i].fd);
        if (rc)
            return rc;
        s->sent[s->sent_count++] = f->segments[i].id;
    }
    return 0;
}

static int send_manifest(struct slot *s)
{
    const struct feed *f = s->feed;
    struct channel_message m = {.type = CHANNEL_MANIFEST};
    int rc;

    m.u.manifest.generation = f->generation;
    m.u.manifest.count = (uint32_t)f->segment_count;
    for (size_t i = 0; i < f->segment_count; i++)
        m.u.manifest.ids[i] = f->segments[i].id;
    rc = send_to(s, &m, -1);
    if (rc)
        return rc;
    /* A worker drops what a manifest does not name. */
    s->sent_count = f->segment_count;
    memcpy(s->sent, m.u.manifest.ids, f->segment_count * sizeof(s->sent[0]));
    s->sent_generation = f->generation;
    if (!s->owes_since_ms)
        s->owes_since_ms = clock_steady_ms();
    return 0;
}

/* Everything that the slot lacks, as far as the channel takes it; the rest when it is writable
 * again. */
static void sync_slot(struct slot *s)
{
    int rc = 0;

    if (!s->is_live)
        return;
    /* Room in the list of sent segments comes back only with a manifest: forget what is not
     * current. */
    if (s->sent_count == CHANNEL_SEGMENTS_MAX)
        s->sent_count = 0;
    if (s->needs_tickets) {
        rc = send_to(s, &s->feed->tickets, -1);
        s->needs_tickets = rc == 1;
    }
    if (rc == 0 && s->feed->generation && s->sent_generation != s->feed->generation) {
        rc = send_segments(s);
        if (rc == 0)
            rc = send_manifest(s);
    }
    if (rc == 1)
        event_add(s->writable, NULL);
}

static void on_writable(int fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    sync_slot(arg);
}

/* Our own descriptor of a segment: the one we have, or a copy of the caller's. */
static int adopt(struct feed *f, const struct feed_segment *segment)
{
    for (size_t i = 0; i < f->segment_count; i++)
        if (f->segments[i].id == segment->id && f->segments[i].fd >= 0) {
            int fd = f->segments[i].fd;
            f->segments[i].fd = -1;
            return fd;
        }
    return fcntl(segment->fd, F_DUPFD_CLOEXEC, 3);
}

static void drop_segments(struct feed *f)
{
    for (size_t i = 0; i < f->segment_count; i++)
        if (f->segments[i].fd >= 0)
            close(f->segments[i].fd);
    f->segment_count = 0;
}

int feed_publish(struct feed *f, uint64_t generation, const struct feed_segment *newest_first,
                 size_t count, struct error *e)
{
    struct feed_segment next[CHANNEL_SEGMENTS_MAX];
    bool all = true;

    if (count > CHANNEL_SEGMENTS_MAX)
        BUG("more segments than a manifest holds");
    for (size_t i = 0; i < count; i++) {
        next[i] = newest_first[i];
        next[i].fd = adopt(f, &newest_first[i]);
        all = all && next[i].fd >= 0;
    }
    if (!all)
        error_errno(e, ERROR_IO, errno, "cannot keep a segment");
    drop_segments(f);
    f->generation = generation;
    memcpy(f->segments, next, count * sizeof(*next));
    f->segment_count = count;
    if (!all)
        return -1;
    for (size_t i = 0; i < f->options.count; i++)
        sync_slot(&f->slots[i]);
    return 0;
}

void feed_answer_token(struct feed *f, size_t slot, struct str host, struct str token,
                       struct str answer)
{
    struct channel_message m = {.type = CHANNEL_TOKEN_ANSWER};

    snprintf(m.u.token.name, sizeof(m.u.token.name), "%.*s", STR_ARG(host));
    snprintf(m.u.token.token, sizeof(m.u.token.token), "%.*s", STR_ARG(token));
    snprintf(m.u.token.answer, sizeof(m.u.token.answer), "%.*s", STR_ARG(answer));
    (void)!send_to(&f->slots[slot], &m, -1);
}

/* ---- acknowledgements ---- */

/* By all that live, and there is one: with no worker at all nobody would answer. */
static bool is_acknowledged(const struct feed *f, uint64_t generation)
{
    size_t live = 0;

    for (size_t i = 0; i < f->options.count; i++) {
        const struct slot *s = &f->slots[i];
        live += s->is_live;
        if (s->is_awaited || (s->is_live && s->acknowledged < generation))
            return false;
    }
    return live > 0;
}

static void release_waiters(struct feed *f)
{
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

static void tell_supervisor(struct feed *f, enum channel_type type, const struct slot *s)
{
    struct channel_message m = {.type = type};
    struct error e;

    m.u.worker.slot = (uint32_t)s->number;
    m.u.worker.pid = s->pid;
    if (f->options.supervisor >= 0 && channel_send(f->options.supervisor, &m, -1, &e))
        happening_tell(HAPPENING_SUPERVISOR_UNREACHABLE, FIELDS(field_int("type", type)));
}

static void on_acknowledged(struct slot *s, uint64_t generation)
{
    struct feed *f = s->feed;

    if (generation > s->acknowledged) {
        s->acknowledged = generation;
        /* One that is always a generation behind, because there are so many, is not a silent one.
         */
        s->owes_since_ms = clock_steady_ms();
    }
    if (s->acknowledged >= s->sent_generation)
        s->owes_since_ms = 0;
    if (s->acknowledged == f->generation && !s->is_reported) {
        s->is_reported = true;
        tell_supervisor(f, CHANNEL_WORKER_READY, s);
    }
    release_waiters(f);
}

/* ---- sessions ---- */

static void reset(struct slot *s)
{
    struct channel_message m = {.type = CHANNEL_RESET};

    s->session = ++s->feed->next_session;
    s->is_live = false;
    s->sent_count = 0;
    s->sent_generation = 0;
    s->acknowledged = 0;
    s->owes_since_ms = s->is_awaited ? s->owes_since_ms : 0;
    s->is_reported = false;
    if (send_to(s, &m, -1) == 1)
        happening_tell(HAPPENING_CHANNEL_FULL, FIELDS(field_int("slot", (int64_t)s->number)));
    release_waiters(s->feed); /* the one that died may have been the last to wait for */
}

static void on_hello(struct slot *s, const struct channel_message *m)
{
    /* To one of an older session the newer RESET is on its way: another would never end. */
    if (m->session && m->session < s->session)
        return;
    if (m->session != s->session) {
        reset(s);
        return;
    }
    s->is_live = true;
    s->is_awaited = false;
    s->owes_since_ms = 0;
    s->silent_seconds = 0;
    s->pid = m->u.hello.pid;
    s->needs_tickets = true;
    s->sent_count = 0;
    s->sent_generation = 0;
    happening_tell(HAPPENING_WORKER_CONNECTED,
                   FIELDS(field_int("slot", (int64_t)s->number), field_int("pid", s->pid)));
    sync_slot(s);
}

static void on_message(struct slot *s, const struct channel_message *m)
{
    const struct feed_options *o = &s->feed->options;

    if (m->type == CHANNEL_HELLO) {
        on_hello(s, m);
        return;
    }
    if (m->session != s->session || !s->is_live)
        return; /* of a worker that is gone */
    s->silent_seconds = 0;
    switch (m->type) {
    case CHANNEL_BEAT:
        break;
    case CHANNEL_ACK:
        on_acknowledged(s, m->u.ack.generation);
        break;
    case CHANNEL_SNI_SEEN:
        o->sni_seen(o->context, str_from(m->u.sni.name), &m->u.sni.from);
        break;
    case CHANNEL_TOKEN_MISS:
        o->token_missed(o->context, s->number, str_from(m->u.token.name),
                        str_from(m->u.token.token));
        break;
    default:
        happening_tell(HAPPENING_CHANNEL_MESSAGE_UNEXPECTED,
                       FIELDS(field_int("slot", (int64_t)s->number), field_int("type", m->type)));
    }
}

static void on_readable(int fd, short what, void *arg)
{
    struct slot *s = arg;
    struct channel_message m;
    struct error e;
    int attached, rc;

    (void)what;
    while ((rc = channel_receive(fd, &m, &attached, &e)) == 1) {
        if (attached >= 0)
            evutil_closesocket(attached); /* workers have nothing to hand us */
        on_message(s, &m);
    }
    if (rc < 0) {
        happening_tell_error(HAPPENING_CHANNEL_BROKEN, &e,
                             FIELDS(field_int("slot", (int64_t)s->number)));
        if (e.kind != ERROR_PROTOCOL)
            event_del(s->readable);
    }
}

/* ---- clocks ---- */

static void replace(struct slot *s, enum happening_name why)
{
    happening_tell(why, FIELDS(field_int("slot", (int64_t)s->number), field_int("pid", s->pid)));
    tell_supervisor(s->feed, CHANNEL_WORKER_KILL, s);
    s->is_live = false;
    s->is_awaited = false;
    s->owes_since_ms = 0;
    release_waiters(s->feed);
}

/* Seconds are counted, not measured: while we stood still nobody was silent. */
static void on_clock(int fd, short what, void *arg)
{
    struct feed *f = arg;
    int64_t now = clock_steady_ms();

    (void)fd;
    (void)what;
    for (size_t i = 0; i < f->options.count; i++) {
        struct slot *s = &f->slots[i];
        /* From our first turn on: before it, while we loaded, nobody could be heard. */
        if (s->is_awaited && !s->owes_since_ms)
            s->owes_since_ms = now;
        if (s->owes_since_ms && now - s->owes_since_ms >= FEED_ACK_TIMEOUT_MS)
            replace(s, HAPPENING_WORKER_DOES_NOT_ACKNOWLEDGE);
        else if (s->is_live && ++s->silent_seconds > FEED_SILENT_SECONDS)
            replace(s, HAPPENING_WORKER_SILENT);
    }
}

static void rotate_tickets(struct feed *f)
{
    unsigned char(*keys)[CHANNEL_TICKET_KEY_SIZE] = f->tickets.u.tickets.keys;
    uint32_t *count = &f->tickets.u.tickets.count;

    memmove(keys[1], keys[0], sizeof(keys[0]) * (CHANNEL_TICKET_KEYS - 1));
    if (RAND_bytes(keys[0], CHANNEL_TICKET_KEY_SIZE) != 1)
        BUG("no randomness for ticket keys");
    if (*count < CHANNEL_TICKET_KEYS)
        ++*count;
    for (size_t i = 0; i < f->options.count; i++) {
        f->slots[i].needs_tickets = true;
        sync_slot(&f->slots[i]);
    }
}

static void on_rotation(int fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    rotate_tickets(arg);
}

/* ---- life ---- */

static int open_slot(struct feed *f, size_t number)
{
    struct slot *s = &f->slots[number];

    s->feed = f;
    s->number = number;
    s->channel = f->options.channels[number];
    s->readable = event_new(f->options.base, s->channel, EV_READ | EV_PERSIST, on_readable, s);
    s->writable = event_new(f->options.base, s->channel, EV_WRITE, on_writable, s);
    if (!s->readable || !s->writable || event_add(s->readable, NULL))
        return -1;
    s->is_awaited = true;
    reset(s);
    return 0;
}

struct feed *feed_new(const struct feed_options *options, struct error *e)
{
    const struct timeval second = {1, 0}, hour = {FEED_TICKET_SECONDS, 0};
    struct feed *f = calloc(1, sizeof(*f));
    int rc = -1;

    if (!f) {
        error_memory(e);
        return NULL;
    }
    f->options = *options;
    f->slots = calloc(options->count, sizeof(*f->slots));
    f->clock = event_new(options->base, -1, EV_PERSIST, on_clock, f);
    f->rotation = event_new(options->base, -1, EV_PERSIST, on_rotation, f);
    f->tickets.type = CHANNEL_TICKET_KEYS_SET;
    /* Sessions of a control that died must not come again. */
    f->next_session = (uint64_t)clock_now_ms() << 16;
    if (f->slots && f->clock && f->rotation && event_add(f->clock, &second) == 0 &&
        event_add(f->rotation, &hour) == 0) {
        rotate_tickets(f);
        rc = 0;
    }
    for (size_t i = 0; rc == 0 && i < options->count; i++)
        rc = open_slot(f, i);
    if (rc == 0)
        return f;
    error_memory(e);
    feed_free(f);
    return NULL;
}

void feed_free(struct feed *f)
{
    if (!f)
        return;
    for (size_t i = 0; f->slots && i < f->options.count; i++) {
        if (f->slots[i].readable)
            event_free(f->slots[i].readable);
        if (f->slots[i].writable)
            event_free(f->slots[i].writable);
    }
    if (f->clock)
        event_free(f->clock);
    if (f->rotation)
        event_free(f->rotation);
    drop_segments(f);
    vec_free(&f->waiters);
    explicit_bzero(&f->tickets, sizeof(f->tickets));
    free(f->slots);
    free(f);
}

size_t feed_live(const struct feed *f)
{
    size_t live = 0;

    for (size_t i = 0; i < f->options.count; i++)
        live += f->slots[i].is_live;
    return live;
}

size_t feed_current(const struct feed *f)
{
    size_t current = 0;

    for (size_t i = 0; i < f->options.count; i++)
        current += f->slots[i].is_live && f->slots[i].acknowledged == f->generation;
    return current;
}
