#ifndef ACME_AUTHORIZATION_H
#define ACME_AUTHORIZATION_H

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
    bool is_published;
};

enum acme_verdict {
    ACME_VERDICT_PROVEN,
    ACME_VERDICT_TO_PROVE, /* token and challenge_url are set */
    ACME_VERDICT_FAILED,   /* *e: in the CA's words why */
    ACME_VERDICT_GARBLED   /* *e: the answer cannot be read */
};

int acme_authorization_init(struct acme_authorization *a, struct str url) MUST_CHECK;
void acme_authorization_fini(struct acme_authorization *a);
/* Takes in the authorization object of a successful answer. */
enum acme_verdict acme_authorization_read(struct acme_authorization *a,
                                          const struct http_reply *reply, struct error *e);

#endif
