/* Plugins: which names, where; acme's whole schema and its cross-field rules. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>

#include "spec/detail.h"
#include "spec/resolve.h"
#include "tests/support/spec_text.h"

struct row {
    const char *yaml, *problems;
};

#define NOT_ENABLED " not enabled; add it to the 'plugins' configuration property\n"

static const struct row plugins[] = {
    {"plugins: [{name: rate-limiting, config: {minute: 5, policy: local}}]\n", ""},
    {"plugins: [{name: nope}]\n", "2:18: plugins[1].name: plugin 'nope'" NOT_ENABLED},
    {"plugins: [{name: openid-connect, protocols: [x]}]\n",
     "2:18: plugins[1].name: plugin 'openid-connect' not enabled; add it to the 'plugins' "
     "configuration property (known to Kong Enterprise, not to 3.9; --ignore-unsupported leaves it "
     "out)\n"},
    {"plugins: [{}]\n", "2:11: plugins[1].name: required field missing\n"},
    {"plugins: [{name: null}]\n", "2:18: plugins[1].name: required field missing\n"},
    {"plugins: [{name: 5}]\n", "2:18: plugins[1].name: expected a string\n"},
    {"plugins: [{name: cors, ordering: null}]\n",
     "2:24: plugins[1].ordering: unknown field: known to Kong Enterprise, not to 3.9; "
     "--ignore-unsupported leaves it out\n"},
    {"plugins: [{name: cors, instance_name: a b}]\n",
     "2:39: plugins[1].instance_name: invalid value 'a b': the only accepted ascii characters are "
     "alphanumerics or ., -, _, and ~\n"},
    {"plugins: [{name: tcp-log, protocols: [tcp]}]\n", ""},
    {"plugins: [{name: key-auth, protocols: [tcp]}]\n",
     "2:40: plugins[1].protocols[1]: expected one of: grpc, grpcs, http, https\n"},
    {"plugins: [{name: cors, protocols: null}]\n",
     "2:35: plugins[1].protocols: required field missing\n"},
    {"plugins: [{name: key-auth, config: {key_names: [a b], nope: 1, key_in_body: 1}}]\n",
     "2:49: plugins[1].config.key_names[1]: bad header name 'a b', allowed characters are A-Z, "
     "a-z, 0-9, '_', and '-'\n2:55: plugins[1].config.nope: unknown field\n"
     "2:77: plugins[1].config.key_in_body: expected a boolean\n"},
    {"plugins: [{name: key-auth, config: null}]\n",
     "2:36: plugins[1].config: required field missing\n"},
    {"plugins: [{name: key-auth, config: x}]\n", "2:36: plugins[1].config: expected a record\n"},
    {"plugins: [{name: key-auth, config: {}}]\n", ""},
    {"plugins: [{name: correlation-id, config: {generator: x, header_name: null}}]\n",
     "2:54: plugins[1].config.generator: expected one of: uuid, uuid#counter, tracker\n"},
    {"consumers: [{username: a}]\nplugins: [{name: key-auth, consumer: a}]\n",
     "3:38: plugins[1].consumer: value must be null\n"},
    {"services: [{host: h, plugins: [{name: nope}]}]\n",
     "2:39: services[1].plugins[1].name: plugin 'nope'" NOT_ENABLED},
};

static const struct row acmes[] = {
    {"plugins: [{name: acme, config: {account_email: a@b}}]\n", ""},
    {"plugins: [{name: acme}]\n",
     "2:11: plugins[1].config.account_email: required field missing\n"},
    {"plugins: [{name: acme, config: null}]\n",
     "2:32: plugins[1].config: required field missing\n"},
    {"plugins: [{name: acme, config: 5}]\n", "2:32: plugins[1].config: expected a record\n"},
    {"services: [{host: h, plugins: [{name: acme, config: {account_email: a@b}}]}]\n",
     "2:32: services[1].plugins[1].service: value must be null: acme works for the whole file, so "
     "write it into the 'plugins' at the top level\n"},
    {"plugins: [{name: acme, config: {account_email: a@b, domains: ['*', a b, 'x:70000', "
     "null]}}]\n",
     "2:63: plugins[1].config.domains[1]: invalid wildcard: must be placed at leftmost or "
     "rightmost label\n2:68: plugins[1].config.domains[2]: invalid hostname: a b\n"
     "2:73: plugins[1].config.domains[3]: invalid port number\n"
     "2:84: plugins[1].config.domains[4]: required field missing\n"},
    {"plugins: [{name: acme, config: {account_email: a@b, cert_type: dsa, rsa_key_size: 1024, "
     "storage: disk}}]\n",
     "2:64: plugins[1].config.cert_type: expected one of: rsa, ecc\n"
     "2:83: plugins[1].config.rsa_key_size: expected one of: 2048, 3072, 4096\n"
     "2:98: plugins[1].config.storage: expected one of: kong, shm, redis, consul, vault\n"},
    {"plugins: [{name: acme, config: {account_email: a@b, renew_threshold_days: -1.5, "
     "fail_backoff_minutes: 0}}]\n",
     ""},
    {"plugins: [{name: acme, config: {account_email: a@b, storage: kong}}]\n",
     "2:62: plugins[1]: \"kong\" storage can't be used with dbless mode\n"},
    {"plugins: [{name: acme, config: {account_email: a@b, storage: redis}}]\n",
     "2:62: plugins[1]: failed conditional validation given value of field 'config.storage'\n"
     "2:62: plugins[1].config.storage_config.redis.host: required field missing\n"},
    {"plugins: [{name: acme, config: {account_email: a@b, storage: redis, storage_config: {redis: "
     "{host: h, port: null}}}}]\n",
     "2:62: plugins[1]: failed conditional validation given value of field 'config.storage'\n"
     "2:109: plugins[1].config.storage_config.redis.port: required field missing\n"},
    {"plugins: [{name: acme, config: {account_email: a@b, storage_config: {consul: {port: 70000}, "
     "vault: {auth_method: x, tls_verify: 1}, shm: {shm_name: ''}, kong: {a: 1}, nope: {}}}}]\n",
     "2:85: plugins[1].config.storage_config.consul.port: value should be between 0 and 65535\n"
     "2:114: plugins[1].config.storage_config.vault.auth_method: expected one of: token, "
     "kubernetes\n2:129: plugins[1].config.storage_config.vault.tls_verify: expected a boolean\n"
     "2:149: plugins[1].config.storage_config.shm.shm_name: length must be at least 1\n"
     "2:161: plugins[1].config.storage_config.kong.a: unknown field\n"
     "2:168: plugins[1].config.storage_config.nope: unknown field\n"},
    /* The old names of redis' fields. */
    {"plugins: [{name: acme, config: {account_email: a@b, storage_config: {redis: {auth: x, "
     "ssl_server_name: s.t, namespace: n, scan_count: 5}}}}]\n",
     ""},
    {"plugins: [{name: acme, config: {account_email: a@b, storage_config: {redis: {auth: x, "
     "password: x, scan_count: 10, extra_options: {scan_count: 10.0}}}}}]\n",
     ""},
    {"plugins: [{name: acme, config: {account_email: a@b, storage_config: {redis: {auth: hush, "
     "password: secret, namespace: a, extra_options: {namespace: b}}}}}]\n",
     "2:84: plugins[1].config.storage_config.redis.auth: both deprecated and new field are used "
     "but their values mismatch: auth = <hidden> vs password = <hidden>\n"
     "2:119: plugins[1].config.storage_config.redis.namespace: both deprecated and new field are "
     "used but their values mismatch: namespace = a vs extra_options.namespace = b\n"},
    {"plugins: [{name: acme, config: {account_email: a@b, storage_config: {redis: {namespace: "
     "'kong_acme:cert_key:x'}}}}]\n",
     "2:89: plugins[1].config.storage_config.redis.extra_options.namespace: namespace can't be "
     "prefixed with reserved word: kong_acme:cert_key:\n"},
    {"plugins: [{name: acme, config: {account_email: a@b, storage_config: {redis: {auth: 5}}}}]\n",
     "2:84: plugins[1].config.storage_config.redis.auth: expected a string\n"
     "2:84: plugins[1].config.storage_config.redis.password: expected a string\n"},
    /* The terms: the two bare addresses alone, as in Kong. */
    {"plugins: [{name: acme, config: {account_email: a@b, api_uri: "
     "'https://acme-staging-v02.api.letsencrypt.org', tos_accepted: false}}]\n",
     "2:32: plugins[1]: terms of service must be accepted, see "
     "https://letsencrypt.org/repository/\n"
     "2:124: plugins[1].config.tos_accepted: value must be true\n"},
    {"plugins: [{name: acme, config: {account_email: a@b, api_uri: "
     "'https://acme-v02.api.letsencrypt.org', tos_accepted: true}}]\n",
     ""},
    {"plugins: [{name: acme, config: {account_email: a@b, api_uri: ca.test}}]\n",
     "2:62: plugins[1].config.api_uri: missing host in url\n"},
    {"plugins: [{name: acme, config: {account_email: a@b, account_key: {}}}]\n",
     "2:66: plugins[1].config.account_key.key_id: required field missing\n"},
};

static void run(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        CU_ASSERT(spec_text_says(rows[i].yaml, rows[i].problems));
}

static void test_plugins(void)
{
    run(plugins, ARRAY_LENGTH(plugins));
}

static void test_acme(void)
{
    run(acmes, ARRAY_LENGTH(acmes));
}

/* Names that the setting `plugins` adds. */
static void test_added_names(void)
{
    const struct str names[] = {STR("mine"), STR("other")};
    struct spec_options options = {.plugins = names, .plugin_count = 2};

    CU_ASSERT(
        spec_text_says_with("plugins: [{name: mine, config: {x: {y: [1]}}}]\n", "", &options));
    CU_ASSERT(spec_text_says_with("plugins: [{name: min}]\n",
                                  "2:18: plugins[1].name: plugin 'min'" NOT_ENABLED, &options));
}

static void test_acme_model(void)
{
    const struct acme *a;
    struct spec_text t;

    spec_text_open(&t,
                   "_format_version: '3.0'\n"
                   "plugins:\n"
                   "- name: acme\n"
                   "  enabled: false\n"
                   "  config:\n"
                   "    account_email: Ops@Example.com\n"
                   "    domains: [A.example, '*.B.example', A.example]\n"
                   "    cert_type: ecc\n"
                   "    renew_threshold_days: 20.5\n"
                   "    fail_backoff_minutes: null\n"
                   "    storage: vault\n"
                   "    preferred_chain: Root X\n"
                   "    storage_config:\n"
                   "      redis: {host: r, auth: '', namespace: 'n:', database: 3}\n"
                   "      vault: {host: v, port: 8300, timeout: 1500.7, auth_method: kubernetes}\n",
                   NULL);
    CU_ASSERT_FATAL(t.model && t.model->acme);
    a = t.model->acme;
    CU_ASSERT(str_equal(a->account_email.value, STR("Ops@Example.com")));
    CU_ASSERT(a->account_email.place.line == 6 && a->account_email.place.column == 20);
    CU_ASSERT(a->domains.is_set && a->domains.count == 3);
    CU_ASSERT(str_equal(a->domains.items[1].value, STR("*.b.example")));
    CU_ASSERT(a->domains.items[1].place.line == 7 && a->domains.items[1].place.column == 26);
    CU_ASSERT(str_equal(a->api_uri.value, STR("https://acme-v02.api.letsencrypt.org/directory")));
    CU_ASSERT(a->api_uri.place.line == 0);
    CU_ASSERT(str_equal(a->cert_type, STR("ecc")) && a->rsa_key_size == 4096);
    CU_ASSERT(a->renew_threshold_is_stated && a->renew_threshold_days == 20.5);
    CU_ASSERT(!a->fail_backoff_is_stated && a->fail_backoff_minutes == 5);
    CU_ASSERT(a->storage == ACME_STORAGE_VAULT && a->storage_place.line == 11);
    CU_ASSERT(!a->tos_accepted && !a->allow_any_domain && a->enable_ipv4_common_name);
    CU_ASSERT(!a->enabled && a->account_key == NULL && !a->account_key_id.value.ptr);
    CU_ASSERT(str_equal(a->preferred_chain, STR("Root X")) && !a->eab_kid.ptr);
    CU_ASSERT(a->redis.port == 6379 && a->redis.database == 3 && a->redis.scan_count == 10);
    CU_ASSERT(a->redis.password.ptr && a->redis.password.len == 0); /* auth: "" is a password */
    CU_ASSERT(str_equal(a->redis.namespace, STR("n:")) && a->redis.timeout_ms == 2000);
    CU_ASSERT(!a->consul.host.value.ptr && !a->consul.port.is_set && !a->consul.https);
    CU_ASSERT(a->vault.port.value == 8300 && a->vault.timeout_ms.value == 1500);
    CU_ASSERT(a->vault.tls_verify && str_equal(a->vault.auth_method, STR("kubernetes")));
    CU_ASSERT_STRING_EQUAL(
        resolve_id_of(&t.detail->catalog, (struct catalog_ref){0, ENTITY_PLUGIN}),
        "7e0c2d03-7e86-5aab-b724-01f88e8152d8");
    CU_ASSERT(a->entity.place.line == 3 && a->entity.place.column == 3);
    spec_text_close(&t);
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("plugin", NULL, NULL);
    CU_add_test(suite, "plugins", test_plugins);
    CU_add_test(suite, "acme", test_acme);
    CU_add_test(suite, "names that are added", test_added_names);
    CU_add_test(suite, "acme in the model", test_acme_model);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
