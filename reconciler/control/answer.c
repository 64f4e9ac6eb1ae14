#include "reconciler/control/answer.h"

#include <event2/event.h>

#include "reconciler/admin/pages.h"
#include "reconciler/control/control_private.h"
#include "reconciler/feed/demands.h"
#include "reconciler/core/render.h"
#include "reconciler/feed/feed.h"
#include "reconciler/publish/publisher.h"
#include "reconciler/store/store.h"

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

static void print_front(void *context, struct json_out *j)
{
    const struct control *c = context;
    const struct loaded *in_force = c->generation ? c->generation->loaded : NULL;
    /* Those of the refused file where there is one, else the warnings of the one in force. */
    const struct loaded *told = c->refused ? c->refused : in_force;

    json_out_key(j, "config");
    if (in_force)
        render_config_json(in_force->files, in_force->file_count, in_force->sha256, j);
    else
        json_out_null(j);
    json_out_key(j, "problems");
    if (told) {
        problems_print_json(&told->problems, j);
    } else {
        json_out_array(j);
        json_out_end(j);
    }
    json_out_key(j, "conditions");
    condition_print(&c->conditions, j);
}

/* One that is not desired is listed only if its retirement waits. */
static void print_name(void *context, struct subject subject, const struct desired_name *desired,
                       int64_t now, struct json_out *j)
{
    const struct control *c = context;
    const struct configuration *g = c->generation;
    const struct store_name *n = store_find(c->store, subject);
    struct configuration_name which = {.desired = desired};
    struct observed_name observed;
    struct action a;

    if (n) {
        observe_name(n, &c->state.observe, &observed);
        which.observed = &observed;
    }
    if (!desired && !n)
        return;
    a = configuration_decide(&c->state, g, &which, now);
    if (a.action != PLAN_NOTHING && a.action != PLAN_RETIRE)
        render_certificate_json(
            &a,
            &(struct render_options){.model = g->loaded->model, .desired = g->desired, .now = now},
            j);
}

static const struct desired_name *find_desired(void *context, struct subject subject, int64_t now,
                                               struct desired_name *room)
{
    const struct control *c = context;

    return pass_find_desired(&c->pass, subject, now, room);
}

struct pages answer_pages(void *context)
{
    const struct control *c = context;
    const struct configuration *g = c->generation;

    return (struct pages){.desired = g ? g->desired : NULL,
                          .is_empty = g && !g->loaded->model->entity_count,
                          .hash = g ? g->md5 : "",
                          .store = c->store,
                          .may_wait_to_retire = c->state.approved,
                          .counters = c->counters,
                          .worker_count = c->options->worker_count,
                          .current_workers = feed_current(c->feed),
                          .generation_number = publisher_count(c->publisher),
                          .demands_waiting = demands_count(c->demands),
                          .demands_dropped = demands_dropped(c->demands),
                          .context = context,
                          .find_desired = find_desired,
                          .print_front = print_front,
                          .print_name = print_name};
}
