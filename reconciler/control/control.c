#include "reconciler/control/control.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "reconciler/base/channel.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/log.h"
#include "reconciler/control/note.h"
#include "reconciler/control/answer.h"
#include "reconciler/control/assembly.h"
#include "reconciler/control/control_private.h"
#include "reconciler/feed/demands.h"
#include "reconciler/control/first_load.h"
#include "reconciler/feed/workers.h"
#include "reconciler/control/heed.h"
#include "reconciler/control/intake.h"
#include "reconciler/issue/issuance.h"
#include "reconciler/control/journal.h"
#include "reconciler/control/outcome.h"
#include "reconciler/control/prefix.h"
#include "reconciler/publish/challenge_board.h"
#include "reconciler/publish/publisher.h"
#include "reconciler/admin/status.h"
#include "reconciler/core/render.h"
#include "reconciler/control/visit.h"
#include "reconciler/io/httpc.h"
#include "reconciler/io/job.h"
#include "reconciler/supervisor/supervisor.h"

#define CONTROL_PUBLISH_RETRY_SECONDS 1
/* Actions of a plan that one turn of the loop carries out. */
#define CONTROL_ACTIONS_A_TURN 2000
/* A file that is written without end is read after all, after this many looks. */
#define CONTROL_RESTLESS_MAX 30
/* What is under way when we are told to stop gets this much less than until we are killed. */
#define CONTROL_STOP_MARGIN_MS 500

static void turn(struct control *c);

static void wake(void *context)
{
    struct control *c = context;

    event_active(c->turn, EV_TIMEOUT, 0);
}

static void in_seconds(struct event *timer, int64_t seconds)
{
    const struct timeval wait = {seconds > 0 ? seconds : 0, seconds > 0 ? 0 : 1000};

    event_add(timer, &wait);
}

/* ---- publishing ---- */

/* Returns after how many seconds there is more to announce; INT64_MAX: nothing that we know of. */
static int64_t announce(struct control *c)
{
    struct error e;

    if (!publisher_announce(c->publisher, &e)) {
        condition_set(&c->conditions, CONDITION_PUBLISH, e.message);
        return CONTROL_PUBLISH_RETRY_SECONDS;
    }
    condition_clear(&c->conditions, CONDITION_PUBLISH);
    return publisher_wait(c->publisher);
}

static void on_served(void *context, uint64_t owner)
{
    issuance_presented(((struct control *)context)->issuance, owner);
}

static int present(void *context, uint64_t owner, const struct challenge *challenge,
                   struct error *e)
{
    struct control *c = context;

    wake(c);
    return challenge_board_put(c->board, owner, challenge, e);
}

static void cleanup(void *context, uint64_t owner)
{
    struct control *c = context;

    if (challenge_board_withdraw(c->board, owner))
        wake(c);
}

static void on_token_missed(void *context, size_t slot, struct str host, struct str token)
{
    struct control *c = context;

    /* Known here but not there: the generation that holds it is on its way to the worker. */
    workers_answer_token(c->workers, slot, host, token,
                         challenge_board_find(c->board, CHALLENGE_HTTP_01, token));
}

static void on_sni_seen(void *context, struct str name, const struct address_block *from)
{
    struct control *c = context;
    int64_t now = clock_now();

    if (demands_hear(c->demands, name, from, now) || demands_has_news(c->demands, now))
        wake(c);
}

/* ---- orders ---- */

static void judge_chain(struct control *c, const struct issuance_result *r)
{
    char text[ERROR_MESSAGE_MAX];

    if (!r->lacks_chain) {
        condition_clear(&c->conditions, CONDITION_CHAIN);
        return;
    }
    snprintf(text, sizeof(text),
             "the CA offers no chain under the preferred \"%.*s\": its own choice is served",
             STR_ARG(str_slice(r->ca->preferred_chain, 0, 200)));
    condition_set(&c->conditions, CONDITION_CHAIN, text);
}

static void on_issued(void *context, const struct issuance_result *result)
{
    judge_chain(context, result);
    pass_issued(&((struct control *)context)->pass, result, clock_now());
}

static void on_failed(void *context, const struct issuance_result *result, const struct error *e,
                      bool is_resumable)
{
    struct control *c = context;
    int64_t now = clock_now();

    if (!outcome_is_of_account(&c->pass, &c->generation->policy, result, e, now))
        pass_failed(&c->pass, result, e, is_resumable, now);
}

static int on_draw(void *context, struct str name, bool renewal, struct error *e)
{
    const struct budget_request request = {.name = name, .renewal = renewal};

    return budget_draw(((struct control *)context)->pass.budget, &request, clock_now(), e);
}

static void on_http(void *context)
{
    struct control *c = context;
    struct httpc_done done;

    while (httpc_next(c->httpc, &done)) {
        issuance_reply(c->issuance, &done);
        httpc_release(c->httpc, &done);
    }
}

/* ---- reloading ---- */

static void run_read(void *context)
{
    reload_read(&((struct control *)context)->reload);
}

static void on_read(void *context)
{
    struct control *c = context;

    c->is_read = true;
    wake(c);
}

static void run_apply(void *context)
{
    reload_apply(&((struct control *)context)->reload);
}

static void end_reload(struct control *c)
{
    c->is_reading = c->is_read = false;
    intake_take(c, &c->reload);
    reload_fini(&c->reload);
    wake(c);
}

static void on_applied(void *context)
{
    struct control *c = context;

    c->is_lent = false;
    end_reload(c);
}

/* Puts in force what was read; the state is ours to lend. */
static void apply_reload(struct control *c)
{
    if (!c->reload.goes_on)
        end_reload(c);
    else if (job_submit(c->jobs, run_apply, on_applied, c))
        wake(c); /* the next turn tries again */
    else
        c->is_lent = true;
}

/* `apply` does nothing else than what has been approved, whatever the settings say. */
static bool needs_approval(const struct control *c)
{
    return c->options->leaves_when_idle || settings_approve(c->options->settings);
}

static void start_reload(struct control *c)
{
    c->reload = (struct reload){.state = &c->state,
                                .current = c->generation,
                                .refused = c->refused,
                                .sweep_only = !c->wants_reload,
                                .is_forced = c->is_forced,
                                .needs_approval = needs_approval(c),
                                .approved = c->approval,
                                .is_poll = c->is_polled && c->restless < CONTROL_RESTLESS_MAX,
                                .now = clock_now()};
    if (job_submit(c->jobs, run_read, on_read, c))
        return; /* still wanted: the next turn tries again */
    c->is_reading = true;
    /* A file that turns out to be the same is no sweep: one that is wanted comes behind it. */
    if (c->wants_reload)
        c->wants_reload = c->is_forced = false;
    else
        c->wants_sweep = false;
}

/* What is left of the plan that is being carried out stands in the next one again. */
static void go_on_reloading(struct control *c)
{
    if (c->is_read)
        apply_reload(c);
    else if ((c->wants_reload || c->wants_sweep) && !c->is_reading)
        start_reload(c);
}

static void look_soon(void *context)
{
    struct control *c = context;

    c->wants_reload = true;
    c->is_polled = false;
    wake(c);
}

/* ---- the turn ---- */

static void note_account(struct control *c)
{
    const struct error *e = issuance_account_error(c->issuance);

    if (e)
        condition_set(&c->conditions, CONDITION_ACCOUNT, e->message);
    else
        condition_clear(&c->conditions, CONDITION_ACCOUNT);
}

static void carry_out_plan(struct control *c, int64_t now)
{
    if (!c->plan.plan)
        return;
    if (!pass_carry_out(&c->pass, &c->plan, &c->plan_cursor, CONTROL_ACTIONS_A_TURN, now))
        configuration_plan_free(&c->plan);
    else if (pass_may_move(&c->pass))
        wake(c); /* else what is recorded does */
}

/* `apply`: all has been tried, and nothing is on its way any more. */
static void leave_when_idle(struct control *c)
{
    const struct channel_message m = {.type = CHANNEL_STOP};
    struct error e;

    if (!c->options->leaves_when_idle || c->is_done || c->plan.plan || c->is_reading ||
        c->wants_reload || c->wants_sweep || issuance_queued(c->issuance) ||
        issuance_running(c->issuance) || journal_is_busy(c->journal))
        return;
    c->is_done = channel_send(c->options->supervisor, &m, -1, &e) == 0;
    if (!c->is_done)
        happening_tell_error(HAPPENING_SUPERVISOR_UNREACHABLE, &e, NULL);
}

/* After so many seconds, whichever is sooner; INT64_MAX = never. */
static void come_again(struct control *c, int64_t one, int64_t other)
{
    int64_t wait = one < other ? one : other;

    if (wait < INT64_MAX)
        in_seconds(c->due, wait);
}

/* Of two dates, 0 = none. */
static int64_t earlier(int64_t a, int64_t b)
{
    return !a || (b && b < a) ? b : a;
}

/* When a declared certificate begins or ends, 0 = never; where that has come, a sweep sees to it.
 */
static int64_t await_declared(struct control *c, int64_t now)
{
    if (!c->generation)
        return 0;
    c->wants_sweep |= configuration_is_outdated(c->generation, now);
    return configuration_next_date(c->generation, now);
}

/* Everything that touches the state happens here, and only while it is ours. */
static void turn(struct control *c)
{
    int64_t now = clock_now(), next;

    if (c->is_lent)
        return;
    publisher_deliver(c->publisher);
    journal_deliver(c->journal);
    visit_take(&c->pass, now);
    issuance_deliver(c->issuance);
    if (c->is_stopping) {
        if (prefix_restore(c))
            return;
        if (issuance_is_drained(c->issuance) && !journal_is_busy(c->journal))
            event_base_loopbreak(c->base);
        return;
    }
    carry_out_plan(c, now);
    next = earlier(pass_due(&c->pass, now), demands_say(c->demands, now));
    next = earlier(next, await_declared(c, now));
    note_account(c);
    come_again(c, next ? next - now : INT64_MAX, announce(c));
    leave_when_idle(c);
    if (prefix_restore(c))
        return;
    go_on_reloading(c);
    if (!c->is_lent)
        status_resume(c->status);
}

static void on_turn(int fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    turn(arg);
}

static void on_poll(int fd, short what, void *arg)
{
    struct control *c = arg;
    bool is_alone = !c->wants_reload || c->is_polled;

    (void)fd;
    (void)what;
    in_seconds(c->poll, c->options->settings->acme_poll_interval);
    heed(c);
    look_soon(c);
    c->is_polled = is_alone;
}

static void on_sweep(int fd, short what, void *arg)
{
    ((struct control *)arg)->wants_sweep = true;
    on_turn(fd, what, arg);
}

static void on_hangup(int fd, short what, void *arg)
{
    ((struct control *)arg)->is_forced = true;
    (void)fd;
    (void)what;
    look_soon(arg);
}

static void on_beat(int fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    heart_beat(&((struct control *)arg)->heart);
    log_flush();
}

/* ---- beginning and end ---- */

static void stop(struct control *c, int64_t bound_ms)
{
    int64_t most_ms = (bound_ms ? bound_ms : SUPERVISOR_DRAIN_MS) - CONTROL_STOP_MARGIN_MS;
    const struct timeval most = {most_ms / 1000, most_ms % 1000 * 1000};

    if (c->is_stopping)
        return;
    c->is_stopping = true;
    issuance_drain(c->issuance);
    event_base_loopexit(c->base, &most);
    wake(c);
}

static void on_terminate(int fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    stop(arg, 0);
}

static void on_lifeline(int fd, short what, void *arg)
{
    struct control *c = arg;
    char byte;

    (void)what;
    if (read(fd, &byte, 1) <= 0)
        event_base_loopbreak(c->base);
}

static void on_supervisor(int fd, short what, void *arg)
{
    struct control *c = arg;
    struct channel_message m;
    struct error e;
    int attached, rc;

    (void)what;
    while ((rc = channel_receive(fd, &m, &attached, &e)) == 1) {
        if (m.type == CHANNEL_SLOT)
            workers_told(c->workers, &m, attached);
        else if (attached >= 0)
            close(attached);
        if (m.type == CHANNEL_STOP)
            stop(c, m.u.stop.bound_ms);
    }
    if (rc < 0)
        stop(c, 0);
}

/* What is worth a sentence and no problem of the file, once. */
static void say_on_stderr(const struct error *e)
{
    struct buf line = BUF_INIT(8 * ERROR_MESSAGE_MAX);

    render_outside(str_from(e->message), &line);
    fprintf(stderr, "reconcert: %.*s\n", STR_ARG(buf_view(&line)));
    buf_free(&line);
}

static void say_notes(const struct control *c)
{
    struct buf out = BUF_INIT(4096);

    if (note_http01_port(c->options->settings, c->generation->loaded->model, &out))
        happening_tell(HAPPENING_NOTE, FIELDS(field_str("text", str_trim(buf_view(&out)))));
    buf_clear(&out);
    if (note_fleeting_prefix(c->options->settings->prefix, &out))
        happening_tell(HAPPENING_PREFIX_FLEETING, FIELDS(field_str("text", buf_view(&out))));
    buf_free(&out);
}

static void say_ready(const struct control *c)
{
    const struct channel_message m = {.type = CHANNEL_READY};
    struct error e;

    if (c->options->supervisor >= 0 && channel_send(c->options->supervisor, &m, -1, &e))
        happening_tell(HAPPENING_SUPERVISOR_UNREACHABLE, NULL);
}

static const struct assembly_calls calls = {
    .turn = on_turn,
    .poll = on_poll,
    .sweep = on_sweep,
    .beat = on_beat,
    .hangup = on_hangup,
    .terminate = on_terminate,
    .lifeline = on_lifeline,
    .supervisor = on_supervisor,
    .wake = wake,
    .look = look_soon,
    .http = on_http,
    .workers = {.token_missed = on_token_missed, .sni_seen = on_sni_seen},
    .served = on_served,
    .issuance = {.solver = {.present = present, .cleanup = cleanup},
                 .draw = on_draw,
                 .issued = on_issued,
                 .failed = on_failed,
                 .storage_failed = prefix_failed,
                 .storage_works = prefix_works},
    .status = {.pages = answer_pages, .is_busy = answer_is_busy, .retry = answer_retry},
};

int control_run(const struct control_options *options)
{
    struct control *c = calloc(1, sizeof(*c));
    struct error e;
    int code = 1;

    log_open("control", options->settings->log_level, options->settings->acme_log_format);
    prctl(PR_SET_DUMPABLE, 0);
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    /* A terminal sends it to all of us; the supervisor will tell us what it means. */
    sigaction(SIGQUIT, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, NULL); /* a write says it too */
    if (!c)
        return 1;
    c->options = options;
    c->heart.channel = options->supervisor;
    if (assembly_open(c, &calls, &e)) {
        if (options->settings->acme_log_format == LOG_JSON)
            happening_tell_error(HAPPENING_START_FAILED, &e, NULL);
        else
            say_on_stderr(&e);
    } else {
        code = first_load(c, needs_approval(c));
        if (code == 0) {
            if (!options->is_restart)
                say_notes(c);
            say_ready(c);
            heed_begin(c);
            in_seconds(c->poll, options->settings->acme_poll_interval);
            prefix_on_look(-1, 0, c);
            wake(c);
            event_base_dispatch(c->base);
        }
    }
    assembly_close(c);
    free(c);
    return code;
}
