#include "reconciler/acme/request.h"

#include <stdlib.h>

#include "reconciler/acme/nonce.h"
#include "reconciler/acme/problem.h"
#include "reconciler/acme/client.h"
#include "reconciler/acme/session_internal.h"
#include "reconciler/pki/jws.h"

int acme_request_start(struct acme_request *r, struct str url, struct str payload, struct error *e)
{
    char *copy = str_dup(url);

    if (!r->payload.max)
        r->payload = BUF_INIT(ACME_REQUEST_PAYLOAD_MAX);
    if (!r->body.max)
        r->body = BUF_INIT(ACME_REQUEST_BODY_MAX);
    buf_clear(&r->payload);
    if (!copy || buf_str(&r->payload, payload)) {
        free(copy);
        return error_memory(e);
    }
    free(r->url);
    r->url = copy;
    r->accept = NULL;
    r->by_key = false;
    r->refusals = 0;
    r->is_started = true;
    return 0;
}

static void wait_for_nonce(struct acme_request *r, struct acme_nonces *pool, bool waits)
{
    if (r->is_waiting == waits)
        return;
    r->is_waiting = waits;
    pool->waiting += waits ? 1 : (size_t)-1;
}

static int sign(struct acme_request *r, struct acme_client *s, const char *nonce, struct error *e)
{
    const struct jws_header header = {.kid = r->by_key ? STR_NONE : acme_client_account_url(s),
                                      .nonce = str_from(nonce),
                                      .url = str_from(r->url)};

    r->account_number = acme_client_account_number(s);
    buf_clear(&r->body);
    return jws_sign(acme_client_key(s), &header, buf_view(&r->payload), &r->body, e);
}

enum acme_next acme_request_next(struct acme_request *r, struct acme_client *s, int64_t now_ms,
                                 struct acme_step *step, struct error *e)
{
    struct acme_nonces *pool = acme_client_pool(s);
    char *nonce = r->nonce;
    int failed;

    if (r->is_in_flight)
        return ACME_IN_FLIGHT;
    r->nonce = NULL;
    if (!nonce)
        nonce = acme_nonces_take(pool, now_ms);
    wait_for_nonce(r, pool, !nonce);
    if (!nonce)
        return ACME_WAIT_SESSION;
    failed = sign(r, s, nonce, e);
    free(nonce);
    if (failed)
        return ACME_FAILED;
    if (!r->refusals)
        r->first_sent_ms = now_ms;
    r->is_in_flight = true;
    pool->busy++;
    step->request = (struct http_request){
        .method = HTTP_POST,
        .url = str_from(r->url),
        .named_by = acme_client_directory_url(s),
        .content_type = STR("application/jose+json"),
        .body = buf_view(&r->body),
        .accept = str_from(r->accept),
        .body_max = ACME_BODY_MAX,
        .timeout_ms = ACME_REQUEST_TIMEOUT_MS,
    };
    return ACME_SEND;
}

static void end_flight(struct acme_request *r, struct acme_nonces *pool)
{
    if (r->is_in_flight)
        pool->busy--;
    r->is_in_flight = false;
}

enum acme_answer acme_request_reply(struct acme_request *r, struct acme_client *s,
                                    const struct http_reply *reply, int64_t now_ms, struct error *e)
{
    struct acme_nonces *pool = acme_client_pool(s);

    end_flight(r, pool);
    acme_nonces_put(pool, reply->replay_nonce, now_ms);
    if (acme_problem_peek(reply) != ACME_PROBLEM_BAD_NONCE) {
        r->is_started = false;
        return ACME_ANSWERED;
    }
    r->refusals++;
    if (r->refusals > ACME_NONCE_TRIES_MAX || now_ms - r->first_sent_ms > ACME_NONCE_TRIES_MS) {
        r->is_started = false;
        acme_problem_of_reply(reply, now_ms, e);
        error_prefix(e, "%u times", r->refusals);
        return ACME_GIVE_UP;
    }
    /* The nonce that came with the refusal is the newest one: the pool would hand it to another. */
    if (reply->replay_nonce.ptr)
        r->nonce = acme_nonces_take(pool, now_ms);
    return ACME_ASK_AGAIN;
}

void acme_request_drop(struct acme_request *r, struct acme_client *s)
{
    struct acme_nonces *pool = acme_client_pool(s);

    end_flight(r, pool);
    wait_for_nonce(r, pool, false);
    free(r->nonce);
    r->nonce = NULL;
    r->is_started = false;
}

void acme_request_fini(struct acme_request *r, struct acme_client *s)
{
    acme_request_drop(r, s);
    free(r->url);
    r->url = NULL;
    buf_free(&r->payload);
    buf_free(&r->body);
}
