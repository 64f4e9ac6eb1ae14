#include "reconciler/core/breaker.h"

#include "reconciler/base/attr.h"

#define MINUTE ((int64_t)60)

static size_t slot(const struct breaker *b, size_t steps)
{
    return (b->head + steps) % ARRAY_LENGTH(b->ordered);
}

/*
 * Time goes on: what is an hour to come moves in empty. A clock that was set back renames the
 * minute, and forgets nothing.
 */
static void move(struct breaker *b, int64_t now)
{
    int64_t minute = now / MINUTE, steps = minute - b->minute;

    b->minute = minute;
    if (steps > (int64_t)ARRAY_LENGTH(b->ordered))
        steps = ARRAY_LENGTH(b->ordered);
    for (; steps > 0; steps--) {
        b->head = slot(b, 1);
        b->ordered[b->head] = 0;
        b->explained[slot(b, BREAKER_MINUTES)] = 0;
    }
}

/* Of the last hour, the minute that runs included. */
static uint64_t sum(const struct breaker *b, const uint32_t *ring)
{
    uint64_t total = 0;

    for (size_t age = 0; age < BREAKER_MINUTES; age++)
        total += ring[slot(b, ARRAY_LENGTH(b->ordered) - age)];
    return total;
}

int64_t breaker_stopped_until(const struct breaker *b, int64_t now)
{
    /* Longer than it ever stops: the clock was set back. */
    return b->until > now && b->until <= now + BREAKER_STOP_SECONDS ? b->until : 0;
}

int64_t breaker_ask(struct breaker *b, uint64_t names, int64_t now)
{
    uint64_t count, bound;

    move(b, now);
    if (breaker_stopped_until(b, now))
        return b->until;
    b->until = 0;
    count = sum(b, b->ordered);
    bound = names * BREAKER_ORDERS_A_NAME + BREAKER_ORDERS_SPARE + sum(b, b->explained);
    if (count < bound)
        return now;
    b->count = count;
    b->bound = bound;
    b->until = now + BREAKER_STOP_SECONDS;
    return b->until;
}

void breaker_count(struct breaker *b, int64_t now)
{
    move(b, now);
    b->ordered[b->head]++;
}

void breaker_explain(struct breaker *b, int64_t at, int64_t now)
{
    int64_t steps;

    move(b, now);
    steps = at / MINUTE - b->minute;
    if (steps < BREAKER_MINUTES)
        b->explained[slot(b, steps > 0 ? (size_t)steps : 0)]++;
}
