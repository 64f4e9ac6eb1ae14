#include "cover.h"

#include "reconciler/base/channel.h"
#include "reconciler/base/happening.h"

/* Who may cover in this slot: its worker, or the old binary's one. */
struct coverer {
    pid_t pid; /* 0 = nobody */
    int channel;
};

static struct coverer coverer_in(const struct crew_slot *s)
{
    if (s->worker.pid && s->is_serving)
        return (struct coverer){s->worker.pid, s->channel[CREW_NEAR]};
    return (struct coverer){s->old_pid, s->old_channel[CREW_NEAR]};
}

static struct coverer find_coverer(const struct crew *c, pid_t pid)
{
    for (size_t i = 0; i < c->slot_count; i++) {
        struct coverer who = coverer_in(&c->slots[i]);
        if (who.pid == pid)
            return who;
    }
    return (struct coverer){0};
}

static bool is_orphan(const struct crew_slot *s)
{
    /* A start that goes well is soon over. */
    return (s->was_serving || s->worker.restart.deaths) && !coverer_in(s).pid;
}

static int tell(struct coverer who, enum channel_type type, size_t slot, size_t address, int fd)
{
    struct channel_message m = {.type = type};
    struct error e;

    m.u.cover.slot = (uint32_t)slot;
    m.u.cover.address = (uint32_t)address;
    m.u.cover.pid = who.pid; /* what it leaves unread is not for its successor */
    return channel_send(who.channel, &m, fd, &e);
}

/* The sockets that `who` has not been sent yet. False: not all of them could be. */
static bool send_sockets(struct crew *c, size_t slot, struct coverer who)
{
    struct crew_slot *s = &c->slots[slot];
    const struct listeners *l = &c->listeners;

    while (s->cover_sent < l->address_count &&
           tell(who, CHANNEL_COVER, slot, s->cover_sent,
                l->fds[slot * l->address_count + s->cover_sent]) == 0)
        s->cover_sent++;
    return s->cover_sent == l->address_count;
}

/* False: those who could have it cannot be told now. Without any there is nothing to be done. */
static bool cover(struct crew *c, size_t slot)
{
    struct crew_slot *s = &c->slots[slot];
    bool is_done = true;

    for (size_t i = 1; i < c->slot_count && !s->cover_pid; i++) {
        struct coverer who = coverer_in(&c->slots[(slot + i) % c->slot_count]);
        if (!who.pid)
            continue;
        is_done = send_sockets(c, slot, who);
        if (!is_done && !s->cover_sent)
            continue;
        s->cover_pid = who.pid;
        happening_tell(HAPPENING_SLOT_COVERED,
                       FIELDS(field_int("slot", (int64_t)slot), field_int("by_pid", who.pid)));
    }
    return is_done;
}

static bool uncover(const struct crew *c, size_t slot)
{
    struct coverer who = find_coverer(c, c->slots[slot].cover_pid);

    return !who.pid || tell(who, CHANNEL_UNCOVER, slot, 0, -1) != 1;
}

/* False: to be tried again. */
static bool cover_slot(struct crew *c, size_t slot)
{
    struct crew_slot *s = &c->slots[slot];
    struct coverer who = s->cover_pid ? find_coverer(c, s->cover_pid) : (struct coverer){0};

    if (is_orphan(s) && who.pid)
        return send_sockets(c, slot, who);
    if (s->cover_pid && !uncover(c, slot))
        return false;
    s->cover_pid = 0;
    s->cover_sent = 0;
    return !is_orphan(s) || cover(c, slot);
}

bool cover_slots(struct crew *c)
{
    bool is_done = true;

    for (size_t i = 0; i < c->slot_count; i++)
        is_done = cover_slot(c, i) && is_done;
    return !is_done;
}
