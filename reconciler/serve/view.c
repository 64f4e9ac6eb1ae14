#include "view.h"

#include <stdlib.h>
#include <string.h>

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

static bool is_label_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* digits.digits.digits.digits, whatever their values: no host name of Kong's. */
static bool is_ipv4_like(struct str name)
{
    size_t dots = 0;

    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '.')
            dots++;
        else if (name.ptr[i] < '0' || name.ptr[i] > '9')
            return false;
    }
    return dots == 3;
}

/* Lower-cases the SNI into the choice; false where it is none that Kong would look up. */
static bool normalize(struct str sni, struct view_choice *choice)
{
    struct str name = sni;

    if (name.len > 1 && name.ptr[name.len - 1] == '.')
        name.len--;
    if (!name.len || name.len > VIEW_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = str_lower(name.ptr[i]);
        bool is_dot = c == '.' && i > 0 && i + 1 < name.len && name.ptr[i - 1] != '.';
        if (!is_dot && !is_label_byte(c))
            return false;
        choice->name[i] = c;
    }
    choice->name[name.len] = '\0';
    choice->name_len = name.len;
    return !is_ipv4_like((struct str){choice->name, name.len});
}

/* Needs three labels, so that *.com is never asked for a.com. */
static bool find_first_label(const struct view *v, struct str name, struct segment_name *found)
{
    size_t dot = str_find(name, '.', 0);
    char text[VIEW_NAME_MAX + 1];

    if (str_find(name, '.', dot + 1) >= name.len)
        return false;
    text[0] = '*';
    memcpy(text + 1, name.ptr + dot, name.len - dot);
    return find(v, (struct str){text, 1 + name.len - dot}, found);
}

static bool find_last_label(const struct view *v, struct str name, struct segment_name *found)
{
    char text[VIEW_NAME_MAX + 1];
    size_t dot = name.len;

    while (dot && name.ptr[dot - 1] != '.')
        dot--;
    if (!dot)
        return false;
    memcpy(text, name.ptr, dot);
    text[dot] = '*';
    return find(v, (struct str){text, dot + 1}, found);
}

static enum view_match match_name(const struct view *v, struct str name, struct segment_name *found)
{
    if (find(v, name, found))
        return VIEW_EXACT;
    if (find_first_label(v, name, found))
        return VIEW_FIRST_LABEL;
    if (find_last_label(v, name, found))
        return VIEW_LAST_LABEL;
    return find(v, STR("*"), found) ? VIEW_STAR : VIEW_NONE;
}

void view_choose(const struct view *v, struct str sni, struct view_choice *choice)
{
    choice->match = VIEW_NONE;
    choice->name_len = 0;
    choice->is_name = normalize(sni, choice);
    if (choice->is_name)
        choice->match = match_name(v, (struct str){choice->name, choice->name_len}, &choice->found);
    if (choice->match == VIEW_NONE && find(v, STR(""), &choice->found))
        choice->match = VIEW_DEFAULT;
}

/* ---- tokens and routes ---- */

bool view_find_token(const struct view *v, struct str token, struct str *answer)
{
    return v->tokens && segment_find_token(v->tokens, token, answer) == 1;
}

bool view_gate(const struct view *v, struct str host)
{
    return v->routes && segment_gate(v->routes, host);
}

bool view_claims_host(const struct view *v, struct str host, uint16_t port)
{
    return v->routes && segment_claims_host(v->routes, host, port);
}

bool view_keeps_path(const struct view *v, struct str path)
{
    return v->routes && segment_keeps_path(v->routes, path);
}
