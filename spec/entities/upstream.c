#include "entity.h"

#include "spec/address.h"
#include "spec/check.h"

#define SLOTS_MIN 10
#define SLOTS_MAX 65536

enum upstream_field {
    UPSTREAM_NAME,
    UPSTREAM_ALGORITHM,
    UPSTREAM_HASH_ON,
    UPSTREAM_HASH_FALLBACK,
    UPSTREAM_HASH_ON_HEADER,
    UPSTREAM_HASH_FALLBACK_HEADER,
    UPSTREAM_HASH_ON_COOKIE,
    UPSTREAM_HASH_ON_COOKIE_PATH,
    UPSTREAM_HASH_ON_QUERY_ARG,
    UPSTREAM_HASH_FALLBACK_QUERY_ARG,
    UPSTREAM_HASH_ON_URI_CAPTURE,
    UPSTREAM_HASH_FALLBACK_URI_CAPTURE,
    UPSTREAM_SLOTS,
    UPSTREAM_HEALTHCHECKS,
    UPSTREAM_HOST_HEADER,
    UPSTREAM_CLIENT_CERTIFICATE,
    UPSTREAM_USE_SRV_NAME
};

static void check_upstream_name(struct str value, struct buf *why)
{
    struct address address;

    if (address_parse(value, &address))
        buf_printf(why, "Invalid name ('%.*s'); must be a valid hostname", STR_ARG(value));
    else if (address.type != ADDRESS_NAME)
        buf_printf(why, "Invalid name ('%.*s'); no ip addresses allowed", STR_ARG(value));
    else if (address.has_port)
        buf_printf(why, "Invalid name ('%.*s'); no port allowed", STR_ARG(value));
}

static const char *const algorithms[] = {"consistent-hashing", "least-connections", "round-robin",
                                         "latency", NULL};
static const char *const selectors[] = {"none", "consumer",  "ip",          "header", "cookie",
                                        "path", "query_arg", "uri_capture", NULL};

static const struct schema_field fields[] = {
    [UPSTREAM_NAME] = {"name", SCHEMA_STRING,
                       "A host name; services whose host it is are balanced.",
                       .flags = SCHEMA_REQUIRED | SCHEMA_UNIQUE, .check = check_upstream_name,
                       SCHEMA_KEPT(STORE_STR, struct upstream, name)},
    [UPSTREAM_ALGORITHM] = {"algorithm", SCHEMA_STRING, "How a target is chosen.",
                            .fallback = "\"round-robin\"", .one_of = algorithms,
                            SCHEMA_KEPT(STORE_STR, struct upstream, algorithm)},
    [UPSTREAM_HASH_ON] = {"hash_on", SCHEMA_STRING, "What consistent hashing looks at.",
                          .fallback = "\"none\"", .one_of = selectors,
                          SCHEMA_KEPT(STORE_STR, struct upstream, hash_on)},
    [UPSTREAM_HASH_FALLBACK] = {"hash_fallback", SCHEMA_STRING,
                                "What it looks at where hash_on finds nothing.",
                                .fallback = "\"none\"", .one_of = selectors,
                                SCHEMA_KEPT(STORE_STR, struct upstream, hash_fallback)},
    [UPSTREAM_HASH_ON_HEADER] = {"hash_on_header", SCHEMA_STRING,
                                 "The header, where hash_on is header.", .check = check_header_name,
                                 SCHEMA_KEPT(STORE_STR, struct upstream, hash_on_header)},
    [UPSTREAM_HASH_FALLBACK_HEADER] =
        {"hash_fallback_header", SCHEMA_STRING, "The header, where hash_fallback is header.",
         .check = check_header_name, SCHEMA_KEPT(STORE_STR, struct upstream, hash_fallback_header)},
    [UPSTREAM_HASH_ON_COOKIE] = {"hash_on_cookie", SCHEMA_STRING,
                                 "The cookie, where one of the two is cookie.",
                                 .check = check_cookie_name,
                                 SCHEMA_KEPT(STORE_STR, struct upstream, hash_on_cookie)},
    [UPSTREAM_HASH_ON_COOKIE_PATH] = {"hash_on_cookie_path", SCHEMA_STRING,
                                      "The path of a cookie that is set for it.",
                                      .fallback = "\"/\"", .check = check_path,
                                      SCHEMA_KEPT(STORE_STR, struct upstream, hash_on_cookie_path)},
    [UPSTREAM_HASH_ON_QUERY_ARG] = {"hash_on_query_arg", SCHEMA_STRING,
                                    "The argument, where hash_on is query_arg.",
                                    SCHEMA_KEPT(STORE_STR, struct upstream, hash_on_query_arg)},
    [UPSTREAM_HASH_FALLBACK_QUERY_ARG] = {"hash_fallback_query_arg", SCHEMA_STRING,
                                          "The same for hash_fallback.",
                                          SCHEMA_KEPT(STORE_STR, struct upstream,
                                                      hash_fallback_query_arg)},
    [UPSTREAM_HASH_ON_URI_CAPTURE] = {"hash_on_uri_capture", SCHEMA_STRING,
                                      "The capture, where hash_on is uri_capture.",
                                      SCHEMA_KEPT(STORE_STR, struct upstream, hash_on_uri_capture)},
    [UPSTREAM_HASH_FALLBACK_URI_CAPTURE] = {"hash_fallback_uri_capture", SCHEMA_STRING,
                                            "The same for hash_fallback.",
                                            SCHEMA_KEPT(STORE_STR, struct upstream,
                                                        hash_fallback_uri_capture)},
    [UPSTREAM_SLOTS] = {"slots", SCHEMA_INTEGER, "Size of the balancer's ring.",
                        .flags = SCHEMA_RANGE, .min = SLOTS_MIN, .max = SLOTS_MAX,
                        .fallback = "10000", SCHEMA_KEPT(STORE_INTEGER, struct upstream, slots)},
    [UPSTREAM_HEALTHCHECKS] = {"healthchecks", SCHEMA_RECORD, "When a target counts as healthy.",
                               .flags = SCHEMA_REQUIRED, .record = &entity_healthchecks},
    [UPSTREAM_HOST_HEADER] = {"host_header", SCHEMA_STRING, "The Host that targets get.",
                              .check = check_host_and_port,
                              SCHEMA_KEPT(STORE_STR, struct upstream, host_header)},
    [UPSTREAM_CLIENT_CERTIFICATE] = {"client_certificate", SCHEMA_FOREIGN,
                                     "Id of the certificate that targets are shown.",
                                     .refers_to = ENTITY_CERTIFICATE,
                                     SCHEMA_KEPT(STORE_POINTER, struct upstream,
                                                 client_certificate)},
    [UPSTREAM_USE_SRV_NAME] = {"use_srv_name", SCHEMA_BOOLEAN,
                               "Whether the name of an SRV record becomes the Host.",
                               .fallback = "false",
                               SCHEMA_KEPT(STORE_BOOLEAN, struct upstream, use_srv_name)},
};

static const char *const is_none[] = {"none", NULL};
static const char *const is_header[] = {"header", NULL};
static const char *const is_cookie[] = {"cookie", NULL};
static const char *const is_consumer[] = {"consumer", NULL};
static const char *const is_ip[] = {"ip", NULL};
static const char *const is_path[] = {"path", NULL};
static const char *const is_query_arg[] = {"query_arg", NULL};
static const char *const is_uri_capture[] = {"uri_capture", NULL};
static const char *const but_consumer[] = {"none", "ip",        "header",      "cookie",
                                           "path", "query_arg", "uri_capture", NULL};
static const char *const but_ip[] = {"none", "consumer",  "header",      "cookie",
                                     "path", "query_arg", "uri_capture", NULL};
static const char *const but_path[] = {"none",      "consumer", "header",      "cookie",
                                       "query_arg", "ip",       "uri_capture", NULL};

static const struct schema_rule rules[] = {
    {.kind = RULE_IF,
     .field = UPSTREAM_HASH_ON,
     .when = is_header,
     .then_field = UPSTREAM_HASH_ON_HEADER,
     .then = THEN_REQUIRED},
    {.kind = RULE_IF,
     .field = UPSTREAM_HASH_FALLBACK,
     .when = is_header,
     .then_field = UPSTREAM_HASH_FALLBACK_HEADER,
     .then = THEN_REQUIRED},
    {.kind = RULE_IF,
     .field = UPSTREAM_HASH_ON,
     .when = is_cookie,
     .then_field = UPSTREAM_HASH_ON_COOKIE,
     .then = THEN_REQUIRED},
    {.kind = RULE_IF,
     .field = UPSTREAM_HASH_FALLBACK,
     .when = is_cookie,
     .then_field = UPSTREAM_HASH_ON_COOKIE,
     .then = THEN_REQUIRED},
    {.kind = RULE_IF,
     .field = UPSTREAM_HASH_ON,
     .when = is_none,
     .then_field = UPSTREAM_HASH_FALLBACK,
     .then = THEN_ONE_OF,
     .then_in = is_none},
    {.kind = RULE_IF,
     .field = UPSTREAM_HASH_ON,
     .when = is_cookie,
     .then_field = UPSTREAM_HASH_FALLBACK,
     .then = THEN_ONE_OF,
     .then_in = is_none},
    {.kind = RULE_IF,
     .field = UPSTREAM_HASH_ON,
     .when = is_consumer,
     .then_field = UPSTREAM_HASH_FALLBACK,
     .then = THEN_ONE_OF,
     .then_in = but_consumer},
    {.kind = RULE_IF,
     .field = UPSTREAM_HASH_ON,
     .when = is_ip,
     .then_field = UPSTREAM_HASH_FALLBACK,
     .then = THEN_ONE_OF,
     .then_in = but_ip},
    {.kind = RULE_IF,
     .field = UPSTREAM_HASH_ON,
     .when = is_path,
     .then_field = UPSTREAM_HASH_FALLBACK,
     .then = THEN_ONE_OF,
     .then_in = but_path},
    {.kind = RULE_DISTINCT,
     .fields = {UPSTREAM_HASH_ON_HEADER, UPSTREAM_HASH_FALLBACK_HEADER},
     .count = 2},
    {.kind = RULE_IF,
     .field = UPSTREAM_HASH_ON,
     .when = is_query_arg,
     .then_field = UPSTREAM_HASH_ON_QUERY_ARG,
     .then = THEN_REQUIRED},
    {.kind = RULE_IF,
     .field = UPSTREAM_HASH_FALLBACK,
     .when = is_query_arg,
     .then_field = UPSTREAM_HASH_FALLBACK_QUERY_ARG,
     .then = THEN_REQUIRED},
    {.kind = RULE_DISTINCT,
     .fields = {UPSTREAM_HASH_ON_QUERY_ARG, UPSTREAM_HASH_FALLBACK_QUERY_ARG},
     .count = 2},
    {.kind = RULE_IF,
     .field = UPSTREAM_HASH_ON,
     .when = is_uri_capture,
     .then_field = UPSTREAM_HASH_ON_URI_CAPTURE,
     .then = THEN_REQUIRED},
    {.kind = RULE_IF,
     .field = UPSTREAM_HASH_FALLBACK,
     .when = is_uri_capture,
     .then_field = UPSTREAM_HASH_FALLBACK_URI_CAPTURE,
     .then = THEN_REQUIRED},
    {.kind = RULE_DISTINCT,
     .fields = {UPSTREAM_HASH_ON_URI_CAPTURE, UPSTREAM_HASH_FALLBACK_URI_CAPTURE},
     .count = 2},
};

static const struct document_node none = {
    .kind = DOCUMENT_STRING, .as.text = "none", .count = sizeof("none") - 1};
static const struct document_node round_robin = {
    .kind = DOCUMENT_STRING, .as.text = "round-robin", .count = sizeof("round-robin") - 1};
static const struct document_node consistent_hashing = {.kind = DOCUMENT_STRING,
                                                        .as.text = "consistent-hashing",
                                                        .count = sizeof("consistent-hashing") - 1};

static bool is_text(const struct document_node *n, const char *text)
{
    return n && n->kind == DOCUMENT_STRING && str_equal_cstr(document_text(n), text);
}

/*
 * Kong keeps algorithm and hash_on in step: an algorithm that hashes nothing resets hash_on, and
 * a hash_on that is stated decides the algorithm.
 */
static void expand(struct schema_context *c, struct schema_view *v, const struct schema_frame *at)
{
    const struct document_node *algorithm = v->slots[UPSTREAM_ALGORITHM];
    const struct document_node *hash_on = v->slots[UPSTREAM_HASH_ON];

    (void)c;
    (void)at;
    if (is_text(algorithm, "least-connections") || is_text(algorithm, "latency")) {
        schema_put(v, UPSTREAM_HASH_ON, &none);
        return;
    }
    if (!hash_on)
        return;
    if (hash_on->kind == DOCUMENT_NULL)
        schema_put(v, UPSTREAM_HASH_ON, &none);
    else if (is_text(hash_on, "none"))
        schema_put(v, UPSTREAM_ALGORITHM, &round_robin);
    else if (hash_on->kind == DOCUMENT_STRING && hash_on->count)
        schema_put(v, UPSTREAM_ALGORITHM, &consistent_hashing);
}

const struct schema_record entity_upstream = {
    "upstreams",           ENTITY_UPSTREAM,     "A name whose services are balanced over targets.",
    SCHEMA_FIELDS(fields), SCHEMA_RULES(rules), .is_entity = true,
    .expand = expand};

static void check_target(struct str value, struct buf *why)
{
    struct address address;

    if (address_parse(value, &address))
        buf_printf(why, "Invalid target ('%.*s'); not a valid hostname or ip address",
                   STR_ARG(value));
}

/* The order of the first two is that of entity_infos' key fields. */
static const struct schema_field target_fields[] = {
    {"target", SCHEMA_STRING, "Host or address of the target, port optional (8000).",
     .flags = SCHEMA_REQUIRED, .check = check_target,
     SCHEMA_KEPT(STORE_TEXT, struct target, target)},
    {"upstream", SCHEMA_FOREIGN, "Name or id of its upstream.", .flags = SCHEMA_REQUIRED,
     .refers_to = ENTITY_UPSTREAM, SCHEMA_KEPT(STORE_POINTER, struct target, upstream)},
    {"weight", SCHEMA_INTEGER, "Its share of the requests; 0 is none.", .flags = SCHEMA_RANGE,
     .max = 65535, .fallback = "100", SCHEMA_KEPT(STORE_INTEGER, struct target, weight)},
    {"created_at", SCHEMA_NUMBER, "Seconds since 1970; without effect here.",
     .flags = SCHEMA_TIMESTAMP},
};

const struct schema_record entity_target = {"targets", ENTITY_TARGET, "One server of an upstream.",
                                            SCHEMA_FIELDS(target_fields), .is_entity = true};
