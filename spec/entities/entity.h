#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "spec/schema.h"

/*
 * All kinds of entities, each a table of fields in a file of this folder. The order is Kong's.
 */
enum entity_kind {
    ENTITY_WORKSPACE,
    ENTITY_CONSUMER,
    ENTITY_CERTIFICATE,
    ENTITY_SERVICE,
    ENTITY_ROUTE,
    ENTITY_SNI,
    ENTITY_UPSTREAM,
    ENTITY_TARGET,
    ENTITY_PLUGIN,
    ENTITY_CA_CERTIFICATE,
    ENTITY_DATA_PLANE,
    ENTITY_PARAMETER,
    ENTITY_VAULT,
    ENTITY_KEY_SET,
    ENTITY_KEY,
    ENTITY_FILTER_CHAIN,
    ENTITY_ACME_STORAGE,
    ENTITY_KEYAUTH_CREDENTIAL,
    ENTITY_BASICAUTH_CREDENTIAL,
    ENTITY_HMACAUTH_CREDENTIAL,
    ENTITY_JWT_SECRET,
    ENTITY_ACL,
    ENTITY_OAUTH2_CREDENTIAL,
    ENTITY_OAUTH2_CODE,
    ENTITY_OAUTH2_TOKEN,
    ENTITY_KIND_COUNT
};

/* Records that are parts of others, numbered behind the kinds. */
enum entity_part {
    PART_ROUTE_PEER = ENTITY_KIND_COUNT,
    PART_KEY_PEM,
    PART_HEALTHCHECKS,
    PART_HEALTH_ACTIVE,
    PART_HEALTH_ACTIVE_HEALTHY,
    PART_HEALTH_ACTIVE_UNHEALTHY,
    PART_HEALTH_PASSIVE,
    PART_HEALTH_PASSIVE_HEALTHY,
    PART_HEALTH_PASSIVE_UNHEALTHY,
    PART_EMPTY,
    PART_DATA_PLANE_CERT,
    PART_VAULT_ENV,
    PART_FILTER,
    PART_ACME,
    PART_ACME_ACCOUNT_KEY,
    PART_ACME_STORAGE,
    PART_ACME_SHM,
    PART_ACME_REDIS,
    PART_ACME_REDIS_EXTRA,
    PART_ACME_CONSUL,
    PART_ACME_VAULT,
    PART_KEY_AUTH,
    PART_CORRELATION_ID,
    PART_DOCUMENT,
    ENTITY_RECORD_COUNT
};

/* For the rows below. */
#define ENTITY_NO_FIELD 255
#define ENTITY_KEY_FIELDS_MAX 4

struct entity_info {
    const char *list;     /* the name of its lists: "services" */
    const char *singular; /* "service" */
    const struct schema_record *record;
    size_t size;       /* of its struct, which begins with a struct entity */
    unsigned endpoint; /* the field that names it, or ENTITY_NO_FIELD */
    bool endpoint_is_unique;
    /* Fields that make its id where it has no name (Kong's cache key); none: the endpoint does. */
    unsigned key_fields[ENTITY_KEY_FIELDS_MAX];
    unsigned key_field_count;
    bool has_no_id; /* its primary key is another field */
};

extern const struct entity_info entity_infos[ENTITY_KIND_COUNT];
/* All records, by number. */
extern const struct schema_record *const entity_records[ENTITY_RECORD_COUNT];

/* A foreign field of `child` that refers to `parent`: its number, or ENTITY_NO_FIELD. */
unsigned entity_foreign_field(enum entity_kind child, enum entity_kind parent);

extern const struct schema_record entity_workspace, entity_consumer, entity_certificate,
    entity_service, entity_route, entity_sni, entity_upstream, entity_target, entity_plugin,
    entity_ca_certificate, entity_data_plane, entity_parameter, entity_vault, entity_key_set,
    entity_key, entity_filter_chain, entity_acme_storage, entity_keyauth_credential,
    entity_basicauth_credential, entity_hmacauth_credential, entity_jwt_secret, entity_acl,
    entity_oauth2_credential, entity_oauth2_code, entity_oauth2_token;
extern const struct schema_record entity_route_peer, entity_key_pem, entity_healthchecks,
    entity_health_active, entity_health_active_healthy, entity_health_active_unhealthy,
    entity_health_passive, entity_health_passive_healthy, entity_health_passive_unhealthy,
    entity_empty, entity_data_plane_cert, entity_vault_env, entity_filter, entity_acme,
    entity_acme_account_key, entity_acme_storage_config, entity_acme_shm, entity_acme_redis,
    entity_acme_redis_extra, entity_acme_consul, entity_acme_vault, entity_key_auth,
    entity_correlation_id, entity_document;

/* What Kong 3.x brings along, NULL at the end; and those whose configuration is known here. */
extern const char *const entity_plugin_names[];

struct entity_plugin_config {
    const char *name;
    const struct schema_record *record;
};

#define ENTITY_PLUGIN_CONFIG_COUNT 3
extern const struct entity_plugin_config entity_plugin_configs[ENTITY_PLUGIN_CONFIG_COUNT];

/* Kong's eight protocols, and the four of its http side; in the order that messages print. */
extern const char *const entity_protocols[];
extern const char *const entity_http_protocols[];
