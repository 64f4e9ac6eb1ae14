#include <openssl/evp.h>

#include "reconciler/acme/message.h"
#include "reconciler/acme/order_internal.h"
#include "reconciler/acme/session_internal.h"
#include "reconciler/acme/url.h"
#include "reconciler/pki/csr.h"
#include "reconciler/pki/issued.h"
#include "reconciler/pki/key.h"

#define FINALIZE_TRIES_MAX 3
#define FINALIZE_PATIENCE                                                   \
    3 /* polls that may say "ready" behind a finalize before it is repeated \
       */

/* ---- where an order goes on, by its status and by which step learnt it ---- */

enum move { AUTHORIZE, AGAIN, AWAIT_ISSUE, FINALIZE, FINALIZE_LATER, DOWNLOAD, LOST };

static const enum move moves[][SITUATIONS] = {
    [ACME_STATUS_UNKNOWN] = {AUTHORIZE, AGAIN, AWAIT_ISSUE, AGAIN},
    [ACME_STATUS_PENDING] = {AUTHORIZE, AGAIN, AWAIT_ISSUE, AGAIN},
    [ACME_STATUS_READY] = {FINALIZE, FINALIZE, AWAIT_ISSUE, FINALIZE_LATER},
    [ACME_STATUS_PROCESSING] = {AWAIT_ISSUE, AWAIT_ISSUE, AWAIT_ISSUE, AGAIN},
    [ACME_STATUS_VALID] = {DOWNLOAD, DOWNLOAD, DOWNLOAD, DOWNLOAD},
    [ACME_STATUS_INVALID] = {LOST, LOST, LOST, LOST},
    [ACME_STATUS_GONE] = {LOST, LOST, LOST, LOST},
};

static void go_finalize(struct acme_order *o)
{
    struct error e;

    if (o->object.finalize_url && o->finalize_tries < FINALIZE_TRIES_MAX) {
        o->finalize_tries++;
        acme_order_go(o, ACME_ORDER_FINALIZE);
        return;
    }
    error_set(&e, ERROR_PROTOCOL, "%s",
              o->object.finalize_url ? "the CA leaves the order ready, and issues nothing"
                                     : "the order has no \"finalize\"");
    acme_order_fail(o, &e);
}

static void follow(struct acme_order *o, enum acme_situation situation, struct str retry_after)
{
    enum move move = moves[o->object.status][situation];

    if (move == DOWNLOAD && !o->object.certificate_url)
        move = situation == ISSUING ? AGAIN : AWAIT_ISSUE;
    if (move == FINALIZE_LATER)
        move = o->poll.count < FINALIZE_PATIENCE ? AGAIN : FINALIZE;
    switch (move) {
    case AUTHORIZE:
        acme_order_prove(o);
        break;
    case AGAIN:
    case FINALIZE_LATER:
        acme_order_poll_again(o, retry_after);
        break;
    case AWAIT_ISSUE:
        acme_order_go_poll(o, ACME_ORDER_ISSUE);
        acme_order_poll_again(o, retry_after);
        break;
    case FINALIZE:
        go_finalize(o);
        break;
    case DOWNLOAD:
        acme_order_go(o, ACME_ORDER_DOWNLOAD);
        break;
    case LOST:
        /* Lost in an earlier life, or now, by our own attempt? */
        if (situation != AT_FIRST || !o->is_resumed || !acme_order_begin_anew(o))
            acme_order_explain(o);
        break;
    }
}

/* Reads the order object of an answer and goes on by it. */
void acme_order_read_and_follow(struct acme_order *o, enum acme_situation situation,
                                const struct http_reply *reply)
{
    struct error e;

    if (acme_order_object_read(&o->object, reply, &e) == 1)
        follow(o, situation, reply->retry_after);
    else
        acme_order_garbled(o, &e);
}

int acme_order_ask(struct acme_order *o, const char *url, struct error *e)
{
    return acme_request_start(&o->request, str_from(url), STR(""), e);
}

static int ask_order(struct acme_order *o, struct error *e)
{
    return acme_order_ask(o, o->object.url, e);
}

/* ---- LOOK, CREATE ---- */

static void on_look(struct acme_order *o, const struct http_reply *reply)
{
    acme_order_read_and_follow(o, AT_FIRST, reply);
}

/* Whatever it was, the CA does not let us have it any more. */
static bool on_look_refused(struct acme_order *o, enum acme_problem_type type,
                            const struct error *e)
{
    (void)type;
    return (e->kind == ERROR_PROTOCOL || e->kind == ERROR_CA_REFUSED || e->kind == ERROR_ACCOUNT) &&
           o->is_resumed && acme_order_begin_anew(o);
}

static int prepare_new_order(struct acme_order *o, struct error *e)
{
    struct buf payload = BUF_INIT(ACME_REQUEST_PAYLOAD_MAX);
    int result;

    acme_message_put_order(&payload, str_from(o->name));
    result = payload.failed
                 ? error_memory(e)
                 : acme_request_start(&o->request, acme_client_new_order_url(o->session),
                                      buf_view(&payload), e);
    o->may_create = false;
    buf_free(&payload);
    return result;
}

static void on_new_order(struct acme_order *o, const struct http_reply *reply)
{
    struct error e;
    int read;

    o->object.url =
        acme_url_resolve(reply->location, acme_client_new_order_url(o->session), "Location", &e);
    if (!o->object.url) {
        error_prefix(&e, "the CA names no usable URL of the order");
        acme_order_fail(o, &e);
        return;
    }
    read = acme_order_object_read(&o->object, reply, &e);
    if (read < 0) {
        acme_order_fail(o, &e);
        return;
    }
    acme_client_order_made(o->session);
    /* Its URL is what counts; the rest can be read again. */
    o->is_unread = read == 0;
    acme_order_go(o, ACME_ORDER_SAVE);
}

void acme_order_step_saved(struct acme_order *o)
{
    if (o->is_unread)
        acme_order_go(o, ACME_ORDER_LOOK);
    else
        follow(o, AT_FIRST, STR_NONE);
}

/* ---- FINALIZE, ISSUE ---- */

static int prepare_finalize(struct acme_order *o, struct error *e)
{
    struct buf der = BUF_INIT(ACME_REQUEST_PAYLOAD_MAX),
               payload = BUF_INIT(ACME_REQUEST_PAYLOAD_MAX);
    EVP_PKEY *key = key_unpack(o->key_type, buf_view(&o->key), STR_NONE, e);
    int result = -1;

    if (!key || csr_build(key, str_from(o->name), &der, e))
        goto out;
    acme_message_put_finalize(&payload, buf_view(&der));
    result = payload.failed ? error_memory(e)
                            : acme_request_start(&o->request, str_from(o->object.finalize_url),
                                                 buf_view(&payload), e);
out:
    EVP_PKEY_free(key);
    buf_free(&der);
    buf_free(&payload);
    return result;
}

static void await_issue(struct acme_order *o)
{
    acme_order_go_poll(o, ACME_ORDER_ISSUE);
    acme_order_poll_again(o, STR_NONE);
}

static void on_finalize(struct acme_order *o, const struct http_reply *reply)
{
    struct error e;

    if (acme_order_object_read(&o->object, reply, &e) == 1)
        follow(o, FINALIZING, reply->retry_after);
    else /* it was taken; the order itself will tell */
        await_issue(o);
}

static bool on_finalize_refused(struct acme_order *o, enum acme_problem_type type,
                                const struct error *e)
{
    if (type == ACME_PROBLEM_ORDER_NOT_READY) {
        acme_order_go_poll(o, ACME_ORDER_VALIDATE);
        acme_order_poll_again(o, STR_NONE);
        return true;
    }
    /* The first one may have got through after all. */
    if (!o->retry.count || e->kind != ERROR_PROTOCOL)
        return false;
    await_issue(o);
    return true;
}

static void on_issue(struct acme_order *o, const struct http_reply *reply)
{
    acme_order_read_and_follow(o, ISSUING, reply);
}

/* ---- DOWNLOAD, ALTERNATE ---- */

static struct issued_expectation expectation(const struct acme_order *o)
{
    return (struct issued_expectation){.key_type = o->key_type,
                                       .key = buf_view(&o->key),
                                       .name = str_from(o->name),
                                       .now = o->now_ms / 1000};
}

static int ask_chain(struct acme_order *o, const char *url, struct error *e)
{
    int result = acme_order_ask(o, url, e);

    o->request.accept = "application/pem-certificate-chain";
    return result;
}

static int prepare_download(struct acme_order *o, struct error *e)
{
    return ask_chain(o, o->object.certificate_url, e);
}

static int prepare_alternate(struct acme_order *o, struct error *e)
{
    return ask_chain(o, o->download.alternates[o->at], e);
}

/* Never fatal: the default chain is at hand (Kong does the same). */
static void next_alternate(struct acme_order *o, size_t at)
{
    o->at = at;
    if (!o->preferred_chain || at >= o->download.alternate_count ||
        acme_download_ends_under(&o->download, str_from(o->preferred_chain)))
        acme_order_go(o, ACME_ORDER_DONE);
    else
        acme_order_go(o, ACME_ORDER_ALTERNATE);
}

static void on_download(struct acme_order *o, const struct http_reply *reply)
{
    const struct issued_expectation expected = expectation(o);
    struct error e;

    if (acme_download_take(&o->download, reply, str_from(o->object.certificate_url), &expected,
                           &e) == 0)
        next_alternate(o, 0);
    else if (!o->is_resumed ||
             !acme_order_begin_anew(o)) /* an earlier life may have had another key */
        acme_order_fail(o, &e);
}

static void on_alternate(struct acme_order *o, const struct http_reply *reply)
{
    const struct issued_expectation expected = expectation(o);
    struct error ignored;

    if (acme_download_take_if(&o->download, reply, &expected, str_from(o->preferred_chain),
                              &ignored) == 1)
        acme_order_go(o, ACME_ORDER_DONE);
    else
        next_alternate(o, o->at + 1);
}

static bool on_alternate_refused(struct acme_order *o, enum acme_problem_type type,
                                 const struct error *e)
{
    (void)type;
    (void)e;
    next_alternate(o, o->at + 1);
    return true;
}

/* ---- INSPECT, DEACTIVATE ---- */

static void on_inspect(struct acme_order *o, const struct http_reply *reply)
{
    struct acme_authorization *a = acme_order_authorization(o);
    struct error ignored;

    if (acme_authorization_read(a, reply, &ignored) == ACME_VERDICT_GARBLED)
        a->status = ACME_STATUS_UNKNOWN;
    if (a->status == ACME_STATUS_PENDING)
        acme_order_go(o, ACME_ORDER_DEACTIVATE);
    else
        acme_order_clean_up(o);
}

static int prepare_deactivate(struct acme_order *o, struct error *e)
{
    struct buf payload = BUF_INIT(ACME_REQUEST_PAYLOAD_MAX);
    int result;

    acme_message_put_deactivation(&payload);
    result = acme_request_start(&o->request, str_from(acme_order_authorization(o)->url),
                                buf_view(&payload), e);
    buf_free(&payload);
    return result;
}

/* Once is enough, whatever came of it. */
static void on_deactivate(struct acme_order *o, const struct http_reply *reply)
{
    (void)reply;
    acme_order_authorization(o)->status = ACME_STATUS_GONE;
    acme_order_clean_up(o);
}

static bool on_deactivate_refused(struct acme_order *o, enum acme_problem_type type,
                                  const struct error *e)
{
    (void)type;
    (void)e;
    on_deactivate(o, NULL);
    return true;
}

/* ---- the table ---- */

static const struct acme_order_step steps[] = {
    [ACME_ORDER_LOOK] = {ACME_PHASE_NEW_ORDER, "looking at the order", ACME_REPEAT_ALWAYS,
                         ACME_LAG_404_OR_EMPTY, ask_order, on_look, on_look_refused},
    [ACME_ORDER_CREATE] = {ACME_PHASE_NEW_ORDER, "creating the order", ACME_REPEAT_WITH_CARE,
                           ACME_LAG_NEVER, prepare_new_order, on_new_order, NULL},
    [ACME_ORDER_SAVE] = {ACME_PHASE_NEW_ORDER, "keeping the order", ACME_REPEAT_NEVER,
                         ACME_LAG_NEVER, NULL, NULL, NULL},
    [ACME_ORDER_FINALIZE] = {ACME_PHASE_FINALIZE, "finalizing the order", ACME_REPEAT_ALWAYS,
                             ACME_LAG_404, prepare_finalize, on_finalize, on_finalize_refused},
    [ACME_ORDER_ISSUE] = {ACME_PHASE_ISSUE, "issuance", ACME_REPEAT_ALWAYS, ACME_LAG_404_OR_EMPTY,
                          ask_order, on_issue, NULL},
    [ACME_ORDER_DOWNLOAD] = {ACME_PHASE_DOWNLOAD, "downloading the certificate", ACME_REPEAT_ALWAYS,
                             ACME_LAG_404_OR_EMPTY, prepare_download, on_download, NULL},
    [ACME_ORDER_ALTERNATE] = {ACME_PHASE_DOWNLOAD, "downloading another chain", ACME_REPEAT_NEVER,
                              ACME_LAG_NEVER, prepare_alternate, on_alternate,
                              on_alternate_refused},
    [ACME_ORDER_INSPECT] = {ACME_PHASE_CLEAN_UP, "cleaning up", ACME_REPEAT_NEVER, ACME_LAG_NEVER,
                            acme_order_ask_authorization, on_inspect, on_deactivate_refused},
    [ACME_ORDER_DEACTIVATE] = {ACME_PHASE_CLEAN_UP, "cleaning up", ACME_REPEAT_NEVER,
                               ACME_LAG_NEVER, prepare_deactivate, on_deactivate,
                               on_deactivate_refused},
    [ACME_ORDER_DONE] = {ACME_PHASE_DONE, "", ACME_REPEAT_NEVER, ACME_LAG_NEVER, NULL, NULL, NULL},
    [ACME_ORDER_FAILED] = {ACME_PHASE_DONE, "", ACME_REPEAT_NEVER, ACME_LAG_NEVER, NULL, NULL,
                           NULL},
};

const struct acme_order_step *acme_order_step_of(enum acme_order_state state)
{
    return state >= ACME_ORDER_AUTHORIZATION && state <= ACME_ORDER_EXPLAIN
               ? &acme_order_proof_table[state]
               : &steps[state];
}
