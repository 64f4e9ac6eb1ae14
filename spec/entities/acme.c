#include "entity.h"

#include <stdio.h>

#include "spec/check.h"
#include "spec/fault.h"

#define ACME_PATH_MAX 128
#include "spec/reference.h"

enum acme_field {
    ACME_ACCOUNT_EMAIL,
    ACME_ACCOUNT_KEY,
    ACME_API_URI,
    ACME_TOS_ACCEPTED,
    ACME_EAB_KID,
    ACME_EAB_HMAC_KEY,
    ACME_CERT_TYPE,
    ACME_RSA_KEY_SIZE,
    ACME_RENEW_THRESHOLD_DAYS,
    ACME_DOMAINS,
    ACME_ALLOW_ANY_DOMAIN,
    ACME_FAIL_BACKOFF_MINUTES,
    ACME_STORAGE,
    ACME_STORAGE_CONFIG,
    ACME_PREFERRED_CHAIN,
    ACME_ENABLE_IPV4_COMMON_NAME
};

/* Kong's pattern for it comes down to this. */
static void check_email(struct str value, struct buf *why)
{
    if (str_find(value, '@', 0) == value.len)
        buf_printf(why, "invalid value: %.*s", STR_ARG(value));
}

static const char *const cert_types[] = {"rsa", "ecc", NULL};
static const char *const rsa_key_sizes[] = {"2048", "3072", "4096", NULL};
static const char *const storages[] = {"kong", "shm", "redis", "consul", "vault", NULL};

static const struct schema_field domain = {
    .type = SCHEMA_STRING, .store = STORE_TEXT, .check = check_host_pattern, .flags = SCHEMA_LOWER};

static const struct schema_field fields[] = {
    [ACME_ACCOUNT_EMAIL] = {"account_email", SCHEMA_STRING, "Whom the CA writes to.",
                            .flags = SCHEMA_REQUIRED | SCHEMA_REFERENCEABLE, .check = check_email,
                            SCHEMA_KEPT(STORE_TEXT, struct acme, account_email)},
    [ACME_ACCOUNT_KEY] = {"account_key", SCHEMA_RECORD,
                          "A key of `keys` for the account; one is made otherwise.",
                          .record = &entity_acme_account_key, .store = STORE_RECORD},
    [ACME_API_URI] = {"api_uri", SCHEMA_STRING, "The CA's ACME directory.",
                      .fallback = "\"https://acme-v02.api.letsencrypt.org/directory\"",
                      .check = check_url, SCHEMA_KEPT(STORE_TEXT, struct acme, api_uri)},
    [ACME_TOS_ACCEPTED] = {"tos_accepted", SCHEMA_BOOLEAN,
                           "That you accept the terms of Let's Encrypt.", .fallback = "false",
                           SCHEMA_KEPT(STORE_BOOLEAN, struct acme, tos_accepted)},
    [ACME_EAB_KID] = {"eab_kid", SCHEMA_STRING,
                      "Key id of an external account, for CAs that ask for one.",
                      .flags = SCHEMA_REFERENCEABLE, SCHEMA_KEPT(STORE_STR, struct acme, eab_kid)},
    [ACME_EAB_HMAC_KEY] = {"eab_hmac_key", SCHEMA_STRING, "Its HMAC key in base64url.",
                           .flags = SCHEMA_REFERENCEABLE | SCHEMA_SECRET,
                           SCHEMA_KEPT(STORE_STR, struct acme, eab_hmac_key)},
    [ACME_CERT_TYPE] = {"cert_type", SCHEMA_STRING,
                        "Kind of key of the certificates; ecc is P-256.", .fallback = "\"rsa\"",
                        .one_of = cert_types, SCHEMA_KEPT(STORE_STR, struct acme, cert_type)},
    [ACME_RSA_KEY_SIZE] = {"rsa_key_size", SCHEMA_NUMBER, "Bits of RSA keys.", .fallback = "4096",
                           .one_of = rsa_key_sizes,
                           SCHEMA_KEPT(STORE_INTEGER, struct acme, rsa_key_size)},
    [ACME_RENEW_THRESHOLD_DAYS] = {"renew_threshold_days", SCHEMA_NUMBER,
                                   "Days before its end that a certificate is renewed.",
                                   .fallback = "14",
                                   .in_effect = "a third of the lifetime; half, up to 10 days",
                                   SCHEMA_KEPT(STORE_DOUBLE, struct acme, renew_threshold_days)},
    [ACME_DOMAINS] = {"domains", SCHEMA_ARRAY,
                      "Names that certificates are made for; *.x lets through all "
                      "below x.",
                      .element = &domain, SCHEMA_KEPT(STORE_TEXTS, struct acme, domains)},
    [ACME_ALLOW_ANY_DOMAIN] = {"allow_any_domain", SCHEMA_BOOLEAN, "Lets every name through.",
                               .fallback = "false",
                               SCHEMA_KEPT(STORE_BOOLEAN, struct acme, allow_any_domain)},
    [ACME_FAIL_BACKOFF_MINUTES] = {"fail_backoff_minutes", SCHEMA_NUMBER,
                                   "Minutes to wait after a failure, at least.", .fallback = "5",
                                   .in_effect = "1, 10, 100 minutes, then a day",
                                   SCHEMA_KEPT(STORE_DOUBLE, struct acme, fail_backoff_minutes)},
    [ACME_STORAGE] = {"storage", SCHEMA_STRING, "Where certificates are kept; shm is this machine.",
                      .fallback = "\"shm\"", .one_of = storages},
    [ACME_STORAGE_CONFIG] = {"storage_config", SCHEMA_RECORD, "How the storages are reached.",
                             .flags = SCHEMA_REQUIRED, .record = &entity_acme_storage_config,
                             .store = STORE_RECORD},
    [ACME_PREFERRED_CHAIN] = {"preferred_chain", SCHEMA_STRING,
                              "Common name of the issuer that the chain should end in.",
                              SCHEMA_KEPT(STORE_STR, struct acme, preferred_chain)},
    [ACME_ENABLE_IPV4_COMMON_NAME] =
        {"enable_ipv4_common_name", SCHEMA_BOOLEAN, "Lets names through that are IPv4 addresses.",
         .fallback = "true", SCHEMA_KEPT(STORE_BOOLEAN, struct acme, enable_ipv4_common_name)},
};

/* A node below the config by its path, or NULL. */
static const struct document_node *below(const struct schema_context *c,
                                         const struct schema_view *v, const char *const *path)
{
    const struct document_node *n = v->node;

    for (; n && *path; path++)
        n = document_get(n, names_find(c->index->names, str_from(*path)));
    return n;
}

static bool is_set(const struct document_node *n)
{
    return n && n->kind != DOCUMENT_NULL;
}

static bool has_fault(const struct schema_context *c, const char *path)
{
    for (size_t i = 0; i < c->fault_count; i++)
        if (str_equal_cstr(c->faults[i].path, path) && !c->faults[i].is_entity)
            return true;
    return false;
}

static void check_terms(struct schema_context *c, struct schema_view *v,
                        const struct schema_frame *at)
{
    static const char *const bare[] = {"https://acme-v02.api.letsencrypt.org",
                                       "https://acme-staging-v02.api.letsencrypt.org"};
    const struct document_node *uri = schema_value(c, v, ACME_API_URI);
    const struct document_node *accepted = schema_value(c, v, ACME_TOS_ACCEPTED);

    if (accepted->kind == DOCUMENT_BOOLEAN && accepted->as.boolean)
        return;
    /* To Kong null is every value. */
    if (uri->kind != DOCUMENT_NULL &&
        (uri->kind != DOCUMENT_STRING || (!str_equal_cstr(document_text(uri), bare[0]) &&
                                          !str_equal_cstr(document_text(uri), bare[1]))))
        return;
    if (!(v->failed >> ACME_TOS_ACCEPTED & 1))
        fault_add_field(c, v, at, ACME_TOS_ACCEPTED, "value must be true");
    fault_add_entity(c, NULL, document_place(v->node),
                     "terms of service must be accepted, see "
                     "https://letsencrypt.org/repository/");
}

static void check_redis(struct schema_context *c, struct schema_view *v,
                        const struct schema_frame *at)
{
    static const char *const host[] = {"storage_config", "redis", "host", NULL};
    static const char *const port[] = {"storage_config", "redis", "port", NULL};
    const struct document_node *port_node = below(c, v, port);
    struct schema_frame config = {.up = at, .name = STR("storage_config")};
    struct schema_frame redis = {.up = &config, .name = STR("redis")};
    struct schema_frame here = {.up = &redis, .name = STR("host")};
    struct place place = document_place(v->slots[ACME_STORAGE]);
    bool is_host_bad = has_fault(c, "config.storage_config.redis.host");
    bool is_port_bad = has_fault(c, "config.storage_config.redis.port");

    if (!is_set(below(c, v, host))) {
        fault_add(c, &here, place, "required field missing");
        is_host_bad = true;
    }
    if (port_node && !is_set(port_node)) {
        here.name = STR("port");
        fault_add(c, &here, document_place(port_node), "required field missing");
        is_port_bad = true;
    }
    for (int i = 0; i < is_host_bad + is_port_bad; i++)
        fault_add_entity(c, NULL, place,
                         "failed conditional validation given value of field "
                         "'config.storage'");
}

static enum acme_storage storage_of(struct str name)
{
    static const struct {
        struct str name;
        enum acme_storage storage;
    } table[] = {
        {STR_INIT("kong"), ACME_STORAGE_KONG},
        {STR_INIT("redis"), ACME_STORAGE_REDIS},
        {STR_INIT("consul"), ACME_STORAGE_CONSUL},
        {STR_INIT("vault"), ACME_STORAGE_VAULT},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        if (str_equal(table[i].name, name))
            return table[i].storage;
    return ACME_STORAGE_SHM;
}

/* The first reference that issuing needs and that gives nothing: a storage that is not in use has
 * no say. */
static void find_unresolved(const struct schema_context *c, const struct schema_view *v,
                            struct acme *acme)
{
    static const struct {
        enum acme_storage storage; /* ACME_STORAGE_SHM: whatever it is */
        const char *path[4];
    } needed[] = {
        {ACME_STORAGE_SHM, {"account_email"}},
        {ACME_STORAGE_SHM, {"eab_kid"}},
        {ACME_STORAGE_SHM, {"eab_hmac_key"}},
        {ACME_STORAGE_REDIS, {"storage_config", "redis", "username"}},
        {ACME_STORAGE_REDIS, {"storage_config", "redis", "password"}},
        {ACME_STORAGE_CONSUL, {"storage_config", "consul", "token"}},
        {ACME_STORAGE_VAULT, {"storage_config", "vault", "token"}},
    };

    for (size_t i = 0; c->unresolved.ptr && i < ARRAY_LENGTH(needed); i++) {
        const struct document_node *n = below(c, v, needed[i].path);

        if ((needed[i].storage == ACME_STORAGE_SHM || needed[i].storage == acme->storage) && n &&
            n->kind == DOCUMENT_STRING && schema_is_reference(document_text(n)) &&
            !reference_resolve(c->references, document_text(n)).ptr) {
            acme->unresolved = document_text(n);
            acme->unresolved_place = document_place(n);
            return;
        }
    }
}

/* A common mistake: what one storage is told, written beside the storages. */
static void point_into_storage(struct schema_context *c, struct str storage)
{
    static const struct schema_record *const records[] = {
        [ACME_STORAGE_REDIS] = &entity_acme_redis,
        [ACME_STORAGE_CONSUL] = &entity_acme_consul,
        [ACME_STORAGE_VAULT] = &entity_acme_vault};
    const struct schema_record *record = records[storage_of(storage)];
    char path[ACME_PATH_MAX];

    for (unsigned i = 0; record && i < record->count; i++) {
        snprintf(path, sizeof(path), "config.storage_config.%s", record->fields[i].name);
        fault_explain(c, str_from(path), "unknown field: write it into storage_config.%.*s",
                      STR_ARG(storage));
    }
}

static void check(struct schema_context *c, struct schema_view *v, void *into,
                  const struct schema_frame *at)
{
    const struct document_node *storage = schema_value(c, v, ACME_STORAGE);
    struct acme *acme = into;

    if (!(v->failed >> ACME_API_URI & 1))
        check_terms(c, v, at);
    if (storage->kind == DOCUMENT_STRING && str_equal(document_text(storage), STR("redis")))
        check_redis(c, v, at);
    if (storage->kind == DOCUMENT_STRING)
        point_into_storage(c, document_text(storage));
    if (storage->kind == DOCUMENT_STRING && str_equal(document_text(storage), STR("kong")))
        fault_add_entity(c, NULL, document_place(storage),
                         "\"kong\" storage can't be used with dbless mode");
    if (!acme)
        return;
    if (storage->kind == DOCUMENT_STRING)
        acme->storage = storage_of(document_text(storage));
    acme->storage_place = document_place(storage);
    acme->renew_threshold_is_stated = is_set(v->slots[ACME_RENEW_THRESHOLD_DAYS]);
    acme->fail_backoff_is_stated = is_set(v->slots[ACME_FAIL_BACKOFF_MINUTES]);
    if (v->slots[ACME_TOS_ACCEPTED])
        acme->tos_place = document_place(v->slots[ACME_TOS_ACCEPTED]);
    find_unresolved(c, v, acme);
}

const struct schema_record entity_acme = {
    "acme", PART_ACME, "Configuration of the acme plugin: which names get certificates, from whom.",
    SCHEMA_FIELDS(fields), .check = check};

static const struct schema_field account_key_fields[] = {
    {"key_id", SCHEMA_STRING, "The `kid` of the key.", .flags = SCHEMA_REQUIRED,
     SCHEMA_KEPT(STORE_TEXT, struct acme, account_key_id)},
    {"key_set", SCHEMA_STRING, "The name of its key set.",
     SCHEMA_KEPT(STORE_TEXT, struct acme, account_key_set)},
};

const struct schema_record entity_acme_account_key = {"acme.account_key", PART_ACME_ACCOUNT_KEY,
                                                      "Names a key of `keys`.",
                                                      SCHEMA_FIELDS(account_key_fields)};
