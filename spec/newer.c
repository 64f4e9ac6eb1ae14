#include "newer.h"

#include <string.h>

#include "reconciler/base/attr.h"

#define ENTERPRISE "Kong Enterprise"
#define DECK NULL

static const struct {
    const char *record, *field, *who;
} fields[] = {
    {"services", "tls_sans", "Kong Enterprise 3.11 and later"},
    {"upstreams", "sticky_sessions_cookie", "Kong Enterprise 3.11 and later"},
    {"upstreams", "sticky_sessions_cookie_path", "Kong Enterprise 3.11 and later"},
    {"targets", "failover", "Kong Enterprise 3.12 and later"},
    {"plugins", "partials", "Kong Enterprise 3.10 and later"},
    {"plugins", "condition", "Kong Enterprise 3.14 and later"},
    {"plugins", "ordering", ENTERPRISE},
    {"plugins", "consumer_group", ENTERPRISE},
    {"consumers", "groups", ENTERPRISE},
    {"consumers", "consumer_groups", ENTERPRISE},
    {"consumers", "mtls_auth_credentials", ENTERPRISE},
    {"document", "partials", "Kong Enterprise 3.10 and later"},
    {"document", "consumer_groups", ENTERPRISE},
    {"document", "consumer_group_plugins", ENTERPRISE},
    {"document", "consumer_group_consumers", ENTERPRISE},
    {"document", "custom_plugins", ENTERPRISE},
    {"document", "degraphql_routes", ENTERPRISE},
    {"document", "rbac_roles", ENTERPRISE},
    {"document", "rbac_users", ENTERPRISE},
    {"document", "rbac_user_roles", ENTERPRISE},
    {"document", "rbac_role_endpoints", ENTERPRISE},
    {"document", "rbac_role_entities", ENTERPRISE},
    {"document", "workspaces", ENTERPRISE},
    {"document", "licenses", ENTERPRISE},
    {"document", "event_hooks", ENTERPRISE},
    {"document", "admins", ENTERPRISE},
    {"document", "developers", ENTERPRISE},
    {"document", "files", ENTERPRISE},
    {"document", "keyring_meta", ENTERPRISE},
    {"document", "cloned_plugins", ENTERPRISE},
    {"document", "custom_entities", ENTERPRISE},
    {"document", "mtls_auth_credentials", ENTERPRISE},
    {"document", "_info", DECK},
    {"document", "_workspace", DECK},
    {"document", "_konnect", DECK},
    {"document", "_plugin_configs", DECK},
    {"document", "_default_lookup_tags", DECK},
    {"plugins", "_config", DECK},
};

/* Values of fields that 3.9 has; names of plugins are in their own list. */
static const struct {
    const char *record, *field, *value, *who;
} values[] = {
    {"upstreams", "algorithm", "sticky-sessions", "Kong Enterprise 3.11 and later"},
};

static const char *const plugins[] = {
    "ace",
    "ai-aws-guardrails",
    "ai-azure-content-safety",
    "ai-proxy-advanced",
    "ai-rag-injector",
    "ai-rate-limiting-advanced",
    "ai-sanitizer",
    "ai-semantic-cache",
    "ai-semantic-prompt-guard",
    "app-dynamics",
    "application-registration",
    "canary",
    "confluent",
    "confluent-consume",
    "datakit",
    "degraphql",
    "exit-transformer",
    "forward-proxy",
    "graphql-proxy-cache-advanced",
    "graphql-rate-limiting-advanced",
    "header-cert-auth",
    "injection-protection",
    "jq",
    "json-threat-protection",
    "jwe-decrypt",
    "jwt-signer",
    "kafka-consume",
    "kafka-log",
    "kafka-upstream",
    "key-auth-enc",
    "konnect-application-auth",
    "ldap-auth-advanced",
    "mocking",
    "mtls-auth",
    "oas-validation",
    "opa",
    "openid-connect",
    "proxy-cache-advanced",
    "rate-limiting-advanced",
    "redirect",
    "request-callout",
    "request-transformer-advanced",
    "request-validator",
    "response-transformer-advanced",
    "route-by-header",
    "route-transformer-advanced",
    "saml",
    "service-protection",
    "solace-consume",
    "solace-log",
    "solace-upstream",
    "statsd-advanced",
    "tls-handshake-modifier",
    "tls-metadata-headers",
    "upstream-oauth",
    "upstream-timeout",
    "vault-auth",
    "websocket-size-limit",
    "websocket-validator",
    "xml-threat-protection",
};

/* Its number in `fields`, ARRAY_LENGTH(fields) for others. */
static size_t find_field(const char *record, struct str field)
{
    size_t i = 0;

    while (i < ARRAY_LENGTH(fields) &&
           (strcmp(fields[i].record, record) != 0 || !str_equal_cstr(field, fields[i].field)))
        i++;
    return i;
}

const char *newer_field(const char *record, struct str field)
{
    size_t i = find_field(record, field);

    return i < ARRAY_LENGTH(fields) ? fields[i].who : NULL;
}

bool newer_is_deck(const char *record, struct str field)
{
    size_t i = find_field(record, field);

    return i < ARRAY_LENGTH(fields) && !fields[i].who;
}

const char *newer_value(const char *record, struct str field, struct str value)
{
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++)
        if (strcmp(values[i].record, record) == 0 && str_equal_cstr(field, values[i].field) &&
            str_equal_cstr(value, values[i].value))
            return values[i].who;
    if (strcmp(record, "plugins") != 0 || !str_equal(field, STR("name")))
        return NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(plugins); i++)
        if (str_equal_cstr(value, plugins[i]))
            return ENTERPRISE;
    return NULL;
}
