#pragma once

#include <stdbool.h>

#include "reconciler/base/error.h"

struct event_base;

/*
 * Names to addresses ahead of libcurl, whose own resolver blocks a loop for seconds
 * (facts: libraries 5). c-ares on the loop; answers are remembered for a while.
 */
struct resolver;

#define RESOLVE_ADDRESSES_MAX 8
#define RESOLVE_TEXT_MAX (RESOLVE_ADDRESSES_MAX * 48)

struct resolve_options {
    const char *servers;    /* dns_resolver: a comma list for c-ares; NULL = the system's */
    const char *hosts_file; /* dns_hostsfile; NULL = /etc/hosts */
};

struct resolver *resolver_new(struct event_base *base, const struct resolve_options *options,
                              struct error *e) MUST_CHECK;
/* Pending callbacks are called with an error first; NULL is fine. */
void resolver_free(struct resolver *r);

/*
 * Calls found(context, addresses, NULL) with a comma list as CURLOPT_RESOLVE wants it
 * ("192.0.2.1,[2001:db8::1]", in the system's order of preference), or found(context, NULL, error).
 * Possibly at once, before it returns. Literals come back as they are; localhost and what ends in
 * .localhost is loopback (RFC 6761 §6.3).
 */
void resolver_find(struct resolver *r, const char *host,
                   void (*found)(void *context, const char *addresses, const struct error *e),
                   void *context);
