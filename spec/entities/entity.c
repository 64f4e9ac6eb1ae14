#include "entity.h"

#include "spec/check.h"

const char *const entity_protocols[] = {"grpc", "grpcs",           "http", "https", "tcp",
                                        "tls",  "tls_passthrough", "udp",  NULL};
const char *const entity_http_protocols[] = {"grpc", "grpcs", "http", "https", NULL};

static const struct schema_field tag = {
    .type = SCHEMA_STRING, .store = STORE_TEXT, .check = check_tag};
static const struct schema_field anything = {.type = SCHEMA_ANY, .flags = SCHEMA_UNCHECKED};

const struct schema_field schema_common_fields[COMMON_COUNT] = {
    [COMMON_ID] = {"id", SCHEMA_STRING, "A UUID; made from the name where it is left out.",
                   .flags = SCHEMA_CHECKS_EMPTY, .check = check_uuid},
    [COMMON_CREATED_AT] = {"created_at", SCHEMA_INTEGER,
                           "Seconds since 1970; kept by databases, without effect here.",
                           .flags = SCHEMA_TIMESTAMP},
    [COMMON_UPDATED_AT] = {"updated_at", SCHEMA_ANY, "As created_at.", .flags = SCHEMA_UNCHECKED},
    [COMMON_TAGS] = {"tags", SCHEMA_SET,
                     "Words to find the entity by. acme:off on a certificate or SNI leaves "
                     "it alone.",
                     .element = &tag, SCHEMA_KEPT(STORE_TEXTS, struct entity, tags)},
    [COMMON_COMMENT] = {"_comment", SCHEMA_STRING, .about = "A remark, without effect."},
    [COMMON_IGNORE] = {"_ignore", SCHEMA_ARRAY, "A list of anything, without effect.",
                       .element = &anything},
};

const struct entity_info entity_infos[ENTITY_KIND_COUNT] = {
    [ENTITY_WORKSPACE] = {"workspaces", "workspace", &entity_workspace, sizeof(struct entity),
                          .endpoint_is_unique = true, .key_fields = {0}, .key_field_count = 1},
    [ENTITY_CONSUMER] = {"consumers", "consumer", &entity_consumer, sizeof(struct consumer),
                         .endpoint_is_unique = true},
    [ENTITY_CERTIFICATE] = {"certificates", "certificate", &entity_certificate,
                            sizeof(struct certificate), .endpoint = ENTITY_NO_FIELD},
    [ENTITY_SERVICE] = {"services", "service", &entity_service, sizeof(struct service),
                        .endpoint_is_unique = true},
    [ENTITY_ROUTE] = {"routes", "route", &entity_route, sizeof(struct route),
                      .endpoint_is_unique = true},
    [ENTITY_SNI] = {"snis", "sni", &entity_sni, sizeof(struct sni), .endpoint_is_unique = true},
    [ENTITY_UPSTREAM] = {"upstreams", "upstream", &entity_upstream, sizeof(struct upstream),
                         .endpoint_is_unique = true},
    [ENTITY_TARGET] = {"targets", "target", &entity_target, sizeof(struct target),
                       .key_fields = {1, 0}, .key_field_count = 2},
    [ENTITY_PLUGIN] = {"plugins", "plugin", &entity_plugin, sizeof(struct plugin), .endpoint = 1,
                       .endpoint_is_unique = true, .key_fields = {0, 2, 3, 4},
                       .key_field_count = 4},
    [ENTITY_CA_CERTIFICATE] = {"ca_certificates", "ca_certificate", &entity_ca_certificate,
                               sizeof(struct ca_certificate), .endpoint = ENTITY_NO_FIELD},
    [ENTITY_DATA_PLANE] = {"clustering_data_planes", "clustering_data_plane", &entity_data_plane,
                           sizeof(struct entity), .endpoint = ENTITY_NO_FIELD},
    [ENTITY_PARAMETER] = {"parameters", "parameter", &entity_parameter, sizeof(struct entity),
                          .endpoint_is_unique = true, .has_no_id = true},
    [ENTITY_VAULT] = {"vaults", "vault", &entity_vault, sizeof(struct entity),
                      .endpoint_is_unique = true, .key_fields = {0}, .key_field_count = 1},
    [ENTITY_KEY_SET] = {"key_sets", "key_set", &entity_key_set, sizeof(struct key_set),
                        .endpoint_is_unique = true},
    [ENTITY_KEY] = {"keys", "key", &entity_key, sizeof(struct key), .endpoint_is_unique = true,
                    .key_fields = {1, 2}, .key_field_count = 2},
    [ENTITY_FILTER_CHAIN] = {"filter_chains", "filter_chain", &entity_filter_chain,
                             sizeof(struct entity), .endpoint_is_unique = true,
                             .key_fields = {1, 2}, .key_field_count = 2},
    [ENTITY_ACME_STORAGE] = {"acme_storage", "acme_storage", &entity_acme_storage,
                             sizeof(struct entity), .endpoint = ENTITY_NO_FIELD, .key_fields = {0},
                             .key_field_count = 1},
    [ENTITY_KEYAUTH_CREDENTIAL] = {"keyauth_credentials", "keyauth_credential",
                                   &entity_keyauth_credential, sizeof(struct entity),
                                   .endpoint_is_unique = true, .key_fields = {0},
                                   .key_field_count = 1},
    [ENTITY_BASICAUTH_CREDENTIAL] = {"basicauth_credentials", "basicauth_credential",
                                     &entity_basicauth_credential, sizeof(struct entity),
                                     .endpoint_is_unique = true, .key_fields = {0},
                                     .key_field_count = 1},
    [ENTITY_HMACAUTH_CREDENTIAL] = {"hmacauth_credentials", "hmacauth_credential",
                                    &entity_hmacauth_credential, sizeof(struct entity),
                                    .endpoint_is_unique = true, .key_fields = {0},
                                    .key_field_count = 1},
    [ENTITY_JWT_SECRET] = {"jwt_secrets", "jwt_secret", &entity_jwt_secret, sizeof(struct entity),
                           .endpoint_is_unique = true, .key_fields = {0}, .key_field_count = 1},
    [ENTITY_ACL] = {"acls", "acl", &entity_acl, sizeof(struct entity), .endpoint = ENTITY_NO_FIELD,
                    .key_fields = {1, 0}, .key_field_count = 2},
    [ENTITY_OAUTH2_CREDENTIAL] = {"oauth2_credentials", "oauth2_credential",
                                  &entity_oauth2_credential, sizeof(struct entity),
                                  .endpoint_is_unique = true, .key_fields = {0},
                                  .key_field_count = 1},
    [ENTITY_OAUTH2_CODE] = {"oauth2_authorization_codes", "oauth2_authorization_code",
                            &entity_oauth2_code, sizeof(struct entity),
                            .endpoint = ENTITY_NO_FIELD},
    [ENTITY_OAUTH2_TOKEN] = {"oauth2_tokens", "oauth2_token", &entity_oauth2_token,
                             sizeof(struct entity), .endpoint_is_unique = true, .key_fields = {0},
                             .key_field_count = 1},
};

const struct schema_record *const entity_records[ENTITY_RECORD_COUNT] = {
    [ENTITY_WORKSPACE] = &entity_workspace,
    [ENTITY_CONSUMER] = &entity_consumer,
    [ENTITY_CERTIFICATE] = &entity_certificate,
    [ENTITY_SERVICE] = &entity_service,
    [ENTITY_ROUTE] = &entity_route,
    [ENTITY_SNI] = &entity_sni,
    [ENTITY_UPSTREAM] = &entity_upstream,
    [ENTITY_TARGET] = &entity_target,
    [ENTITY_PLUGIN] = &entity_plugin,
    [ENTITY_CA_CERTIFICATE] = &entity_ca_certificate,
    [ENTITY_DATA_PLANE] = &entity_data_plane,
    [ENTITY_PARAMETER] = &entity_parameter,
    [ENTITY_VAULT] = &entity_vault,
    [ENTITY_KEY_SET] = &entity_key_set,
    [ENTITY_KEY] = &entity_key,
    [ENTITY_FILTER_CHAIN] = &entity_filter_chain,
    [ENTITY_ACME_STORAGE] = &entity_acme_storage,
    [ENTITY_KEYAUTH_CREDENTIAL] = &entity_keyauth_credential,
    [ENTITY_BASICAUTH_CREDENTIAL] = &entity_basicauth_credential,
    [ENTITY_HMACAUTH_CREDENTIAL] = &entity_hmacauth_credential,
    [ENTITY_JWT_SECRET] = &entity_jwt_secret,
    [ENTITY_ACL] = &entity_acl,
    [ENTITY_OAUTH2_CREDENTIAL] = &entity_oauth2_credential,
    [ENTITY_OAUTH2_CODE] = &entity_oauth2_code,
    [ENTITY_OAUTH2_TOKEN] = &entity_oauth2_token,
    [PART_ROUTE_PEER] = &entity_route_peer,
    [PART_KEY_PEM] = &entity_key_pem,
    [PART_HEALTHCHECKS] = &entity_healthchecks,
    [PART_HEALTH_ACTIVE] = &entity_health_active,
    [PART_HEALTH_ACTIVE_HEALTHY] = &entity_health_active_healthy,
    [PART_HEALTH_ACTIVE_UNHEALTHY] = &entity_health_active_unhealthy,
    [PART_HEALTH_PASSIVE] = &entity_health_passive,
    [PART_HEALTH_PASSIVE_HEALTHY] = &entity_health_passive_healthy,
    [PART_HEALTH_PASSIVE_UNHEALTHY] = &entity_health_passive_unhealthy,
    [PART_EMPTY] = &entity_empty,
    [PART_DATA_PLANE_CERT] = &entity_data_plane_cert,
    [PART_VAULT_ENV] = &entity_vault_env,
    [PART_FILTER] = &entity_filter,
    [PART_ACME] = &entity_acme,
    [PART_ACME_ACCOUNT_KEY] = &entity_acme_account_key,
    [PART_ACME_STORAGE] = &entity_acme_storage_config,
    [PART_ACME_SHM] = &entity_acme_shm,
    [PART_ACME_REDIS] = &entity_acme_redis,
    [PART_ACME_REDIS_EXTRA] = &entity_acme_redis_extra,
    [PART_ACME_CONSUL] = &entity_acme_consul,
    [PART_ACME_VAULT] = &entity_acme_vault,
    [PART_KEY_AUTH] = &entity_key_auth,
    [PART_CORRELATION_ID] = &entity_correlation_id,
    [PART_DOCUMENT] = &entity_document,
};

unsigned entity_foreign_field(enum entity_kind child, enum entity_kind parent)
{
    const struct schema_record *record = entity_infos[child].record;

    for (unsigned i = 0; i < record->count; i++)
        if (record->fields[i].type == SCHEMA_FOREIGN && record->fields[i].refers_to == parent)
            return i;
    return ENTITY_NO_FIELD;
}
