#include "newer.h"

#include <string.h>

#include "reconciler/base/attr.h"

#define ENTERPRISE "Kong Enterprise"

static const struct {
    const char *record, *field, *who;
} fields[] = {
    {"services", "tls_sans", "Kong Enterprise 3.11 and later"},
    {"upstreams", "sticky_sessions_cookie", "Kong Enterprise 3.11 and later"},
    {"upstreams", "sticky_sessions_cookie_path", "Kong Enterprise 3.11 and later"},
    {"targets", "failover", "Kong Enterprise 3.12 and later"},
    {"plugins", "partials", "Kong Enterprise 3.10 and later"},
    {"plugins", "condition", "Kong Enterprise 3.14 and later"},
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

const char *newer_field(const char *record, struct str field)
{
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
        if (strcmp(fields[i].record, record) == 0 && str_equal_cstr(field, fields[i].field))
            return fields[i].who;
    return NULL;
}

bool newer_is_enterprise_plugin(struct str name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(plugins); i++)
        if (str_equal_cstr(name, plugins[i]))
            return true;
    return false;
}
