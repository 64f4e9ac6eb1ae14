#include "entity.h"

#include <string.h>

#include "spec/check.h"
#include "spec/fault.h"
#include "spec/document_json.h"
#include "spec/spec.h"

/* The numbers of the first five are used in entity_infos. */
enum plugin_field {
    PLUGIN_NAME,
    PLUGIN_INSTANCE_NAME,
    PLUGIN_ROUTE,
    PLUGIN_SERVICE,
    PLUGIN_CONSUMER,
    PLUGIN_CONFIG,
    PLUGIN_PROTOCOLS,
    PLUGIN_ENABLED
};

/* What Kong 3.x brings along, in the order of its own list. */
const char *const entity_plugin_names[] = {"jwt",
                                           "acl",
                                           "correlation-id",
                                           "cors",
                                           "oauth2",
                                           "tcp-log",
                                           "udp-log",
                                           "file-log",
                                           "http-log",
                                           "key-auth",
                                           "hmac-auth",
                                           "basic-auth",
                                           "ip-restriction",
                                           "request-transformer",
                                           "response-transformer",
                                           "request-size-limiting",
                                           "rate-limiting",
                                           "response-ratelimiting",
                                           "syslog",
                                           "loggly",
                                           "datadog",
                                           "ldap-auth",
                                           "statsd",
                                           "bot-detection",
                                           "aws-lambda",
                                           "request-termination",
                                           "prometheus",
                                           "proxy-cache",
                                           "session",
                                           "acme",
                                           "grpc-gateway",
                                           "grpc-web",
                                           "pre-function",
                                           "post-function",
                                           "azure-functions",
                                           "zipkin",
                                           "opentelemetry",
                                           "ai-proxy",
                                           "ai-prompt-decorator",
                                           "ai-prompt-template",
                                           "ai-prompt-guard",
                                           "ai-request-transformer",
                                           "ai-response-transformer",
                                           "standard-webhooks",
                                           "redirect",
                                           NULL};

static const struct schema_field protocol = {
    .type = SCHEMA_STRING, .store = STORE_TEXT, .one_of = entity_protocols};
static const struct schema_field http_protocol = {
    .type = SCHEMA_STRING, .store = STORE_TEXT, .one_of = entity_http_protocols};

static const struct schema_field fields[] = {
    [PLUGIN_NAME] = {.name = "name",
                     .about = "Which plugin.",
                     .type = SCHEMA_STRING,
                     .flags = SCHEMA_REQUIRED,
                     .store = STORE_TEXT,
                     .offset = offsetof(struct plugin, name)},
    [PLUGIN_INSTANCE_NAME] = {.name = "instance_name",
                              .about = "A name for this use of it.",
                              .type = SCHEMA_STRING,
                              .flags = SCHEMA_UNIQUE,
                              .check = check_name,
                              .store = STORE_STR,
                              .offset = offsetof(struct plugin, instance_name)},
    [PLUGIN_ROUTE] = {.name = "route",
                      .about = "Name or id of the only route it works on.",
                      .type = SCHEMA_FOREIGN,
                      .refers_to = ENTITY_ROUTE,
                      .store = STORE_POINTER,
                      .offset = offsetof(struct plugin, route)},
    [PLUGIN_SERVICE] = {.name = "service",
                        .about = "Name or id of the only service it works on.",
                        .type = SCHEMA_FOREIGN,
                        .refers_to = ENTITY_SERVICE,
                        .store = STORE_POINTER,
                        .offset = offsetof(struct plugin, service)},
    [PLUGIN_CONSUMER] = {.name = "consumer",
                         .about = "Name or id of the only consumer it works on.",
                         .type = SCHEMA_FOREIGN,
                         .refers_to = ENTITY_CONSUMER,
                         .store = STORE_POINTER,
                         .offset = offsetof(struct plugin, consumer)},
    [PLUGIN_CONFIG] = {.name = "config",
                       .about = "What the plugin is told; every plugin has fields of its own.",
                       .type = SCHEMA_ANY,
                       .flags = SCHEMA_UNCHECKED},
    [PLUGIN_PROTOCOLS] = {.name = "protocols",
                          .about = "Protocols that it works on.",
                          .type = SCHEMA_SET,
                          .flags = SCHEMA_REQUIRED,
                          .fallback = "[\"grpc\",\"grpcs\",\"http\",\"https\"]",
                          .element = &protocol,
                          .store = STORE_TEXTS,
                          .offset = offsetof(struct plugin, protocols)},
    [PLUGIN_ENABLED] = {.name = "enabled",
                        .about = "Without it, the plugin does nothing.",
                        .type = SCHEMA_BOOLEAN,
                        .flags = SCHEMA_REQUIRED,
                        .fallback = "true",
                        .store = STORE_BOOLEAN,
                        .offset = offsetof(struct plugin, enabled)},
};

static const struct schema_field no_route = {
    .name = "route", .type = SCHEMA_FOREIGN, .flags = SCHEMA_NULL, .refers_to = ENTITY_ROUTE};
static const struct schema_field no_service = {
    .name = "service", .type = SCHEMA_FOREIGN, .flags = SCHEMA_NULL, .refers_to = ENTITY_SERVICE};
static const struct schema_field no_consumer = {
    .name = "consumer", .type = SCHEMA_FOREIGN, .flags = SCHEMA_NULL, .refers_to = ENTITY_CONSUMER};
static const struct schema_field http_protocols = {.name = "protocols",
                                                   .type = SCHEMA_SET,
                                                   .flags = SCHEMA_REQUIRED,
                                                   .element = &http_protocol,
                                                   .store = STORE_TEXTS,
                                                   .offset = offsetof(struct plugin, protocols)};
static const struct schema_field acme_config = {.name = "config",
                                                .type = SCHEMA_RECORD,
                                                .flags = SCHEMA_REQUIRED | SCHEMA_DEFERRED,
                                                .record = &entity_acme};
static const struct schema_field key_auth_config = {
    .name = "config", .type = SCHEMA_RECORD, .flags = SCHEMA_REQUIRED, .record = &entity_key_auth};
static const struct schema_field correlation_id_config = {.name = "config",
                                                          .type = SCHEMA_RECORD,
                                                          .flags = SCHEMA_REQUIRED,
                                                          .record = &entity_correlation_id};

/* Checked here rather than by the table, because it goes into a struct of its own. */
static void check_acme(struct schema_context *c, struct schema_view *v, void *into,
                       const struct schema_frame *at)
{
    const struct document_node *n = v->slots[PLUGIN_CONFIG];
    struct document_node empty = *v->node;
    struct schema_frame here = {.up = at, .name = STR("config")};
    struct schema_view config;
    struct acme *acme = NULL;

    empty.kind = DOCUMENT_MAP;
    empty.count = 0;
    if (c->parent) {
        struct schema_frame parent = {.up = at, .name = str_from(c->parent)};

        fault_add(c, &parent, document_place(v->node),
                  "value must be null: acme works for the whole file, so write it into the "
                  "'plugins' at the top level");
    }
    if (n && (n->kind == DOCUMENT_NULL || !document_is_table(n))) {
        fault_add(c, &here, document_place(n), "%s",
                  n->kind == DOCUMENT_NULL ? "required field missing" : "expected a record");
        return;
    }
    if (into) {
        acme = arena_alloc(c->arena, sizeof(*acme));
        c->is_out_of_memory |= !acme;
    }
    if (acme)
        schema_set_defaults(c, &entity_acme, acme);
    if (schema_open(c, &entity_acme, n ? n : &empty, &config, &here, NULL, NULL))
        schema_check_view(c, &config, acme, &here);
    c->acme = acme;
}

static const struct schema_variant acme_variant = {
    .name = "acme",
    .overrides = {{PLUGIN_ROUTE, &no_route, NULL},
                  {PLUGIN_SERVICE, &no_service, NULL},
                  {PLUGIN_CONSUMER, &no_consumer, NULL},
                  {PLUGIN_PROTOCOLS, &http_protocols, NULL},
                  {PLUGIN_CONFIG, &acme_config, NULL}},
    .count = 5,
    .check = check_acme};
static const struct schema_variant key_auth_variant = {
    .name = "key-auth",
    .overrides = {{PLUGIN_CONSUMER, &no_consumer, NULL},
                  {PLUGIN_PROTOCOLS, &http_protocols, NULL},
                  {PLUGIN_CONFIG, &key_auth_config, NULL}},
    .count = 3};
static const struct schema_variant correlation_id_variant = {
    .name = "correlation-id",
    .overrides = {{PLUGIN_PROTOCOLS, &http_protocols, NULL},
                  {PLUGIN_CONFIG, &correlation_id_config, NULL}},
    .count = 2};
static const struct schema_variant unchecked_variant = {.name = "other"};

static const struct schema_variant *const variants[] = {&acme_variant, &key_auth_variant,
                                                        &correlation_id_variant};

static bool is_known(const struct schema_context *c, struct str name)
{
    for (size_t i = 0; entity_plugin_names[i]; i++)
        if (str_equal_cstr(name, entity_plugin_names[i]))
            return true;
    for (size_t i = 0; i < c->options->plugin_count; i++)
        if (str_equal(name, c->options->plugins[i]))
            return true;
    return false;
}

static void refuse_name(struct schema_context *c, struct schema_view *v,
                        const struct schema_frame *at, struct str name)
{
    fault_add_field(c, v, at, PLUGIN_NAME,
                    "plugin '%.*s' not enabled; add it to the 'plugins' configuration property",
                    STR_ARG(name));
}

static bool choose(struct schema_context *c, struct schema_view *v, const struct schema_frame *at)
{
    const struct document_node *n = v->slots[PLUGIN_NAME];
    struct str name;

    if (!n || n->kind != DOCUMENT_STRING) {
        fault_add_field(c, v, at, PLUGIN_NAME, "%s",
                        !n || n->kind == DOCUMENT_NULL ? "required field missing"
                                                       : "expected a string");
        return false;
    }
    name = document_text(n);
    for (size_t i = 0; i < ARRAY_LENGTH(variants) && !v->variant; i++)
        if (str_equal_cstr(name, variants[i]->name))
            v->variant = variants[i];
    if (!v->variant && is_known(c, name))
        v->variant = &unchecked_variant;
    if (!v->variant)
        refuse_name(c, v, at, name);
    return v->variant != NULL;
}

static void check(struct schema_context *c, struct schema_view *v, void *into,
                  const struct schema_frame *at)
{
    const struct document_node *config = v->slots[PLUGIN_CONFIG];
    struct plugin *plugin = into;
    struct buf text = BUF_SECRET(arena_room(c->arena) / BUF_TIMES_HELD);

    (void)at;
    if (!plugin)
        return;
    plugin->is_checked = v->variant != &unchecked_variant;
    if (v->variant == &acme_variant || !config || config->kind == DOCUMENT_NULL)
        return;
    document_json_print(&text, config, c->index->names);
    plugin->config = arena_str(c->arena, buf_view(&text));
    if (text.failed && arena_charge(c->arena, SIZE_MAX))
        plugin->config = STR_NONE; /* the limit was in the way */
    c->is_out_of_memory |= text.failed || !plugin->config.ptr;
    buf_free(&text);
}

const struct schema_record entity_plugin = {
    .name = "plugins",
    .about = "Something that happens to requests; acme makes certificates.",
    .number = ENTITY_PLUGIN,
    .fields = fields,
    .count = ARRAY_LENGTH(fields),
    .is_entity = true,
    .choose = choose,
    .check = check,
};

static const struct schema_field key_name = {.type = SCHEMA_STRING, .check = check_header_name};

static const struct schema_field key_auth_fields[] = {
    {.name = "key_names",
     .about = "Headers and arguments that hold the key.",
     .type = SCHEMA_ARRAY,
     .flags = SCHEMA_REQUIRED,
     .element = &key_name,
     .fallback = "[\"apikey\"]"},
    {.name = "hide_credentials",
     .about = "Whether the upstream does not get the key.",
     .type = SCHEMA_BOOLEAN,
     .flags = SCHEMA_REQUIRED,
     .fallback = "false"},
    {.name = "anonymous",
     .about = "The consumer that requests without a key belong to.",
     .type = SCHEMA_STRING},
    {.name = "key_in_header",
     .about = "Whether the key may stand in a header.",
     .type = SCHEMA_BOOLEAN,
     .flags = SCHEMA_REQUIRED,
     .fallback = "true"},
    {.name = "key_in_query",
     .about = "Whether the key may stand in the query.",
     .type = SCHEMA_BOOLEAN,
     .flags = SCHEMA_REQUIRED,
     .fallback = "true"},
    {.name = "key_in_body",
     .about = "Whether the key may stand in the body.",
     .type = SCHEMA_BOOLEAN,
     .flags = SCHEMA_REQUIRED,
     .fallback = "false"},
    {.name = "run_on_preflight",
     .about = "Whether OPTIONS requests need a key.",
     .type = SCHEMA_BOOLEAN,
     .flags = SCHEMA_REQUIRED,
     .fallback = "true"},
    {.name = "realm", .about = "Realm of the refusal.", .type = SCHEMA_STRING},
};

const struct schema_record entity_key_auth = {.name = "key-auth",
                                              .about = "Configuration of the key-auth plugin.",
                                              .number = PART_KEY_AUTH,
                                              .fields = key_auth_fields,
                                              .count = ARRAY_LENGTH(key_auth_fields)};

static const char *const generators[] = {"uuid", "uuid#counter", "tracker", NULL};

static const struct schema_field correlation_id_fields[] = {
    {.name = "header_name",
     .about = "The header that carries the id.",
     .type = SCHEMA_STRING,
     .fallback = "\"Kong-Request-ID\""},
    {.name = "generator",
     .about = "How ids are made.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .one_of = generators,
     .fallback = "\"uuid#counter\""},
    {.name = "echo_downstream",
     .about = "Whether the client gets the id.",
     .type = SCHEMA_BOOLEAN,
     .flags = SCHEMA_REQUIRED,
     .fallback = "false"},
};

const struct schema_record entity_correlation_id = {
    .name = "correlation-id",
    .about = "Configuration of the correlation-id plugin.",
    .number = PART_CORRELATION_ID,
    .fields = correlation_id_fields,
    .count = ARRAY_LENGTH(correlation_id_fields)};

const struct entity_plugin_config entity_plugin_configs[ENTITY_PLUGIN_CONFIG_COUNT] = {
    {"acme", &entity_acme},
    {"key-auth", &entity_key_auth},
    {"correlation-id", &entity_correlation_id},
};
