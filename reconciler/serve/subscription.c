#include "subscription.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/happening.h"
#include "reconciler/snapshot/segment.h"
#include "view.h"

#define BATCH 64 /* messages taken in one turn of the loop */

struct held {
    uint64_t id;
    struct segment *segment;
};

struct subscription {
    struct subscription_options options;
    struct event readable, writable, resync;
    uint64_t number; /* 0 = none: only a RESET is listened to */
    struct held held[SUBSCRIPTION_SEGMENTS_MAX];
    size_t held_count;
    bool owes_hello, owes_ack, owes_drains;
    uint64_t generation; /* to acknowledge */
    int64_t resync_at_ms;
    bool has_warned_lock, has_warned_format;
};

/* ---- sending ---- */

/* 0 sent, 1 full, -1 control's end is gone: the supervisor will see to that. */
static int send_message(struct subscription *s, struct channel_message *m)
{
    struct error e;

    m->session = s->number;
    return channel_send(s->options.channel, m, -1, &e);
}

/* These must get through: they wait until the channel takes them. */
static void send_owed(struct subscription *s)
{
    struct channel_message hello = {.type = CHANNEL_HELLO}, ack = {.type = CHANNEL_ACK};
    struct channel_message drains = {.type = CHANNEL_DRAINS};

    hello.u.hello.pid = getpid();
    ack.u.ack.generation = s->generation;
    if (s->owes_hello)
        s->owes_hello = send_message(s, &hello) == 1;
    if (s->owes_ack && !s->owes_hello)
        s->owes_ack = send_message(s, &ack) == 1;
    if (s->owes_drains && !s->owes_hello && !s->owes_ack)
        s->owes_drains = send_message(s, &drains) == 1;
    if (s->owes_hello || s->owes_ack || s->owes_drains)
        event_add(&s->writable, NULL);
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    send_owed(context);
}

/* Copies a view that fits, with its NUL. */
static bool copy(char *to, size_t size, struct str from)
{
    if (from.len >= size)
        return false;
    memcpy(to, from.ptr, from.len);
    to[from.len] = '\0';
    return true;
}

static bool send_or_drop(struct subscription *s, struct channel_message *m)
{
    if (s->number && send_message(s, m) == 0)
        return true;
    counters_add(&s->options.counters->messages_dropped, 1);
    return false;
}

/* Not counted where it is dropped: a full channel says the same. */
void subscription_beat(struct subscription *s)
{
    struct channel_message m = {.type = CHANNEL_BEAT};

    if (s->number)
        (void)send_message(s, &m);
}

void subscription_drains(struct subscription *s)
{
    s->owes_drains = true;
    send_owed(s);
}

bool subscription_sni_seen(struct subscription *s, struct str name,
                           const struct address_block *from)
{
    struct channel_message m = {.type = CHANNEL_SNI_SEEN};

    m.u.sni.from = *from;
    return copy(m.u.sni.name, sizeof(m.u.sni.name), name) && send_or_drop(s, &m);
}

bool subscription_token_miss(struct subscription *s, struct str host, struct str token)
{
    struct channel_message m = {.type = CHANNEL_TOKEN_MISS};

    return copy(m.u.token.name, sizeof(m.u.token.name), host) &&
           copy(m.u.token.token, sizeof(m.u.token.token), token) && send_or_drop(s, &m);
}

/* ---- segments ---- */

static void drop_held(struct subscription *s)
{
    while (s->held_count)
        segment_unref(s->held[--s->held_count].segment);
}

static struct segment *find(const struct subscription *s, uint64_t id)
{
    for (size_t i = 0; i < s->held_count; i++)
        if (s->held[i].id == id)
            return s->held[i].segment;
    return NULL;
}

/* Begins anew, now or, when that was done lately, a little later: control may be as puzzled as we.
 */
static void resync(struct subscription *s)
{
    int64_t now = clock_steady_ms(), wait = s->resync_at_ms + SUBSCRIPTION_RESYNC_MS - now;
    const struct timeval in = {.tv_sec = SUBSCRIPTION_RESYNC_MS / 1000,
                               .tv_usec = SUBSCRIPTION_RESYNC_MS % 1000 * 1000};

    s->number = 0;
    s->owes_ack = false;
    if (s->resync_at_ms && wait > 0) {
        event_add(&s->resync, &in);
        return;
    }
    s->resync_at_ms = now;
    s->owes_hello = true;
    send_owed(s);
}

static void on_resync(evutil_socket_t fd, short what, void *context)
{
    struct subscription *s = context;

    (void)fd;
    (void)what;
    if (s->number)
        return; /* control came first */
    s->resync_at_ms = clock_steady_ms();
    s->owes_hello = true;
    send_owed(s);
}

static void take_segment(struct subscription *s, const struct channel_message *m, int fd)
{
    struct segment *segment;
    struct error e;
    bool locked = true;

    if (find(s, m->u.segment.id))
        return;
    if (fd < 0 || s->held_count == SUBSCRIPTION_SEGMENTS_MAX) {
        happening_tell(HAPPENING_SEGMENT_REFUSED,
                       FIELDS(field_int("id", (int64_t)m->u.segment.id)));
        return;
    }
    segment = segment_map(fd, &locked, &e);
    if (!segment) {
        happening_tell_error(HAPPENING_SEGMENT_REFUSED, &e,
                             FIELDS(field_int("id", (int64_t)m->u.segment.id)));
        return;
    }
    if (!locked && !s->has_warned_lock) {
        s->has_warned_lock = true;
        happening_tell(HAPPENING_KEYS_NOT_LOCKED, FIELDS(field_cstr("limit", "RLIMIT_MEMLOCK")));
    }
    s->held[s->held_count++] = (struct held){.id = m->u.segment.id, .segment = segment};
}

/* What a manifest does not name is dead. */
static void drop_unnamed(struct subscription *s, const struct channel_message *m)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->held_count; i++) {
        bool is_named = false;
        for (uint32_t k = 0; k < m->u.manifest.count && !is_named; k++)
            is_named = m->u.manifest.ids[k] == s->held[i].id;
        if (is_named)
            s->held[kept++] = s->held[i];
        else
            segment_unref(s->held[i].segment);
    }
    s->held_count = kept;
}

static void take_manifest(struct subscription *s, const struct channel_message *m)
{
    struct view *view = view_new(m->u.manifest.generation);

    for (uint32_t i = 0; view && i < m->u.manifest.count; i++) {
        struct segment *segment = find(s, m->u.manifest.ids[i]);
        if (segment) {
            view_add(view, segment);
            continue;
        }
        happening_tell(HAPPENING_MANIFEST_REFUSED,
                       FIELDS(field_int("generation", (int64_t)m->u.manifest.generation),
                              field_int("missing", (int64_t)m->u.manifest.ids[i])));
        view_free(view);
        view = NULL;
    }
    if (!view) {
        resync(s);
        return;
    }
    drop_unnamed(s, m);
    s->options.renewed(s->options.context, view);
    s->generation = m->u.manifest.generation;
    s->owes_ack = true;
    send_owed(s);
}

/* ---- receiving ---- */

static void take_reset(struct subscription *s, const struct channel_message *m)
{
    s->number = m->session;
    s->owes_ack = false;
    drop_held(s);
    event_del(&s->resync);
    s->owes_hello = true;
    send_owed(s);
}

static void take_message(struct subscription *s, struct channel_message *m, int fd)
{
    const struct subscription_options *o = &s->options;

    switch (m->type) {
    case CHANNEL_SEGMENT:
        take_segment(s, m, fd);
        break;
    case CHANNEL_MANIFEST:
        take_manifest(s, m);
        break;
    case CHANNEL_TICKET_KEYS_SET:
        o->tickets(o->context, m->u.tickets.keys, m->u.tickets.count);
        break;
    case CHANNEL_TOKEN_ANSWER:
        o->answered(o->context, str_from(m->u.token.token), str_from(m->u.token.answer));
        break;
    default:
        happening_tell(HAPPENING_CHANNEL_MESSAGE_UNEXPECTED, FIELDS(field_int("type", m->type)));
    }
}

/* The supervisor's; what our predecessor has not read is not for us. */
static void take_cover(const struct subscription *s, const struct channel_message *m, int *fd)
{
    const struct subscription_options *o = &s->options;

    if (m->u.cover.pid != getpid())
        return;
    if (m->type == CHANNEL_UNCOVER) {
        o->uncover(o->context, m->u.cover.slot);
    } else {
        o->cover(o->context, m->u.cover.slot, m->u.cover.address, *fd);
        *fd = -1;
    }
}

static void sort_message(struct subscription *s, struct channel_message *m, int *fd)
{
    if (m->type == 0) {
        if (!s->has_warned_format)
            happening_tell(HAPPENING_CHANNEL_FORMAT_FOREIGN,
                           FIELDS(field_int("format", m->format)));
        s->has_warned_format = true;
        return;
    }
    if (m->type == CHANNEL_RESET)
        take_reset(s, m);
    else if (m->type == CHANNEL_COVER || m->type == CHANNEL_UNCOVER)
        take_cover(s, m, fd);
    else if (s->number && m->session == s->number)
        take_message(s, m, *fd);
}

static void on_readable(evutil_socket_t channel, short what, void *context)
{
    struct subscription *s = context;
    struct channel_message m;
    struct error e;
    int fd, got = 1;

    (void)what;
    for (int i = 0; i < BATCH && got == 1; i++) {
        got = channel_receive((int)channel, &m, &fd, &e);
        if (got == 1)
            sort_message(s, &m, &fd);
        if (fd >= 0)
            close(fd);
    }
    explicit_bzero(&m, sizeof(m)); /* ticket keys pass through it */
    if (got >= 0)
        return;
    happening_tell_error(HAPPENING_CHANNEL_BROKEN, &e, FIELDS(field_cstr("peer", "control")));
    if (e.kind != ERROR_PROTOCOL)
        event_del(&s->readable); /* what is mapped is served on */
}

/* ---- life ---- */

struct subscription *subscription_new(const struct subscription_options *options)
{
    struct subscription *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->options = *options;
    event_assign(&s->readable, options->base, options->channel, EV_READ | EV_PERSIST, on_readable,
                 s);
    event_assign(&s->writable, options->base, options->channel, EV_WRITE, on_writable, s);
    event_assign(&s->resync, options->base, -1, 0, on_resync, s);
    if (event_add(&s->readable, NULL)) {
        free(s);
        return NULL;
    }
    s->owes_hello = true;
    send_owed(s);
    return s;
}

void subscription_free(struct subscription *s)
{
    if (!s)
        return;
    event_del(&s->readable);
    event_del(&s->writable);
    event_del(&s->resync);
    drop_held(s);
    free(s);
}
