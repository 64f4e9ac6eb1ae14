#include "roster.h"

#include "reconciler/base/channel.h"

static bool tell(const struct crew *c, size_t number)
{
    struct crew_slot *s = &c->slots[number];
    struct channel_message m = {.type = CHANNEL_SLOT};
    struct error e;

    m.u.slot.slot = (uint32_t)number;
    m.u.slot.has_old = s->has_old;
    m.u.slot.pid = s->worker.pid;
    if (channel_send(c->supervisor[CREW_NEAR], &m, s->has_new_channel ? s->channel[CREW_NEAR] : -1,
                     &e))
        return false;
    s->is_untold = s->has_new_channel = false;
    return true;
}

bool roster_tell(struct crew *c)
{
    bool is_done = true;

    for (size_t i = 0; c->control.pid && i < c->slot_count; i++)
        if (c->slots[i].is_untold)
            is_done = tell(c, i) && is_done;
    return !is_done;
}
