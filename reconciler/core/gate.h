#ifndef CORE_GATE_H
#define CORE_GATE_H

#include <stdbool.h>

#include "reconciler/base/arena.h"
#include "spec/model.h"

/*
 * Kong's gate: which hosts the plugin cares about at all. allow_any_domain, else an exact entry of
 * `domains`, else an entry "*.suffix" at any depth below; and the switch for IPv4 addresses before
 * all of them. Entries are compared in lower case. "example.*" and "example.com:8443", which Kong
 * takes too, match nothing: no host in a handshake looks like that.
 */

enum gate_answer {
    GATE_CLOSED_NO_PLUGIN,
    GATE_CLOSED_DISABLED, /* enabled: false */
    GATE_CLOSED_IPV4,     /* enable_ipv4_common_name: false */
    GATE_CLOSED_NO_MATCH, /* not in domains */
    GATE_OPEN_ANY,        /* allow_any_domain */
    GATE_OPEN_EXACT,      /* an entry of that name */
    GATE_OPEN_WILDCARD    /* "*.suffix" */
};

static inline bool gate_is_open(enum gate_answer answer)
{
    return answer >= GATE_OPEN_ANY;
}

/*
 * Asks the gate by reading `domains` from the start. *entry (may be NULL) gets the entry that
 * opened it, or NULL. `host` is lower case without a port; `acme` may be NULL.
 */
enum gate_answer gate_ask(const struct acme *acme, struct str host, const struct text **entry);

/* The wildcard entries in order, for many questions. */
struct gate {
    const struct str *suffixes; /* ".example.com", lower case, sorted, each once */
    size_t count;
};

/* In `arena`; NULL when memory is out. */
struct gate *gate_make(const struct acme *acme, struct arena *arena) MUST_CHECK;

/* True if a wildcard entry covers `host`: a binary search a label. */
bool gate_covers(const struct gate *gate, struct str host);

#endif
