#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/acme/download.h"
#include "reconciler/acme/order.h"
#include "reconciler/acme/order_object.h"
#include "reconciler/acme/poll.h"
#include "reconciler/acme/problem.h"
#include "reconciler/acme/request.h"
#include "reconciler/acme/retry.h"
#include "reconciler/base/vec.h"
#include "reconciler/pki/jwk.h"

/*
 * An order between order.c, which drives it, and what knows its states: order_step.c, and
 * order_proof.c for those that prove the name.
 */

#define ACME_ORDER_RESTARTS_MAX 2

enum acme_order_state {
    ACME_ORDER_LOOK, /* at an order of an earlier life, or one whose newOrder answer was garbled */
    ACME_ORDER_CREATE,
    ACME_ORDER_SAVE,
    ACME_ORDER_AUTHORIZATION,
    ACME_ORDER_PUBLISH,
    ACME_ORDER_CHALLENGE,
    ACME_ORDER_REVIEW, /* the CA does not take the answer: what does it have of the challenge? */
    ACME_ORDER_VALIDATE,
    ACME_ORDER_ANSWER_AGAIN,
    ACME_ORDER_EXPLAIN, /* the order is invalid: which authorization says why? */
    ACME_ORDER_FINALIZE,
    ACME_ORDER_ISSUE,
    ACME_ORDER_DOWNLOAD,
    ACME_ORDER_ALTERNATE,
    ACME_ORDER_INSPECT, /* an authorization that was pending: is it still? */
    ACME_ORDER_DEACTIVATE,
    ACME_ORDER_DONE,
    ACME_ORDER_FAILED
};

struct acme_order {
    struct acme_client *session;
    char *name;
    enum key_type key_type;
    struct buf key; /* packed */
    char *preferred_chain;

    int64_t now_ms; /* as last told */
    enum acme_order_state state;
    struct acme_request request;
    struct acme_retry retry; /* of the step under way */
    struct acme_poll poll;
    bool polls_authorization;
    unsigned answers_again; /* challenges answered once more, all together */
    int64_t answered_ms;    /* the last of all answers */
    struct error reported;  /* what the CA says of a challenge that it goes on with; or kind NONE */
    size_t at;              /* the authorization, or alternate chain, of the step under way */

    struct acme_order_object object;
    bool is_resumed; /* it is an order of an earlier life */
    bool is_unread;  /* newOrder's answer named it, and was garbled else */
    bool is_abandoned;
    bool is_demanded;
    bool may_create; /* a newOrder that is about to be sent has been journaled */
    unsigned restarts, finalize_tries;

    char answer[ACME_TOKEN_MAX + 1 + JWK_THUMBPRINT_SIZE];
    struct vec(char *) tokens; /* all that were published */
    struct acme_download download;
    struct error error; /* while REVIEW, EXPLAIN, INSPECT and DEACTIVATE, and FAILED */
};

/* How a CA looks that does not know yet what it has just made. */
enum acme_lag { ACME_LAG_NEVER, ACME_LAG_404, ACME_LAG_404_OR_EMPTY };

/* May a step be sent again that failed for what may pass? */
enum acme_repeat {
    ACME_REPEAT_NEVER,
    /* Where the CA asks for patience, or the connection broke: an order that was made all the same
     * is handed out again by most CAs. */
    ACME_REPEAT_WITH_CARE,
    ACME_REPEAT_ALWAYS /* sending it twice does no harm */
};

/* What a state does. */
struct acme_order_step {
    enum acme_phase phase;
    const char *doing; /* for people, before the CA's words */
    enum acme_repeat repeat;
    enum acme_lag lag;
    int (*prepare)(struct acme_order *o, struct error *e);
    void (*answered)(struct acme_order *o, const struct http_reply *reply);
    /* A refusal that means something here; false: it means what its kind means. May be NULL. */
    bool (*refused)(struct acme_order *o, enum acme_problem_type type, const struct error *e);
};
const struct acme_order_step *acme_order_step_of(enum acme_order_state state);

/* order_step.c: what comes after SAVE, and where an order goes on by its status. */
enum acme_situation { AT_FIRST, VALIDATING, FINALIZING, ISSUING, SITUATIONS };
void acme_order_step_saved(struct acme_order *o);
void acme_order_read_and_follow(struct acme_order *o, enum acme_situation situation,
                                const struct http_reply *reply);
int acme_order_ask(struct acme_order *o, const char *url, struct error *e);

/* order_proof.c: AUTHORIZATION to EXPLAIN. */
extern const struct acme_order_step acme_order_proof_table[];
void acme_order_prove(struct acme_order *o);
void acme_order_explain(struct acme_order *o); /* why it is invalid; then it fails */
void acme_order_proof_published(struct acme_order *o);
struct acme_authorization *acme_order_authorization(struct acme_order *o); /* the one at `at` */
int acme_order_ask_authorization(struct acme_order *o, struct error *e);

/* order.c: moving on. */
void acme_order_go(struct acme_order *o, enum acme_order_state state);
/* The first question is due at once. */
void acme_order_go_poll(struct acme_order *o, enum acme_order_state state);
void acme_order_poll_again(struct acme_order *o, struct str retry_after);
/* The order is of no use: a clean new one. False: that has been done often enough. */
bool acme_order_begin_anew(struct acme_order *o);
/* Ends it, by way of deactivating what is pending if the order is not alive any more. */
void acme_order_fail(struct acme_order *o, const struct error *e);
/* An answer that cannot be read: cut short, or the page of something in between. */
void acme_order_garbled(struct acme_order *o, struct error *e);
/* Deactivates the next pending authorization (RFC 8555 §7.5.2), after a look at it where it may
 * have ended since; FAILED behind the last. */
void acme_order_clean_up(struct acme_order *o);
