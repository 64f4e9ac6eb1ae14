#include "restart.h"

#include "reconciler/base/attr.h"

static const int64_t delays_ms[] = {0, 100, 1000, 5000};

void restart_started(struct restart *r, int64_t now_ms)
{
    r->started_ms = now_ms;
    r->due_ms = RESTART_NEVER;
}

void restart_died(struct restart *r, int64_t now_ms)
{
    if (now_ms - r->started_ms >= RESTART_SETTLED_MS)
        r->deaths = 0;
    r->due_ms = now_ms + delays_ms[r->deaths];
    if (r->deaths < ARRAY_LENGTH(delays_ms) - 1)
        r->deaths++;
}
