#include "view.h"

#include <stdlib.h>

struct view {
    uint64_t generation;
    struct segment *segments[CHANNEL_SEGMENTS_MAX]; /* CREDENTIALS, newest first */
    size_t count;
    struct segment *tokens, *routes;
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
        segment_unref(v->segments[i]);
    segment_unref(v->tokens);
    segment_unref(v->routes);
    free(v);
}

void view_add(struct view *v, struct segment *segment)
{
    switch (segment_kind_of(segment)) {
    case SEGMENT_CREDENTIALS:
        if (v->count == CHANNEL_SEGMENTS_MAX)
            BUG("more segments than a manifest holds");
        v->segments[v->count++] = segment_ref(segment);
        break;
    case SEGMENT_TOKENS:
        if (!v->tokens)
            v->tokens = segment_ref(segment);
        break;
    case SEGMENT_ROUTES:
        if (!v->routes)
            v->routes = segment_ref(segment);
        break;
    }
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
        if (segment_find_name(v->segments[i], name, found) == 1)
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

/* ---- tokens and routes ---- */

bool view_find_token(const struct view *v, struct str token, struct str *answer)
{
    return v->tokens && segment_find_token(v->tokens, token, answer) == 1;
}

static bool has_domain(const void *routes, struct str entry)
{
    return segment_lists(routes, SEGMENT_DOMAINS, entry);
}

static bool has_host(const void *routes, struct str entry)
{
    return segment_lists(routes, SEGMENT_HOSTS, entry);
}

bool view_gate(const struct view *v, struct str host)
{
    uint64_t flags = v->routes ? segment_flags(v->routes) : 0;
    const struct hostname_gate gate = {.is_closed = !(flags & SEGMENT_GATE_OPEN),
                                       .allows_any = flags & SEGMENT_ANY_DOMAIN,
                                       .allows_ipv4 = flags & SEGMENT_IPV4,
                                       .domains = {has_domain, v->routes}};

    return hostname_passes(&gate, host);
}

bool view_claims_host(const struct view *v, struct str host, uint16_t port)
{
    const struct hostname_list hosts = {has_host, v->routes};

    return v->routes &&
           (segment_flags(v->routes) & SEGMENT_ANY_HOST || hostname_is_claimed(&hosts, host, port));
}

bool view_keeps_path(const struct view *v, struct str path)
{
    return v->routes && segment_keeps_path(v->routes, path);
}
