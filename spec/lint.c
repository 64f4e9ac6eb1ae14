#include "lint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/hostname.h"
#include "spec/address.h"
#include "spec/problem.h"
#include "spec/regex.h"
#include "spec/kong_url.h"

#define TEXT_SHOWN_MAX 200
#define FIELD_MAX 64
#define PATH_BYTES_MAX 4096

static void warn(struct catalog *c, struct catalog_ref ref, struct place place, const char *list,
                 size_t index, const char *message, struct str about)
{
    char field[FIELD_MAX];

    if (index)
        snprintf(field, sizeof(field), "%s[%zu]", list, index);
    else
        snprintf(field, sizeof(field), "%s", list);
    catalog_problem(c, ref, PROBLEM_WARNING, place, field, message,
                    STR_ARG(str_slice(about, 0, TEXT_SHOWN_MAX)));
}

static bool has_star(struct str name)
{
    return str_find(name, '*', 0) < name.len;
}

/* --- acme.domains --- */

/* Why no name can ever be what `domain` says, or NULL. */
static const char *dead_domain(const struct acme *acme, struct str domain)
{
    struct address address;

    if (str_ends(domain, STR(".*")))
        return "'%.*s' can never match: only a star at the left stands for anything";
    if (address_parse(domain, &address) == ADDRESS_FINE && address.has_port)
        return "'%.*s' can never match: names come without a port";
    if (str_ends(domain, STR(".")))
        return "'%.*s' can never match: names come without a dot at their end";
    if (address.type == ADDRESS_IPV6)
        return "'%.*s' can never match: no handshake names an IPv6 address";
    if (domain.len > HOSTNAME_MAX)
        return "'%.*s' can never match: it is longer than a name can be";
    if (!has_star(domain) && address.type == ADDRESS_IPV4 && !acme->enable_ipv4_common_name)
        return "'%.*s' can never match: enable_ipv4_common_name is off";
    return NULL;
}

static bool is_lets_encrypt(struct str uri)
{
    struct kong_url url;

    return kong_url_parse(uri, &url) && hostname_lies_under(url.host, STR("letsencrypt.org"));
}

static void check_acme(struct catalog *c)
{
    const struct acme *acme = c->context->found_acme;

    if (!acme)
        return;
    for (size_t i = 0; i < acme->domains.count; i++) {
        const struct text *domain = &acme->domains.items[i];
        const char *why = dead_domain(acme, domain->value);

        if (why)
            warn(c, c->acme, domain->place, "config.domains", i + 1, why, domain->value);
    }
    if (!acme->tos_accepted && is_lets_encrypt(acme->api_uri.value))
        warn(c, c->acme, acme->tos_place, "config.tos_accepted", 0,
             "the terms of Let's Encrypt are not accepted, so no account will be made: see "
             "https://letsencrypt.org/repository/%.*s",
             STR(""));
}

/* --- what this build cannot do --- */

static void check_storage(struct catalog *c)
{
    const struct acme *acme = c->context->found_acme;

    if (acme && acme->enabled && acme->storage != ACME_STORAGE_SHM)
        catalog_problem(c, c->acme, PROBLEM_NOTE, acme->storage_place, "config.storage",
                        "not in this build yet: run takes 'shm' alone, which survives restarts "
                        "here");
}

/* --- names that need a wildcard certificate --- */

static int compare_texts(const void *a, const void *b)
{
    return str_compare(((const struct text *)a)->value, ((const struct text *)b)->value);
}

/* The SNIs "*.x" of declared certificates, sorted, on the heap; ptr NULL when memory is out. */
static struct texts declared_wildcards(const struct catalog *c)
{
    const struct sni *snis = c->structs[ENTITY_SNI];
    struct text *items = malloc((c->filled[ENTITY_SNI] + 1) * sizeof(*items));
    size_t count = 0;

    for (uint32_t i = 0; items && i < c->filled[ENTITY_SNI]; i++)
        if (str_starts(snis[i].name.value, STR("*.")))
            items[count++] = snis[i].name;
    if (items)
        qsort(items, count, sizeof(*items), compare_texts);
    return (struct texts){.items = items, .count = count};
}

/* May the gate's domains let names through that the pattern "*.x" stands for? */
static bool domains_cover(const struct acme *acme, struct str pattern)
{
    struct str suffix = str_slice(pattern, 1, pattern.len);

    for (size_t i = 0; i < acme->domains.count; i++) {
        struct str domain = acme->domains.items[i].value;

        if (str_starts(domain, STR("*")) && str_ends(suffix, str_slice(domain, 1, domain.len)))
            return true;
    }
    return false;
}

static void check_wildcards(struct catalog *c, struct catalog_ref ref, const struct texts *names,
                            const char *list, const struct texts *declared)
{
    const struct acme *acme = c->context->found_acme;

    for (size_t i = 0; acme && acme->enabled && i < names->count; i++) {
        const struct text *name = &names->items[i];
        char field[FIELD_MAX];

        if (!str_starts(name->value, STR("*.")) ||
            (!acme->allow_any_domain && !domains_cover(acme, name->value)) ||
            bsearch(name, declared->items, declared->count, sizeof(*name), compare_texts))
            continue;
        snprintf(field, sizeof(field), "%s[%zu]", list, i + 1);
        /* Who allows any domain wants just that. */
        catalog_problem(c, ref, acme->allow_any_domain ? PROBLEM_NOTE : PROBLEM_WARNING,
                        name->place, field,
                        "'%.*s' would need a wildcard certificate, which http-01 cannot get: each "
                        "name gets its own, once it is first asked for",
                        STR_ARG(str_slice(name->value, 0, TEXT_SHOWN_MAX)));
    }
}

/* --- snis --- */

static const char *dead_sni(struct str name)
{
    size_t dots = 0;

    for (size_t i = 0; i < name.len; i++)
        dots += name.ptr[i] == '.';
    if (name.len > 1 && str_starts(name, STR("*")) && name.ptr[1] != '.')
        return "'%.*s' can never match: a star stands for a whole label";
    if (name.len > 1 && str_ends(name, STR("*")) && !str_ends(name, STR(".*")))
        return "'%.*s' can never match: a star stands for a whole label";
    if (str_starts(name, STR("*.")) && dots == 1)
        return "'%.*s' can never match: a star at the left needs two labels behind it";
    if (str_ends(name, STR(".")))
        return "'%.*s' can never match: names come without a dot at their end";
    return NULL;
}

static void check_snis(struct catalog *c)
{
    const struct sni *snis = c->structs[ENTITY_SNI];

    for (uint32_t i = 0; i < c->filled[ENTITY_SNI]; i++) {
        const char *why = dead_sni(snis[i].name.value);

        if (why)
            warn(c, (struct catalog_ref){i, ENTITY_SNI}, snis[i].name.place, "name", 0, why,
                 snis[i].name.value);
    }
}

/* --- what is not enforced --- */

static void check_plugins(struct catalog *c)
{
    const struct plugin *plugins = c->structs[ENTITY_PLUGIN];

    for (uint32_t i = 0; i < c->filled[ENTITY_PLUGIN]; i++)
        if (!str_equal(plugins[i].name.value, STR("acme")))
            catalog_problem(c, (struct catalog_ref){i, ENTITY_PLUGIN}, PROBLEM_NOTE,
                            plugins[i].name.place, "", "plugin '%.*s': %snot enforced here",
                            STR_ARG(str_slice(plugins[i].name.value, 0, TEXT_SHOWN_MAX)),
                            plugins[i].is_checked ? "" : "not checked, ");
}

/* --- names of routes that ask for no certificate --- */

/* Why, or NULL. A pattern at the left is check_wildcards' to tell. */
static const char *unasked(struct str name)
{
    struct address address;

    if (has_star(name))
        return NULL;
    (void)!address_parse(name, &address);
    if (address.type == ADDRESS_IPV6)
        return "'%.*s' asks for no certificate: no handshake names an IPv6 address";
    if (str_ends(address.host, STR(".")))
        return "'%.*s' asks for no certificate: names come without a dot at their end";
    if (address.host.len > HOSTNAME_MAX)
        return "'%.*s' asks for no certificate: it is longer than a name can be";
    return NULL;
}

static void check_unasked(struct catalog *c, struct catalog_ref ref, const struct texts *names,
                          const char *list)
{
    const struct acme *acme = c->context->found_acme;

    for (size_t i = 0; acme && acme->enabled && i < names->count; i++) {
        const struct text *name = &names->items[i];
        const char *why = unasked(name->value);
        char field[FIELD_MAX];

        snprintf(field, sizeof(field), "%s[%zu]", list, i + 1);
        if (str_ends(name->value, STR(".*")))
            catalog_problem(c, ref, PROBLEM_NOTE, name->place, field,
                            "'%.*s' asks for no certificate: each name gets its own, once it is "
                            "first asked for",
                            STR_ARG(str_slice(name->value, 0, TEXT_SHOWN_MAX)));
        else if (why)
            warn(c, ref, name->place, list, i + 1, why, name->value);
    }
}

/* --- routes --- */

/* A list in an order that does not depend on how it was written. */
static void print_sorted(struct buf *out, const struct texts *list)
{
    struct text *sorted = list->count ? malloc(list->count * sizeof(*sorted)) : NULL;

    buf_char(out, '\n');
    if (!sorted) {
        out->failed |= list->count != 0;
        return;
    }
    memcpy(sorted, list->items, list->count * sizeof(*sorted));
    qsort(sorted, list->count, sizeof(*sorted), compare_texts);
    for (size_t i = 0; i < list->count; i++)
        buf_printf(out, "%zu:%.*s", sorted[i].value.len, STR_ARG(sorted[i].value));
    free(sorted);
}

static int compare_headers(const void *a, const void *b)
{
    return str_compare(((const struct route_header *)a)->name.value,
                       ((const struct route_header *)b)->name.value);
}

static void print_headers(struct buf *out, const struct route *route)
{
    struct route_header *sorted =
        route->header_count ? malloc(route->header_count * sizeof(*sorted)) : NULL;

    buf_char(out, '\n');
    if (!sorted) {
        out->failed |= route->header_count != 0;
        return;
    }
    memcpy(sorted, route->headers, route->header_count * sizeof(*sorted));
    qsort(sorted, route->header_count, sizeof(*sorted), compare_headers);
    for (size_t i = 0; i < route->header_count; i++) {
        buf_printf(out, "%zu:%.*s", sorted[i].name.value.len, STR_ARG(sorted[i].name.value));
        print_sorted(out, &sorted[i].values);
    }
    free(sorted);
}

static void print_peers(struct buf *out, const struct route_peer *peers, size_t count)
{
    buf_char(out, '\n');
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%zu:%.*s:%lld", peers[i].ip.value.len, STR_ARG(peers[i].ip.value),
                   peers[i].port.is_set ? (long long)peers[i].port.value : -1);
}

/* Streams have routers of their own; among HTTP's protocols none is told from another. */
static void print_protocols(struct buf *out, const struct texts *protocols)
{
    static const char *const streams[] = {"tcp", "tls", "tls_passthrough", "udp"};

    for (size_t i = 0; protocols->count && i < ARRAY_LENGTH(streams); i++)
        if (str_equal_cstr(protocols->items[0].value, streams[i])) {
            print_sorted(out, protocols);
            return;
        }
}

/* All that a route matches by. Routes with the same text take the same requests. */
static void print_matchers(struct buf *out, const struct route *route)
{
    print_protocols(out, &route->protocols);
    print_sorted(out, &route->methods);
    print_sorted(out, &route->hosts);
    print_sorted(out, &route->paths);
    print_sorted(out, &route->snis);
    print_headers(out, route);
    print_peers(out, route->sources, route->source_count);
    print_peers(out, route->destinations, route->destination_count);
    buf_printf(out, "\n%lld", (long long)route->regex_priority);
}

struct matched {
    struct str text;
    uint32_t route;
};

static bool is_served(const struct route *route)
{
    return !route->service || route->service->enabled;
}

static void report_twin(struct catalog *c, uint32_t route, uint32_t first)
{
    const struct route *routes = c->structs[ENTITY_ROUTE];
    struct buf path = BUF_INIT(PATH_BYTES_MAX);

    if (problems_are_full(c->problems)) {
        problems_count(c->problems, PROBLEM_WARNING, 1);
        return;
    }
    catalog_path(c, (struct catalog_ref){first, ENTITY_ROUTE}, &path);
    buf_cstr(&path, " (");
    problems_print_line(c->problems, routes[route].entity.place, routes[first].entity.place, &path);
    buf_char(&path, ')');
    warn(c, (struct catalog_ref){route, ENTITY_ROUTE}, routes[route].entity.place, "", 0,
         "unreachable: %.*s matches the same requests", buf_view(&path));
    buf_free(&path);
}

/* Two routes that match by the same: the first one gets all requests. */
static int check_twins(struct catalog *c)
{
    const struct route *routes = c->structs[ENTITY_ROUTE];
    size_t count = c->filled[ENTITY_ROUTE], slots = 16;
    struct buf text = BUF_INIT(arena_room(c->context->scratch) / BUF_TIMES_HELD);
    struct matched *table;
    bool failed = false;

    while (slots < count * 2)
        slots *= 2;
    table = calloc(slots, sizeof(*table));
    for (uint32_t i = 0; table && i < count && !failed; i++) {
        size_t at;

        if (!is_served(&routes[i]))
            continue;
        buf_clear(&text);
        print_matchers(&text, &routes[i]);
        at = str_hash(buf_view(&text), (uintptr_t)table) & (slots - 1);
        while (table[at].text.ptr && !str_equal(table[at].text, buf_view(&text)))
            at = (at + 1) & (slots - 1);
        if (table[at].text.ptr)
            report_twin(c, i, table[at].route);
        else
            table[at] = (struct matched){arena_str(c->context->scratch, buf_view(&text)), i};
        failed = text.failed || !table[at].text.ptr;
    }
    failed |= text.failed && arena_charge(c->context->scratch, SIZE_MAX);
    failed |= !table;
    free(table);
    buf_free(&text);
    return failed ? -1 : 0;
}

static size_t skip_digits(struct str s, size_t i)
{
    while (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9')
        i++;
    return i;
}

/* Is the brace at i that of {n}, {n,} or {n,m}? */
static bool is_quantifier(struct str p, size_t i)
{
    size_t end = skip_digits(p, i + 1);

    if (end == i + 1)
        return false;
    if (end < p.len && p.ptr[end] == ',')
        end = skip_digits(p, end + 1);
    return end < p.len && p.ptr[end] == '}';
}

/* The index behind the escape at i: \p{Greek} and \x{41} have braces of their own. */
static size_t skip_escape(struct str p, size_t i)
{
    bool is_long = i + 2 < p.len && strchr("pPxuU", p.ptr[i + 1]) && p.ptr[i + 2] == '{';

    return is_long ? str_find(p, '}', i) + 1 : i + 2;
}

/* A brace that PCRE takes as it stands, and Kong's router refuses. */
static bool has_stray_brace(struct str p)
{
    for (size_t i = 0; i < p.len;) {
        if (p.ptr[i] == '{' && !is_quantifier(p, i))
            return true;
        if (p.ptr[i] == '[')
            i = regex_skip_class(p, i);
        else
            i = p.ptr[i] == '\\' ? skip_escape(p, i) : i + 1;
    }
    return false;
}

static void check_paths(struct catalog *c, uint32_t i)
{
    const struct texts *paths = &((const struct route *)c->structs[ENTITY_ROUTE])[i].paths;

    for (size_t k = 0; k < paths->count; k++)
        if (str_starts(paths->items[k].value, STR("~")) && has_stray_brace(paths->items[k].value))
            warn(c, (struct catalog_ref){i, ENTITY_ROUTE}, paths->items[k].place, "paths", k + 1,
                 "Kong's router refuses the brace in '%.*s': write \\{", paths->items[k].value);
}

static int check_routes(struct catalog *c)
{
    const struct route *routes = c->structs[ENTITY_ROUTE];
    struct texts declared = declared_wildcards(c);

    if (!declared.items)
        return -1;
    for (uint32_t i = 0; i < c->filled[ENTITY_ROUTE]; i++) {
        struct catalog_ref ref = {i, ENTITY_ROUTE};

        check_wildcards(c, ref, &routes[i].hosts, "hosts", &declared);
        check_wildcards(c, ref, &routes[i].snis, "snis", &declared);
        check_unasked(c, ref, &routes[i].hosts, "hosts");
        check_unasked(c, ref, &routes[i].snis, "snis");
        check_paths(c, i);
        if (!is_served(&routes[i]))
            warn(c, ref, routes[i].entity.place, "", 0,
                 "unreachable: its service '%.*s' is not enabled",
                 routes[i].service->name.ptr ? routes[i].service->name : STR("without a name"));
    }
    free((void *)declared.items);
    return 0;
}

/* Kong looks at created_at and not at updated_at; nobody uses either. */
static void check_updated(struct catalog *c)
{
    uint32_t name = names_find(c->context->index->names, STR("updated_at"));

    for (uint8_t kind = 0; kind < ENTITY_KIND_COUNT; kind++)
        for (uint32_t i = 0; i < c->filled[kind]; i++) {
            const struct document_node *n = document_get(c->items[kind][i].node, name);

            if (n && n->kind != DOCUMENT_NULL && n->kind != DOCUMENT_INTEGER &&
                n->kind != DOCUMENT_FLOAT)
                warn(c, (struct catalog_ref){i, kind}, document_place(n), "updated_at", 0,
                     "expected seconds since 1970, and has no effect here%.*s", STR(""));
        }
}

int lint_all(struct catalog *c, struct error *e)
{
    check_acme(c);
    check_snis(c);
    check_plugins(c);
    check_storage(c);
    check_updated(c);
    return check_routes(c) || check_twins(c) ? error_memory(e) : 0;
}
