#include "reconciler/issue/step.h"

#include <event2/event.h>
#include <stdlib.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/happening.h"
#include "reconciler/base/sent.h"
#include "reconciler/io/httpc.h"
#include "reconciler/pki/key.h"

int64_t step_now_ms(const struct issuance *i)
{
    return i->clock_ms + clock_steady_ms();
}

void step_set_clock(struct issuance *i)
{
    i->clock_ms = clock_now_ms() - clock_steady_ms();
}

void step_wake(void *context)
{
    struct issuance *i = context;

    event_active(i->turn, EV_TIMEOUT, 0);
}

/* Room for one more: the one that was kept longest goes. */
static void end_oldest_grace(struct issuance *i)
{
    struct grace *all = i->graces.items, *oldest = all;

    if (i->graces.len < ISSUANCE_GRACES_MAX)
        return;
    for (size_t n = 1; n < i->graces.len; n++)
        if (all[n].until_ms < oldest->until_ms)
            oldest = &all[n];
    i->options.solver.cleanup(i->options.solver.context, oldest->owner);
    *oldest = all[--i->graces.len];
}

static void begin_grace(struct issuance *i, const struct task *t)
{
    const struct grace grace = {t->number, clock_steady_ms() + ISSUANCE_GRACE_MS};

    if (!t->order || !acme_order_token(t->order, 0).ptr)
        return;
    end_oldest_grace(i);
    if (vec_push(&i->graces, grace))
        i->options.solver.cleanup(i->options.solver.context, t->number);
}

static void discount(struct task *t, bool is_sent)
{
    t->owner->counted -= t->is_counted;
    task_sent(t, is_sent);
}

/* Its newOrder is not sent after all. Where this cannot be written down, it counts. */
static void take_back(struct task *t)
{
    struct issuance *i = t->owner;
    struct buf times = BUF_INIT(SENT_TEXT_MAX);
    struct value v;
    struct error e;

    if (!t->is_counted)
        return;
    discount(t, false);
    if (task_sent_value(t, task_ca(t), &times, &v) ||
        i->options.journal.put(i->options.journal.context, &v, 1, NULL, NULL, &e))
        happening_tell_of(HAPPENING_ORDER_COUNTED, t->subject.name);
    buf_free(&times);
}

void step_end(struct task *t)
{
    struct issuance *i = t->owner;

    take_back(t);
    t->state = TASK_ENDED;
    batch_leave(t);
    begin_grace(i, t);
    TAILQ_INSERT_TAIL(&i->ended, t, go);
    i->options.ready(i->options.context);
}

void step_fail(struct task *t, const struct error *e)
{
    t->failed = true;
    t->error = *e;
    step_end(t);
}

/* ---- steps ---- */

static bool step_order(struct task *t);

/* What neither asks the CA nor is to be announced with others' waits for nobody. */
static bool is_immediate(const struct task *t)
{
    return t->order && !acme_order_asks(t->order) &&
           acme_order_phase(t->order) != ACME_PHASE_PUBLISH;
}

void step_ready(struct task *t)
{
    struct issuance *i = t->owner;

    t->state = TASK_READY;
    i->progress_ms = clock_steady_ms();
    step_wake(i);
    if (is_immediate(t)) {
        step_order(t);
    } else if (t->order && acme_order_holds_nonce(t->order)) {
        t->state = TASK_RELEASED;
        urgent_put(&i->ahead, t);
    } else {
        batch_is_ready(t, i->progress_ms);
    }
}

static void on_saved(void *context, const struct error *e)
{
    struct task *t = context;

    if (e) {
        discount(t, false);
        step_fail(t, e);
        return;
    }
    acme_order_saved(t->order);
    if (!t->is_counted) {
        step_ready(t);
        return;
    }
    t->state = TASK_RELEASED;
    urgent_put(&t->owner->ahead, t);
    step_wake(t->owner);
}

/* Journals the task as it stands, and that its newOrder is sent where that is to come. */
static void save(struct task *t)
{
    struct issuance *i = t->owner;
    struct buf pem = BUF_SECRET(KEY_PEM_MAX), times = BUF_INIT(SENT_TEXT_MAX);
    struct value v[2];
    struct error e;

    t->state = TASK_BUSY;
    if (task_sent_value(t, task_ca(t), &times, &v[1]))
        error_memory(&e);
    else if (task_value(t, task_ca(t), &pem, &v[0], &e) == 0 &&
             i->options.journal.put(i->options.journal.context, v, t->is_counted ? 2 : 1, on_saved,
                                    t, &e) == 0)
        goto out;
    discount(t, false);
    step_fail(t, &e);
out:
    buf_free(&pem);
    buf_free(&times);
}

static int open_order(struct task *t, struct error *e)
{
    const struct acme_order_options options = {
        .session = authority_session(t->authority->authority),
        .name = t->subject.name,
        .key_type = t->key_type,
        .key = buf_view(&t->key),
        .resume = str_from(t->url),
        .ca = task_ca(t),
        .is_demanded = t->urgency.kind == URGENCY_DEMANDED,
    };

    t->order = acme_order_new(&options, e);
    return t->order ? 0 : -1;
}

static void send_request(struct task *t, const struct http_request *request)
{
    struct issuance *i = t->owner;
    struct error e;

    t->state = TASK_BUSY;
    discount(t, true);
    i->in_flight++;
    if (httpc_send(i->options.httpc, request, AUTHORITIES_COOKIES + t->number, &e) == 0)
        return;
    i->in_flight--;
    acme_order_no_reply(t->order, &e, step_now_ms(i));
    step_ready(t);
}

/* One newOrder more, before it is sent. Another one than the first has to fit the CA's limits. */
static void count_order(struct task *t)
{
    struct issuance *i = t->owner;
    struct error e;

    if (!t->is_drawn && i->options.draw(i->options.context, t->subject.name, t->is_theirs, &e)) {
        step_fail(t, &e);
        return;
    }
    t->is_drawn = false;
    t->is_counted = true;
    t->sent_at = clock_now();
    i->counted++;
    free(t->url);
    t->url = NULL;
    save(t);
}

static void save_url(struct task *t)
{
    free(t->url);
    t->url = str_dup(acme_order_url(t->order));
    happening_tell(HAPPENING_ORDER_CREATED,
                   FIELDS(field_str("name", t->subject.name), field_cstr("order", t->url)));
    save(t);
}

static void publish(struct task *t, const struct acme_step *step)
{
    const struct solver *solver = &t->owner->options.solver;
    const struct challenge challenge = {.kind = CHALLENGE_HTTP_01,
                                        .name = t->subject.name,
                                        .token = step->token,
                                        .payload = step->answer};
    struct error e;

    t->state = TASK_BUSY;
    t->is_publishing = true;
    if (solver->present(solver->context, t->number, &challenge, &e)) {
        t->is_publishing = false;
        acme_order_abandon(t->order, &e);
        step_ready(t);
    }
}

/* What the CA reports of a try that it goes on with: each time that it says something else. */
static void tell_trouble(struct task *t)
{
    const struct error *e = acme_order_trouble(t->order);
    struct str words = e ? str_from(e->message) : STR_NONE;

    if (str_equal(words, str_from(t->told_trouble)))
        return;
    free(t->told_trouble);
    t->told_trouble = e ? str_dup(words) : NULL;
    t->owner->has_trouble = true;
    t->owner->options.ready(t->owner->options.context);
    if (e)
        happening_tell(HAPPENING_VALIDATION_TROUBLED,
                       FIELDS(field_str("name", t->subject.name), field_cstr("error", e->message),
                              field_cstr("order", t->url)));
}

/* The order's next step. False: it lacks a nonce or the account, and so will all others. */
static bool step_order(struct task *t)
{
    struct acme_step step;

    switch (acme_order_next(t->order, step_now_ms(t->owner), &step)) {
    case ACME_SEND:
        send_request(t, &step.request);
        break;
    case ACME_SAVE:
        if (acme_order_url(t->order).ptr)
            save_url(t);
        else
            count_order(t);
        break;
    case ACME_PUBLISH:
        publish(t, &step);
        break;
    case ACME_WAIT:
        tell_trouble(t);
        t->state = TASK_WAITING;
        t->wait_ms = step.at_ms;
        break;
    case ACME_DONE:
        step_end(t);
        break;
    case ACME_FAILED:
        step_fail(t, acme_order_error(t->order));
        break;
    case ACME_IN_FLIGHT:
        t->state = TASK_BUSY;
        break;
    case ACME_WAIT_SESSION:
        return false;
    }
    return true;
}

/* The task's next step; false where it has to wait for its authority. */
static bool step(struct task *t)
{
    const struct error *why;
    struct error e;

    if (t->chain) {
        step_end(t);
        return true;
    }
    if (t->order)
        return step_order(t);
    if (!authority_session(t->authority->authority)) {
        why = authority_error(t->authority->authority);
        if (why)
            step_fail(t, why);
        return why != NULL;
    }
    if (open_order(t, &e)) {
        step_fail(t, &e);
        return true;
    }
    return step_order(t);
}

/* Counts that are ahead of their newOrders are bounded: a crash leaves them counted, not sent. */
static bool has_room(const struct task *t)
{
    const struct issuance *i = t->owner;

    if (t->order && !acme_order_asks(t->order))
        return true;
    if (!t->order ||
        (acme_order_phase(t->order) == ACME_PHASE_NEW_ORDER && !acme_order_url(t->order).ptr))
        return i->counted < ISSUANCE_COUNTED_MAX;
    return i->in_flight < ISSUANCE_IN_FLIGHT_MAX;
}

/* When everything is to end: what the CA is looking at, and certificates, are waited for. */
static bool is_left_undone(const struct task *t)
{
    enum acme_phase phase;

    if (!t->owner->is_draining)
        return false;
    phase = t->order ? acme_order_phase(t->order) : ACME_PHASE_NEW_ORDER;
    return phase != ACME_PHASE_VALIDATE && phase != ACME_PHASE_DOWNLOAD;
}

static bool take_step(struct urgent *from, struct task *t)
{
    urgent_remove(from, t);
    if (is_left_undone(t))
        take_back(t);
    else if (!step(t)) {
        urgent_put(from, t);
        return false;
    }
    return true;
}

void step_pump(struct issuance *i)
{
    struct task *t;

    while ((t = urgent_first(&i->ahead)) &&
           (i->is_draining || i->in_flight < ISSUANCE_IN_FLIGHT_MAX) && take_step(&i->ahead, t))
        ;
    while ((t = urgent_first(&i->unasking)) && take_step(&i->unasking, t))
        ;
    while ((t = urgent_first(&i->released)) && has_room(t) && take_step(&i->released, t))
        ;
}
