#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/channel.h"
#include "reconciler/base/hostname.h"
#include "reconciler/snapshot/segment.h"

/* One generation as a worker serves it: the stack of mapped segments that a manifest named. */
struct view;

/* Empty; NULL when memory is out. */
struct view *view_new(uint64_t generation) MUST_CHECK;
void view_free(struct view *v); /* drops its references; NULL is fine */
/*
 * Puts a segment below those added before, and takes a reference. Of a kind that does not stack only
 * the first counts. At most CHANNEL_SEGMENTS_MAX.
 */
void view_add(struct view *v, struct segment *segment);
uint64_t view_generation(const struct view *v);

/* How a certificate was found, in Kong's order. */
enum view_match {
    VIEW_EXACT = HOSTNAME_EXACT,
    VIEW_FIRST_LABEL = HOSTNAME_FIRST_LABEL,
    VIEW_LAST_LABEL = HOSTNAME_LAST_LABEL,
    VIEW_STAR = HOSTNAME_STAR,
    VIEW_DEFAULT,
    VIEW_NONE /* not even a default one */
};

struct view_choice {
    enum view_match match;
    struct segment_name found; /* views into the segment: valid while the view is */
    bool is_name;              /* the SNI is a host name, not an IP literal or garbage */
    char name[HOSTNAME_ROOM];  /* then it, in lower case, without a trailing dot */
    size_t name_len;
};

/* Chooses for an SNI as the client sent it; STR_NONE = it sent none. */
void view_choose(const struct view *v, struct str sni, struct view_choice *choice);

/* Is this leaf what is served under the name, as it stands in the segments? */
bool view_serves(const struct view *v, struct str name, struct str leaf);

/* The key authorization of a token of ours; false where there is none. */
bool view_find_token(const struct view *v, struct str token, struct str *answer);
/* About a lower-case host without port; false where there are no routes. */
bool view_gate(const struct view *v, struct str host); /* Kong's (hostname.h) */
/* Does a route claim this Host? */
bool view_claims_host(const struct view *v, struct str host, uint16_t port);
/* Does a route name this challenge path by prefix? */
bool view_keeps_path(const struct view *v, struct str path);
