#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/base/http.h"
#include "reconciler/base/str.h"

struct acme_problem; /* message.h */

/* From what a CA refuses to what policy reads (RFC 8555 §6.7, RFC 9773 §5, the IANA registry). */

/* The few that this floor itself acts on. */
enum acme_problem_type {
    ACME_PROBLEM_NONE, /* no type, or one that we do not know */
    ACME_PROBLEM_BAD_NONCE,
    ACME_PROBLEM_ACCOUNT_DOES_NOT_EXIST,
    ACME_PROBLEM_ORDER_NOT_READY,
    ACME_PROBLEM_OTHER /* in the table, nothing to act on */
};
bool acme_problem_is_set(const struct acme_problem *problem); /* does it say anything? */

/*
 * Fills `e` from an answer that is no success: kind and permanence from the problem's type, else
 * from the status; retry_at from Retry-After. The CA's words stand in the message. Returns -1.
 */
int acme_problem_of_reply(const struct http_reply *reply, int64_t now_ms, struct error *e);
/* Fills `e` from the error of a failed challenge, or of an order that became invalid. Returns -1.
 */
int acme_problem_of_object(const struct acme_problem *problem, enum error_kind otherwise,
                           struct error *e);
/* Whom a refusal for a rate limit meets, as far as its words tell. */
enum acme_limit_scope {
    ACME_LIMIT_UNCLEAR,
    ACME_LIMIT_OF_NAME,   /* it tells of the name, of a domain it lies in, or of "this exact set" */
    ACME_LIMIT_OF_ACCOUNT /* it tells of the account */
};
enum acme_limit_scope acme_problem_limit_scope(const struct http_reply *reply, struct str name);
/* A reply's type without its text; ACME_PROBLEM_NONE where there is none. */
enum acme_problem_type acme_problem_peek(const struct http_reply *reply);
