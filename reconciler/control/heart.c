#include "reconciler/control/heart.h"

#include "reconciler/base/channel.h"
#include "reconciler/base/clock.h"

void heart_beat(struct heart *h)
{
    const struct channel_message beat = {.type = CHANNEL_BEAT};
    const int64_t now = clock_steady_ms();
    struct error e;

    if (h->channel < 0 || (h->beaten_ms && now - h->beaten_ms < HEART_BEAT_MS))
        return;
    h->beaten_ms = now;
    /* A full channel has one unread; that of a supervisor that is gone ends us soon. */
    if (channel_send(h->channel, &beat, -1, &e) < 0)
        h->channel = -1;
}
