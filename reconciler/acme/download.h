#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/acme/step.h"
#include "reconciler/base/attr.h"
#include "reconciler/base/error.h"
#include "reconciler/base/http.h"
#include "reconciler/base/str.h"

/* What the certificate URL gives (RFC 8555 §7.4.2): a chain, and links to others for the same leaf.
 */
struct acme_download {
    char *chain;      /* PEM; NULL before there is one */
    char *top_issuer; /* issuer CN of its last certificate; may be NULL */
    char *alternates[ACME_ALTERNATES_MAX];
    size_t alternate_count;
};

struct issued_expectation;

/*
 * Takes the chain of an answer in the place of an earlier one, if it is what was expected; -1 with
 * *e, and nothing changed, if not. `url` was asked: alternate links, kept of the first chain only,
 * are relative to it.
 */
int acme_download_take(struct acme_download *d, const struct http_reply *reply, struct str url,
                       const struct issued_expectation *expected, struct error *e) MUST_CHECK;
/*
 * The same, but only if the chain ends under this issuer. 1 taken, 0 it ends elsewhere, -1 with *e.
 */
int acme_download_take_if(struct acme_download *d, const struct http_reply *reply,
                          const struct issued_expectation *expected, struct str issuer,
                          struct error *e) MUST_CHECK;
bool acme_download_ends_under(const struct acme_download *d, struct str issuer);
void acme_download_fini(struct acme_download *d);
