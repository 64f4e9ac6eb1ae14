#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/counters.h"
#include "reconciler/base/str.h"
#include "reconciler/serve/answer.h"

/*
 * http-01 (RFC 8555 §8.3) on plain listeners, before any route: tokens of ours are answered
 * whatever the Host. An unknown token of a gated name is asked of control once, which may find it
 * in shared storage. Whatever else lies under the prefix is 404 for a gated name, unless a route
 * names it.
 */
struct challenge;
struct event_base;
struct exchange;
struct http_head;
struct reply;
struct view;

#define CHALLENGE_WAIT_MS 3000       /* for control to look a token up */
#define CHALLENGE_WAITERS_MAX 256    /* requests that wait at a time; further ones do not */
#define CHALLENGE_ASKS_PER_SECOND 64 /* of a worker; beyond them a token is a miss */
#define CHALLENGE_MISS_MS 5000       /* a token that is nowhere is not asked for again */
#define CHALLENGE_MISSES_MAX 1024    /* tokens remembered so */

/* A request as it is answered: what of it outlives its bytes. */
struct challenge_request {
    struct exchange *exchange;
    char host[256]; /* lower case, no port */
    size_t host_len;
    uint16_t port; /* of the Host field, else the listener's */
    enum answer_type type;
};

struct challenge_options {
    struct event_base *base;
    struct reply *reply;
    struct counters *counters;
    unsigned wait_ms; /* 0 = CHALLENGE_WAIT_MS */
    void *context;
    /* Asks control for a token; false when it cannot be asked now. */
    bool (*ask)(void *context, struct str host, struct str token);
    /* A request that waited is none of ours after all: routes answer it. */
    void (*fall_through)(void *context, const struct challenge_request *request);
};

/* NULL when memory is out. */
struct challenge *challenge_new(const struct challenge_options *options) MUST_CHECK;
void challenge_free(
    struct challenge *c); /* behind the server that its exchanges are of; NULL is fine */

/*
 * Looks at a request of a plain listener. True: it is answered, or will be. False: it is none of
 * ours, and nothing has happened.
 */
bool challenge_take(struct challenge *c, const struct view *view,
                    const struct challenge_request *request,
                    const struct http_head *http) MUST_CHECK;
/* Control's answer; an empty one: there is none. */
void challenge_answer(struct challenge *c, struct str token, struct str answer);
/* A new view: it may have brought what is waited for. */
void challenge_renew(struct challenge *c, const struct view *view);
size_t challenge_waiting(const struct challenge *c);
