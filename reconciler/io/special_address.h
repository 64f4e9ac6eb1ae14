#pragma once

#include <stdbool.h>

/*
 * Addresses that only this machine or its own network can mean: all that IANA's two special-purpose
 * registries (RFC 6890) say is not globally reachable, and multicast. An IPv4 address inside an
 * IPv6 one (mapped, NAT64, 6to4) counts as what it is. `address` is an IPv4 or IPv6 literal without
 * brackets; anything else is none.
 */
bool special_address_is(const char *address);
/* Is any of them, in a comma list as resolver_find gives it? */
bool special_address_among(const char *addresses);
