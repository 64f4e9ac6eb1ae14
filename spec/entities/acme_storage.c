#include "entity.h"

#include <string.h>

#include "spec/check.h"
#include "spec/fault.h"

#define TIMEOUT_MAX 2147483646
#define SHOWN_MAX 1024

/* All parts are stored into struct acme itself: offsets are its own. */

static const struct schema_field shm_fields[] = {
    {.name = "shm_name",
     .about = "Taken for Kong's sake, without effect.",
     .type = SCHEMA_STRING,
     .fallback = "\"kong\""},
};

enum redis_field {
    REDIS_HOST,
    REDIS_PORT,
    REDIS_TIMEOUT,
    REDIS_USERNAME,
    REDIS_PASSWORD,
    REDIS_DATABASE,
    REDIS_SSL,
    REDIS_SSL_VERIFY,
    REDIS_SERVER_NAME,
    REDIS_EXTRA_OPTIONS,
    REDIS_AUTH,
    REDIS_SSL_SERVER_NAME,
    REDIS_NAMESPACE,
    REDIS_SCAN_COUNT
};

static const struct schema_field redis_fields[] = {
    [REDIS_HOST] = {.name = "host",
                    .about = "Name or address of the server.",
                    .type = SCHEMA_STRING,
                    .check = check_host,
                    .store = STORE_TEXT,
                    .offset = offsetof(struct acme, redis.host)},
    [REDIS_PORT] = {.name = "port",
                    .about = "Its port.",
                    .type = SCHEMA_INTEGER,
                    .flags = SCHEMA_RANGE,
                    .max = 65535,
                    .fallback = "6379",
                    .store = STORE_INTEGER,
                    .offset = offsetof(struct acme, redis.port)},
    [REDIS_TIMEOUT] = {.name = "timeout",
                       .about = "Milliseconds for one exchange.",
                       .type = SCHEMA_INTEGER,
                       .flags = SCHEMA_RANGE,
                       .max = TIMEOUT_MAX,
                       .fallback = "2000",
                       .store = STORE_INTEGER,
                       .offset = offsetof(struct acme, redis.timeout_ms)},
    [REDIS_USERNAME] = {.name = "username",
                        .about = "User, where the server has ACLs.",
                        .type = SCHEMA_STRING,
                        .flags = SCHEMA_REFERENCEABLE,
                        .store = STORE_STR,
                        .offset = offsetof(struct acme, redis.username)},
    [REDIS_PASSWORD] = {.name = "password",
                        .about = "Password.",
                        .type = SCHEMA_STRING,
                        .flags = SCHEMA_REFERENCEABLE | SCHEMA_EMPTY | SCHEMA_SECRET,
                        .store = STORE_STR,
                        .offset = offsetof(struct acme, redis.password)},
    [REDIS_DATABASE] = {.name = "database",
                        .about = "Number of the database.",
                        .type = SCHEMA_INTEGER,
                        .fallback = "0",
                        .store = STORE_INTEGER,
                        .offset = offsetof(struct acme, redis.database)},
    [REDIS_SSL] = {.name = "ssl",
                   .about = "Whether TLS is spoken.",
                   .type = SCHEMA_BOOLEAN,
                   .fallback = "false",
                   .store = STORE_BOOLEAN,
                   .offset = offsetof(struct acme, redis.ssl)},
    [REDIS_SSL_VERIFY] = {.name = "ssl_verify",
                          .about = "Whether the server's certificate is verified.",
                          .type = SCHEMA_BOOLEAN,
                          .fallback = "false",
                          .store = STORE_BOOLEAN,
                          .offset = offsetof(struct acme, redis.ssl_verify)},
    [REDIS_SERVER_NAME] = {.name = "server_name",
                           .about = "Server name for TLS.",
                           .type = SCHEMA_STRING,
                           .check = check_server_name,
                           .store = STORE_STR,
                           .offset = offsetof(struct acme, redis.server_name)},
    [REDIS_EXTRA_OPTIONS] = {.name = "extra_options",
                             .about = "How keys are written and listed.",
                             .type = SCHEMA_RECORD,
                             .flags = SCHEMA_REQUIRED,
                             .record = &entity_acme_redis_extra,
                             .store = STORE_RECORD},
    [REDIS_AUTH] = {.name = "auth",
                    .about = "Old name of password.",
                    .type = SCHEMA_STRING,
                    .flags = SCHEMA_EMPTY | SCHEMA_SHORTHAND | SCHEMA_SECRET},
    [REDIS_SSL_SERVER_NAME] = {.name = "ssl_server_name",
                               .about = "Old name of server_name.",
                               .type = SCHEMA_STRING,
                               .flags = SCHEMA_SHORTHAND},
    [REDIS_NAMESPACE] = {.name = "namespace",
                         .about = "Old place of extra_options.namespace.",
                         .type = SCHEMA_STRING,
                         .flags = SCHEMA_EMPTY | SCHEMA_SHORTHAND},
    [REDIS_SCAN_COUNT] = {.name = "scan_count",
                          .about = "Old place of extra_options.scan_count.",
                          .type = SCHEMA_INTEGER,
                          .flags = SCHEMA_SHORTHAND},
};

static bool is_set(const struct document_node *n)
{
    return n && n->kind != DOCUMENT_NULL;
}

/* Numbers as Lua compares them. */
static bool is_same(const struct document_node *a, const struct document_node *b)
{
    if (a->kind == DOCUMENT_STRING && b->kind == DOCUMENT_STRING)
        return str_equal(document_text(a), document_text(b));
    if (a->kind == DOCUMENT_INTEGER && b->kind == DOCUMENT_INTEGER)
        return a->as.integer == b->as.integer;
    if (a->kind == DOCUMENT_FLOAT && b->kind == DOCUMENT_INTEGER)
        return a->as.number == (double)b->as.integer;
    if (a->kind == DOCUMENT_INTEGER && b->kind == DOCUMENT_FLOAT)
        return (double)a->as.integer == b->as.number;
    return a->kind == DOCUMENT_FLOAT && b->kind == DOCUMENT_FLOAT && a->as.number == b->as.number;
}

/* A value of a message; secrets are not printed. */
static void print_shown(const struct schema_field *f, const struct document_node *n,
                        struct buf *out)
{
    if (f->flags & SCHEMA_SECRET)
        buf_cstr(out, "<hidden>");
    else if (n->kind == DOCUMENT_STRING)
        buf_str(out, document_text(n));
    else if (n->kind == DOCUMENT_INTEGER)
        buf_printf(out, "%lld", (long long)n->as.integer);
    else if (n->kind == DOCUMENT_FLOAT)
        buf_printf(out, "%.14g", n->as.number);
}

/* Both spellings may stand there if they say the same. */
static bool agrees(struct schema_context *c, struct schema_view *v, const struct schema_frame *at,
                   unsigned old, const struct document_node *new, const char *new_name)
{
    const struct schema_field *f = &v->record->fields[old];
    struct buf a = BUF_INIT(SHOWN_MAX), b = BUF_INIT(SHOWN_MAX);

    if (!is_set(v->slots[old]) || !is_set(new) || is_same(v->slots[old], new))
        return true;
    print_shown(f, v->slots[old], &a);
    print_shown(f, new, &b);
    fault_add_field(c, v, at, old,
                    "both deprecated and new field are used but their values mismatch: "
                    "%s = %.*s vs %s = %.*s",
                    f->name, STR_ARG(buf_view(&a)), new_name, STR_ARG(buf_view(&b)));
    buf_free(&a);
    buf_free(&b);
    return false;
}

/* A null of the old name counts like any value, but not over the new name's. */
static void rename_field(struct schema_context *c, struct schema_view *v,
                         const struct schema_frame *at, unsigned old, unsigned new)
{
    if (agrees(c, v, at, old, v->slots[new], v->record->fields[new].name) && v->slots[old] &&
        !is_set(v->slots[new]))
        schema_put(v, new, v->slots[old]);
}

/* A copy of the map `n` (or of none) in which `name` is `value`. */
static const struct document_node *with_member(struct schema_context *c,
                                               const struct document_node *n, const char *name,
                                               const struct document_node *value)
{
    uint32_t id = names_find(c->index->names, str_from(name)), count = 0;
    uint32_t old_count = n && n->kind == DOCUMENT_MAP ? n->count : 0;
    struct document_node *map = arena_alloc(c->scratch, sizeof(*map));
    struct document_node *items =
        arena_alloc(c->scratch, (old_count + 1u) * (sizeof(*items) + sizeof(struct document_key)));
    struct document_key *keys;

    if (!map || !items) {
        c->is_out_of_memory = true;
        return n;
    }
    for (uint32_t i = 0; i < old_count; i++)
        if (document_keys(n)[i].name != id)
            items[count++] = n->as.items[i];
    items[count++] = *value;
    keys = (struct document_key *)(items + count);
    count = 0;
    for (uint32_t i = 0; i < old_count; i++)
        if (document_keys(n)[i].name != id)
            keys[count++] = document_keys(n)[i];
    keys[count++] = (struct document_key){id, value->line, value->column};
    *map = *(n ? n : value);
    map->kind = DOCUMENT_MAP;
    map->count = count;
    map->as.items = items;
    return map;
}

static void move_field(struct schema_context *c, struct schema_view *v,
                       const struct schema_frame *at, unsigned old, const char *name,
                       const char *path)
{
    const struct document_node *extra = v->slots[REDIS_EXTRA_OPTIONS];
    const struct document_node *new = NULL;

    if (is_set(extra) && extra->kind != DOCUMENT_MAP && extra->count)
        return; /* refused as what it is */
    if (is_set(extra))
        new = document_get(extra, names_find(c->index->names, str_from(name)));
    if (agrees(c, v, at, old, new, path) && v->slots[old] && !is_set(new))
        schema_put(v, REDIS_EXTRA_OPTIONS,
                   with_member(c, is_set(extra) ? extra : NULL, name, v->slots[old]));
}

static void expand_redis(struct schema_context *c, struct schema_view *v,
                         const struct schema_frame *at)
{
    rename_field(c, v, at, REDIS_AUTH, REDIS_PASSWORD);
    rename_field(c, v, at, REDIS_SSL_SERVER_NAME, REDIS_SERVER_NAME);
    move_field(c, v, at, REDIS_NAMESPACE, "namespace", "extra_options.namespace");
    move_field(c, v, at, REDIS_SCAN_COUNT, "scan_count", "extra_options.scan_count");
}

static void check_namespace(struct str value, struct buf *why)
{
    static const char *const reserved[] = {"kong_acme:renew_config:", "kong_acme:renew_last_run",
                                           "kong_acme:cert_key:"};

    for (size_t i = 0; i < ARRAY_LENGTH(reserved); i++)
        if (str_starts(value, str_from(reserved[i]))) {
            buf_printf(why, "namespace can't be prefixed with reserved word: %s", reserved[i]);
            return;
        }
}

static const struct schema_field redis_extra_fields[] = {
    {.name = "namespace",
     .about = "Put in front of every key.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED | SCHEMA_EMPTY,
     .fallback = "\"\"",
     .check = check_namespace,
     .store = STORE_STR,
     .offset = offsetof(struct acme, redis.namespace)},
    {.name = "scan_count",
     .about = "Keys that one SCAN asks for.",
     .type = SCHEMA_NUMBER,
     .fallback = "10",
     .store = STORE_INTEGER,
     .offset = offsetof(struct acme, redis.scan_count)},
};

static const struct schema_field consul_fields[] = {
    {.name = "https",
     .about = "Whether TLS is spoken.",
     .type = SCHEMA_BOOLEAN,
     .fallback = "false",
     .store = STORE_BOOLEAN,
     .offset = offsetof(struct acme, consul.https)},
    {.name = "host",
     .about = "Name or address of the server (127.0.0.1).",
     .type = SCHEMA_STRING,
     .check = check_host,
     .store = STORE_TEXT,
     .offset = offsetof(struct acme, consul.host)},
    {.name = "port",
     .about = "Its port (8500).",
     .type = SCHEMA_INTEGER,
     .flags = SCHEMA_RANGE,
     .max = 65535,
     .store = STORE_OPT_INT,
     .offset = offsetof(struct acme, consul.port)},
    {.name = "kv_path",
     .about = "Put in front of every key (acme).",
     .type = SCHEMA_STRING,
     .store = STORE_STR,
     .offset = offsetof(struct acme, consul.kv_path)},
    {.name = "timeout",
     .about = "Milliseconds for one exchange (2000).",
     .type = SCHEMA_NUMBER,
     .store = STORE_OPT_INT,
     .offset = offsetof(struct acme, consul.timeout_ms)},
    {.name = "token",
     .about = "ACL token.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REFERENCEABLE | SCHEMA_SECRET,
     .store = STORE_STR,
     .offset = offsetof(struct acme, consul.token)},
};

static const char *const auth_methods[] = {"token", "kubernetes", NULL};

static const struct schema_field vault_fields[] = {
    {.name = "https",
     .about = "Whether TLS is spoken.",
     .type = SCHEMA_BOOLEAN,
     .fallback = "false",
     .store = STORE_BOOLEAN,
     .offset = offsetof(struct acme, vault.https)},
    {.name = "host",
     .about = "Name or address of the server (127.0.0.1).",
     .type = SCHEMA_STRING,
     .check = check_host,
     .store = STORE_TEXT,
     .offset = offsetof(struct acme, vault.host)},
    {.name = "port",
     .about = "Its port (8200).",
     .type = SCHEMA_INTEGER,
     .flags = SCHEMA_RANGE,
     .max = 65535,
     .store = STORE_OPT_INT,
     .offset = offsetof(struct acme, vault.port)},
    {.name = "kv_path",
     .about = "Put in front of every key (acme).",
     .type = SCHEMA_STRING,
     .store = STORE_STR,
     .offset = offsetof(struct acme, vault.kv_path)},
    {.name = "timeout",
     .about = "Milliseconds for one exchange (2000).",
     .type = SCHEMA_NUMBER,
     .store = STORE_OPT_INT,
     .offset = offsetof(struct acme, vault.timeout_ms)},
    {.name = "token",
     .about = "Token, where auth_method is token.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REFERENCEABLE | SCHEMA_SECRET,
     .store = STORE_STR,
     .offset = offsetof(struct acme, vault.token)},
    {.name = "tls_verify",
     .about = "Whether the server's certificate is verified.",
     .type = SCHEMA_BOOLEAN,
     .fallback = "true",
     .store = STORE_BOOLEAN,
     .offset = offsetof(struct acme, vault.tls_verify)},
    {.name = "tls_server_name",
     .about = "Server name for TLS; the host otherwise.",
     .type = SCHEMA_STRING,
     .store = STORE_STR,
     .offset = offsetof(struct acme, vault.tls_server_name)},
    {.name = "auth_method",
     .about = "How we log in.",
     .type = SCHEMA_STRING,
     .fallback = "\"token\"",
     .one_of = auth_methods,
     .store = STORE_STR,
     .offset = offsetof(struct acme, vault.auth_method)},
    {.name = "auth_path",
     .about = "Path of the login (kubernetes).",
     .type = SCHEMA_STRING,
     .store = STORE_STR,
     .offset = offsetof(struct acme, vault.auth_path)},
    {.name = "auth_role",
     .about = "Role of the login.",
     .type = SCHEMA_STRING,
     .store = STORE_STR,
     .offset = offsetof(struct acme, vault.auth_role)},
    {.name = "jwt_path",
     .about = "File that holds the login's JWT.",
     .type = SCHEMA_STRING,
     .store = STORE_STR,
     .offset = offsetof(struct acme, vault.jwt_path)},
};

static const struct schema_field storage_fields[] = {
    {.name = "shm",
     .about = "For storage shm.",
     .type = SCHEMA_RECORD,
     .flags = SCHEMA_REQUIRED,
     .record = &entity_acme_shm},
    {.name = "kong",
     .about = "For storage kong, which needs a database.",
     .type = SCHEMA_RECORD,
     .flags = SCHEMA_REQUIRED,
     .record = &entity_empty},
    {.name = "redis",
     .about = "For storage redis.",
     .type = SCHEMA_RECORD,
     .flags = SCHEMA_REQUIRED,
     .record = &entity_acme_redis,
     .store = STORE_RECORD},
    {.name = "consul",
     .about = "For storage consul.",
     .type = SCHEMA_RECORD,
     .flags = SCHEMA_REQUIRED,
     .record = &entity_acme_consul,
     .store = STORE_RECORD},
    {.name = "vault",
     .about = "For storage vault (KV version 2).",
     .type = SCHEMA_RECORD,
     .flags = SCHEMA_REQUIRED,
     .record = &entity_acme_vault,
     .store = STORE_RECORD},
};

const struct schema_record entity_acme_storage_config = {.name = "acme.storage_config",
                                                         .number = PART_ACME_STORAGE,
                                                         .fields = storage_fields,
                                                         .count = ARRAY_LENGTH(storage_fields)};
const struct schema_record entity_acme_shm = {.name = "acme.storage_config.shm",
                                              .number = PART_ACME_SHM,
                                              .fields = shm_fields,
                                              .count = ARRAY_LENGTH(shm_fields)};
const struct schema_record entity_acme_redis = {.name = "acme.storage_config.redis",
                                                .number = PART_ACME_REDIS,
                                                .fields = redis_fields,
                                                .count = ARRAY_LENGTH(redis_fields),
                                                .expand = expand_redis};
const struct schema_record entity_acme_redis_extra = {.name =
                                                          "acme.storage_config.redis.extra_options",
                                                      .number = PART_ACME_REDIS_EXTRA,
                                                      .fields = redis_extra_fields,
                                                      .count = ARRAY_LENGTH(redis_extra_fields)};
const struct schema_record entity_acme_consul = {.name = "acme.storage_config.consul",
                                                 .number = PART_ACME_CONSUL,
                                                 .fields = consul_fields,
                                                 .count = ARRAY_LENGTH(consul_fields)};
const struct schema_record entity_acme_vault = {.name = "acme.storage_config.vault",
                                                .number = PART_ACME_VAULT,
                                                .fields = vault_fields,
                                                .count = ARRAY_LENGTH(vault_fields)};
