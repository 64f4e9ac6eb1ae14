#pragma once

#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/* What a request needs to know of URLs, by libcurl's parser. */

/* `location` relative to `base` (RFC 3986 §5); https only. Caller frees; NULL with *e. */
char *destination_relative(const char *base, struct str location, struct error *e) MUST_CHECK;

/*
 * Whom to connect to: the proxy's host and port, or the URL's where `proxy` is NULL. IPv6 literals
 * without brackets. 0 with both to be freed by the caller; -1 with *e.
 */
int destination_connect_to(const char *url, const char *proxy, char **host, char **port,
                   struct error *e) MUST_CHECK;

/*
 * The proxy that the environment (https_proxy, all_proxy, no_proxy) wants for an https URL, or
 * NULL.
 */
const char *destination_proxy(const char *url);
