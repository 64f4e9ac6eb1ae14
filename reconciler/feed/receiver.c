#include "reconciler/feed/receiver.h"

#include <string.h>

#include "reconciler/base/clock.h"

static bool has_segment(const struct receiver *r, uint64_t id)
{
    for (size_t i = 0; i < r->sent_count; i++)
        if (r->sent[i] == id)
            return true;
    return false;
}

static int send_segments(struct receiver *r)
{
    const struct feed_state *s = r->state;

    for (size_t i = 0; i < s->count; i++) {
        int rc;
        if (has_segment(r, s->segments[i].id))
            continue;
        /* Generations came and went while there was little room: what is sent twice is dropped. */
        if (r->sent_count == RECEIVER_SENT_MAX)
            r->sent_count = 0;
        rc = r->face->send_segment(r->link, &s->segments[i]);
        if (rc)
            return rc;
        r->sent[r->sent_count++] = s->segments[i].id;
        r->owes_since_ms = clock_steady_ms();
    }
    return 0;
}

static void send_manifest(struct receiver *r)
{
    const struct feed_state *s = r->state;
    struct channel_message m = {.type = CHANNEL_MANIFEST};

    m.u.manifest.generation = s->generation;
    m.u.manifest.count = (uint32_t)s->count;
    for (size_t i = 0; i < s->count; i++)
        m.u.manifest.ids[i] = s->segments[i].id;
    if (r->face->send(r->link, &m))
        return;
    /* It drops what a manifest does not name. */
    r->sent_count = s->count;
    memcpy(r->sent, m.u.manifest.ids, s->count * sizeof(r->sent[0]));
    r->under_way = s->generation;
    r->owes_since_ms = clock_steady_ms();
}

static int send_tickets(struct receiver *r)
{
    struct channel_message m = r->state->tickets;
    int rc = r->face->send(r->link, &m);

    explicit_bzero(&m, sizeof(m));
    r->needs_tickets = rc == 1;
    return rc;
}

void receiver_resume(struct receiver *r)
{
    if (!r->is_live || (r->needs_tickets && send_tickets(r)))
        return;
    if (r->under_way != r->acknowledged || r->under_way == r->state->generation)
        return;
    if (!r->owes_since_ms)
        r->owes_since_ms = clock_steady_ms();
    if (send_segments(r) == 0)
        send_manifest(r);
}

static void forget(struct receiver *r, bool is_live)
{
    r->is_live = r->needs_tickets = is_live;
    r->acknowledged = r->under_way = 0;
    r->owes_since_ms = 0;
    r->sent_count = 0;
}

void receiver_begin(struct receiver *r)
{
    forget(r, true);
    receiver_resume(r);
}

void receiver_end(struct receiver *r)
{
    forget(r, false);
    r->changed(r->context);
}

void receiver_await(struct receiver *r, bool is_awaited)
{
    r->is_awaited = is_awaited;
    r->changed(r->context);
}

void receiver_acknowledged(struct receiver *r, uint64_t generation)
{
    if (!r->is_live || !r->under_way || generation != r->under_way)
        return;
    r->acknowledged = generation;
    r->owes_since_ms = 0;
    receiver_resume(r);
    r->changed(r->context);
}

bool receiver_has(const struct receiver *r, uint64_t generation)
{
    return r->is_live && r->acknowledged >= generation;
}

bool receiver_allows(const struct receiver *r, uint64_t generation)
{
    return !r->is_awaited && (!r->is_live || r->acknowledged >= generation);
}

void receiver_look(struct receiver *r, int64_t now_ms)
{
    if (!r->owes_since_ms || now_ms - r->owes_since_ms < RECEIVER_ACK_TIMEOUT_MS)
        return;
    receiver_end(r);
    r->face->late(r->link);
}
