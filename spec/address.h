#pragma once

#include <stdbool.h>

#include "reconciler/base/str.h"

/*
 * Host names and IP addresses with an optional port, told apart and judged by Kong's rules:
 * two colons make it IPv6, digits and dots alone IPv4, all else is a name.
 */

enum address_type { ADDRESS_NAME, ADDRESS_IPV4, ADDRESS_IPV6 };

enum address_fault {
    ADDRESS_FINE,
    ADDRESS_BAD_HOST, /* "invalid hostname: x", "invalid ipv4 address: x", ... */
    ADDRESS_BAD_PORT  /* "invalid port number" */
};

struct address {
    enum address_type type;
    bool has_port;
    uint32_t port;
    struct str host; /* without port and brackets, as written */
};

enum address_fault address_parse(struct str text, struct address *address);
/* The sentence for what address_parse found, of the same text. */
const char *address_fault_text(enum address_fault fault, enum address_type type);

bool address_is_ip_or_cidr(struct str text); /* 10.0.0.0/8 too */
