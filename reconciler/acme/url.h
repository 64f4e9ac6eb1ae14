#ifndef ACME_URL_H
#define ACME_URL_H

#include <stdbool.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/str.h"

/*
 * May a URL that a CA names be asked? https, a host, no user information, printable ASCII, at most
 * ACME_URL_MAX long. Its shape, and whether the host is the directory's, mean nothing (RFC 8555
 * §7.1).
 */
bool acme_url_is_usable(struct str url);
/*
 * A Location that may be a path alone (RFC 9110 §10.2.2), against the URL that was asked: malloc'd,
 * or NULL if it is not usable or memory is out.
 */
char *acme_url_resolve(struct str reference, struct str base) MUST_CHECK;

#endif
