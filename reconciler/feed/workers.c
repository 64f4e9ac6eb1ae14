#include "reconciler/feed/workers.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "reconciler/base/channel.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/happening.h"
#include "reconciler/feed/feed.h"
#include "reconciler/feed/receiver.h"

struct slot {
    struct receiver receiver;
    struct workers *workers;
    size_t number;
    int channel;
    bool is_own; /* the channel is ours to close */
    struct event *readable, *writable;
    int64_t pid;      /* as the supervisor says; 0 = nobody, or not told yet */
    uint64_t session; /* the last RESET's; 0 = none yet */
    bool owes_reset;
    bool has_old;            /* a worker of the binary before this one accepts there */
    bool is_unheard;         /* one that served before our start, or may have, has not greeted us */
    int64_t due_ms;          /* its next word, before it is live; steady clock; 0 = none */
    unsigned silent_seconds; /* of a live one */
    bool owes_ready;         /* CHANNEL_WORKER_READY has not gone out for this session */
    bool is_warned;          /* of a message that was none */
    bool is_given_up;        /* the supervisor is asked for another one */
};

struct workers {
    struct workers_options options;
    struct slot *slots;
    struct event *clock;
    uint64_t next_session;
};

/* ---- to the supervisor ---- */

static bool tell_supervisor(const struct slot *s, enum channel_type type)
{
    const struct workers_options *o = &s->workers->options;
    struct channel_message m = {.type = type};
    struct error e;

    m.u.worker.slot = (uint32_t)s->number;
    m.u.worker.pid = s->pid;
    if (o->supervisor < 0 || channel_send(o->supervisor, &m, -1, &e) == 0)
        return true;
    happening_tell(HAPPENING_SUPERVISOR_UNREACHABLE, FIELDS(field_int("type", type)));
    return false;
}

static void report(struct slot *s)
{
    const struct receiver *r = &s->receiver;

    if (s->owes_ready && s->pid && r->acknowledged)
        s->owes_ready = !tell_supervisor(s, CHANNEL_WORKER_READY);
}

/* Whoever may answer there and cannot be told. */
static void await(struct slot *s)
{
    receiver_await(&s->receiver, s->has_old || s->is_unheard);
}

/* Where the supervisor cannot be told now, or the kill comes to nothing: again, later. */
static void replace(struct slot *s, enum happening_name why)
{
    happening_tell(why, FIELDS(field_int("slot", (int64_t)s->number), field_int("pid", s->pid)));
    s->due_ms = clock_steady_ms() + WORKERS_START_TIMEOUT_MS;
    s->is_given_up = tell_supervisor(s, CHANNEL_WORKER_KILL);
    s->is_unheard &= !s->is_given_up;
    receiver_end(&s->receiver);
    await(s);
}

/* ---- to the worker ---- */

/* A deadline that stands is not put off by who greets again and again. */
static void await_word(struct slot *s, int64_t within_ms)
{
    int64_t due = clock_steady_ms() + within_ms;

    if (!s->due_ms || s->due_ms > due)
        s->due_ms = due;
}

/* 0 sent, 1 full, -1 the channel is broken: the worker will be replaced, and its channel with it. */
static int send_to(struct slot *s, struct channel_message *m, int fd)
{
    struct error e;
    int rc;

    m->session = s->session;
    rc = channel_send(s->channel, m, fd, &e);
    if (rc > 0)
        event_add(s->writable, NULL);
    if (rc < 0)
        await_word(s, 0);
    return rc;
}

static void send_owed(struct slot *s)
{
    struct channel_message m = {.type = CHANNEL_RESET};

    if (s->owes_reset)
        s->owes_reset = send_to(s, &m, -1) == 1;
    if (!s->owes_reset)
        receiver_resume(&s->receiver);
}

static int send_message(void *link, struct channel_message *m)
{
    return send_to(link, m, -1);
}

static int send_segment(void *link, const struct channel_segment *segment)
{
    struct channel_message m = {.type = CHANNEL_SEGMENT};

    m.u.segment.id = segment->id;
    m.u.segment.size = segment->size;
    return send_to(link, &m, segment->fd);
}

static void on_late(void *link)
{
    replace(link, HAPPENING_WORKER_DOES_NOT_ACKNOWLEDGE);
}

static const struct receiver_face face = {send_message, send_segment, on_late};

static void on_writable(int fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    send_owed(arg);
}

void workers_answer_token(struct workers *w, size_t slot, struct str host, struct str token,
                          struct str answer)
{
    struct channel_message m = {.type = CHANNEL_TOKEN_ANSWER};

    snprintf(m.u.token.name, sizeof(m.u.token.name), "%.*s", STR_ARG(host));
    snprintf(m.u.token.token, sizeof(m.u.token.token), "%.*s", STR_ARG(token));
    snprintf(m.u.token.answer, sizeof(m.u.token.answer), "%.*s", STR_ARG(answer));
    (void)!send_to(&w->slots[slot], &m, -1);
}

/* ---- sessions ---- */

/* Nothing of what was before counts. */
static void begin_session(struct slot *s)
{
    s->session = ++s->workers->next_session;
    s->owes_ready = true;
    s->is_warned = false;
    receiver_end(&s->receiver);
}

static void on_hello(struct slot *s, const struct channel_message *m)
{
    /* To one of an older session the newer RESET is on its way: another would never end. */
    if (m->session && m->session < s->session)
        return;
    if (m->session != s->session) {
        begin_session(s);
        await_word(s, WORKERS_HELLO_TIMEOUT_MS);
        s->owes_reset = true;
        send_owed(s);
        return;
    }
    s->is_unheard = s->is_given_up = false;
    s->due_ms = 0;
    s->silent_seconds = 0;
    happening_tell(HAPPENING_WORKER_CONNECTED,
                   FIELDS(field_int("slot", (int64_t)s->number), field_int("pid", s->pid)));
    receiver_begin(&s->receiver);
    await(s);
}

/* Of a live one, in its session. */
static void on_message(struct slot *s, const struct channel_message *m)
{
    const struct workers_options *o = &s->workers->options;

    s->silent_seconds = 0;
    switch (m->type) {
    case CHANNEL_BEAT:
        break;
    case CHANNEL_ACK:
        receiver_acknowledged(&s->receiver, m->u.ack.generation);
        report(s);
        break;
    case CHANNEL_SNI_SEEN:
        o->sni_seen(o->context, str_from(m->u.sni.name), &m->u.sni.from);
        break;
    case CHANNEL_TOKEN_MISS:
        o->token_missed(o->context, s->number, str_from(m->u.token.name),
                        str_from(m->u.token.token));
        break;
    case CHANNEL_DRAINS:
        receiver_end(&s->receiver);
        break;
    default:
        happening_tell(HAPPENING_CHANNEL_MESSAGE_UNEXPECTED,
                       FIELDS(field_int("slot", (int64_t)s->number), field_int("type", m->type)));
    }
}

/* The supervisor tells of one that has died; any other that has shut its end is killed. */
static void on_end(struct slot *s)
{
    event_del(s->readable); /* until the next worker's */
    if (!s->pid)
        return;
    s->is_unheard = true;
    receiver_end(&s->receiver);
    await(s);
    await_word(s, WORKERS_END_MS);
}

/* What is no message harms nobody. */
static void on_broken(struct slot *s, const struct error *e)
{
    if (e->kind != ERROR_PROTOCOL) {
        on_end(s);
        return;
    }
    if (!s->is_warned)
        happening_tell_error(HAPPENING_CHANNEL_BROKEN, e,
                             FIELDS(field_int("slot", (int64_t)s->number)));
    s->is_warned = true;
}

static void on_readable(int fd, short what, void *arg)
{
    struct slot *s = arg;
    struct channel_message m;
    struct error e;
    int attached, rc = 1;

    (void)what;
    for (int i = 0; i < WORKERS_BATCH && rc == 1; i++) {
        rc = channel_receive(fd, &m, &attached, &e);
        if (rc == 1 && attached >= 0)
            close(attached); /* workers have nothing to hand us */
        if (rc == 1 && m.type == CHANNEL_HELLO)
            on_hello(s, &m);
        else if (rc == 1 && m.session == s->session && s->receiver.is_live)
            on_message(s, &m);
    }
    if (rc < 0)
        on_broken(s, &e);
}

/* Seconds are counted, not measured: while we stood still nobody was silent. */
static void on_clock(int fd, short what, void *arg)
{
    struct workers *w = arg;
    int64_t now = clock_steady_ms();

    (void)fd;
    (void)what;
    for (size_t i = 0; i < w->options.count; i++) {
        struct slot *s = &w->slots[i];
        send_owed(s); /* where it was the kernel that had no room */
        report(s);
        if ((s->receiver.is_live && ++s->silent_seconds > WORKERS_SILENT_SECONDS) ||
            (s->due_ms && now >= s->due_ms))
            replace(s, HAPPENING_WORKER_SILENT);
    }
}

/* ---- life ---- */

static int open_channel(struct slot *s, int channel)
{
    struct event_base *base = s->workers->options.base;

    s->channel = channel;
    s->readable = event_new(base, channel, EV_READ | EV_PERSIST, on_readable, s);
    s->writable = event_new(base, channel, EV_WRITE, on_writable, s);
    return s->readable && s->writable ? event_add(s->readable, NULL) : -1;
}

static void close_channel(struct slot *s)
{
    if (s->readable)
        event_free(s->readable);
    if (s->writable)
        event_free(s->writable);
    if (s->is_own)
        close(s->channel);
    s->readable = s->writable = NULL;
    s->is_own = false;
}

/* A new worker, and what leads to it alone: its predecessor is dead. */
static void take_channel(struct slot *s, int fd)
{
    close_channel(s);
    s->is_own = true;
    s->owes_reset = false;
    s->is_unheard = s->is_given_up = false;
    s->due_ms = 0;
    begin_session(s);
    if (open_channel(s, fd)) {
        struct error e;
        error_memory(&e);
        happening_tell_error(HAPPENING_CHANNEL_BROKEN, &e,
                             FIELDS(field_int("slot", (int64_t)s->number)));
    }
    await_word(s, WORKERS_START_TIMEOUT_MS);
}

void workers_told(struct workers *w, const struct channel_message *m, int fd)
{
    struct slot *s = &w->slots[m->u.slot.slot];

    if (m->u.slot.slot >= w->options.count)
        BUG("told of a slot that there is not");
    s->pid = m->u.slot.pid;
    s->has_old = m->u.slot.has_old;
    if (fd >= 0) {
        take_channel(s, fd);
    } else if (!s->pid) {
        s->due_ms = 0;
        s->is_unheard = false;
        receiver_end(&s->receiver);
    } else if (s->is_unheard) {
        await_word(s, WORKERS_HELLO_TIMEOUT_MS);
    }
    await(s);
}

static int open_slot(struct workers *w, size_t number)
{
    struct slot *s = &w->slots[number];

    s->workers = w;
    s->number = number;
    s->is_unheard = true;
    feed_join(w->options.feed, &s->receiver, &face, s);
    if (open_channel(s, w->options.channels[number]))
        return -1;
    begin_session(s);
    await(s);
    s->owes_reset = true;
    send_owed(s);
    return 0;
}

struct workers *workers_new(const struct workers_options *options, struct error *e)
{
    const struct timeval second = {1, 0};
    struct workers *w = calloc(1, sizeof(*w));
    int rc = -1;

    if (!w)
        return error_no_memory(e);
    w->options = *options;
    /* Sessions of a control that died must not come again. */
    w->next_session = (uint64_t)clock_now_ms() << 16;
    w->slots = calloc(options->count, sizeof(*w->slots));
    w->clock = event_new(options->base, -1, EV_PERSIST, on_clock, w);
    if (w->slots && w->clock)
        rc = event_add(w->clock, &second);
    for (size_t i = 0; rc == 0 && i < options->count; i++)
        rc = open_slot(w, i);
    if (rc == 0)
        return w;
    error_memory(e);
    workers_free(w);
    return NULL;
}

void workers_free(struct workers *w)
{
    if (!w)
        return;
    for (size_t i = 0; w->slots && i < w->options.count; i++)
        if (w->slots[i].workers) {
            feed_leave(&w->slots[i].receiver);
            close_channel(&w->slots[i]);
        }
    if (w->clock)
        event_free(w->clock);
    free(w->slots);
    free(w);
}
