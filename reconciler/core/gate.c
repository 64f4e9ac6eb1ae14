#include "reconciler/core/gate.h"

#include "reconciler/core/name_sort.h"

static struct hostname_gate gate_of(const struct acme *acme, struct hostname_list domains)
{
    return (struct hostname_gate){.is_closed = !acme || !acme->enabled,
                                  .allows_any = acme && acme->allow_any_domain,
                                  .allows_ipv4 = acme && acme->enable_ipv4_common_name,
                                  .domains = domains};
}

struct scan {
    const struct texts *domains;
    const struct text **found;
};

static bool scan_has(const void *entries, struct str entry)
{
    const struct scan *scan = entries;

    for (size_t i = 0; i < scan->domains->count && !*scan->found; i++)
        if (str_equal(scan->domains->items[i].value, entry))
            *scan->found = &scan->domains->items[i];
    return *scan->found != NULL;
}

enum hostname_passage gate_ask(const struct acme *acme, struct str host, const struct text **entry)
{
    struct scan scan = {acme ? &acme->domains : NULL, entry};
    struct hostname_gate gate = gate_of(acme, (struct hostname_list){scan_has, &scan});

    *entry = NULL;
    return hostname_ask(&gate, host);
}

static bool is_wildcard(struct str entry)
{
    return str_starts(entry, STR("*."));
}

struct gate *gate_make(const struct acme *acme, struct arena *arena)
{
    struct gate *gate = arena_alloc(arena, sizeof(*gate));
    struct str *wildcards;
    size_t count = 0;

    for (size_t i = 0; i < acme->domains.count; i++)
        count += is_wildcard(acme->domains.items[i].value);
    wildcards = arena_array(arena, count, sizeof(*wildcards));
    if (!gate || !wildcards)
        return NULL;
    *gate = (struct gate){.acme = acme, .wildcards = wildcards};
    for (size_t i = 0; i < acme->domains.count; i++)
        if (is_wildcard(acme->domains.items[i].value))
            wildcards[gate->count++] = acme->domains.items[i].value;
    return name_sort_unique(wildcards, &gate->count) ? NULL : gate;
}

struct question {
    const struct gate *gate;
    bool is_listed;
};

static bool gate_has(const void *entries, struct str entry)
{
    const struct question *q = entries;

    if (!is_wildcard(entry))
        return q->is_listed;
    return name_find(q->gate->wildcards, q->gate->count, sizeof(*q->gate->wildcards), entry);
}

bool gate_passes(const struct gate *gate, struct str host, bool is_listed)
{
    const struct question q = {gate, is_listed};
    struct hostname_gate asked = gate_of(gate->acme, (struct hostname_list){gate_has, &q});

    return hostname_passes(&asked, host);
}
