#include "reconciler/control/first_load.h"

#include <event2/event.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/log.h"
#include "reconciler/control/control_private.h"
#include "reconciler/control/intake.h"
#include "reconciler/control/note.h"
#include "reconciler/io/job.h"

/*
 * A file that is refused at the start: every problem as the log has it; where nobody said in which
 * form, as `check` prints them.
 */
static int refuse_to_start(const struct control *c, const struct reload *r)
{
    struct buf out = BUF_INIT((size_t)16 << 20);

    if (c->options->settings->acme_log_format != LOG_AUTO) {
        intake_log_refused(r);
        return 1;
    }
    if (r->outcome == RELOAD_REFUSED) {
        problems_print_text(&r->new_refused->problems, &out);
    } else {
        buf_cstr(&out, "reconcert: ");
        note_error(&r->error, &out);
        buf_char(&out, '\n');
    }
    log_last_words(buf_view(&out));
    buf_free(&out);
    return 1;
}

struct first_reading {
    struct reload *reload;
    bool is_done;
};

static void run_first(void *context)
{
    struct reload *r = ((struct first_reading *)context)->reload;

    reload_read(r);
    if (r->goes_on)
        reload_apply(r);
}

static void on_first_read(void *context)
{
    ((struct first_reading *)context)->is_done = true;
}

/* As later ones are, so that the loop turns: we beat, and are heard, however large the file is. */
static void read_first(struct control *c, struct reload *r)
{
    struct first_reading first = {.reload = r};

    if (job_submit(c->jobs, run_first, on_first_read, &first)) {
        run_first(&first);
        return;
    }
    while (!first.is_done)
        event_base_loop(c->base, EVLOOP_ONCE);
}

int first_load(struct control *c, bool needs_approval)
{
    bool may_fall_back = c->options->is_restart || c->options->settings->acme_start_with_last_good;
    struct reload *r = &c->reload;
    int code = 0;

    c->is_lent = true; /* until what was read is taken: what comes in meanwhile waits */
    *r = (struct reload){.state = &c->state, .needs_approval = needs_approval, .now = clock_now()};
    read_first(c, r);
    if (r->outcome != RELOAD_READY && may_fall_back) {
        struct reload again = {.state = &c->state,
                               .needs_approval = r->needs_approval,
                               .now = r->now,
                               .from_last_good = true};
        read_first(c, &again);
        if (again.outcome == RELOAD_READY) {
            if (r->outcome == RELOAD_REFUSED || r->outcome == RELOAD_UNREADABLE)
                intake_take(c, r);
            condition_set(&c->conditions, CONDITION_LAST_GOOD,
                          "started from the last good file, for the present one is bad");
        }
        if (again.outcome == RELOAD_READY) {
            reload_fini(r);
            *r = again;
        } else {
            reload_fini(&again);
        }
    }
    if (r->outcome == RELOAD_READY)
        intake_take(c, r);
    else
        code = refuse_to_start(c, r);
    reload_fini(r);
    c->is_lent = false;
    return code;
}
