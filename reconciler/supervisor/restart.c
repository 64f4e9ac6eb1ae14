#include "restart.h"

#include "reconciler/base/attr.h"

static const int64_t delays_ms[] = {0, 100, 1000, 5000};

void restart_started(struct restart *r, int64_t now_ms)
{
    r->started_ms = now_ms;
    r->due_ms = RESTART_NEVER;
}

static bool has_settled(const struct restart *r, int64_t now_ms)
{
    return now_ms - r->started_ms >= RESTART_SETTLED_MS;
}

int64_t restart_delay_ms(const struct restart *r, int64_t now_ms)
{
    return delays_ms[has_settled(r, now_ms) ? 0 : r->deaths];
}

void restart_died(struct restart *r, int64_t now_ms)
{
    r->due_ms = now_ms + restart_delay_ms(r, now_ms);
    if (has_settled(r, now_ms))
        r->deaths = 0;
    if (r->deaths < ARRAY_LENGTH(delays_ms) - 1)
        r->deaths++;
}
