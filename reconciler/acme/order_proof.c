#include "reconciler/acme/message.h"
#include "reconciler/acme/order_internal.h"

/* Proving the name: authorizations, tokens, challenges, and what the CA says of them. */

/* Polls from this one on, every second one, ask an authorization instead of the order. */
#define AUTHORIZATION_FROM 4
#define AUTHORIZATION_EVERY 2

struct acme_authorization *acme_order_authorization(struct acme_order *o)
{
    return &o->object.authorizations[o->at];
}

int acme_order_ask_authorization(struct acme_order *o, struct error *e)
{
    return acme_order_ask(o, acme_order_authorization(o)->url, e);
}

/* ---- AUTHORIZATION, PUBLISH ---- */

void acme_order_prove(struct acme_order *o)
{
    o->at = 0;
    if (o->object.authorization_count)
        acme_order_go(o, ACME_ORDER_AUTHORIZATION);
    else /* nothing to prove: the CA will say when it is ready */
        acme_order_go_poll(o, ACME_ORDER_VALIDATE);
}

static void next_challenge(struct acme_order *o, struct str retry_after)
{
    while (o->at < o->object.authorization_count && !acme_order_authorization(o)->needs_challenge)
        o->at++;
    if (o->at < o->object.authorization_count) {
        acme_order_go(o, ACME_ORDER_CHALLENGE);
    } else {
        acme_order_go_poll(o, ACME_ORDER_VALIDATE);
        acme_order_poll_again(o, retry_after);
    }
}

static void next_token(struct acme_order *o)
{
    while (o->at < o->object.authorization_count &&
           (!acme_order_authorization(o)->token || acme_order_authorization(o)->is_published))
        o->at++;
    if (o->at < o->object.authorization_count) {
        acme_order_go(o, ACME_ORDER_PUBLISH);
        return;
    }
    o->at = 0;
    next_challenge(o, STR_NONE);
}

void acme_order_proof_published(struct acme_order *o)
{
    acme_order_authorization(o)->is_published = true;
    next_token(o);
}

static void next_authorization(struct acme_order *o)
{
    bool has_token = false;

    o->at++;
    if (o->at < o->object.authorization_count) {
        acme_order_go(o, ACME_ORDER_AUTHORIZATION);
        return;
    }
    for (size_t i = 0; i < o->object.authorization_count; i++)
        has_token |= o->object.authorizations[i].token != NULL;
    o->at = 0;
    if (has_token)
        next_token(o);
    else /* all of them are valid already */
        acme_order_go_poll(o, ACME_ORDER_VALIDATE);
}

/* What failed in an earlier life says little about now. */
static void fail_or_begin_anew(struct acme_order *o, const struct error *e)
{
    if (!o->is_resumed || !acme_order_begin_anew(o))
        acme_order_fail(o, e);
}

static void on_authorization(struct acme_order *o, const struct http_reply *reply)
{
    struct error e;

    switch (acme_authorization_read(acme_order_authorization(o), reply, &e)) {
    case ACME_VERDICT_TO_PROVE:
        o->reported = e;
        next_authorization(o);
        break;
    case ACME_VERDICT_PROVEN:
        next_authorization(o);
        break;
    case ACME_VERDICT_FAILED:
        fail_or_begin_anew(o, &e);
        break;
    case ACME_VERDICT_GARBLED:
        acme_order_garbled(o, &e);
        break;
    }
}

/* ---- CHALLENGE, REVIEW ---- */

static int prepare_challenge(struct acme_order *o, struct error *e)
{
    struct acme_authorization *a = acme_order_authorization(o);

    a->is_told = true;
    return acme_request_start(&o->request, str_from(a->challenge_url), STR("{}"), e);
}

static void on_challenge(struct acme_order *o, const struct http_reply *reply)
{
    o->answered_ms = o->now_ms;
    o->at++;
    next_challenge(o, reply->retry_after);
}

/* Perhaps it was answered before, by us: the authorization knows. */
static bool on_challenge_refused(struct acme_order *o, enum acme_problem_type type,
                                 const struct error *e)
{
    if (type == ACME_PROBLEM_ACCOUNT_DOES_NOT_EXIST ||
        (e->kind != ERROR_PROTOCOL && e->kind != ERROR_CA_REFUSED && e->kind != ERROR_ACCOUNT))
        return false;
    o->error = *e;
    acme_order_go(o, ACME_ORDER_REVIEW);
    return true;
}

static void on_review(struct acme_order *o, const struct http_reply *reply)
{
    const struct acme_authorization *a = acme_order_authorization(o);
    enum acme_verdict verdict;
    struct error e;

    verdict = acme_authorization_read(acme_order_authorization(o), reply, &e);
    if (verdict == ACME_VERDICT_PROVEN ||
        (verdict == ACME_VERDICT_TO_PROVE && !a->needs_challenge)) {
        o->at++;
        next_challenge(o, STR_NONE);
    } else if (verdict == ACME_VERDICT_TO_PROVE) {
        acme_order_go(o, ACME_ORDER_CHALLENGE);
        acme_order_fail(o, &o->error);
    } else if (verdict == ACME_VERDICT_FAILED) {
        fail_or_begin_anew(o, &e);
    } else {
        acme_order_garbled(o, &e);
    }
}

/* ---- VALIDATE, ANSWER_AGAIN ---- */

/*
 * The order is what becomes ready. But some CAs leave it pending when an authorization failed, and
 * what goes wrong meanwhile stands in the challenge alone: so that one is asked for now and then.
 */
static int prepare_validate(struct acme_order *o, struct error *e)
{
    o->polls_authorization = false;
    if (o->poll.count >= AUTHORIZATION_FROM && o->poll.count % AUTHORIZATION_EVERY == 0) {
        for (o->at = 0; o->at < o->object.authorization_count; o->at++)
            if (acme_order_authorization(o)->token &&
                acme_order_authorization(o)->status != ACME_STATUS_VALID) {
                o->polls_authorization = true;
                return acme_order_ask_authorization(o, e);
            }
    }
    return acme_order_ask(o, o->object.url, e);
}

/* The CA had its say, and goes on: it may be asked to try once more (RFC 8555 §8.2). */
static bool may_answer_again(struct acme_order *o)
{
    return o->reported.kind && acme_order_authorization(o)->challenge_url &&
           o->answers_again < ACME_ANSWERS_AGAIN_MAX &&
           o->now_ms - o->answered_ms >= (int64_t)ACME_ANSWER_AGAIN_MS << o->answers_again;
}

static void on_validate(struct acme_order *o, const struct http_reply *reply)
{
    struct error e;

    if (!o->polls_authorization) {
        acme_order_read_and_follow(o, VALIDATING, reply);
        return;
    }
    switch (acme_authorization_read(acme_order_authorization(o), reply, &e)) {
    case ACME_VERDICT_TO_PROVE:
        o->reported = e;
        if (may_answer_again(o))
            acme_order_go(o, ACME_ORDER_ANSWER_AGAIN);
        else
            acme_order_poll_again(o, reply->retry_after);
        break;
    case ACME_VERDICT_PROVEN:
        /* Not asked for any more; the order may be ready. */
        o->reported.kind = ERROR_NONE;
        o->poll.count++;
        acme_order_go(o, ACME_ORDER_VALIDATE);
        break;
    case ACME_VERDICT_FAILED:
        acme_order_fail(o, &e);
        break;
    case ACME_VERDICT_GARBLED:
        acme_order_garbled(o, &e);
        break;
    }
}

/* Back to the polls, from their quick ones on: the CA looks at once, or does not. */
static void validate_again(struct acme_order *o, struct str retry_after)
{
    o->answers_again++;
    o->answered_ms = o->now_ms;
    o->poll.count = 0;
    acme_order_go(o, ACME_ORDER_VALIDATE);
    acme_order_poll_again(o, retry_after);
}

static void on_answer_again(struct acme_order *o, const struct http_reply *reply)
{
    validate_again(o, reply->retry_after);
}

static bool on_answer_again_refused(struct acme_order *o, enum acme_problem_type type,
                                    const struct error *e)
{
    (void)type;
    (void)e;
    validate_again(o, STR_NONE);
    return true;
}

/* ---- EXPLAIN ---- */

void acme_order_explain(struct acme_order *o)
{
    o->at = 0;
    o->error = o->object.error.kind ? o->object.error : o->reported;
    if (o->error.kind == ERROR_NONE)
        error_set(&o->error, ERROR_CHALLENGE, "the CA declared the order invalid");
    acme_order_go(o, ACME_ORDER_EXPLAIN);
    if (!o->object.authorization_count)
        acme_order_fail(o, &o->error);
}

static void next_explanation(struct acme_order *o)
{
    if (++o->at == o->object.authorization_count)
        acme_order_fail(o, &o->error);
    else
        acme_order_go(o, ACME_ORDER_EXPLAIN);
}

static void on_explain(struct acme_order *o, const struct http_reply *reply)
{
    const struct acme_authorization *a = acme_order_authorization(o);
    bool is_explained = o->object.error.kind || o->reported.kind;
    struct error e;

    if (acme_authorization_read(acme_order_authorization(o), reply, &e) == ACME_VERDICT_FAILED &&
        (a->has_reason || !is_explained))
        o->error = e;
    next_explanation(o);
}

static bool on_explain_refused(struct acme_order *o, enum acme_problem_type type,
                               const struct error *e)
{
    (void)type;
    (void)e;
    next_explanation(o);
    return true;
}

const struct acme_order_step acme_order_proof_table[] = {
    [ACME_ORDER_AUTHORIZATION] = {ACME_PHASE_AUTHORIZATION, "reading the authorization",
                                  ACME_REPEAT_ALWAYS, ACME_LAG_404_OR_EMPTY,
                                  acme_order_ask_authorization, on_authorization, NULL},
    [ACME_ORDER_PUBLISH] = {ACME_PHASE_PUBLISH, "publishing the token", ACME_REPEAT_NEVER,
                            ACME_LAG_NEVER, NULL, NULL, NULL},
    [ACME_ORDER_CHALLENGE] = {ACME_PHASE_CHALLENGE, "answering the challenge", ACME_REPEAT_ALWAYS,
                              ACME_LAG_404, prepare_challenge, on_challenge, on_challenge_refused},
    [ACME_ORDER_REVIEW] = {ACME_PHASE_CHALLENGE, "answering the challenge", ACME_REPEAT_ALWAYS,
                           ACME_LAG_404_OR_EMPTY, acme_order_ask_authorization, on_review, NULL},
    [ACME_ORDER_VALIDATE] = {ACME_PHASE_VALIDATE, "validation", ACME_REPEAT_ALWAYS,
                             ACME_LAG_404_OR_EMPTY, prepare_validate, on_validate, NULL},
    [ACME_ORDER_ANSWER_AGAIN] = {ACME_PHASE_VALIDATE, "validation", ACME_REPEAT_NEVER,
                                 ACME_LAG_NEVER, prepare_challenge, on_answer_again,
                                 on_answer_again_refused},
    [ACME_ORDER_EXPLAIN] = {ACME_PHASE_VALIDATE, "validation", ACME_REPEAT_ALWAYS, ACME_LAG_NEVER,
                            acme_order_ask_authorization, on_explain, on_explain_refused},
};
