#pragma once

#include <stdint.h>

#include "reconciler/base/http.h"
#include "reconciler/base/str.h"

/*
 * The pull model of this floor: ask an object for its next step, do what it says, report back, ask
 * again. Nothing here sends, waits, or knows the time. `now_ms` is unix milliseconds.
 */
enum acme_next {
    ACME_SEND,         /* send step.request and report reply or no_reply */
    ACME_WAIT,         /* nothing before step.at_ms */
    ACME_WAIT_SESSION, /* needs a nonce or a ready account: drive acme_client_next, then ask again
                        */
    ACME_SAVE,         /* something became worth keeping: store it durably, then call ..._saved */
    ACME_PUBLISH, /* serve step.token and step.answer on every worker, then acme_order_published */
    ACME_IN_FLIGHT, /* a request awaits its reply */
    ACME_DONE,
    ACME_FAILED
};

/* What a session asks for; given back with its reply, since several may be under way at once. */
enum acme_exchange { ACME_EXCHANGE_DIRECTORY, ACME_EXCHANGE_NONCE, ACME_EXCHANGE_ACCOUNT };

/* Filled by ..._next; views live in the object until the reply is reported. */
struct acme_step {
    struct http_request request; /* SEND */
    enum acme_exchange exchange; /* SEND of a session */
    int64_t at_ms;               /* WAIT */
    struct str token;            /* PUBLISH: [A-Za-z0-9_-] */
    struct str answer;           /* PUBLISH: the key authorization, no newline (RFC 8555 §8.3) */
};

/* Limits on what a CA may send. */
#define ACME_BODY_MAX ((size_t)1 << 20)
#define ACME_JSON_DEPTH_MAX 32
#define ACME_STRING_MAX ((size_t)64 << 10) /* one JSON string */
#define ACME_URL_MAX 2048
#define ACME_NONCE_MAX 256
#define ACME_TOKEN_MAX 256
#define ACME_AUTHORIZATIONS_MAX 16 /* of one order; ours asks for one name */
#define ACME_CHALLENGES_MAX 32     /* of one authorization; further ones are not looked at */
#define ACME_ALTERNATES_MAX 8      /* chains that are fetched in search of the preferred one */

/*
 * Nonces. What circulates bounds the signed requests under way; newNonce itself is limited hard at
 * some CAs (Let's Encrypt: 20 a second, 10 at once), so it is asked for no faster than that.
 */
#define ACME_NONCES_MAX 256        /* kept; the oldest go first */
#define ACME_NONCE_AGE_MS 3600000  /* older ones are not used */
#define ACME_NONCES_CIRCULATING 32 /* in the pool, under way or asked for */
#define ACME_NONCE_REQUESTS_BURST 10
#define ACME_NONCE_REQUESTS_MS 50 /* one more each */

#define ACME_REQUEST_TIMEOUT_MS 30000
/* badNonce (RFC 8555 §6.5): whichever comes first, for one request. */
#define ACME_NONCE_TRIES_MAX 30
#define ACME_NONCE_TRIES_MS 30000
/* Polls of one phase, all together (RFC 8555 §7.5.1). */
#define ACME_POLL_DEADLINE_MS 300000
#define ACME_POLL_RETRY_AFTER_MAX_MS 60000 /* a longer Retry-After of a poll is held to this */
/*
 * A challenge that the CA reports an error of, and has not given up, is answered again (RFC 8555
 * §8.2): so often, not before this long after the last answer, then twice as long.
 */
#define ACME_ANSWERS_AGAIN_MAX 4
#define ACME_ANSWER_AGAIN_MS 1500
