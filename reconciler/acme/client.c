#include "reconciler/acme/client.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "reconciler/acme/account.h"
#include "reconciler/acme/directory.h"
#include "reconciler/acme/nonce.h"
#include "reconciler/acme/problem.h"
#include "reconciler/acme/request.h"
#include "reconciler/acme/retry.h"
#include "reconciler/acme/session_internal.h"
#include "reconciler/acme/url.h"
#include "reconciler/base/ca.h"
#include "reconciler/pki/jwk.h"
#include "reconciler/pki/jws.h"

struct acme_client {
    char *directory_url;
    char thumbprint[JWK_THUMBPRINT_SIZE];
    struct acme_directory directory;
    int64_t directory_at_ms; /* when it was read, or last asked for in vain */
    bool directory_in_flight;

    struct acme_nonces pool;
    size_t wanted_nonces;    /* ahead of need; until the pool has them */
    size_t nonces_in_flight; /* newNonce requests */
    struct acme_retry nonce_retry;
    struct error nonce_error; /* why that waits */
    unsigned allowance;       /* newNonce requests that may go out at once */
    int64_t allowance_at_ms;  /* when it last grew */

    struct acme_account account;
    struct acme_request request; /* newAccount */
    struct acme_retry retry;     /* of the directory, or of newAccount: one follows the other */
    struct error limit;          /* of the account; retry_at 0: none */
    uint64_t unclear_name;       /* hash of the last name that met a limit that may be its own */
    int64_t unclear_until;
    bool failed;
    struct error error;
};

/* ---- making ---- */

static int copy_options(struct acme_client *s, const struct acme_client_options *o)
{
    struct acme_account *a = &s->account;

    EVP_PKEY_up_ref(o->account_key);
    a->key = o->account_key;
    a->terms_agreed = o->terms_agreed;
    a->state = o->account_url.len ? ACME_ACCOUNT_READY
               : o->key_is_new    ? ACME_ACCOUNT_CREATE
                                  : ACME_ACCOUNT_FIND;
    if (str_keep(&s->directory_url, o->ca->directory) || str_keep(&a->url, o->account_url) ||
        str_keep(&a->email, o->ca->email))
        return -1;
    return str_keep(&a->eab_kid, o->ca->eab_kid) || str_keep(&a->eab_hmac_key, o->ca->eab_hmac_key)
               ? -1
               : 0;
}

static int check_options(const struct acme_client_options *o, struct error *e)
{
    if (!acme_url_is_usable(o->ca->directory))
        return error_set(e, ERROR_INVALID, "the directory has to be an https URL");
    if (o->account_url.len && !acme_url_is_usable(o->account_url))
        return error_set(e, ERROR_INVALID, "the stored account URL is not an https URL");
    if (!jws_key_is_usable(o->account_key))
        return error_set(e, ERROR_CRYPTO,
                         "the account key is neither P-256, P-384 nor RSA of 2048 "
                         "to 8192 bits");
    return 0;
}

struct acme_client *acme_client_new(const struct acme_client_options *options, struct error *e)
{
    struct acme_client *s;

    if (check_options(options, e))
        return NULL;
    s = calloc(1, sizeof(*s));
    if (!s || copy_options(s, options)) {
        error_memory(e);
        acme_client_free(s);
        return NULL;
    }
    s->allowance = ACME_NONCE_REQUESTS_BURST;
    if (jwk_thumbprint(s->account.key, s->thumbprint, e)) {
        acme_client_free(s);
        return NULL;
    }
    return s;
}

void acme_client_free(struct acme_client *s)
{
    if (!s)
        return;
    acme_request_fini(&s->request, s);
    acme_account_fini(&s->account);
    acme_nonces_fini(&s->pool);
    acme_directory_fini(&s->directory);
    free(s->directory_url);
    free(s);
}

static void fail(struct acme_client *s, const struct error *e)
{
    s->failed = true;
    s->error = *e;
    acme_request_drop(&s->request, s);
}

/* What may pass by itself is asked again; else the session fails. */
static void retry_or_fail(struct acme_client *s, const struct error *e, int64_t now_ms)
{
    bool may_pass = acme_retry_passes(e) || e->kind == ERROR_PROTOCOL;

    if (!may_pass || !acme_retry_again(&s->retry, &acme_patience, e, now_ms))
        fail(s, e);
}

void acme_client_retry(struct acme_client *s)
{
    s->failed = false;
    s->retry = s->nonce_retry = (struct acme_retry){0};
    /* What the CA's addresses were yesterday may be what failed. */
    acme_directory_fini(&s->directory);
}

/* ---- asking ---- */

static enum acme_next send_get(struct acme_step *step, enum acme_exchange exchange,
                               enum http_method method, const char *url, struct str named_by)
{
    step->exchange = exchange;
    step->request = (struct http_request){
        .method = method,
        .url = str_from(url),
        .named_by = named_by,
        .accept = method == HTTP_GET ? STR("application/json") : STR_NONE,
        .body_max = ACME_BODY_MAX,
        .timeout_ms = ACME_REQUEST_TIMEOUT_MS,
    };
    return ACME_SEND;
}

static enum acme_next next_directory(struct acme_client *s, int64_t now_ms, struct acme_step *step)
{
    if (s->directory_in_flight)
        return ACME_IN_FLIGHT;
    step->at_ms = s->retry.at_ms;
    if (s->retry.at_ms > now_ms)
        return ACME_WAIT;
    s->directory_in_flight = true;
    s->directory_at_ms = now_ms;
    return send_get(step, ACME_EXCHANGE_DIRECTORY, HTTP_GET, s->directory_url, STR_NONE);
}

/* How many more nonces there should be in the pool or on their way. */
static bool lacks_nonces(const struct acme_client *s)
{
    size_t circulating = s->pool.count + s->pool.busy + s->nonces_in_flight;
    size_t needed = s->pool.waiting + s->pool.busy;

    if (needed < s->wanted_nonces)
        needed = s->wanted_nonces;
    if (needed > ACME_NONCES_CIRCULATING)
        needed = ACME_NONCES_CIRCULATING;
    return circulating < needed;
}

static void grow_allowance(struct acme_client *s, int64_t now_ms)
{
    int64_t more = (now_ms - s->allowance_at_ms) / ACME_NONCE_REQUESTS_MS;

    if (more < 0 || more >= ACME_NONCE_REQUESTS_BURST) {
        s->allowance = ACME_NONCE_REQUESTS_BURST;
        s->allowance_at_ms = now_ms;
    } else if (more > 0) {
        s->allowance += (unsigned)more;
        s->allowance_at_ms += more * ACME_NONCE_REQUESTS_MS;
    }
    if (s->allowance > ACME_NONCE_REQUESTS_BURST)
        s->allowance = ACME_NONCE_REQUESTS_BURST;
}

/* SEND, or WAIT with the time at which the next newNonce may go out. */
static enum acme_next next_nonce(struct acme_client *s, int64_t now_ms, struct acme_step *step)
{
    grow_allowance(s, now_ms);
    step->at_ms = s->nonce_retry.at_ms > now_ms ? s->nonce_retry.at_ms
                  : !s->allowance               ? s->allowance_at_ms + ACME_NONCE_REQUESTS_MS
                                                : now_ms;
    if (step->at_ms > now_ms)
        return ACME_WAIT;
    s->allowance--;
    s->nonces_in_flight++;
    return send_get(step, ACME_EXCHANGE_NONCE, HTTP_HEAD, s->directory.new_nonce,
                    str_from(s->directory_url));
}

static int start_account(struct acme_client *s, struct error *e)
{
    struct buf payload = BUF_INIT(ACME_REQUEST_PAYLOAD_MAX);
    int result = acme_account_payload(&s->account, &s->directory, &payload, e);

    if (!result)
        result = acme_request_start(&s->request, str_from(s->directory.new_account),
                                    buf_view(&payload), e);
    s->request.by_key = true;
    buf_free(&payload);
    return result;
}

/* SEND, IN_FLIGHT, SAVE, DONE, FAILED; WAIT_SESSION: a nonce first. */
static enum acme_next next_account(struct acme_client *s, int64_t now_ms, struct acme_step *step)
{
    struct error e;
    enum acme_next next;

    if (s->account.state == ACME_ACCOUNT_READY)
        return ACME_DONE;
    if (s->account.state == ACME_ACCOUNT_SAVE)
        return ACME_SAVE;
    step->at_ms = s->retry.at_ms;
    if (s->retry.at_ms > now_ms)
        return ACME_WAIT;
    if (!s->request.is_started && start_account(s, &e)) {
        fail(s, &e);
        return ACME_FAILED;
    }
    step->exchange = ACME_EXCHANGE_ACCOUNT;
    next = acme_request_next(&s->request, s, now_ms, step, &e);
    if (next == ACME_FAILED)
        fail(s, &e);
    return next;
}

/* Who has nothing at all in circulation waits for a nonce, but not for as long as the CA likes. */
static enum acme_next await_nonce(struct acme_client *s, int64_t now_ms)
{
    if (s->nonce_retry.at_ms <= now_ms + ACME_RETRY_AFTER_WAITED_MS)
        return ACME_WAIT;
    error_prefix(&s->nonce_error, "asking for a nonce");
    fail(s, &s->nonce_error);
    return ACME_FAILED;
}

/* Fetches nonces beside `next`, what the account has to say; see acme_client_next. */
static enum acme_next provide_nonces(struct acme_client *s, enum acme_next next, int64_t now_ms,
                                     struct acme_step *step)
{
    if (lacks_nonces(s)) {
        if (next_nonce(s, now_ms, step) == ACME_SEND)
            return ACME_SEND;
        if (s->pool.waiting && !s->pool.busy && !s->nonces_in_flight)
            return await_nonce(s, now_ms);
    }
    return next == ACME_WAIT_SESSION ? ACME_IN_FLIGHT : next;
}

enum acme_next acme_client_next(struct acme_client *s, int64_t now_ms, struct acme_step *step)
{
    enum acme_next next;

    if (s->failed)
        return ACME_FAILED;
    if (!acme_directory_is_read(&s->directory) ||
        (now_ms - s->directory_at_ms > ACME_DIRECTORY_AGE_MS && !s->directory_in_flight))
        return next_directory(s, now_ms, step);
    next = next_account(s, now_ms, step);
    if (next == ACME_DONE || next == ACME_WAIT_SESSION || next == ACME_IN_FLIGHT)
        return provide_nonces(s, next, now_ms, step);
    return next;
}

/* ---- answers ---- */

static void take_directory(struct acme_client *s, const struct http_reply *reply, int64_t now_ms)
{
    struct error e;

    s->directory_in_flight = false;
    if (acme_directory_read(&s->directory, reply, now_ms, &e) == 0) {
        s->retry = (struct acme_retry){0};
        return;
    }
    /* A stale one still serves. */
    if (!acme_directory_is_read(&s->directory)) {
        error_prefix(&e, "reading the directory");
        retry_or_fail(s, &e, now_ms);
    }
}

static void miss_nonce(struct acme_client *s, struct error *e, int64_t now_ms)
{
    bool may_pass = acme_retry_passes(e) || e->kind == ERROR_PROTOCOL;

    /* One hiccup of the CA meets all that are under way: it counts once. */
    if (s->nonce_retry.at_ms > now_ms ||
        (may_pass && acme_retry_again(&s->nonce_retry, &acme_patience, e, now_ms)))
        return;
    s->nonce_retry.at_ms = e->retry_at ? e->retry_at * 1000 : now_ms + ACME_RETRY_AFTER_WAITED_MS;
    s->nonce_error = *e;
    /* As long as others are under way, their answers bring what is lacking. */
    if (s->pool.count || s->pool.busy || s->nonces_in_flight)
        return;
    error_prefix(e, "asking for a nonce");
    fail(s, e);
}

static void take_nonce(struct acme_client *s, const struct http_reply *reply, int64_t now_ms)
{
    struct error e;

    s->nonces_in_flight--;
    acme_nonces_put(&s->pool, reply->replay_nonce, now_ms);
    if (s->pool.count >= s->wanted_nonces)
        s->wanted_nonces = 0;
    if (reply->status >= 400) {
        acme_problem_of_reply(reply, now_ms, &e);
        miss_nonce(s, &e, now_ms);
    } else if (acme_nonce_check(reply->replay_nonce, &e)) {
        miss_nonce(s, &e, now_ms);
    } else {
        s->nonce_retry = (struct acme_retry){0};
    }
}

static void take_account(struct acme_client *s, const struct http_reply *reply, int64_t now_ms)
{
    struct error e;

    switch (acme_request_reply(&s->request, s, reply, now_ms, &e)) {
    case ACME_ANSWERED:
        if (acme_account_reply(&s->account, &s->directory, reply, now_ms, &e))
            retry_or_fail(s, &e, now_ms);
        else
            s->retry = (struct acme_retry){0};
        break;
    case ACME_GIVE_UP:
        fail(s, &e);
        break;
    case ACME_ASK_AGAIN:
        break;
    }
}

void acme_client_reply(struct acme_client *s, enum acme_exchange exchange,
                       const struct http_reply *reply, int64_t now_ms)
{
    switch (exchange) {
    case ACME_EXCHANGE_DIRECTORY:
        take_directory(s, reply, now_ms);
        break;
    case ACME_EXCHANGE_NONCE:
        take_nonce(s, reply, now_ms);
        break;
    case ACME_EXCHANGE_ACCOUNT:
        take_account(s, reply, now_ms);
        break;
    }
}

void acme_client_no_reply(struct acme_client *s, enum acme_exchange exchange,
                          const struct error *why, int64_t now_ms)
{
    struct error e = *why;

    switch (exchange) {
    case ACME_EXCHANGE_DIRECTORY:
        s->directory_in_flight = false;
        if (acme_directory_is_read(&s->directory))
            break;
        error_prefix(&e, "reading the directory");
        retry_or_fail(s, &e, now_ms);
        break;
    case ACME_EXCHANGE_NONCE:
        s->nonces_in_flight--;
        miss_nonce(s, &e, now_ms);
        break;
    case ACME_EXCHANGE_ACCOUNT:
        acme_request_drop(&s->request, s);
        error_prefix(&e, "registering the account");
        retry_or_fail(s, &e, now_ms);
        break;
    }
}

void acme_client_saved(struct acme_client *s)
{
    if (s->account.state == ACME_ACCOUNT_SAVE)
        s->account.state = ACME_ACCOUNT_READY;
}

void acme_client_want_nonces(struct acme_client *s, size_t n)
{
    s->wanted_nonces = n > ACME_NONCES_CIRCULATING ? ACME_NONCES_CIRCULATING : n;
}

/* ---- reading ---- */

bool acme_client_is_ready(const struct acme_client *s)
{
    return !s->failed && acme_directory_is_read(&s->directory) &&
           s->account.state == ACME_ACCOUNT_READY;
}

const struct error *acme_client_error(const struct acme_client *s)
{
    return s->failed ? &s->error : NULL;
}

struct str acme_client_account_url(const struct acme_client *s)
{
    return str_from(s->account.url);
}

bool acme_client_account_is_new(const struct acme_client *s)
{
    return s->account.is_new;
}

struct str acme_client_directory_url(const struct acme_client *s)
{
    return str_from(s->directory_url);
}

struct str acme_client_thumbprint(const struct acme_client *s)
{
    return str_from(s->thumbprint);
}

size_t acme_client_nonces(const struct acme_client *s)
{
    return s->pool.count;
}

struct acme_nonces *acme_client_pool(struct acme_client *s)
{
    return &s->pool;
}

EVP_PKEY *acme_client_key(struct acme_client *s)
{
    return s->account.key;
}

struct str acme_client_new_order_url(const struct acme_client *s)
{
    return str_from(s->directory.new_order);
}

unsigned acme_client_account_number(const struct acme_client *s)
{
    return s->account.number;
}

void acme_client_lose_account(struct acme_client *s, unsigned number)
{
    if (s->account.state == ACME_ACCOUNT_READY && s->account.number == number)
        s->account.state = ACME_ACCOUNT_CREATE;
}

/* Has another name met a limit of which the CA does not say whose it is, and waits for it still? */
static bool met_by_others(struct acme_client *s, struct str name, int64_t until, int64_t now_ms)
{
    uint64_t hash = str_hash(name, 0);
    bool met = s->unclear_until * 1000 > now_ms && s->unclear_name != hash;

    s->unclear_name = hash;
    s->unclear_until = until;
    return met;
}

void acme_client_meet_limit(struct acme_client *s, struct str name, enum acme_limit_scope scope,
                            struct error *e, int64_t now_ms)
{
    int64_t until = e->retry_at ? e->retry_at : now_ms / 1000 + ACME_LIMIT_SECONDS;

    if (scope == ACME_LIMIT_OF_NAME ||
        (scope == ACME_LIMIT_UNCLEAR && !met_by_others(s, name, until, now_ms)))
        return;
    e->kind = ERROR_ACCOUNT_LIMIT;
    e->retry_at = until;
    if (until > s->limit.retry_at)
        s->limit = *e;
}

const struct error *acme_client_limit(const struct acme_client *s, int64_t now_ms)
{
    return s->limit.retry_at * 1000 > now_ms ? &s->limit : NULL;
}

void acme_client_forget_limit(struct acme_client *s)
{
    s->limit.retry_at = s->unclear_until = 0;
}

void acme_client_order_made(struct acme_client *s)
{
    s->unclear_until = 0;
}
