#pragma once

#include <stdbool.h>

#include "reconciler/base/str.h"

/*
 * Host names as handshakes, Host headers, files and storages name them: their normal form, Kong's
 * wildcards and Kong's gate. What names are looked up in, a sorted list or a segment, is handed in;
 * the rules stand here alone.
 */

#define HOSTNAME_MAX 253                    /* bytes without a final dot, RFC 1035 §2.3.4 */
#define HOSTNAME_ROOM (HOSTNAME_MAX + 2)    /* a normal name or a pattern for it, and a NUL */
#define HOSTNAME_PORT_ROOM sizeof(":65535") /* what a list of hosts may have behind a name */

/* A letter in lower case, a digit, '-', '.' or '_'. */
bool hostname_is_byte(char c);
/*
 * The normal form, which a handshake can ask for: such bytes in labels that are not empty, at most
 * HOSTNAME_MAX, no final dot. IPv4 addresses are among them.
 */
bool hostname_is_normal(struct str name);
/*
 * `text` in lower case and without a final dot (unless it is one), whatever else it may be.
 * `room` is the caller's, text.len + 1 bytes; NUL-terminated.
 */
struct str hostname_lower(struct str text, char *room);

/* digits.digits.digits.digits, whatever their values: Kong's test of an IPv4 address. */
bool hostname_is_ipv4(struct str name);
/* Digits and dots alone: meant as an IPv4 address where none but names and addresses stand. */
bool hostname_is_numeric(struct str text);
/* `name` is `domain` or a name below it. Any case. */
bool hostname_lies_under(struct str name, struct str domain);

/* ---- the ladder of SNIs: where Kong looks for the certificate of a name, in this order ---- */

enum hostname_rung {
    HOSTNAME_EXACT,
    HOSTNAME_FIRST_LABEL, /* *.b.c for a.b.c; never *.c for b.c */
    HOSTNAME_LAST_LABEL,  /* a.b.* for a.b.c */
    HOSTNAME_STAR,        /* * */
    HOSTNAME_RUNGS
};

/* What stands on that rung for `name`, in `room` or a view; STR_NONE where nothing can. */
struct str hostname_pattern(struct str name, enum hostname_rung rung, char room[HOSTNAME_ROOM]);
/* On which rung for `name` the declared SNI stands; HOSTNAME_RUNGS: on none. */
enum hostname_rung hostname_rung_of(struct str sni, struct str name);

/* ---- lists of hosts, where a star stands for labels at any depth ---- */

struct hostname_list {
    bool (*has)(const void *entries, struct str entry); /* that very entry, star and all */
    const void *entries;
};

/* Does a list of routes' hosts claim `name`: itself, "*.rest" or "head.*", with or without `port`?
 */
bool hostname_is_claimed(const struct hostname_list *hosts, struct str name, uint16_t port);

/* Kong's gate: which hosts the acme plugin cares about at all. */
struct hostname_gate {
    bool is_closed; /* no plugin, or a disabled one */
    bool allows_any, allows_ipv4;
    struct hostname_list domains; /* "head.*" and entries with a port match nothing */
};

enum hostname_passage {
    HOSTNAME_CLOSED,
    HOSTNAME_CLOSED_IPV4,     /* enable_ipv4_common_name: false */
    HOSTNAME_CLOSED_NO_MATCH, /* not in domains */
    HOSTNAME_OPEN_ANY,        /* allow_any_domain */
    HOSTNAME_OPEN_EXACT,      /* an entry of that name */
    HOSTNAME_OPEN_WILDCARD    /* "*.suffix" */
};

/* `host` is lower case without a port. */
enum hostname_passage hostname_ask(const struct hostname_gate *gate, struct str host);
bool hostname_passes(const struct hostname_gate *gate, struct str host);
