#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "reconciler/acme/step.h"
#include "reconciler/base/attr.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"
#include "reconciler/base/http.h"
#include "reconciler/base/str.h"

struct acme_client;

/*
 * One signed POST (RFC 8555 §6.2) from its payload to its answer: waits for a nonce, is signed, and
 * is signed again with the nonce of the refusal where the CA says badNonce (§6.5). Zeroed is idle.
 */
struct acme_request {
    char *url;
    struct buf payload, body;
    const char *accept; /* NULL: none */
    bool by_key;        /* jwk instead of kid: newAccount */
    bool is_started, is_waiting, is_in_flight;
    char *nonce;       /* from a badNonce answer: ours, not the pool's */
    unsigned refusals; /* badNonce answers to this request */
    int64_t first_sent_ms;
    unsigned account_number; /* the account that it was signed for */
};

#define ACME_REQUEST_PAYLOAD_MAX ((size_t)64 << 10)
#define ACME_REQUEST_BODY_MAX ((size_t)256 << 10)

/* Sets up the next request; an empty payload is POST-as-GET. -1 when memory is out. */
int acme_request_start(struct acme_request *r, struct str url, struct str payload,
                       struct error *e) MUST_CHECK;
/* SEND, WAIT_SESSION (no nonce), IN_FLIGHT; FAILED with *e: it cannot be signed. */
enum acme_next acme_request_next(struct acme_request *r, struct acme_client *s, int64_t now_ms,
                                 struct acme_step *step, struct error *e);

enum acme_answer { ACME_ANSWERED, ACME_ASK_AGAIN, ACME_GIVE_UP };
/* GIVE_UP with *e: the CA refuses every nonce. The reply's own nonce is kept in any case. */
enum acme_answer acme_request_reply(struct acme_request *r, struct acme_client *s,
                                    const struct http_reply *reply, int64_t now_ms,
                                    struct error *e);
/* The request ended without an answer. */
void acme_request_drop(struct acme_request *r, struct acme_client *s);
void acme_request_fini(struct acme_request *r, struct acme_client *s);
