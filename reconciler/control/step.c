#include "reconciler/control/step.h"

#include <event2/event.h>
#include <stdlib.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/log.h"
#include "reconciler/control/journal.h"
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
static void forget_oldest_token(struct issuance *i)
{
    struct old_token *all = i->old_tokens.items, *oldest = all;

    if (i->old_tokens.len < ISSUANCE_OLD_TOKENS_MAX)
        return;
    for (size_t n = 1; n < i->old_tokens.len; n++)
        if (all[n].until_ms < oldest->until_ms)
            oldest = &all[n];
    i->options.token_remove(i->options.context, str_from(oldest->token));
    free(oldest->token);
    *oldest = all[--i->old_tokens.len];
}

static void remember_tokens(struct issuance *i, const struct task *t)
{
    struct str token;

    for (size_t n = 0; t->order && (token = acme_order_token(t->order, n)).ptr; n++) {
        struct old_token old = {.token = str_dup(token),
                                .until_ms = clock_steady_ms() + ISSUANCE_TOKEN_GRACE_MS};
        forget_oldest_token(i);
        if (!old.token || vec_push(&i->old_tokens, old))
            free(old.token); /* stays answerable: only ever our own key authorization */
    }
}

void step_end(struct task *t)
{
    struct issuance *i = t->owner;

    t->state = TASK_ENDED;
    batch_leave(t);
    remember_tokens(i, t);
    STAILQ_INSERT_TAIL(&i->ended, t, go);
    i->options.ready(i->options.context);
}

void step_fail(struct task *t, const struct error *e)
{
    t->failed = true;
    t->error = *e;
    step_end(t);
}

/* ---- steps ---- */

void step_ready(struct task *t)
{
    t->state = TASK_READY;
    t->owner->progress_ms = clock_steady_ms();
    batch_is_ready(t, t->owner->progress_ms);
    step_wake(t->owner);
}

static void on_saved(void *context, const struct error *e)
{
    struct task *t = context;

    if (e) {
        step_fail(t, e);
        return;
    }
    t->key_is_saved = true;
    if (t->order)
        acme_order_saved(t->order);
    step_ready(t);
}

/* Journals the task as it stands. */
static void save(struct task *t)
{
    struct buf pem = BUF_SECRET(KEY_PEM_MAX);
    struct value v;
    struct error e;

    t->state = TASK_BUSY;
    if (task_value(t, t->authority->apart, str_from(t->authority->directory), &pem, &v, &e) ||
        journal_put(t->owner->options.journal, &v, 1, on_saved, t, &e))
        step_fail(t, &e);
    buf_free(&pem);
}

static int open_order(struct task *t, struct error *e)
{
    struct issuance *i = t->owner;
    const struct acme_order_options options = {
        .session = authority_session(t->authority->authority),
        .name = str_from(t->name),
        .key_type = t->key_type,
        .key = buf_view(&t->key),
        .resume = str_from(t->url),
        .preferred_chain = str_from(i->preferred_chain),
    };

    t->order = acme_order_new(&options, e);
    return t->order ? 0 : -1;
}

static void send_request(struct task *t, const struct http_request *request)
{
    struct issuance *i = t->owner;
    struct error e;

    t->state = TASK_BUSY;
    i->in_flight++;
    if (httpc_send(i->options.httpc, request, AUTHORITIES_COOKIES + t->number, &e) == 0)
        return;
    i->in_flight--;
    acme_order_no_reply(t->order, &e, step_now_ms(i));
    step_ready(t);
}

static void save_url(struct task *t)
{
    free(t->url);
    t->url = str_dup(acme_order_url(t->order));
    log_event(LOG_INFO, "order_created",
              LOG_FIELDS(log_cstr("name", t->name), log_cstr("order", t->url)));
    save(t);
}

static void publish(struct task *t, const struct acme_step *step)
{
    struct issuance *i = t->owner;
    struct error e;

    t->state = TASK_BUSY;
    if (i->options.token_add(i->options.context, step->token, step->answer, &e)) {
        acme_order_abandon(t->order, &e);
        step_ready(t);
        return;
    }
    t->is_publishing = true;
    t->generation = 0;
    i->wants_announcement = true;
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
        save_url(t);
        break;
    case ACME_PUBLISH:
        publish(t, &step);
        break;
    case ACME_WAIT:
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

    if (!t->key_is_saved) {
        save(t);
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

void step_pump(struct issuance *i)
{
    struct task *t;

    while (i->in_flight < ISSUANCE_IN_FLIGHT_MAX && (t = STAILQ_FIRST(&i->released))) {
        STAILQ_REMOVE_HEAD(&i->released, go);
        if (!step(t)) {
            STAILQ_INSERT_HEAD(&i->released, t, go);
            break;
        }
    }
    if (i->wants_announcement)
        i->options.announce(i->options.context);
}
