#pragma once

#include <stdbool.h>

#include "reconciler/acme/message.h"
#include "reconciler/base/attr.h"
#include "reconciler/base/error.h"
#include "reconciler/base/http.h"
#include "reconciler/base/str.h"

/* One authorization of an order (RFC 8555 §7.1.4) and its http-01 challenge. */
struct acme_authorization {
    char *url;
    char *token, *challenge_url; /* NULL where there is nothing to prove */
    enum acme_status status;     /* as last seen; UNKNOWN before that */
    bool needs_challenge;        /* the CA still has to be told to look */
    bool is_told;                /* it was, once: `status` may change at any time */
    bool is_published;
    bool has_reason; /* when last seen, the CA said of the challenge what is wrong */
};

enum acme_verdict {
    ACME_VERDICT_PROVEN,
    ACME_VERDICT_TO_PROVE, /* *e: what the CA says of its tries so far; of kind NONE if nothing */
    ACME_VERDICT_FAILED,   /* *e: in the CA's words why */
    ACME_VERDICT_GARBLED   /* *e: the answer cannot be read */
};

int acme_authorization_init(struct acme_authorization *a, struct str url) MUST_CHECK;
void acme_authorization_fini(struct acme_authorization *a);
/*
 * Takes in the authorization object of a successful answer. token and challenge_url are set where
 * needs_challenge is.
 */
enum acme_verdict acme_authorization_read(struct acme_authorization *a,
                                          const struct http_reply *reply, struct error *e);
