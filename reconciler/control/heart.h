#pragma once

#include <stdint.h>

/*
 * Tells the supervisor that control goes on (CHANNEL_BEAT): one that says nothing for long is
 * killed and replaced. The loop beats; what runs long before it turns beats in its steps.
 */
#define HEART_BEAT_MS 1000

/* Zero it but for `channel`, to the supervisor; -1 = none. */
struct heart {
    int channel;
    int64_t beaten_ms;
};

/* Beats, unless it has just beaten: cheap, to be called as often as there is progress. */
void heart_beat(struct heart *h);
