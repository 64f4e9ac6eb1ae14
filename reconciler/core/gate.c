#include "reconciler/core/gate.h"

#include <stdlib.h>

#include "reconciler/core/name_sort.h"
#include "reconciler/core/public_ca.h"

/* The ".suffix" of a wildcard entry, or STR_NONE for any other. */
static struct str suffix_of(struct str entry)
{
    bool is_wildcard = entry.len > 2 && entry.ptr[0] == '*' && entry.ptr[1] == '.';

    return is_wildcard ? str_slice(entry, 1, entry.len) : STR_NONE;
}

static bool has_suffix(struct str host, struct str suffix)
{
    return host.len > suffix.len &&
           str_equal_nocase(str_slice(host, host.len - suffix.len, host.len), suffix);
}

/* Kong looks for an exact entry first. */
static enum gate_answer ask_domains(const struct texts *domains, struct str host,
                                    const struct text **entry)
{
    const struct text *wildcard = NULL;

    for (size_t i = 0; i < domains->count; i++) {
        struct str suffix = suffix_of(domains->items[i].value);

        if (suffix.ptr && !wildcard && has_suffix(host, suffix))
            wildcard = &domains->items[i];
        if (!suffix.ptr && str_equal_nocase(domains->items[i].value, host)) {
            *entry = &domains->items[i];
            return GATE_OPEN_EXACT;
        }
    }
    *entry = wildcard;
    return wildcard ? GATE_OPEN_WILDCARD : GATE_CLOSED_NO_MATCH;
}

enum gate_answer gate_ask(const struct acme *acme, struct str host, const struct text **entry)
{
    const struct text *ignored;

    entry = entry ? entry : &ignored;
    *entry = NULL;
    if (!acme)
        return GATE_CLOSED_NO_PLUGIN;
    if (!acme->enabled)
        return GATE_CLOSED_DISABLED;
    if (!acme->enable_ipv4_common_name && public_ca_is_ipv4(host))
        return GATE_CLOSED_IPV4;
    if (acme->allow_any_domain)
        return host.len ? GATE_OPEN_ANY : GATE_CLOSED_NO_MATCH;
    return ask_domains(&acme->domains, host, entry);
}

static struct str lowered(struct str s, struct arena *arena)
{
    struct str copy = arena_str(arena, s);

    for (size_t i = 0; copy.ptr && i < copy.len; i++)
        ((char *)copy.ptr)[i] = str_lower(copy.ptr[i]);
    return copy;
}

/* Fills `items` with the lower-cased suffixes of all wildcard entries; -1 when memory is out. */
static int collect(const struct texts *domains, struct name_item *items, size_t *count,
                   struct arena *arena)
{
    for (size_t i = 0; i < domains->count; i++) {
        struct str suffix = suffix_of(domains->items[i].value);

        if (!suffix.ptr || suffix.len > UINT32_MAX)
            continue;
        suffix = lowered(suffix, arena);
        if (!suffix.ptr)
            return -1;
        items[(*count)++] = (struct name_item){.name = suffix.ptr, .len = (uint32_t)suffix.len};
    }
    return 0;
}

struct gate *gate_make(const struct acme *acme, struct arena *arena)
{
    struct gate *gate = arena_alloc(arena, sizeof(*gate));
    struct name_item *items = NULL;
    struct str *suffixes;
    size_t wildcards = 0, count = 0;

    for (size_t i = 0; i < acme->domains.count; i++)
        wildcards += suffix_of(acme->domains.items[i].value).ptr != NULL;
    if (!gate || !wildcards)
        return gate;
    items = reallocarray(NULL, wildcards, 2 * sizeof(*items));
    suffixes = arena_array(arena, wildcards, sizeof(*suffixes));
    if (!items || !suffixes || collect(&acme->domains, items, &count, arena)) {
        free(items);
        return NULL;
    }
    name_sort(items, items + wildcards, count);
    for (size_t i = 0; i < count; i++) {
        struct str suffix = {items[i].name, items[i].len};
        if (!gate->count || !str_equal(suffixes[gate->count - 1], suffix))
            suffixes[gate->count++] = suffix;
    }
    gate->suffixes = suffixes;
    free(items);
    return gate;
}

static bool holds(const struct gate *gate, struct str suffix)
{
    size_t low = 0, high = gate->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_compare(gate->suffixes[middle], suffix);

        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

bool gate_covers(const struct gate *gate, struct str host)
{
    if (!gate->count)
        return false;
    /* Not from 0: a suffix needs something before it. */
    for (size_t dot = str_find(host, '.', 1); dot < host.len; dot = str_find(host, '.', dot + 1))
        if (holds(gate, str_slice(host, dot, host.len)))
            return true;
    return false;
}
