#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/challenge_kind.h"
#include "reconciler/base/error.h"
#include "reconciler/base/key_type.h"
#include "reconciler/base/str.h"

/*
 * A segment: a sealed memfd, position-independent, mapped read-only by everyone.
 *   NAMES       names -> credential(s) or tombstone
 *   CHALLENGES  what validators ask for -> what they are to find
 *   GATE        whose certificates are obtained on demand
 *   ROUTES      the hosts that routes claim, challenge paths that routes name
 *   UPSTREAMS, PLUGINS, CONSUMERS   nobody writes them yet
 * Of a kind that stacks, the newest segment that knows a name wins; of others only the newest
 * counts. segment_format.c has the table of what is known of a kind.
 *
 * segment_format.h says what the bytes are; nobody outside this room includes it.
 *
 * What a name maps to is decided by control: one effective credential a name (managed, where it is
 * usable, over declared). What a star stands for, and in which order names are tried, is the
 * reader's caller's to know.
 */
enum segment_kind {
    SEGMENT_NAMES = 1,
    SEGMENT_CHALLENGES,
    SEGMENT_GATE,
    SEGMENT_ROUTES,
    SEGMENT_UPSTREAMS,
    SEGMENT_PLUGINS,
    SEGMENT_CONSUMERS,
    SEGMENT_KINDS
};

#define SEGMENT_KEY_MAX 8192          /* a name, token, domain, host or path */
#define SEGMENT_ANSWER_MAX 1024       /* a key authorization */
#define SEGMENT_PART_MAX (1 << 20)    /* a leaf, a key, a chain */
#define SEGMENT_ENTRIES_MAX (1 << 26) /* of one list of a segment */

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
    bool on_demand; /* its visitors keep it: they are told of */
};

struct segment_challenge {
    enum challenge_kind kind;
    struct str key;     /* what a validator asks for: http-01 a token, tls-alpn-01 a name */
    struct str payload; /* key authorization */
};

/* What GATE (domains) and ROUTES list. */
enum segment_list { SEGMENT_DOMAINS, SEGMENT_HOSTS, SEGMENT_PATHS };

enum segment_flag {
    SEGMENT_GATE_OPEN = 1,
    SEGMENT_ANY_DOMAIN = 2,
    SEGMENT_IPV4 = 4,
    SEGMENT_ANY_HOST = 8
};

struct segment_gate {
    bool is_open;
    bool allow_any_domain;
    bool allow_ipv4;
    const struct str *domains;
    size_t domain_count;
};

/* What is needed of routes until the router lands. */
struct segment_routes {
    bool any_host;           /* a route without hosts: every Host is claimed */
    const struct str *hosts; /* lower case, port kept */
    size_t host_count;
    const struct str *challenge_prefixes; /* of paths: these keep their requests */
    size_t challenge_prefix_count;
};

/* ---- writing: control's side ---- */

/*
 * Builds and seals a segment; returns its descriptor (the caller's, close-on-exec) or -1 with *e:
 * ERROR_MEMORY, ERROR_LIMIT (a part is too long, there are too many), ERROR_INVALID (a name twice).
 * All may come unsorted; lists of the gate and of routes may repeat themselves, and what is longer
 * than any request there is left out. Keys lie in pages of their own.
 */
int segment_write_names(const struct segment_name *names, size_t count, uint64_t *size,
                        struct error *e) MUST_CHECK;
int segment_write_challenges(const struct segment_challenge *challenges, size_t count,
                             uint64_t *size, struct error *e) MUST_CHECK;
int segment_write_gate(const struct segment_gate *gate, uint64_t *size, struct error *e) MUST_CHECK;
int segment_write_routes(const struct segment_routes *routes, uint64_t *size,
                         struct error *e) MUST_CHECK;

/* ---- reading: both sides ---- */

/* A mapped segment, reference-counted. */
struct segment;

/*
 * Maps `fd` (which may be closed afterwards). Refuses a memfd that is not sealed against writing,
 * shrinking and growing; another format or byte order; sections that overlap, leave it, come twice
 * or are missing. Sections that are not known here are passed over. Pages with secrets, known or
 * not, are left out of core dumps and locked as far as RLIMIT_MEMLOCK goes (*locked false where it
 * did not; may be NULL).
 */
struct segment *segment_map(int fd, bool *locked, struct error *e) MUST_CHECK;
struct segment *segment_ref(struct segment *s);
void segment_unref(struct segment *s); /* NULL is fine */
enum segment_kind segment_kind_of(const struct segment *s);
bool segment_is_stacked(enum segment_kind kind);
size_t segment_count(const struct segment *s); /* names; of other kinds 0 */

/* 1 found (views into the mapping), 0 not in this segment, -1 the bytes are broken. */
int segment_find_name(const struct segment *s, struct str name, struct segment_name *found);
/* The i-th name, in no particular order; for merging and rebinding. -1: broken. */
int segment_name_at(const struct segment *s, size_t i, struct segment_name *found);
int segment_find_challenge(const struct segment *s, enum challenge_kind kind, struct str key,
                           struct str *payload);
/* Is that very text an entry of the list? */
bool segment_lists(const struct segment *s, enum segment_list list, struct str entry);
/* Is the text, or a beginning of it that has at least so many bytes? */
bool segment_lists_prefix(const struct segment *s, enum segment_list list, struct str text,
                          size_t least);
uint64_t segment_flags(const struct segment *s); /* enum segment_flag */

/* The chain as count DER views; returns how many, at most `max`. */
size_t segment_chain(struct str chain, struct str *certificates, size_t max);

/*
 * Merges NAMES segments, newest first, into one: newest wins; tombstones are dropped if
 * `is_bottom` (nothing lies below). Returns a sealed descriptor or -1. Runs on any thread.
 */
int segment_merge(struct segment *const *newest_first, size_t count, bool is_bottom, uint64_t *size,
                  struct error *e) MUST_CHECK;
