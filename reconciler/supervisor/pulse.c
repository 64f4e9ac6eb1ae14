#include "pulse.h"

void pulse_felt(struct pulse *p, int64_t now_ms)
{
    *p = (struct pulse){.looked_ms = now_ms};
}

bool pulse_is_lost(struct pulse *p, int64_t now_ms)
{
    const int64_t most = 2 * PULSE_LOOK_MS, since = now_ms - p->looked_ms;

    p->silent_ms += since < most ? since : most;
    p->looked_ms = now_ms;
    return p->silent_ms >= PULSE_LOST_MS;
}
