#pragma once

#include <stdbool.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/*
 * May a URL that a CA names be asked? https, a host, no user information, printable ASCII, at most
 * ACME_URL_MAX long. Its shape, and whether the host is the directory's, mean nothing (RFC 8555
 * §7.1).
 */
bool acme_url_is_usable(struct str url);
/* -1 with ERROR_PROTOCOL, "`what` has 3000 bytes, more than 2048", where it may not. */
int acme_url_check(struct str url, const char *what, struct error *e) MUST_CHECK;
/*
 * A reference of a Location or a Link (RFC 3986 §5.2) against the URL that was asked, without its
 * fragment: malloc'd and usable, or NULL with *e: ERROR_PROTOCOL about `what`, memory.
 */
char *acme_url_resolve(struct str reference, struct str base, const char *what,
                       struct error *e) MUST_CHECK;
