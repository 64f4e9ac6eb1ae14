#pragma once

#include <stddef.h>

#include "reconciler/acme/authorization.h"
#include "reconciler/acme/message.h"
#include "reconciler/acme/step.h"
#include "reconciler/base/attr.h"
#include "reconciler/base/error.h"
#include "reconciler/base/http.h"

/* An order object (RFC 8555 §7.1.3) as last seen at the CA. Zeroed is "none". */
struct acme_order_object {
    char *url, *finalize_url, *certificate_url; /* NULL where not known */
    enum acme_status status;
    struct error error; /* the order's own; kind NONE without one */
    struct acme_authorization authorizations[ACME_AUTHORIZATIONS_MAX];
    size_t authorization_count;
};

/* Takes in an answer. 1 done, 0 it cannot be read, -1 memory; *e in both. */
int acme_order_object_read(struct acme_order_object *o, const struct http_reply *reply,
                           struct error *e) MUST_CHECK;
void acme_order_object_fini(struct acme_order_object *o);
