#include "reconciler/acme/order.h"

#include <stdio.h>
#include <stdlib.h>

#include "reconciler/acme/order_internal.h"
#include "reconciler/acme/client.h"
#include "reconciler/acme/session_internal.h"
#include "reconciler/acme/url.h"
#include "reconciler/base/ca.h"
#include "reconciler/pki/key.h"

/* ---- making ---- */

static int copy_options(struct acme_order *o, const struct acme_order_options *options)
{
    o->session = options->session;
    o->is_demanded = options->is_demanded;
    o->key_type = options->key_type;
    o->key = BUF_SECRET(KEY_PACKED_MAX);
    if (str_keep(&o->name, options->name) ||
        str_keep(&o->preferred_chain, options->ca->preferred_chain) ||
        buf_str(&o->key, options->key))
        return -1;
    /* A stored URL that nobody should ask is as good as none. */
    if (!acme_url_is_usable(options->resume)) {
        o->state = ACME_ORDER_CREATE;
        return 0;
    }
    o->state = ACME_ORDER_LOOK;
    o->is_resumed = true;
    return str_keep(&o->object.url, options->resume);
}

struct acme_order *acme_order_new(const struct acme_order_options *options, struct error *e)
{
    struct acme_order *o;

    if (!options->name.len || !options->key.len) {
        error_set(e, ERROR_INVALID, "an order needs a name and a key");
        return NULL;
    }
    o = calloc(1, sizeof(*o));
    if (!o || copy_options(o, options)) {
        error_memory(e);
        acme_order_free(o);
        return NULL;
    }
    return o;
}

void acme_order_free(struct acme_order *o)
{
    if (!o)
        return;
    if (o->session)
        acme_request_fini(&o->request, o->session);
    acme_order_object_fini(&o->object);
    acme_download_fini(&o->download);
    for (size_t i = 0; i < o->tokens.len; i++)
        free(o->tokens.items[i]);
    vec_free(&o->tokens);
    buf_free(&o->key);
    free(o->preferred_chain);
    free(o->name);
    free(o);
}

/* ---- moving on ---- */

static const struct acme_order_step *step_of(const struct acme_order *o)
{
    return acme_order_step_of(o->state);
}

void acme_order_go(struct acme_order *o, enum acme_order_state state)
{
    o->state = state;
    o->retry = (struct acme_retry){0};
}

void acme_order_go_poll(struct acme_order *o, enum acme_order_state state)
{
    acme_order_go(o, state);
    acme_poll_begin(&o->poll, o->now_ms);
}

void acme_order_poll_again(struct acme_order *o, struct str retry_after)
{
    const struct error *said;
    struct error e;

    o->retry.count = 0;
    if (acme_poll_again(&o->poll, retry_after, o->now_ms)) {
        o->retry.at_ms = o->poll.next_ms;
        return;
    }
    said = acme_order_trouble(o);
    error_set(&e, ERROR_TIMEOUT, "the CA did not come to an end within %d seconds%s%s",
              ACME_POLL_DEADLINE_MS / 1000, said ? "; it says: " : "", said ? said->message : "");
    acme_order_fail(o, &e);
}

bool acme_order_begin_anew(struct acme_order *o)
{
    if (o->restarts == ACME_ORDER_RESTARTS_MAX)
        return false;
    o->restarts++;
    acme_order_object_fini(&o->object);
    acme_download_fini(&o->download);
    o->is_resumed = o->is_unread = false;
    o->finalize_tries = o->answers_again = 0;
    o->reported.kind = ERROR_NONE;
    acme_order_go(o, ACME_ORDER_CREATE);
    return true;
}

void acme_order_clean_up(struct acme_order *o)
{
    const struct acme_order_object *object = &o->object;

    for (o->at = 0; o->at < object->authorization_count; o->at++) {
        const struct acme_authorization *a = &object->authorizations[o->at];

        if (a->status != ACME_STATUS_PENDING)
            continue;
        acme_order_go(o, a->is_told ? ACME_ORDER_INSPECT : ACME_ORDER_DEACTIVATE);
        return;
    }
    acme_order_go(o, ACME_ORDER_FAILED);
}

static bool is_cleaning_up(const struct acme_order *o)
{
    return step_of(o)->phase == ACME_PHASE_CLEAN_UP;
}

/* Once is enough, whatever came of it. */
static void skip_deactivation(struct acme_order *o)
{
    o->object.authorizations[o->at].status = ACME_STATUS_GONE;
    acme_order_clean_up(o);
}

void acme_order_fail(struct acme_order *o, const struct error *e)
{
    struct error why = *e;

    if (is_cleaning_up(o)) {
        skip_deactivation(o);
        return;
    }
    error_prefix(&why, "%s", step_of(o)->doing);
    if (o->object.url)
        snprintf(why.file, sizeof(why.file), "%s", o->object.url);
    o->error = why;
    if (acme_order_is_resumable(o))
        acme_order_go(o, ACME_ORDER_FAILED);
    else
        acme_order_clean_up(o);
}

static bool is_repeatable(const struct acme_order *o, const struct error *e)
{
    enum acme_repeat repeat = step_of(o)->repeat;

    return repeat == ACME_REPEAT_ALWAYS ||
           (repeat == ACME_REPEAT_WITH_CARE && (e->retry_at || e->kind == ERROR_NETWORK));
}

/* What may pass by itself is tried again a few times, where the step may be repeated. */
static void retry_or_fail(struct acme_order *o, const struct error *e, bool may_pass)
{
    if (!may_pass || !is_repeatable(o, e) ||
        !acme_retry_again(&o->retry, &acme_patience, e, o->now_ms))
        acme_order_fail(o, e);
}

void acme_order_garbled(struct acme_order *o, struct error *e)
{
    retry_or_fail(o, e, e->kind == ERROR_PROTOCOL);
}

static bool is_success(const struct http_reply *reply)
{
    return reply->status >= 200 && reply->status < 300;
}

/* ---- steps ---- */

static enum acme_next publish(struct acme_order *o, struct acme_step *step)
{
    const struct acme_authorization *a = &o->object.authorizations[o->at];

    snprintf(o->answer, sizeof(o->answer), "%s.%.*s", a->token,
             STR_ARG(acme_client_thumbprint(o->session)));
    step->token = str_from(a->token);
    step->answer = str_from(o->answer);
    return ACME_PUBLISH;
}

/* What another order of the account met: waited for where that is short, as if it were our own. */
static enum acme_next await_limit(struct acme_order *o, const struct error *limit,
                                  struct acme_step *step)
{
    step->at_ms = limit->retry_at * 1000;
    if (step->at_ms - o->now_ms <= ACME_RETRY_AFTER_WAITED_MS)
        return ACME_WAIT;
    acme_order_fail(o, limit);
    return ACME_FAILED;
}

/* What the session, and the account, let the order do now. SEND: what it wants. */
static enum acme_next await_turn(struct acme_order *o, bool creates, struct acme_step *step)
{
    const struct error *limit = creates ? acme_client_limit(o->session, o->now_ms) : NULL;

    if (acme_client_error(o->session)) {
        acme_order_fail(o, acme_client_error(o->session));
        return ACME_FAILED;
    }
    if (limit)
        return await_limit(o, limit, step);
    if (o->retry.at_ms > o->now_ms) {
        step->at_ms = o->retry.at_ms;
        return ACME_WAIT;
    }
    if (acme_client_is_ready(o->session))
        return creates && !o->may_create ? ACME_SAVE : ACME_SEND;
    if (!is_cleaning_up(o))
        return ACME_WAIT_SESSION;
    skip_deactivation(o);
    return ACME_FAILED;
}

/* The request of the state. FAILED here: the state has changed, look again. */
static enum acme_next next_request(struct acme_order *o, struct acme_step *step)
{
    bool creates = o->state == ACME_ORDER_CREATE && !o->request.is_started;
    struct error e;
    enum acme_next next;

    if (o->request.is_in_flight)
        return ACME_IN_FLIGHT;
    next = await_turn(o, creates, step);
    if (next != ACME_SEND)
        return next;
    if (!o->request.is_started && step_of(o)->prepare(o, &e)) {
        acme_order_fail(o, &e);
        return ACME_FAILED;
    }
    next = acme_request_next(&o->request, o->session, o->now_ms, step, &e);
    if (next == ACME_FAILED) {
        acme_request_drop(&o->request, o->session);
        acme_order_fail(o, &e);
    }
    return next;
}

enum acme_next acme_order_next(struct acme_order *o, int64_t now_ms, struct acme_step *step)
{
    enum acme_next next;

    o->now_ms = now_ms;
    /* Each turn ends one authorization's deactivation, or the order: the loop is bounded. */
    do {
        switch (o->state) {
        case ACME_ORDER_DONE:
            return ACME_DONE;
        case ACME_ORDER_FAILED:
            return ACME_FAILED;
        case ACME_ORDER_SAVE:
            return ACME_SAVE;
        case ACME_ORDER_PUBLISH:
            return publish(o, step);
        default:
            next = next_request(o, step);
            break;
        }
    } while (next == ACME_FAILED);
    return next;
}

/* Does the CA not know (yet) what it has named itself? */
static bool lags(const struct acme_order *o, const struct http_reply *reply)
{
    enum acme_lag lag = step_of(o)->lag;

    if (reply->status == 404)
        return lag != ACME_LAG_NEVER &&
               acme_problem_peek(reply) != ACME_PROBLEM_ACCOUNT_DOES_NOT_EXIST;
    return lag == ACME_LAG_404_OR_EMPTY && is_success(reply) && !reply->body.len;
}

/*
 * Asks again for a while. An order of an earlier life is given up then, for a new one; a young one
 * is kept for the next attempt.
 */
static void wait_out_lag(struct acme_order *o, const struct http_reply *reply)
{
    unsigned tries = o->retry.count + 1;
    struct error e;

    acme_problem_of_reply(reply, o->now_ms, &e);
    if (is_success(reply))
        snprintf(e.message, sizeof(e.message), "an empty answer (HTTP %d)", reply->status);
    if (acme_retry_again(&o->retry, &acme_patience_of_lag, &e, o->now_ms))
        return;
    if (tries > acme_patience_of_lag.times && o->is_resumed && acme_order_begin_anew(o))
        return;
    e.kind = ERROR_CA_BROKEN;
    e.permanent = false;
    error_prefix(&e, "asked %u %s", tries, tries == 1 ? "time" : "times");
    acme_order_fail(o, &e);
}

/* What strangers make up names for must not stop the file's own: not by words that may mean both.
 */
static void meet_limit(struct acme_order *o, const struct http_reply *reply, struct error *e)
{
    enum acme_limit_scope scope = acme_problem_limit_scope(reply, str_from(o->name));

    if (scope == ACME_LIMIT_UNCLEAR && o->is_demanded)
        scope = ACME_LIMIT_OF_NAME;
    acme_client_meet_limit(o->session, str_from(o->name), scope, e, o->now_ms);
}

static void refuse(struct acme_order *o, const struct http_reply *reply)
{
    const struct acme_order_step *step = step_of(o);
    enum acme_problem_type type = acme_problem_peek(reply);
    struct error e;

    acme_problem_of_reply(reply, o->now_ms, &e);
    if (e.kind == ERROR_RATE_LIMIT)
        meet_limit(o, reply, &e);
    if (type == ACME_PROBLEM_ACCOUNT_DOES_NOT_EXIST)
        acme_client_lose_account(o->session, o->request.account_number);
    if (step->refused && step->refused(o, type, &e))
        return;
    /* A CA that forgot us has forgotten the order as well. */
    if (type == ACME_PROBLEM_ACCOUNT_DOES_NOT_EXIST && acme_order_begin_anew(o))
        return;
    retry_or_fail(o, &e, acme_retry_passes(&e));
}

void acme_order_reply(struct acme_order *o, const struct http_reply *reply, int64_t now_ms)
{
    enum acme_answer answer;
    struct error e;

    o->now_ms = now_ms;
    if (!o->request.is_in_flight)
        return;
    answer = acme_request_reply(&o->request, o->session, reply, now_ms, &e);
    if (o->is_abandoned && !is_cleaning_up(o)) {
        acme_request_drop(&o->request, o->session);
        acme_order_clean_up(o);
    } else if (answer == ACME_GIVE_UP) {
        acme_order_fail(o, &e);
    } else if (answer == ACME_ANSWERED) {
        if (lags(o, reply))
            wait_out_lag(o, reply);
        else if (is_success(reply))
            step_of(o)->answered(o, reply);
        else
            refuse(o, reply);
    }
}

void acme_order_no_reply(struct acme_order *o, const struct error *why, int64_t now_ms)
{
    o->now_ms = now_ms;
    if (!o->request.is_in_flight)
        return;
    acme_request_drop(&o->request, o->session);
    if (o->is_abandoned && !is_cleaning_up(o))
        acme_order_clean_up(o);
    else if (!step_of(o)->refused || !step_of(o)->refused(o, ACME_PROBLEM_NONE, why))
        retry_or_fail(o, why, acme_retry_passes(why));
}

void acme_order_saved(struct acme_order *o)
{
    if (o->state == ACME_ORDER_SAVE)
        acme_order_step_saved(o);
    else if (o->state == ACME_ORDER_CREATE)
        o->may_create = true;
}

void acme_order_published(struct acme_order *o)
{
    char *token;

    if (o->state != ACME_ORDER_PUBLISH)
        return;
    token = str_dup(str_from(o->object.authorizations[o->at].token));
    if (!token || vec_push(&o->tokens, token))
        free(token); /* it stays published for good: only ever an answer of ours */
    acme_order_proof_published(o);
}

void acme_order_abandon(struct acme_order *o, const struct error *why)
{
    if (acme_order_phase(o) >= ACME_PHASE_CLEAN_UP)
        return;
    o->is_abandoned = true;
    o->error = *why;
    if (o->request.is_in_flight)
        return;
    acme_request_drop(&o->request, o->session);
    acme_order_clean_up(o);
}

/* ---- reading ---- */

enum acme_phase acme_order_phase(const struct acme_order *o)
{
    return step_of(o)->phase;
}

bool acme_order_asks(const struct acme_order *o)
{
    return step_of(o)->prepare != NULL;
}

bool acme_order_holds_nonce(const struct acme_order *o)
{
    return o->request.nonce != NULL;
}

struct str acme_order_url(const struct acme_order *o)
{
    return str_from(o->object.url);
}

struct str acme_order_chain(const struct acme_order *o)
{
    return o->state == ACME_ORDER_DONE ? str_from(o->download.chain) : STR_NONE;
}

bool acme_order_lacks_chain(const struct acme_order *o)
{
    return o->state == ACME_ORDER_DONE && o->preferred_chain &&
           !acme_download_ends_under(&o->download, str_from(o->preferred_chain));
}

const struct error *acme_order_error(const struct acme_order *o)
{
    return o->state == ACME_ORDER_FAILED ? &o->error : NULL;
}

const struct error *acme_order_trouble(const struct acme_order *o)
{
    if (acme_order_phase(o) >= ACME_PHASE_CLEAN_UP)
        return NULL;
    if (o->object.error.kind)
        return &o->object.error;
    return o->reported.kind ? &o->reported : NULL;
}

/* What ends an order at the CA, or would end every further attempt at it in the same way. */
bool acme_order_is_resumable(const struct acme_order *o)
{
    switch (o->error.kind) {
    case ERROR_CHALLENGE:
    case ERROR_CA_REFUSED:
    case ERROR_PROTOCOL:
    case ERROR_CRYPTO:
    case ERROR_INVALID:
    case ERROR_LIMIT:
        return false;
    default:
        return o->object.url && !o->is_abandoned && o->object.status != ACME_STATUS_INVALID &&
               o->object.status != ACME_STATUS_GONE;
    }
}

struct str acme_order_token(const struct acme_order *o, size_t i)
{
    return i < o->tokens.len ? str_from(o->tokens.items[i]) : STR_NONE;
}
