#include "reconciler/control/answer.h"

#include <event2/event.h>
#include <stdlib.h>

#include "reconciler/base/clock.h"
#include "reconciler/control/control_private.h"
#include "reconciler/feed/feed.h"
#include "reconciler/control/pages.h"
#include "reconciler/publish/publisher.h"

bool answer_is_busy(void *context, enum status_page page)
{
    const struct control *c = context;

    if (page == STATUS_PAGE_STATUS)
        return c->hashing && c->generation && !c->generation->md5[0];
    if (page == STATUS_PAGE_RETRY && c->pass.retries)
        return true;
    return c->is_lent && page >= STATUS_PAGE_CERTIFICATES;
}

void answer_retry(void *context, struct str name)
{
    struct control *c = context;

    pass_retry(&c->pass, name);
    event_active(c->turn, EV_TIMEOUT, 0);
}

static struct pages pages_of(const struct control *c)
{
    return (struct pages){
        .pass = &c->pass,
        .generation = (const struct configuration *const *)&c->generation,
        .refused = &c->refused,
        .conditions = &c->conditions,
        .counters = c->counters,
        .worker_count = c->options->worker_count,
        .current_workers = feed_current(c->feed),
        .generation_number = publisher_count(c->publisher),
    };
}

unsigned answer_print(void *context, enum status_page page, struct str name, struct buf *out)
{
    const struct pages pages = pages_of(context);

    return page == STATUS_PAGE_RETRY ? pages_print_failed(&pages, name, clock_now(), out)
                                     : pages_print(&pages, page, out);
}

/* A long page that somebody reads. */
struct reading {
    const struct control *control;
    struct pages_cursor cursor;
};

void *answer_begin(void *context, enum status_page page)
{
    struct reading *r = malloc(sizeof(*r));

    if (r) {
        r->control = context;
        pages_begin(&r->cursor, page);
    }
    return r;
}

bool answer_more(void *cursor, struct buf *out)
{
    struct reading *r = cursor;
    const struct pages pages = pages_of(r->control);

    return pages_more(&pages, &r->cursor, clock_now(), out);
}

void answer_end(void *cursor)
{
    free(cursor);
}
