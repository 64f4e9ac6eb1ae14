#include "view.h"

#include <stdlib.h>

struct view {
    uint64_t generation;
    struct segment *names[CHANNEL_SEGMENTS_MAX]; /* newest first */
    size_t count;
    struct segment *whole[SEGMENT_KINDS]; /* NULL = none */
};

struct view *view_new(uint64_t generation)
{
    struct view *v = calloc(1, sizeof(*v));

    if (v)
        v->generation = generation;
    return v;
}

void view_free(struct view *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->count; i++)
        segment_unref(v->names[i]);
    for (size_t i = 0; i < SEGMENT_KINDS; i++)
        segment_unref(v->whole[i]);
    free(v);
}

void view_add(struct view *v, struct segment *segment)
{
    enum segment_kind kind = segment_kind_of(segment);

    if (!segment_is_stacked(kind)) {
        if (!v->whole[kind])
            v->whole[kind] = segment_ref(segment);
        return;
    }
    if (v->count == CHANNEL_SEGMENTS_MAX)
        BUG("more segments than a manifest holds");
    v->names[v->count++] = segment_ref(segment);
}

uint64_t view_generation(const struct view *v)
{
    return v->generation;
}

/* ---- certificates ---- */

/* The newest segment that knows the name decides, a tombstone too; broken records are passed over.
 */
static bool find(const struct view *v, struct str name, struct segment_name *found)
{
    for (size_t i = 0; i < v->count; i++)
        if (segment_find_name(v->names[i], name, found) == 1)
            return found->count > 0;
    return false;
}

bool view_serves(const struct view *v, struct str name, struct str leaf)
{
    struct segment_name found;

    if (!find(v, name, &found))
        return false;
    for (size_t i = 0; i < found.count; i++)
        if (str_equal(found.credentials[i].leaf, leaf))
            return true;
    return false;
}

/* Takes the SNI into the choice; false where it is none that Kong would look up. */
static bool take_name(struct str sni, struct view_choice *choice)
{
    struct str name = STR_NONE;

    if (sni.len < sizeof(choice->name))
        name = hostname_lower(sni, choice->name);
    choice->name_len = name.len;
    return hostname_is_normal(name) && !hostname_is_ipv4(name);
}

void view_choose(const struct view *v, struct str sni, struct view_choice *choice)
{
    enum hostname_rung rung = HOSTNAME_EXACT;
    char room[HOSTNAME_ROOM];

    choice->is_name = take_name(sni, choice);
    for (; choice->is_name && rung < HOSTNAME_RUNGS; rung++) {
        struct str name = {choice->name, choice->name_len};
        struct str pattern = hostname_pattern(name, rung, room);

        if (pattern.ptr && find(v, pattern, &choice->found)) {
            choice->match = (enum view_match)rung;
            return;
        }
    }
    choice->match = find(v, STR(""), &choice->found) ? VIEW_DEFAULT : VIEW_NONE;
}

/* ---- challenges, gate and routes ---- */

bool view_find_token(const struct view *v, struct str token, struct str *answer)
{
    const struct segment *challenges = v->whole[SEGMENT_CHALLENGES];

    return challenges && segment_find_challenge(challenges, CHALLENGE_HTTP_01, token, answer) == 1;
}

static bool has_domain(const void *gate, struct str entry)
{
    return segment_lists(gate, SEGMENT_DOMAINS, entry);
}

static bool has_host(const void *routes, struct str entry)
{
    return segment_lists(routes, SEGMENT_HOSTS, entry);
}

bool view_gate(const struct view *v, struct str host)
{
    const struct segment *segment = v->whole[SEGMENT_GATE];
    uint64_t flags = segment ? segment_flags(segment) : 0;
    const struct hostname_gate gate = {.is_closed = !(flags & SEGMENT_GATE_OPEN),
                                       .allows_any = flags & SEGMENT_ANY_DOMAIN,
                                       .allows_ipv4 = flags & SEGMENT_IPV4,
                                       .domains = {has_domain, segment}};

    return hostname_passes(&gate, host);
}

bool view_claims_host(const struct view *v, struct str host, uint16_t port)
{
    const struct segment *routes = v->whole[SEGMENT_ROUTES];
    const struct hostname_list hosts = {has_host, routes};

    return routes &&
           (segment_flags(routes) & SEGMENT_ANY_HOST || hostname_is_claimed(&hosts, host, port));
}

bool view_keeps_path(const struct view *v, struct str path)
{
    const struct segment *routes = v->whole[SEGMENT_ROUTES];
    const struct str least = STR("/.well-known/acme-challenge");

    return routes && str_starts(path, least) &&
           segment_lists_prefix(routes, SEGMENT_PATHS, path, least.len);
}
