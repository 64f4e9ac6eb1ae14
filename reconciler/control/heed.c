#include "reconciler/control/heed.h"

#include <stdio.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/happening.h"
#include "reconciler/control/control_private.h"
#include "reconciler/store/store.h"

/* The machine's clock was set, not only kept right, when it jumps by more. */
#define HEED_JUMP_MS 5000

/* Where the clock was set, or the machine slept, what is due and what is valid is found out anew.
 */
static void heed_jump(struct control *c)
{
    int64_t offset = clock_now_ms() - clock_steady_ms(), jump = offset - c->clock_offset_ms;

    c->clock_offset_ms = offset;
    if (jump > -HEED_JUMP_MS && jump < HEED_JUMP_MS)
        return;
    happening_tell(HAPPENING_CLOCK_JUMPED, FIELDS(field_int("seconds", jump / 1000)));
    c->wants_sweep = true;
}

/* What the time alone sets right, and what is only counted now and then. */
static void heed_time(struct control *c)
{
    int64_t now = clock_now();
    char text[ERROR_MESSAGE_MAX];

    if (!breaker_stopped_until(&c->pass.breaker, now))
        condition_clear(&c->conditions, CONDITION_BREAKER);
    if (now >= clock_built_at()) {
        condition_clear(&c->conditions, CONDITION_CLOCK);
    } else {
        snprintf(text, sizeof(text),
                 "the system clock is wrong: it is before %s, when this program was not there yet; "
                 "nothing is ordered, retired or taken for expired until it is set",
                 clock_text(clock_built_at()).text);
        condition_set(&c->conditions, CONDITION_CLOCK, text);
    }
    /* Names that nothing is known of have no date of their own: the sweep that clears it. */
    if (c->generation && c->generation->policy.account_limited_until)
        c->wants_sweep |= now >= c->generation->policy.account_limited_until;
    c->wants_sweep |= c->pass.has_news;
    c->pass.has_news = false;
}

void heed_begin(struct control *c)
{
    c->clock_offset_ms = clock_now_ms() - clock_steady_ms();
    heed_time(c);
}

void heed(struct control *c)
{
    heed_jump(c);
    heed_time(c);
}

int64_t heed_breaker(struct pass *p, int64_t now)
{
    size_t desired = p->generation->desired->count, known = store_count(p->state->store);
    bool was_stopped = breaker_stopped_until(&p->breaker, now) != 0;
    int64_t at = breaker_ask(&p->breaker, desired > known ? desired : known, now);
    char text[ERROR_MESSAGE_MAX];

    if (at == now || was_stopped)
        return at;
    snprintf(text, sizeof(text),
             "%llu orders within an hour, and names and failures explain %llu: nothing is ordered "
             "before %s, or a new start",
             (unsigned long long)p->breaker.count, (unsigned long long)p->breaker.bound,
             clock_text(at).text);
    condition_set(p->conditions, CONDITION_BREAKER, text);
    return at;
}
