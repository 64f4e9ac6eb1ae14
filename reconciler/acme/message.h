#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/acme/step.h"
#include "reconciler/base/attr.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/*
 * The JSON of RFC 8555, in and out; the only file that knows cJSON. What is read is checked here:
 * sizes, depth, types, URLs, tokens. Unknown members, statuses and challenge types are no faults.
 */

/* A parsed body; views into it live until acme_message_free. */
struct acme_message {
    void *root;
};

/* -1 with ERROR_PROTOCOL unless the body is one JSON object within our limits. */
int acme_message_parse(struct str body, struct acme_message *m, struct error *e) MUST_CHECK;
void acme_message_free(struct acme_message *m); /* may be repeated */

/* RFC 8555 §7.1.6; unknown ones are to be waited for. */
enum acme_status {
    ACME_STATUS_UNKNOWN,
    ACME_STATUS_PENDING,
    ACME_STATUS_READY,
    ACME_STATUS_PROCESSING,
    ACME_STATUS_VALID,
    ACME_STATUS_INVALID,
    ACME_STATUS_GONE /* deactivated, expired, revoked */
};

/* A problem document (RFC 7807, RFC 8555 §6.7); all views may be STR_NONE. */
struct acme_problem {
    struct str type, title, detail;
    struct str sub_type, sub_detail, sub_name; /* the first subproblem (§6.7.1) */
};

struct acme_directory_message {
    struct str new_nonce, new_order; /* usable URLs */
    struct str new_account;          /* STR_NONE: who has an account may do without */
    struct str terms_of_service;     /* STR_NONE, or text for people */
    bool external_account_required;
};

struct acme_order_message {
    enum acme_status status;
    struct str authorizations[ACME_AUTHORIZATIONS_MAX];
    size_t authorization_count;
    struct str finalize, certificate; /* STR_NONE where absent, or unfit and not needed yet */
    struct acme_problem problem;
};

struct acme_authorization_message {
    enum acme_status status;
    bool has_http01;
    enum acme_status challenge_status;
    struct str challenge_url, token; /* STR_NONE where the challenge has come to its end */
    struct acme_problem problem;     /* of http-01, else of the first challenge that has one */
    struct str offered; /* the first challenge type, for telling what is offered instead */
};

/*
 * These give -1 with ERROR_PROTOCOL where something that the object's state needs is missing or
 * unfit. What that state does not need may be anything.
 */
int acme_message_directory(const struct acme_message *m, struct acme_directory_message *out,
                           struct error *e) MUST_CHECK;
int acme_message_order(const struct acme_message *m, struct acme_order_message *out,
                       struct error *e) MUST_CHECK;
int acme_message_authorization(const struct acme_message *m, struct acme_authorization_message *out,
                               struct error *e) MUST_CHECK;
/* An account's status. */
enum acme_status acme_message_status(const struct acme_message *m);
void acme_message_problem(const struct acme_message *m, struct acme_problem *out);

/* ---- out; failure shows as out->failed ---- */

struct acme_account_request {
    struct str email; /* STR_NONE or empty: no contact */
    bool terms_agreed;
    bool only_existing;
    struct str binding; /* externalAccountBinding, JSON; STR_NONE = none */
};
void acme_message_put_account(struct buf *out, const struct acme_account_request *request);
/* Identifier type "ip" where the name is an IP literal (RFC 8738), else "dns". */
void acme_message_put_order(struct buf *out, struct str name);
void acme_message_put_finalize(struct buf *out, struct str csr_der);
void acme_message_put_deactivation(struct buf *out);
