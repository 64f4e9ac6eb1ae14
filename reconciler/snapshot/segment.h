#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/base/key_type.h"
#include "reconciler/base/str.h"

/*
 * A segment: a sealed memfd, position-independent, mapped read-only by everyone. Three kinds:
 *   CREDENTIALS  names -> credential(s) or tombstone. A stack: the newest that knows a name wins.
 *   TOKENS       http-01 tokens -> key authorization. Whole: only the newest counts.
 *   ROUTES       the gate, the hosts that routes claim, challenge paths that routes name. Whole.
 *
 * segment_format.h says what the bytes are; only segment.c (reader), segment_write.c and
 * segment_merge.c include it.
 *
 * What a name maps to is decided by control: one effective credential a name (managed, where it is
 * usable, over declared); the worker's order is only Kong's: exact, first-label wildcard,
 * last-label wildcard, "*", default.
 */
enum segment_kind { SEGMENT_CREDENTIALS = 1, SEGMENT_TOKENS, SEGMENT_ROUTES };

#define SEGMENT_KEY_MAX 8192          /* a name, token, host or path */
#define SEGMENT_ANSWER_MAX 1024       /* a key authorization */
#define SEGMENT_PART_MAX (1 << 20)    /* a leaf, a key, a chain */
#define SEGMENT_ENTRIES_MAX (1 << 26) /* names, tokens, hosts, domains or paths of one segment */

/* One credential as bytes. `chain` is DER certificates one behind the other, in sending order. */
struct segment_credential {
    enum key_type key_type;
    struct str leaf;
    struct str key;   /* as struct credential's */
    struct str chain; /* equal chains (same pointer) are stored once */
};

/* A name and what serves it. `count` 0 is a tombstone; 2 = an RSA and an ECDSA one. */
struct segment_name {
    struct str name; /* lower case; "*.x", "x.*", "*" and "" (the default certificate) too */
    struct segment_credential credentials[2];
    uint8_t count;
    bool managed; /* by us; else declared in the file */
};

struct segment_token {
    struct str token;  /* [A-Za-z0-9_-]+ */
    struct str answer; /* key authorization */
};

/* What a ROUTES segment lists. */
enum segment_list { SEGMENT_HOSTS, SEGMENT_DOMAINS, SEGMENT_PATHS };

enum segment_flag {
    SEGMENT_GATE_OPEN = 1,
    SEGMENT_ANY_DOMAIN = 2,
    SEGMENT_IPV4 = 4,
    SEGMENT_ANY_HOST = 8
};

/* The gate of design 5 and what is needed of routes until the router lands. */
struct segment_routes {
    bool gate_open; /* there is an enabled acme plugin */
    bool allow_any_domain;
    bool allow_ipv4;           /* enable_ipv4_common_name */
    const struct str *domains; /* exact and "*.suffix", lower case */
    size_t domain_count;
    bool any_host;           /* a route without hosts: every Host is claimed */
    const struct str *hosts; /* route hosts: exact, "*.x", "x.*", lower case, port kept */
    size_t host_count;
    /* Route path prefixes that start with /.well-known/acme-challenge: these keep their requests.
     */
    const struct str *challenge_prefixes;
    size_t challenge_prefix_count;
};

/* ---- writing: control's side ---- */

/*
 * Builds and seals a segment; returns its descriptor (the caller's, close-on-exec) or -1 with *e:
 * ERROR_MEMORY, ERROR_LIMIT (a part is too long, there are too many), ERROR_INVALID (a name twice).
 * Names, tokens and lists may come unsorted; lists of routes may repeat themselves, and what is
 * longer than any request there is left out. Keys lie in pages of their own.
 */
int segment_write_credentials(const struct segment_name *names, size_t count, uint64_t *size,
                              struct error *e) MUST_CHECK;
int segment_write_tokens(const struct segment_token *tokens, size_t count, uint64_t *size,
                         struct error *e) MUST_CHECK;
int segment_write_routes(const struct segment_routes *routes, uint64_t *size,
                         struct error *e) MUST_CHECK;

/* ---- reading: both sides ---- */

/* A mapped segment, reference-counted. */
struct segment;

/*
 * Maps `fd` (which may be closed afterwards). Refuses a memfd that is not sealed against writing,
 * shrinking and growing, is shorter than its header says, or whose sections leave it. Key pages are
 * left out of core dumps and locked as far as RLIMIT_MEMLOCK goes (*locked false where it did not;
 * may be NULL).
 */
struct segment *segment_map(int fd, bool *locked, struct error *e) MUST_CHECK;
struct segment *segment_ref(struct segment *s);
void segment_unref(struct segment *s); /* NULL is fine */
enum segment_kind segment_kind_of(const struct segment *s);
size_t segment_count(const struct segment *s);      /* names, tokens or hosts */
size_t segment_live_bytes(const struct segment *s); /* of the mapping */

/* 1 found (views into the mapping), 0 not in this segment, -1 the bytes are broken. */
int segment_find_name(const struct segment *s, struct str name, struct segment_name *found);
/* The i-th name, in no particular order; for merging and rebinding. -1: broken. */
int segment_name_at(const struct segment *s, size_t i, struct segment_name *found);
int segment_find_token(const struct segment *s, struct str token, struct str *answer);
/* Is that very text an entry of the list? What a star in it stands for is the caller's to know. */
bool segment_lists(const struct segment *routes, enum segment_list list, struct str entry);
uint64_t segment_flags(const struct segment *routes); /* enum segment_flag */
/* Does a route name this challenge path by prefix? */
bool segment_keeps_path(const struct segment *routes, struct str path);

/* The chain as count DER views; returns how many, at most `max`. */
size_t segment_chain(struct str chain, struct str *certificates, size_t max);

/*
 * Merges credential segments, newest first, into one: newest wins; tombstones are dropped if
 * `is_bottom` (nothing lies below). Returns a sealed descriptor or -1. Runs on any thread.
 */
int segment_merge(struct segment *const *newest_first, size_t count, bool is_bottom, uint64_t *size,
                  struct error *e) MUST_CHECK;
