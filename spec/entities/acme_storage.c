#include "entity.h"

#include "spec/check.h"
#include "spec/fault.h"

#define TIMEOUT_MAX 2147483646
#define SHOWN_MAX 1024

/* All parts are stored into struct acme itself: offsets are its own. */

static const struct schema_field shm_fields[] = {
    {"shm_name", SCHEMA_STRING, "Taken for Kong's sake, without effect.", .fallback = "\"kong\""},
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
    [REDIS_HOST] = {"host", SCHEMA_STRING, "Name or address of the server.", .check = check_host,
                    SCHEMA_KEPT(STORE_TEXT, struct acme, redis.host)},
    [REDIS_PORT] = {"port", SCHEMA_INTEGER, "Its port.", .flags = SCHEMA_RANGE, .max = 65535,
                    .fallback = "6379", SCHEMA_KEPT(STORE_INTEGER, struct acme, redis.port)},
    [REDIS_TIMEOUT] = {"timeout", SCHEMA_INTEGER, "Milliseconds for one exchange.",
                       .flags = SCHEMA_RANGE, .max = TIMEOUT_MAX, .fallback = "2000",
                       SCHEMA_KEPT(STORE_INTEGER, struct acme, redis.timeout_ms)},
    [REDIS_USERNAME] = {"username", SCHEMA_STRING, "User, where the server has ACLs.",
                        .flags = SCHEMA_REFERENCEABLE,
                        SCHEMA_KEPT(STORE_STR, struct acme, redis.username)},
    [REDIS_PASSWORD] = {"password", SCHEMA_STRING, "Password.",
                        .flags = SCHEMA_REFERENCEABLE | SCHEMA_EMPTY | SCHEMA_SECRET,
                        SCHEMA_KEPT(STORE_STR, struct acme, redis.password)},
    [REDIS_DATABASE] = {"database", SCHEMA_INTEGER, "Number of the database.", .fallback = "0",
                        SCHEMA_KEPT(STORE_INTEGER, struct acme, redis.database)},
    [REDIS_SSL] = {"ssl", SCHEMA_BOOLEAN, "Whether TLS is spoken.", .fallback = "false",
                   SCHEMA_KEPT(STORE_BOOLEAN, struct acme, redis.ssl)},
    [REDIS_SSL_VERIFY] = {"ssl_verify", SCHEMA_BOOLEAN,
                          "Whether the server's certificate is verified.", .fallback = "false",
                          SCHEMA_KEPT(STORE_BOOLEAN, struct acme, redis.ssl_verify)},
    [REDIS_SERVER_NAME] = {"server_name", SCHEMA_STRING, "Server name for TLS.",
                           .check = check_server_name,
                           SCHEMA_KEPT(STORE_STR, struct acme, redis.server_name)},
    [REDIS_EXTRA_OPTIONS] = {"extra_options", SCHEMA_RECORD, "How keys are written and listed.",
                             .flags = SCHEMA_REQUIRED, .record = &entity_acme_redis_extra,
                             .store = STORE_RECORD},
    [REDIS_AUTH] = {"auth", SCHEMA_STRING, "Old name of password.",
                    .flags = SCHEMA_EMPTY | SCHEMA_SHORTHAND | SCHEMA_SECRET},
    [REDIS_SSL_SERVER_NAME] = {"ssl_server_name", SCHEMA_STRING, "Old name of server_name.",
                               .flags = SCHEMA_SHORTHAND},
    [REDIS_NAMESPACE] = {"namespace", SCHEMA_STRING, "Old place of extra_options.namespace.",
                         .flags = SCHEMA_EMPTY | SCHEMA_SHORTHAND},
    [REDIS_SCAN_COUNT] = {"scan_count", SCHEMA_INTEGER, "Old place of extra_options.scan_count.",
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
    {"namespace", SCHEMA_STRING, "Put in front of every key.",
     .flags = SCHEMA_REQUIRED | SCHEMA_EMPTY, .fallback = "\"\"", .check = check_namespace,
     SCHEMA_KEPT(STORE_STR, struct acme, redis.namespace)},
    {"scan_count", SCHEMA_NUMBER, "Keys that one SCAN asks for.", .fallback = "10",
     SCHEMA_KEPT(STORE_INTEGER, struct acme, redis.scan_count)},
};

static const struct schema_field consul_fields[] = {
    {"https", SCHEMA_BOOLEAN, "Whether TLS is spoken.", .fallback = "false",
     SCHEMA_KEPT(STORE_BOOLEAN, struct acme, consul.https)},
    {"host", SCHEMA_STRING, "Name or address of the server (127.0.0.1).", .check = check_host,
     SCHEMA_KEPT(STORE_TEXT, struct acme, consul.host)},
    {"port", SCHEMA_INTEGER, "Its port (8500).", .flags = SCHEMA_RANGE, .max = 65535,
     SCHEMA_KEPT(STORE_OPT_INT, struct acme, consul.port)},
    {"kv_path", SCHEMA_STRING, "Put in front of every key (acme).",
     SCHEMA_KEPT(STORE_STR, struct acme, consul.kv_path)},
    {"timeout", SCHEMA_NUMBER, "Milliseconds for one exchange (2000).",
     SCHEMA_KEPT(STORE_OPT_INT, struct acme, consul.timeout_ms)},
    {"token", SCHEMA_STRING, "ACL token.", .flags = SCHEMA_REFERENCEABLE | SCHEMA_SECRET,
     SCHEMA_KEPT(STORE_STR, struct acme, consul.token)},
};

static const char *const auth_methods[] = {"token", "kubernetes", NULL};

static const struct schema_field vault_fields[] = {
    {"https", SCHEMA_BOOLEAN, "Whether TLS is spoken.", .fallback = "false",
     SCHEMA_KEPT(STORE_BOOLEAN, struct acme, vault.https)},
    {"host", SCHEMA_STRING, "Name or address of the server (127.0.0.1).", .check = check_host,
     SCHEMA_KEPT(STORE_TEXT, struct acme, vault.host)},
    {"port", SCHEMA_INTEGER, "Its port (8200).", .flags = SCHEMA_RANGE, .max = 65535,
     SCHEMA_KEPT(STORE_OPT_INT, struct acme, vault.port)},
    {"kv_path", SCHEMA_STRING, "Put in front of every key (acme).",
     SCHEMA_KEPT(STORE_STR, struct acme, vault.kv_path)},
    {"timeout", SCHEMA_NUMBER, "Milliseconds for one exchange (2000).",
     SCHEMA_KEPT(STORE_OPT_INT, struct acme, vault.timeout_ms)},
    {"token", SCHEMA_STRING, "Token, where auth_method is token.",
     .flags = SCHEMA_REFERENCEABLE | SCHEMA_SECRET,
     SCHEMA_KEPT(STORE_STR, struct acme, vault.token)},
    {"tls_verify", SCHEMA_BOOLEAN, "Whether the server's certificate is verified.",
     .fallback = "true", SCHEMA_KEPT(STORE_BOOLEAN, struct acme, vault.tls_verify)},
    {"tls_server_name", SCHEMA_STRING, "Server name for TLS; the host otherwise.",
     SCHEMA_KEPT(STORE_STR, struct acme, vault.tls_server_name)},
    {"auth_method", SCHEMA_STRING, "How we log in.", .fallback = "\"token\"",
     .one_of = auth_methods, SCHEMA_KEPT(STORE_STR, struct acme, vault.auth_method)},
    {"auth_path", SCHEMA_STRING, "Path of the login (kubernetes).",
     SCHEMA_KEPT(STORE_STR, struct acme, vault.auth_path)},
    {"auth_role", SCHEMA_STRING, "Role of the login.",
     SCHEMA_KEPT(STORE_STR, struct acme, vault.auth_role)},
    {"jwt_path", SCHEMA_STRING, "File that holds the login's JWT.",
     SCHEMA_KEPT(STORE_STR, struct acme, vault.jwt_path)},
};

static const struct schema_field storage_fields[] = {
    {"shm", SCHEMA_RECORD, "For storage shm.", .flags = SCHEMA_REQUIRED,
     .record = &entity_acme_shm},
    {"kong", SCHEMA_RECORD, "For storage kong, which needs a database.", .flags = SCHEMA_REQUIRED,
     .record = &entity_empty},
    {"redis", SCHEMA_RECORD, "For storage redis.", .flags = SCHEMA_REQUIRED,
     .record = &entity_acme_redis, .store = STORE_RECORD},
    {"consul", SCHEMA_RECORD, "For storage consul.", .flags = SCHEMA_REQUIRED,
     .record = &entity_acme_consul, .store = STORE_RECORD},
    {"vault", SCHEMA_RECORD, "For storage vault (KV version 2).", .flags = SCHEMA_REQUIRED,
     .record = &entity_acme_vault, .store = STORE_RECORD},
};

const struct schema_record entity_acme_storage_config = {"acme.storage_config", PART_ACME_STORAGE,
                                                         SCHEMA_FIELDS(storage_fields)};
const struct schema_record entity_acme_shm = {"acme.storage_config.shm", PART_ACME_SHM,
                                              SCHEMA_FIELDS(shm_fields)};
const struct schema_record entity_acme_redis = {"acme.storage_config.redis", PART_ACME_REDIS,
                                                SCHEMA_FIELDS(redis_fields),
                                                .expand = expand_redis};
const struct schema_record entity_acme_redis_extra = {"acme.storage_config.redis.extra_options",
                                                      PART_ACME_REDIS_EXTRA,
                                                      SCHEMA_FIELDS(redis_extra_fields)};
const struct schema_record entity_acme_consul = {"acme.storage_config.consul", PART_ACME_CONSUL,
                                                 SCHEMA_FIELDS(consul_fields)};
const struct schema_record entity_acme_vault = {"acme.storage_config.vault", PART_ACME_VAULT,
                                                SCHEMA_FIELDS(vault_fields)};
