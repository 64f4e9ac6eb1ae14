#include "entity.h"

#include <string.h>

#include "spec/check.h"
#include "spec/fault.h"
#include "spec/route_path.h"

enum route_field {
    ROUTE_NAME,
    ROUTE_PROTOCOLS,
    ROUTE_METHODS,
    ROUTE_HOSTS,
    ROUTE_PATHS,
    ROUTE_HEADERS,
    ROUTE_SNIS,
    ROUTE_SOURCES,
    ROUTE_DESTINATIONS,
    ROUTE_REDIRECT,
    ROUTE_STRIP_PATH,
    ROUTE_PRESERVE_HOST,
    ROUTE_REQUEST_BUFFERING,
    ROUTE_RESPONSE_BUFFERING,
    ROUTE_REGEX_PRIORITY,
    ROUTE_PATH_HANDLING,
    ROUTE_SERVICE
};

static void check_route_header(struct str value, struct buf *why)
{
    if (str_equal_nocase(value, STR("host")))
        buf_cstr(why,
                 "cannot contain 'host' header, which must be specified in the 'hosts' attribute");
    else
        check_header_name(value, why);
}

static const char *const redirects[] = {"426", "301", "302", "307", "308", NULL};
static const char *const handlings[] = {"v0", "v1", NULL};

static const struct schema_field protocol = {
    .type = SCHEMA_STRING, .store = STORE_TEXT, .one_of = entity_protocols};
static const struct schema_field method = {
    .type = SCHEMA_STRING, .store = STORE_TEXT, .check = check_method};
static const struct schema_field host = {
    .type = SCHEMA_STRING, .store = STORE_TEXT, .check = check_host_pattern, .flags = SCHEMA_LOWER};
static const struct schema_field path = {
    .type = SCHEMA_STRING, .store = STORE_TEXT, .check = route_path_check};
static const struct schema_field header_name = {
    .type = SCHEMA_STRING, .flags = SCHEMA_REQUIRED, .check = check_route_header};
static const struct schema_field header_value = {.type = SCHEMA_STRING};
static const struct schema_field header_values = {
    .type = SCHEMA_ARRAY, .flags = SCHEMA_REQUIRED, .element = &header_value};
static const struct schema_field server_name = {.type = SCHEMA_STRING,
                                                .store = STORE_TEXT,
                                                .check = check_server_name_pattern,
                                                .flags = SCHEMA_LOWER};
static const struct schema_field peer = {.type = SCHEMA_RECORD, .record = &entity_route_peer};

static const struct schema_field fields[] = {
    [ROUTE_NAME] = {"name", SCHEMA_STRING, "What plugins call it by.", .flags = SCHEMA_UNIQUE,
                    .check = check_name, SCHEMA_KEPT(STORE_STR, struct route, name)},
    [ROUTE_PROTOCOLS] = {"protocols", SCHEMA_SET, "Protocols that it takes; of one group.",
                         .flags = SCHEMA_REQUIRED, .fallback = "[\"http\",\"https\"]",
                         .element = &protocol, SCHEMA_KEPT(STORE_TEXTS, struct route, protocols)},
    [ROUTE_METHODS] = {"methods", SCHEMA_SET, "HTTP methods that match.", .element = &method,
                       SCHEMA_KEPT(STORE_TEXTS, struct route, methods)},
    [ROUTE_HOSTS] = {"hosts", SCHEMA_ARRAY, "Hosts that match; one * at either end, port optional.",
                     .element = &host, SCHEMA_KEPT(STORE_TEXTS, struct route, hosts)},
    [ROUTE_PATHS] = {"paths", SCHEMA_ARRAY,
                     "Path prefixes that match, or with ~ in front regular expressions.",
                     .element = &path, SCHEMA_KEPT(STORE_TEXTS, struct route, paths)},
    [ROUTE_HEADERS] = {"headers", SCHEMA_MAP,
                       "Headers that must be present with one of the values; ~* in front "
                       "makes a value a regular expression.",
                       .key = &header_name, .element = &header_values},
    [ROUTE_SNIS] = {"snis", SCHEMA_SET, "Server names of TLS requests that match.",
                    .element = &server_name, SCHEMA_KEPT(STORE_TEXTS, struct route, snis)},
    [ROUTE_SOURCES] = {"sources", SCHEMA_SET, "Addresses that stream connections come from.",
                       .element = &peer},
    [ROUTE_DESTINATIONS] = {"destinations", SCHEMA_SET, "Addresses that stream connections go to.",
                            .element = &peer},
    [ROUTE_REDIRECT] = {"https_redirect_status_code", SCHEMA_INTEGER,
                        "What a plain request for a route of https alone is answered.",
                        .flags = SCHEMA_REQUIRED, .fallback = "426", .one_of = redirects,
                        SCHEMA_KEPT(STORE_INTEGER, struct route, https_redirect_status_code)},
    [ROUTE_STRIP_PATH] = {"strip_path", SCHEMA_BOOLEAN,
                          "Whether the matched part of the path is cut off.",
                          .flags = SCHEMA_REQUIRED, .fallback = "true",
                          SCHEMA_KEPT(STORE_BOOLEAN, struct route, strip_path)},
    [ROUTE_PRESERVE_HOST] = {"preserve_host", SCHEMA_BOOLEAN,
                             "Whether the upstream gets the client's Host.",
                             .flags = SCHEMA_REQUIRED, .fallback = "false",
                             SCHEMA_KEPT(STORE_BOOLEAN, struct route, preserve_host)},
    [ROUTE_REQUEST_BUFFERING] = {"request_buffering", SCHEMA_BOOLEAN,
                                 "Whether a request is read whole before it is sent on.",
                                 .flags = SCHEMA_REQUIRED, .fallback = "true",
                                 SCHEMA_KEPT(STORE_BOOLEAN, struct route, request_buffering)},
    [ROUTE_RESPONSE_BUFFERING] = {"response_buffering", SCHEMA_BOOLEAN,
                                  "Whether a response is buffered.", .flags = SCHEMA_REQUIRED,
                                  .fallback = "true",
                                  SCHEMA_KEPT(STORE_BOOLEAN, struct route, response_buffering)},
    [ROUTE_REGEX_PRIORITY] = {"regex_priority", SCHEMA_INTEGER,
                              "Which of several regular expressions goes first.", .fallback = "0",
                              SCHEMA_KEPT(STORE_INTEGER, struct route, regex_priority)},
    [ROUTE_PATH_HANDLING] = {"path_handling", SCHEMA_STRING,
                             "How service path and request path are joined.", .fallback = "\"v0\"",
                             .one_of = handlings,
                             SCHEMA_KEPT(STORE_STR, struct route, path_handling)},
    [ROUTE_SERVICE] = {"service", SCHEMA_FOREIGN, "Name or id of the service that requests go to.",
                       .refers_to = ENTITY_SERVICE,
                       SCHEMA_KEPT(STORE_POINTER, struct route, service)},
};

/* What other protocols' routes match by; refused by name. */
static const struct schema_field no_http_sources = {
    .name = "sources",
    .flags = SCHEMA_NULL,
    .refusal = "cannot set 'sources' when 'protocols' is 'http' or 'https'"};
static const struct schema_field no_http_destinations = {
    .name = "destinations",
    .flags = SCHEMA_NULL,
    .refusal = "cannot set 'destinations' when 'protocols' is 'http' or 'https'"};
static const struct schema_field no_stream_methods = {
    .name = "methods",
    .flags = SCHEMA_NULL,
    .refusal = "cannot set 'methods' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'"};
static const struct schema_field no_stream_hosts = {
    .name = "hosts",
    .flags = SCHEMA_NULL,
    .refusal = "cannot set 'hosts' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'"};
static const struct schema_field no_stream_paths = {
    .name = "paths",
    .flags = SCHEMA_NULL,
    .refusal = "cannot set 'paths' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'"};
static const struct schema_field no_stream_headers = {
    .name = "headers",
    .flags = SCHEMA_NULL,
    .refusal = "cannot set 'headers' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'"};
static const struct schema_field no_grpc_methods = {
    .name = "methods",
    .flags = SCHEMA_NULL,
    .refusal = "cannot set 'methods' when 'protocols' is 'grpc' or 'grpcs'"};
static const struct schema_field no_grpc_sources = {
    .name = "sources",
    .flags = SCHEMA_NULL,
    .refusal = "cannot set 'sources' when 'protocols' is 'grpc' or 'grpcs'"};
static const struct schema_field no_grpc_destinations = {
    .name = "destinations",
    .flags = SCHEMA_NULL,
    .refusal = "cannot set 'destinations' when 'protocols' is 'grpc' or 'grpcs'"};
static const struct schema_field grpc_strip_path = {
    "strip_path", SCHEMA_BOOLEAN, .flags = SCHEMA_REQUIRED | SCHEMA_NOT_TRUE,
    .refusal = "cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'",
    SCHEMA_KEPT(STORE_BOOLEAN, struct route, strip_path)};
static const struct document_node no = {.kind = DOCUMENT_BOOLEAN, .as.boolean = false};

/* Protocols that exclude each other; the message lists whole groups. */
static const struct {
    const char *members[4];
    const char *quoted;
} groups[] = {
    {{"http", "https", NULL}, "('http', 'https')"},
    {{"tcp", "tls", "udp", NULL}, "('tcp', 'tls', 'udp')"},
    {{"tls_passthrough", NULL}, "('tls_passthrough')"},
    {{"grpc", "grpcs", NULL}, "('grpc', 'grpcs')"},
};

static bool has_item(const struct document_node *list, const char *item)
{
    for (uint32_t i = 0; document_is_table(list) && i < list->count; i++)
        if (document_is_string(&list->as.items[i]) &&
            str_equal_cstr(document_text(&list->as.items[i]), item))
            return true;
    return false;
}

static size_t group_of(struct str name)
{
    for (size_t g = 0; g < ARRAY_LENGTH(groups); g++)
        for (size_t i = 0; groups[g].members[i]; i++)
            if (str_equal_cstr(name, groups[g].members[i]))
                return g;
    return ARRAY_LENGTH(groups);
}

static void report_groups(struct schema_context *c, struct schema_view *v,
                          const struct schema_frame *at)
{
    const struct document_node *list = schema_value(c, v, ROUTE_PROTOCOLS);
    struct buf text = BUF_INIT(256);
    unsigned found = 0;

    for (uint32_t i = 0; i < list->count; i++) {
        size_t g = group_of(document_text(&list->as.items[i]));

        if (g == ARRAY_LENGTH(groups) || found >> g & 1)
            continue;
        buf_printf(&text, "%s%s", found ? ", " : "", groups[g].quoted);
        found |= 1u << g;
    }
    fault_add_field(c, v, at, ROUTE_PROTOCOLS, "these sets are mutually exclusive: %.*s",
                    STR_ARG(buf_view(&text)));
    buf_free(&text);
}

static bool are_strings(const struct document_node *list)
{
    for (uint32_t i = 0; document_is_table(list) && i < list->count; i++)
        if (list->as.items[i].kind != DOCUMENT_STRING)
            return false;
    return document_is_table(list);
}

/* Do the protocols, strings all, belong to several groups? */
static bool mixes_groups(const struct schema_context *c, const struct schema_view *v)
{
    const struct document_node *list = schema_value(c, v, ROUTE_PROTOCOLS);
    size_t first = ARRAY_LENGTH(groups);

    for (uint32_t i = 0; i < list->count; i++) {
        size_t g = group_of(document_text(&list->as.items[i]));

        if (first == ARRAY_LENGTH(groups))
            first = g;
        if (g != first && g != ARRAY_LENGTH(groups))
            return true;
    }
    return false;
}

/* Where the protocols are wrong, nothing is said of what they ask for. */
static bool has_good_protocols(const struct schema_context *c, const struct schema_view *v)
{
    return !(v->failed >> ROUTE_PROTOCOLS & 1) && !mixes_groups(c, v);
}

/* One of the fields must say something, or the route would match everything. */
static bool matches_something(const struct schema_context *c, const struct schema_view *v,
                              const unsigned *matchers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!schema_is_empty(schema_value(c, v, matchers[i])))
            return true;
    return false;
}

static void check_http(struct schema_context *c, struct schema_view *v, void *into,
                       const struct schema_frame *at)
{
    static const unsigned matchers[] = {ROUTE_METHODS, ROUTE_HOSTS, ROUTE_HEADERS, ROUTE_PATHS,
                                        ROUTE_SNIS};
    const struct document_node *list = schema_value(c, v, ROUTE_PROTOCOLS);

    (void)into;
    if (!has_good_protocols(c, v))
        return;
    if (has_item(list, "https") && !matches_something(c, v, matchers, 5))
        fault_add_entity(c, at, document_place(v->node),
                         "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when "
                         "'protocols' is 'https'");
    else if (!has_item(list, "https") && !matches_something(c, v, matchers, 4))
        fault_add_entity(c, at, document_place(v->node),
                         "must set one of 'methods', 'hosts', 'headers', 'paths' when "
                         "'protocols' is 'http'");
}

static void check_grpc(struct schema_context *c, struct schema_view *v, void *into,
                       const struct schema_frame *at)
{
    static const unsigned matchers[] = {ROUTE_HOSTS, ROUTE_HEADERS, ROUTE_PATHS, ROUTE_SNIS};
    const struct document_node *list = schema_value(c, v, ROUTE_PROTOCOLS);

    (void)into;
    if (!has_good_protocols(c, v))
        return;
    if (has_item(list, "grpcs") && !matches_something(c, v, matchers, 4))
        fault_add_entity(
            c, at, document_place(v->node),
            "must set one of 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'grpcs'");
    else if (!has_item(list, "grpcs") && !matches_something(c, v, matchers, 3))
        fault_add_entity(c, at, document_place(v->node),
                         "must set one of 'hosts', 'headers', 'paths' when 'protocols' is 'grpc'");
}

static void check_stream(struct schema_context *c, struct schema_view *v, void *into,
                         const struct schema_frame *at)
{
    static const unsigned matchers[] = {ROUTE_SNIS, ROUTE_SOURCES, ROUTE_DESTINATIONS};
    const struct document_node *list = schema_value(c, v, ROUTE_PROTOCOLS);

    (void)into;
    if (!has_good_protocols(c, v))
        return;
    if (has_item(list, "tls_passthrough")) {
        if (!matches_something(c, v, matchers, 1))
            fault_add_entity(c, at, document_place(v->node),
                             "must set snis when 'protocols' is 'tls_passthrough'");
    } else if (!matches_something(c, v, matchers, 3)) {
        fault_add_entity(c, at, document_place(v->node),
                         "must set one of 'sources', 'destinations', 'snis' when 'protocols' is "
                         "'tcp', 'tls' or 'udp'");
    }
}

static const struct schema_variant variants[] = {
    {.name = "http",
     .overrides = {{ROUTE_SOURCES, &no_http_sources, NULL},
                   {ROUTE_DESTINATIONS, &no_http_destinations, NULL}},
     .count = 2,
     .check = check_http},
    {.name = "stream",
     .overrides = {{ROUTE_METHODS, &no_stream_methods, NULL},
                   {ROUTE_HOSTS, &no_stream_hosts, NULL},
                   {ROUTE_PATHS, &no_stream_paths, NULL},
                   {ROUTE_HEADERS, &no_stream_headers, NULL}},
     .count = 4,
     .check = check_stream},
    {.name = "grpc",
     .overrides = {{ROUTE_STRIP_PATH, &grpc_strip_path, &no},
                   {ROUTE_METHODS, &no_grpc_methods, NULL},
                   {ROUTE_SOURCES, &no_grpc_sources, NULL},
                   {ROUTE_DESTINATIONS, &no_grpc_destinations, NULL}},
     .count = 4,
     .check = check_grpc},
};

static const struct schema_variant *variant_of(struct str protocol_name)
{
    static const unsigned char of_group[] = {0, 1, 1, 2};
    size_t g = group_of(protocol_name);

    return g < ARRAY_LENGTH(groups) ? &variants[of_group[g]] : NULL;
}

/* Kong names the first protocol as Lua prints it. */
static void refuse_type(struct schema_context *c, struct schema_view *v,
                        const struct schema_frame *at, const struct document_node *n)
{
    const struct document_node *first = n->kind == DOCUMENT_STRING ? n
                                        : n->count                 ? &n->as.items[0]
                                                                   : &schema_null;

    if (first->kind == DOCUMENT_INTEGER)
        fault_add_field(c, v, at, ROUTE_PROTOCOLS, "unknown type: %lld",
                        (long long)first->as.integer);
    else
        fault_add_field(
            c, v, at, ROUTE_PROTOCOLS, "unknown type: %.*s",
            STR_ARG(first->kind == DOCUMENT_STRING ? document_text(first) : STR("nil")));
}

/* The first protocol of the list that is one decides; none is no route. */
static bool choose(struct schema_context *c, struct schema_view *v, const struct schema_frame *at)
{
    const struct document_node *n = schema_value(c, v, ROUTE_PROTOCOLS);

    if (n->kind == DOCUMENT_NULL) {
        fault_add_field(c, v, at, ROUTE_PROTOCOLS, "required field missing");
        return false;
    }
    if (n->kind != DOCUMENT_STRING && !document_is_table(n)) {
        fault_add_field(c, v, at, ROUTE_PROTOCOLS, "expected a set");
        return false;
    }
    if (n->kind == DOCUMENT_STRING)
        v->variant = variant_of(document_text(n));
    for (uint32_t i = 0; document_is_table(n) && i < n->count && !v->variant; i++)
        if (document_is_string(&n->as.items[i]))
            v->variant = variant_of(document_text(&n->as.items[i]));
    if (!v->variant)
        refuse_type(c, v, at, n);
    return v->variant != NULL;
}

/* snis only constrain TLS. */
static void check_snis(struct schema_context *c, struct schema_view *v,
                       const struct schema_frame *at)
{
    static const char *const with_tls[] = {"grpcs", "https", "tls", "tls_passthrough"};
    const struct document_node *list = schema_value(c, v, ROUTE_PROTOCOLS);
    const struct document_node *snis = schema_value(c, v, ROUTE_SNIS);
    bool has_failed = v->failed >> ROUTE_SNIS & 1;

    if (snis->kind == DOCUMENT_NULL || (!has_failed && !snis->count))
        return;
    for (size_t i = 0; i < ARRAY_LENGTH(with_tls); i++)
        if (has_item(list, with_tls[i]))
            return;
    if (!has_failed)
        fault_add_field(c, v, at, ROUTE_SNIS, "length must be 0");
    fault_add_entity(c, at, document_place(v->node),
                     "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or "
                     "'tls_passthrough'");
}

static struct text text_at(const struct document_node *n)
{
    return (struct text){document_text(n), document_place(n)};
}

static void store_headers(struct schema_context *c, const struct document_node *n,
                          struct route *route)
{
    struct route_header *headers;

    if (n->kind != DOCUMENT_MAP || !n->count)
        return;
    headers = arena_array(c->arena, n->count, sizeof(*headers));
    if (!headers) {
        c->is_out_of_memory = true;
        return;
    }
    for (uint32_t i = 0; i < n->count; i++) {
        const struct document_key *key = &document_keys(n)[i];
        const struct document_node *list = &n->as.items[i];
        struct text *values = arena_array(c->arena, list->count, sizeof(*values));

        if (!values) {
            c->is_out_of_memory = true;
            return;
        }
        for (uint32_t k = 0; k < list->count; k++)
            values[k] = text_at(&list->as.items[k]);
        headers[i].name = (struct text){names_text(c->index->names, key->name),
                                        {n->file, key->line, key->column}};
        headers[i].values = (struct texts){values, list->count, true};
    }
    route->headers = headers;
    route->header_count = n->count;
}

static const struct route_peer *store_peers(struct schema_context *c, const struct document_node *n,
                                            size_t *count)
{
    struct route_peer *peers;
    uint32_t ip, port;

    *count = 0;
    if (n->kind != DOCUMENT_SEQUENCE || !n->count)
        return NULL;
    ip = names_find(c->index->names, STR("ip"));
    port = names_find(c->index->names, STR("port"));
    peers = arena_array(c->arena, n->count, sizeof(*peers));
    if (!peers) {
        c->is_out_of_memory = true;
        return NULL;
    }
    *count = n->count;
    for (uint32_t i = 0; i < n->count; i++) {
        const struct document_node *ip_node = document_get(&n->as.items[i], ip);
        const struct document_node *port_node = document_get(&n->as.items[i], port);

        if (ip_node && ip_node->kind == DOCUMENT_STRING)
            peers[i].ip = text_at(ip_node);
        if (port_node && port_node->kind == DOCUMENT_INTEGER)
            peers[i].port = (struct opt_int){port_node->as.integer, true};
        else if (port_node && port_node->kind == DOCUMENT_FLOAT)
            peers[i].port = (struct opt_int){(int64_t)port_node->as.number, true};
    }
    return peers;
}

static void check(struct schema_context *c, struct schema_view *v, void *into,
                  const struct schema_frame *at)
{
    struct route *route = into;

    fault_explain(c, STR("expression"),
                  "unknown field: routes are those of the router flavor traditional_compatible");
    if (are_strings(schema_value(c, v, ROUTE_PROTOCOLS))) {
        if (!mixes_groups(c, v))
            check_snis(c, v, at);
        else if (!(v->failed >> ROUTE_PROTOCOLS & 1))
            report_groups(c, v, at);
    }
    if (!route || v->failed || fault_total(c))
        return;
    store_headers(c, schema_value(c, v, ROUTE_HEADERS), route);
    route->sources = store_peers(c, schema_value(c, v, ROUTE_SOURCES), &route->source_count);
    route->destinations =
        store_peers(c, schema_value(c, v, ROUTE_DESTINATIONS), &route->destination_count);
}

static struct str transform(struct schema_context *c, struct str value)
{
    struct str migrated;

    if (!c->migrates_paths)
        return value;
    migrated = route_path_migrate(c->arena, value);
    if (!migrated.ptr)
        c->is_out_of_memory = true;
    return migrated.ptr ? migrated : value;
}

const struct schema_record entity_route = {"routes",
                                           ENTITY_ROUTE,
                                           "Which requests go to a service.",
                                           SCHEMA_FIELDS(fields),
                                           .is_entity = true,
                                           .choose = choose,
                                           .check = check,
                                           .transform = transform,
                                           .transforms = ROUTE_PATHS};

static const struct schema_field peer_fields[] = {
    {"ip", SCHEMA_STRING, "An address, or a range such as 10.0.0.0/8.", .check = check_ip_or_cidr},
    {"port", SCHEMA_INTEGER, "A port.", .flags = SCHEMA_RANGE, .max = 65535},
};

static const struct schema_rule peer_rules[] = {
    {.kind = RULE_AT_LEAST_ONE, .fields = {0, 1}, .count = 2},
};

const struct schema_record entity_route_peer = {
    "routes.sources", PART_ROUTE_PEER, "One end of a stream connection.",
    SCHEMA_FIELDS(peer_fields), SCHEMA_RULES(peer_rules)};
