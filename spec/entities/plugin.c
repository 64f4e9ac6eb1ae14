#include "entity.h"

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
    [PLUGIN_NAME] = {"name", SCHEMA_STRING, "Which plugin.", .flags = SCHEMA_REQUIRED,
                     SCHEMA_KEPT(STORE_TEXT, struct plugin, name)},
    [PLUGIN_INSTANCE_NAME] = {"instance_name", SCHEMA_STRING, "A name for this use of it.",
                              .flags = SCHEMA_UNIQUE, .check = check_name,
                              SCHEMA_KEPT(STORE_STR, struct plugin, instance_name)},
    [PLUGIN_ROUTE] = {"route", SCHEMA_FOREIGN, "Name or id of the only route it works on.",
                      .refers_to = ENTITY_ROUTE, SCHEMA_KEPT(STORE_POINTER, struct plugin, route)},
    [PLUGIN_SERVICE] = {"service", SCHEMA_FOREIGN, "Name or id of the only service it works on.",
                        .refers_to = ENTITY_SERVICE,
                        SCHEMA_KEPT(STORE_POINTER, struct plugin, service)},
    [PLUGIN_CONSUMER] = {"consumer", SCHEMA_FOREIGN, "Name or id of the only consumer it works on.",
                         .refers_to = ENTITY_CONSUMER,
                         SCHEMA_KEPT(STORE_POINTER, struct plugin, consumer)},
    [PLUGIN_CONFIG] = {"config", SCHEMA_ANY,
                       "What the plugin is told; every plugin has fields of its own.",
                       .flags = SCHEMA_UNCHECKED},
    [PLUGIN_PROTOCOLS] = {"protocols", SCHEMA_SET, "Protocols that it works on.",
                          .flags = SCHEMA_REQUIRED,
                          .fallback = "[\"grpc\",\"grpcs\",\"http\",\"https\"]",
                          .element = &protocol, SCHEMA_KEPT(STORE_TEXTS, struct plugin, protocols)},
    [PLUGIN_ENABLED] = {"enabled", SCHEMA_BOOLEAN, "Without it, the plugin does nothing.",
                        .flags = SCHEMA_REQUIRED, .fallback = "true",
                        SCHEMA_KEPT(STORE_BOOLEAN, struct plugin, enabled)},
};

static const struct schema_field no_route = {"route", SCHEMA_FOREIGN, .flags = SCHEMA_NULL,
                                             .refers_to = ENTITY_ROUTE};
static const struct schema_field no_service = {"service", SCHEMA_FOREIGN, .flags = SCHEMA_NULL,
                                               .refers_to = ENTITY_SERVICE};
static const struct schema_field no_consumer = {"consumer", SCHEMA_FOREIGN, .flags = SCHEMA_NULL,
                                                .refers_to = ENTITY_CONSUMER};
static const struct schema_field http_protocols = {
    "protocols", SCHEMA_SET, .flags = SCHEMA_REQUIRED, .element = &http_protocol,
    SCHEMA_KEPT(STORE_TEXTS, struct plugin, protocols)};
static const struct schema_field acme_config = {
    "config", SCHEMA_RECORD, .flags = SCHEMA_REQUIRED | SCHEMA_DEFERRED, .record = &entity_acme};
static const struct schema_field key_auth_config = {
    "config", SCHEMA_RECORD, .flags = SCHEMA_REQUIRED, .record = &entity_key_auth};
static const struct schema_field correlation_id_config = {
    "config", SCHEMA_RECORD, .flags = SCHEMA_REQUIRED, .record = &entity_correlation_id};

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
    "plugins",
    ENTITY_PLUGIN,
    "Something that happens to requests; acme makes certificates.",
    SCHEMA_FIELDS(fields),
    .is_entity = true,
    .choose = choose,
    .check = check};

static const struct schema_field key_name = {.type = SCHEMA_STRING, .check = check_header_name};

static const struct schema_field key_auth_fields[] = {
    {"key_names", SCHEMA_ARRAY, "Headers and arguments that hold the key.",
     .flags = SCHEMA_REQUIRED, .element = &key_name, .fallback = "[\"apikey\"]"},
    {"hide_credentials", SCHEMA_BOOLEAN, "Whether the upstream does not get the key.",
     .flags = SCHEMA_REQUIRED, .fallback = "false"},
    {"anonymous", SCHEMA_STRING, .about = "The consumer that requests without a key belong to."},
    {"key_in_header", SCHEMA_BOOLEAN, "Whether the key may stand in a header.",
     .flags = SCHEMA_REQUIRED, .fallback = "true"},
    {"key_in_query", SCHEMA_BOOLEAN, "Whether the key may stand in the query.",
     .flags = SCHEMA_REQUIRED, .fallback = "true"},
    {"key_in_body", SCHEMA_BOOLEAN, "Whether the key may stand in the body.",
     .flags = SCHEMA_REQUIRED, .fallback = "false"},
    {"run_on_preflight", SCHEMA_BOOLEAN, "Whether OPTIONS requests need a key.",
     .flags = SCHEMA_REQUIRED, .fallback = "true"},
    {"realm", SCHEMA_STRING, .about = "Realm of the refusal."},
};

const struct schema_record entity_key_auth = {"key-auth", PART_KEY_AUTH,
                                              "Configuration of the key-auth plugin.",
                                              SCHEMA_FIELDS(key_auth_fields)};

static const char *const generators[] = {"uuid", "uuid#counter", "tracker", NULL};

static const struct schema_field correlation_id_fields[] = {
    {"header_name", SCHEMA_STRING, "The header that carries the id.",
     .fallback = "\"Kong-Request-ID\""},
    {"generator", SCHEMA_STRING, "How ids are made.", .flags = SCHEMA_REQUIRED,
     .one_of = generators, .fallback = "\"uuid#counter\""},
    {"echo_downstream", SCHEMA_BOOLEAN, "Whether the client gets the id.", .flags = SCHEMA_REQUIRED,
     .fallback = "false"},
};

const struct schema_record entity_correlation_id = {"correlation-id", PART_CORRELATION_ID,
                                                    "Configuration of the correlation-id plugin.",
                                                    SCHEMA_FIELDS(correlation_id_fields)};

const struct entity_plugin_config entity_plugin_configs[ENTITY_PLUGIN_CONFIG_COUNT] = {
    {"acme", &entity_acme},
    {"key-auth", &entity_key_auth},
    {"correlation-id", &entity_correlation_id},
};
