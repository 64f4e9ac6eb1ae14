#include "entity.h"

#include <string.h>

#include "spec/check.h"
#include "spec/fault.h"

/* Entities that a whole Kong has and that mean nothing here: checked, so that what Kong takes we
 * take, and what it refuses we refuse. And the document's own fields. */

static const char *const versions[] = {"1.1", "2.1", "3.0", NULL};
static const struct schema_field anything = {.type = SCHEMA_ANY, .flags = SCHEMA_UNCHECKED};

static const struct schema_field document_fields[] = {
    {"_format_version", SCHEMA_STRING, "Version of the format, in quotes.",
     .flags = SCHEMA_REQUIRED, .one_of = versions},
    {"_transform", SCHEMA_BOOLEAN, "Whether passwords are yet to be hashed; without effect here.",
     .fallback = "true"},
    {"_comment", SCHEMA_STRING, .about = "A remark, without effect."},
    {"_ignore", SCHEMA_ARRAY, "A list of anything, without effect: the place for anchors.",
     .element = &anything},
};

const struct schema_record entity_document = {"document", PART_DOCUMENT, "A Kong declarative file.",
                                              SCHEMA_FIELDS(document_fields)};

const struct schema_record entity_empty = {"empty", .number = PART_EMPTY};

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
    {"name", SCHEMA_STRING, "Its name.", .flags = SCHEMA_REQUIRED | SCHEMA_UNIQUE,
     .check = check_workspace_name},
    {"comment", SCHEMA_STRING, .about = "A remark."},
    {"meta", SCHEMA_RECORD, "Empty.", .flags = SCHEMA_REQUIRED, .record = &entity_empty},
    {"config", SCHEMA_RECORD, "Empty.", .flags = SCHEMA_REQUIRED, .record = &entity_empty},
};

const struct schema_record entity_workspace = {"workspaces",
                                               ENTITY_WORKSPACE,
                                               "A workspace; without effect here.",
                                               SCHEMA_FIELDS(workspace_fields),
                                               .is_entity = true,
                                               .has_no_tags = true};

static const struct schema_field parameter_fields[] = {
    {"key", SCHEMA_STRING, "Its name.", .flags = SCHEMA_REQUIRED | SCHEMA_UNIQUE},
    {"value", SCHEMA_STRING, "Its value.", .flags = SCHEMA_REQUIRED},
};

const struct schema_record entity_parameter = {"parameters",
                                               ENTITY_PARAMETER,
                                               "A parameter of a cluster; without effect.",
                                               SCHEMA_FIELDS(parameter_fields),
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
    {"expiry_timestamp", SCHEMA_NUMBER, "Its end.", .flags = SCHEMA_TIMESTAMP},
};

const struct schema_record entity_data_plane_cert = {"clustering_data_planes.cert_details",
                                                     PART_DATA_PLANE_CERT,
                                                     SCHEMA_FIELDS(data_plane_cert_fields)};

static const struct schema_field data_plane_fields[] = {
    {"last_seen", SCHEMA_INTEGER, "When.", .flags = SCHEMA_TIMESTAMP},
    {"ip", SCHEMA_STRING, "Its address.", .flags = SCHEMA_REQUIRED, .check = check_ip},
    {"config_hash", SCHEMA_STRING, "What it runs.", .flags = SCHEMA_CHECKS_EMPTY,
     .check = check_digest_length},
    {"hostname", SCHEMA_STRING, "Its name.", .flags = SCHEMA_REQUIRED, .check = check_host},
    {"version", SCHEMA_STRING, "Its version.", .check = check_version},
    {"sync_status", SCHEMA_STRING, "Its state.", .flags = SCHEMA_REQUIRED,
     .fallback = "\"unknown\"", .one_of = sync_states},
    {"labels", SCHEMA_MAP, "Its labels.", .key = &word, .element = &word},
    {"cert_details", SCHEMA_RECORD, "Its certificate.", .flags = SCHEMA_REQUIRED,
     .record = &entity_data_plane_cert},
    {"rpc_capabilities", SCHEMA_SET, "What it can.", .element = &word},
};

const struct schema_record entity_data_plane = {
    "clustering_data_planes",         ENTITY_DATA_PLANE, "A node of a cluster; without effect.",
    SCHEMA_FIELDS(data_plane_fields), .is_entity = true, .has_no_tags = true};

static const struct schema_field filter_fields[] = {
    {"name", SCHEMA_STRING, "Which filter.", .flags = SCHEMA_REQUIRED},
    {"enabled", SCHEMA_BOOLEAN, "Whether it works.", .flags = SCHEMA_REQUIRED, .fallback = "true"},
    {"config", SCHEMA_ANY, "What it is told.", .flags = SCHEMA_UNCHECKED},
};

const struct schema_record entity_filter = {"filter_chains.filters", PART_FILTER,
                                            SCHEMA_FIELDS(filter_fields)};

static const struct schema_field filter = {.type = SCHEMA_RECORD, .record = &entity_filter};

/* The numbers of the first three are used in entity_infos. */
static const struct schema_field filter_chain_fields[] = {
    {"name", SCHEMA_STRING, "Its name.", .flags = SCHEMA_UNIQUE, .check = check_name},
    {"route", SCHEMA_FOREIGN, "The route it works on.", .flags = SCHEMA_UNIQUE,
     .refers_to = ENTITY_ROUTE},
    {"service", SCHEMA_FOREIGN, "The service it works on.", .flags = SCHEMA_UNIQUE,
     .refers_to = ENTITY_SERVICE},
    {"enabled", SCHEMA_BOOLEAN, "Whether it works.", .flags = SCHEMA_REQUIRED, .fallback = "true"},
    {"filters", SCHEMA_ARRAY, "Its filters.", .flags = SCHEMA_REQUIRED, .element = &filter},
};

static void check_filter_chain(struct schema_context *c, struct schema_view *v, void *into,
                               const struct schema_frame *at)
{
    (void)into;
    fault_add_entity(c, at, document_place(v->node), "wasm support is not enabled");
}

const struct schema_record entity_filter_chain = {"filter_chains",
                                                  ENTITY_FILTER_CHAIN,
                                                  "WebAssembly filters: refused, as by a "
                                                  "Kong that has them switched off.",
                                                  SCHEMA_FIELDS(filter_chain_fields),
                                                  .is_entity = true,
                                                  .check = check_filter_chain};

static const struct schema_field acme_storage_fields[] = {
    {"key", SCHEMA_STRING, "A key of Kong's acme storage.",
     .flags = SCHEMA_REQUIRED | SCHEMA_UNIQUE | SCHEMA_DRAWN},
    {"value", SCHEMA_STRING, "Its value; without effect here.",
     .flags = SCHEMA_REQUIRED | SCHEMA_SECRET | SCHEMA_DRAWN},
    {"ttl", SCHEMA_NUMBER, "Seconds that it lives.", .flags = SCHEMA_QUIET | SCHEMA_UNCHECKED},
};

const struct schema_record entity_acme_storage = {"acme_storage",
                                                  ENTITY_ACME_STORAGE,
                                                  "What Kong's acme plugin keeps in a "
                                                  "database; without effect here.",
                                                  SCHEMA_FIELDS(acme_storage_fields),
                                                  .is_entity = true,
                                                  .has_no_tags = true};
