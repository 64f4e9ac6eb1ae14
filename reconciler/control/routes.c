#include "reconciler/control/routes.h"

#include <stdlib.h>

#include "reconciler/core/name_sort.h"

#define CHALLENGE_PATH STR("/.well-known/acme-challenge")

static bool speaks_http(const struct route *r)
{
    for (size_t i = 0; i < r->protocols.count; i++) {
        struct str p = r->protocols.items[i].value;
        if (str_equal(p, STR("http")) || str_equal(p, STR("https")) || str_equal(p, STR("grpc")) ||
            str_equal(p, STR("grpcs")))
            return true;
    }
    return false;
}

static bool takes_part(const struct route *r)
{
    return (!r->service || r->service->enabled) && speaks_http(r);
}

/*
 * A regex path names the challenge path if its text does, escapes left out:
 * "~/\.well-known/acme-..." It then keeps everything under it, for only the router will know what
 * it matches.
 */
static bool names_challenge(struct str path)
{
    char plain[sizeof("/.well-known/acme-challenge")];
    size_t len = 0;

    if (!path.len || path.ptr[0] != '~')
        return str_starts(path, CHALLENGE_PATH);
    for (size_t i = 1; i < path.len && len < CHALLENGE_PATH.len; i++)
        if (path.ptr[i] != '\\' && path.ptr[i] != '^')
            plain[len++] = path.ptr[i];
    return str_equal((struct str){plain, len}, CHALLENGE_PATH);
}

static void count_all(const struct model *m, size_t *hosts, size_t *paths)
{
    *hosts = *paths = 0;
    for (size_t i = 0; i < m->route_count; i++) {
        *hosts += m->routes[i].hosts.count + m->routes[i].snis.count;
        *paths += m->routes[i].paths.count;
    }
}

static void add_route(const struct route *r, struct segment_routes *out, struct str *hosts,
                      struct str *prefixes)
{
    /* Without hosts its SNIs say whom it is for; without either it is for everybody. */
    const struct texts *names = r->hosts.count ? &r->hosts : &r->snis;

    if (!names->count)
        out->any_host = true;
    for (size_t i = 0; i < names->count; i++)
        hosts[out->host_count++] = names->items[i].value;
    for (size_t i = 0; i < r->paths.count; i++) {
        struct str path = r->paths.items[i].value;
        if (names_challenge(path))
            prefixes[out->challenge_prefix_count++] = path.ptr[0] == '~' ? CHALLENGE_PATH : path;
    }
}

static int add_gate(const struct acme *acme, struct arena *arena, struct segment_gate *out)
{
    struct str *domains;

    if (!acme || !acme->enabled)
        return 0;
    out->is_open = true;
    out->allow_any_domain = acme->allow_any_domain;
    out->allow_ipv4 = acme->enable_ipv4_common_name;
    domains = arena_array(arena, acme->domains.count, sizeof(*domains));
    if (!domains)
        return -1;
    for (size_t i = 0; i < acme->domains.count; i++)
        domains[i] = acme->domains.items[i].value;
    out->domains = domains;
    out->domain_count = acme->domains.count;
    return name_sort_unique(domains, &out->domain_count);
}

static uint64_t hash_list(uint64_t seed, const struct str *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        seed = str_hash(items[i], seed) + i;
    return seed ^ count;
}

static uint64_t hash_rules(const struct publisher_rules *r)
{
    const struct segment_gate *g = &r->gate;
    const struct segment_routes *o = &r->routes;
    uint64_t flags = (uint64_t)g->is_open | (uint64_t)g->allow_any_domain << 1 |
                     (uint64_t)g->allow_ipv4 << 2 | (uint64_t)o->any_host << 3;
    uint64_t hash = hash_list(flags, g->domains, g->domain_count);

    hash = hash_list(hash, o->hosts, o->host_count);
    return hash_list(hash, o->challenge_prefixes, o->challenge_prefix_count);
}

int routes_make(const struct model *model, struct arena *arena, struct publisher_rules *rules,
                uint64_t *hash, struct error *e)
{
    struct publisher_rules made = {0};
    struct segment_routes *out = &made.routes;
    struct str *hosts, *prefixes;
    size_t host_max, path_max;

    count_all(model, &host_max, &path_max);
    hosts = arena_array(arena, host_max, sizeof(*hosts));
    prefixes = arena_array(arena, path_max, sizeof(*prefixes));
    if (!hosts || !prefixes || add_gate(model->acme, arena, &made.gate))
        return error_memory(e);
    for (size_t i = 0; i < model->route_count; i++)
        if (takes_part(&model->routes[i]))
            add_route(&model->routes[i], out, hosts, prefixes);
    if (name_sort_unique(hosts, &out->host_count) ||
        name_sort_unique(prefixes, &out->challenge_prefix_count))
        return error_memory(e);
    out->hosts = hosts;
    out->challenge_prefixes = prefixes;
    *hash = hash_rules(&made);
    *rules = made;
    return 0;
}
