#include "reconciler/acme/poll.h"

#include "reconciler/acme/step.h"
#include "reconciler/base/attr.h"
#include "reconciler/base/http.h"

/* From there on, the last one. */
static const int schedule_ms[] = {20, 100, 250, 500, 1000, 2000, 4000, 8000};

static int64_t pause_of(unsigned count)
{
    size_t last = ARRAY_LENGTH(schedule_ms) - 1;

    return schedule_ms[count < last ? count : last];
}

void acme_poll_begin(struct acme_poll *p, int64_t now_ms)
{
    *p = (struct acme_poll){.started_ms = now_ms};
}

bool acme_poll_again(struct acme_poll *p, struct str retry_after, int64_t now_ms)
{
    int64_t at = http_retry_after(retry_after, now_ms / 1000);
    int64_t pause = at ? (at - now_ms / 1000) * 1000 : 0;

    if (pause > ACME_POLL_RETRY_AFTER_MAX_MS)
        pause = ACME_POLL_RETRY_AFTER_MAX_MS;
    /* "Now" is no pause: who says it forever is asked at our own pace. */
    if (pause <= 0)
        pause = pause_of(p->count);
    p->count++;
    p->next_ms = now_ms + pause;
    return p->next_ms - p->started_ms <= ACME_POLL_DEADLINE_MS;
}
