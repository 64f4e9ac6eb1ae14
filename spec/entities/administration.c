#include "entity.h"

#include <string.h>

#include "spec/check.h"
#include "spec/fault.h"

/* Entities that a whole Kong has and that mean nothing here: checked, so that what Kong takes we
 * take, and what it refuses we refuse. And the document's own fields. */

static const char *const versions[] = {"1.1", "2.1", "3.0", NULL};
static const struct schema_field anything = {.type = SCHEMA_ANY, .flags = SCHEMA_UNCHECKED};

static const struct schema_field document_fields[] = {
    {.name = "_format_version",
     .about = "Version of the format, in quotes.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .one_of = versions},
    {.name = "_transform",
     .about = "Whether passwords are yet to be hashed; without effect here.",
     .type = SCHEMA_BOOLEAN,
     .fallback = "true"},
    {.name = "_comment", .about = "A remark, without effect.", .type = SCHEMA_STRING},
    {.name = "_ignore",
     .about = "A list of anything, without effect: the place for anchors.",
     .type = SCHEMA_ARRAY,
     .element = &anything},
};

const struct schema_record entity_document = {.name = "document",
                                              .about = "A Kong declarative file.",
                                              .number = PART_DOCUMENT,
                                              .fields = document_fields,
                                              .count = ARRAY_LENGTH(document_fields)};

const struct schema_record entity_empty = {.name = "empty", .number = PART_EMPTY};

static void check_workspace_name(struct str value, struct buf *why)
{
    for (size_t i = 0; i <= ENTITY_FILTER_CHAIN; i++)
        if (str_equal_cstr(value, entity_infos[i].list) || str_equal(value, STR("tags"))) {
            buf_cstr(why, "must not be one of: workspaces, consumers, certificates, services, "
                          "routes, snis, upstreams, targets, plugins, tags, ca_certificates, "
                          "clustering_data_planes, parameters, vaults, key_sets, keys, "
                          "filter_chains");
            return;
        }
    check_name(value, why);
}

static const struct schema_field workspace_fields[] = {
    {.name = "name",
     .about = "Its name.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED | SCHEMA_UNIQUE,
     .check = check_workspace_name},
    {.name = "comment", .about = "A remark.", .type = SCHEMA_STRING},
    {.name = "meta",
     .about = "Empty.",
     .type = SCHEMA_RECORD,
     .flags = SCHEMA_REQUIRED,
     .record = &entity_empty},
    {.name = "config",
     .about = "Empty.",
     .type = SCHEMA_RECORD,
     .flags = SCHEMA_REQUIRED,
     .record = &entity_empty},
};

const struct schema_record entity_workspace = {.name = "workspaces",
                                               .about = "A workspace; without effect here.",
                                               .number = ENTITY_WORKSPACE,
                                               .fields = workspace_fields,
                                               .count = ARRAY_LENGTH(workspace_fields),
                                               .is_entity = true,
                                               .has_no_tags = true};

static const struct schema_field parameter_fields[] = {
    {.name = "key",
     .about = "Its name.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED | SCHEMA_UNIQUE},
    {.name = "value", .about = "Its value.", .type = SCHEMA_STRING, .flags = SCHEMA_REQUIRED},
};

const struct schema_record entity_parameter = {.name = "parameters",
                                               .about = "A parameter of a cluster; without effect.",
                                               .number = ENTITY_PARAMETER,
                                               .fields = parameter_fields,
                                               .count = ARRAY_LENGTH(parameter_fields),
                                               .is_entity = true,
                                               .has_no_tags = true};

static void check_ip(struct str value, struct buf *why)
{
    size_t before = why->len;

    if (str_find(value, '/', 0) < value.len)
        buf_cstr(why, "x");
    else
        check_ip_or_cidr(value, why);
    if (why->len == before)
        return;
    why->len = before;
    buf_printf(why, "not an ip address: %.*s", STR_ARG(value));
}

static void check_digest_length(struct str value, struct buf *why)
{
    if (value.len != 32)
        buf_cstr(why, "length must be 32");
}

static void check_version(struct str value, struct buf *why)
{
    if (memmem(value.ptr, value.len, "..", 2))
        buf_cstr(why, "must not have empty version segments");
    else if (value.ptr[0] < '0' || value.ptr[0] > '9')
        buf_cstr(why, "invalid version number: must be in format of X.Y.Z");
}

static const char *const sync_states[] = {"unknown",
                                          "normal",
                                          "kong_version_incompatible",
                                          "plugin_set_incompatible",
                                          "plugin_version_incompatible",
                                          "filter_set_incompatible",
                                          NULL};
static const struct schema_field word = {.type = SCHEMA_STRING, .flags = SCHEMA_REQUIRED};

static const struct schema_field data_plane_cert_fields[] = {
    {.name = "expiry_timestamp",
     .about = "Its end.",
     .type = SCHEMA_NUMBER,
     .flags = SCHEMA_TIMESTAMP},
};

const struct schema_record entity_data_plane_cert = {.name = "clustering_data_planes.cert_details",
                                                     .number = PART_DATA_PLANE_CERT,
                                                     .fields = data_plane_cert_fields,
                                                     .count = ARRAY_LENGTH(data_plane_cert_fields)};

static const struct schema_field data_plane_fields[] = {
    {.name = "last_seen", .about = "When.", .type = SCHEMA_INTEGER, .flags = SCHEMA_TIMESTAMP},
    {.name = "ip",
     .about = "Its address.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .check = check_ip},
    {.name = "config_hash",
     .about = "What it runs.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_CHECKS_EMPTY,
     .check = check_digest_length},
    {.name = "hostname",
     .about = "Its name.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .check = check_host},
    {.name = "version", .about = "Its version.", .type = SCHEMA_STRING, .check = check_version},
    {.name = "sync_status",
     .about = "Its state.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .fallback = "\"unknown\"",
     .one_of = sync_states},
    {.name = "labels", .about = "Its labels.", .type = SCHEMA_MAP, .key = &word, .element = &word},
    {.name = "cert_details",
     .about = "Its certificate.",
     .type = SCHEMA_RECORD,
     .flags = SCHEMA_REQUIRED,
     .record = &entity_data_plane_cert},
    {.name = "rpc_capabilities", .about = "What it can.", .type = SCHEMA_SET, .element = &word},
};

const struct schema_record entity_data_plane = {.name = "clustering_data_planes",
                                                .about = "A node of a cluster; without effect.",
                                                .number = ENTITY_DATA_PLANE,
                                                .fields = data_plane_fields,
                                                .count = ARRAY_LENGTH(data_plane_fields),
                                                .is_entity = true,
                                                .has_no_tags = true};

static const struct schema_field filter_fields[] = {
    {.name = "name", .about = "Which filter.", .type = SCHEMA_STRING, .flags = SCHEMA_REQUIRED},
    {.name = "enabled",
     .about = "Whether it works.",
     .type = SCHEMA_BOOLEAN,
     .flags = SCHEMA_REQUIRED,
     .fallback = "true"},
    {.name = "config", .about = "What it is told.", .type = SCHEMA_ANY, .flags = SCHEMA_UNCHECKED},
};

const struct schema_record entity_filter = {.name = "filter_chains.filters",
                                            .number = PART_FILTER,
                                            .fields = filter_fields,
                                            .count = ARRAY_LENGTH(filter_fields)};

static const struct schema_field filter = {.type = SCHEMA_RECORD, .record = &entity_filter};

/* The numbers of the first three are used in entity_infos. */
static const struct schema_field filter_chain_fields[] = {
    {.name = "name",
     .about = "Its name.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_UNIQUE,
     .check = check_name},
    {.name = "route",
     .about = "The route it works on.",
     .type = SCHEMA_FOREIGN,
     .flags = SCHEMA_UNIQUE,
     .refers_to = ENTITY_ROUTE},
    {.name = "service",
     .about = "The service it works on.",
     .type = SCHEMA_FOREIGN,
     .flags = SCHEMA_UNIQUE,
     .refers_to = ENTITY_SERVICE},
    {.name = "enabled",
     .about = "Whether it works.",
     .type = SCHEMA_BOOLEAN,
     .flags = SCHEMA_REQUIRED,
     .fallback = "true"},
    {.name = "filters",
     .about = "Its filters.",
     .type = SCHEMA_ARRAY,
     .flags = SCHEMA_REQUIRED,
     .element = &filter},
};

static void check_filter_chain(struct schema_context *c, struct schema_view *v, void *into,
                               const struct schema_frame *at)
{
    (void)into;
    fault_add_entity(c, at, document_place(v->node), "wasm support is not enabled");
}

const struct schema_record entity_filter_chain = {.name = "filter_chains",
                                                  .about = "WebAssembly filters: refused, as by a "
                                                           "Kong that has them switched off.",
                                                  .number = ENTITY_FILTER_CHAIN,
                                                  .fields = filter_chain_fields,
                                                  .count = ARRAY_LENGTH(filter_chain_fields),
                                                  .is_entity = true,
                                                  .check = check_filter_chain};

static const struct schema_field acme_storage_fields[] = {
    {.name = "key",
     .about = "A key of Kong's acme storage.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED | SCHEMA_UNIQUE | SCHEMA_DRAWN},
    {.name = "value",
     .about = "Its value; without effect here.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED | SCHEMA_SECRET | SCHEMA_DRAWN},
    {.name = "ttl",
     .about = "Seconds that it lives.",
     .type = SCHEMA_NUMBER,
     .flags = SCHEMA_QUIET | SCHEMA_UNCHECKED},
};

const struct schema_record entity_acme_storage = {.name = "acme_storage",
                                                  .about = "What Kong's acme plugin keeps in a "
                                                           "database; without effect here.",
                                                  .number = ENTITY_ACME_STORAGE,
                                                  .fields = acme_storage_fields,
                                                  .count = ARRAY_LENGTH(acme_storage_fields),
                                                  .is_entity = true,
                                                  .has_no_tags = true};
