/* What entities are to each other: ids, uniqueness, references, nesting, several files. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <string.h>

#include "spec/detail.h"
#include "spec/resolve.h"
#include "tests/support/spec_text.h"

struct row {
    const char *yaml, *problems;
};

/* Of the first entity of the kind. */
static bool has_random_id(const struct spec_text *t, enum entity_kind kind)
{
    return catalog_item(&t->detail->catalog, (struct catalog_ref){0, (uint8_t)kind})->id_is_random;
}

static void run(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        CU_ASSERT(spec_text_says(rows[i].yaml, rows[i].problems));
}

static const struct {
    enum entity_kind kind;
    const char *name, *id;
} vectors[] = {
    {ENTITY_SERVICE, "my-service", "0855b320-0dd2-547d-891d-601e9b38647f"},
    {ENTITY_ROUTE, "my-route", "481a9539-f49c-51b6-b2e2-fe99ee68866c"},
    {ENTITY_CONSUMER, "my-user", "4b1b701d-de2b-5588-9aa2-3b97061d9f52"},
    {ENTITY_TARGET, "targets:*:f9792964-6797-482c-bfdf-08220a4f6839:10.244.0.12:80",
     "48322e4a-b3b0-591b-8ed6-fd95a6d75019"},
    {ENTITY_PLUGIN, "plugins:*:key-auth:::", "6b4f38d1-e026-540b-a5ea-8634739dd2a7"},
    {ENTITY_PLUGIN, "plugins:*:acme:::", "7e0c2d03-7e86-5aab-b724-01f88e8152d8"},
    {ENTITY_SNI, "a.example", "00739f30-afbb-5b5a-80a0-02a9e5b4fa5a"},
    {ENTITY_SERVICE, "foo", "2933fbcc-9d7c-54a7-a984-fe2bde836cea"},
};

static void test_vectors(void)
{
    struct resolve_ids *ids = resolve_ids_new();
    char id[37];

    CU_ASSERT_FATAL(ids != NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        resolve_id(ids, vectors[i].kind, str_from(vectors[i].name), id);
        CU_ASSERT_STRING_EQUAL(id, vectors[i].id);
    }
    resolve_ids_free(ids);
}

#define REPEATED(list, field, value) \
    "uniqueness violation: '" list "' entity with " field " set to '" value "' already declared\n"

static const struct row repeats[] = {
    {"services: [{name: a, host: h}, {name: a, host: h}]\n",
     "2:33: services[2]: " REPEATED("services", "name", "a")},
    {"services: [{host: h}, {host: h}]\n", ""},
    {"services:\n- host: h\n  routes: [{paths: [/]}, {paths: [/]}]\n", ""},
    {"services: [{host: h, routes: [{name: r, paths: [/]}]}]\nroutes: [{name: r, paths: [/]}]\n",
     "3:11: routes[1]: " REPEATED("routes", "name", "r")},
    {"services: [{id: 0855b320-0dd2-547d-891d-601e9b38647f, host: h}, {id: "
     "0855B320-0DD2-547D-891D-601E9B38647F, host: h}]\n",
     "2:66: services[2]: " REPEATED("services", "primary key",
                                    "0855b320-0dd2-547d-891d-601e9b38647f")},
    /* A name whose id somebody else took. */
    {"services: [{name: my-service, host: h}, {id: 0855b320-0dd2-547d-891d-601e9b38647f, host: "
     "h}]\n",
     "2:42: services[2]: " REPEATED("services", "primary key",
                                    "0855b320-0dd2-547d-891d-601e9b38647f")},
    {"consumers: [{username: a, custom_id: x}, {username: b, custom_id: x}]\n",
     "2:43: consumers[2]: " REPEATED("consumers", "custom_id", "x")},
    {"certificates: [{cert: c, key: k, snis: [{name: A.example}, {name: a.EXAMPLE}]}]\n",
     "2:61: certificates[1].snis[2]: " REPEATED("snis", "name", "a.example")},
    {"certificates: [{cert: c, key: k}, {cert: c, key: k}, {cert: c, key: k}]\n", ""},
    {"plugins: [{name: cors, instance_name: i}, {name: jwt, instance_name: i}]\n",
     "2:44: plugins[2]: " REPEATED("plugins", "instance_name", "i")},
    {"plugins: [{name: cors}, {name: cors}]\n",
     "2:26: plugins[2]: " REPEATED("plugins", "primary key",
                                   "48ee727e-8b90-5faa-bda1-a3c6bc3c9daa")},
    {"upstreams: [{name: u, targets: [{target: t}, {target: 't:80'}]}, {name: v, targets: "
     "[{target: "
     "t}]}]\n",
     ""},
    {"key_sets: [{name: s, keys: [{kid: a, jwk: '{\"kid\":\"a\",\"kty\":\"oct\"}'}, {kid: a, jwk: "
     "'{\"kid\":\"a\",\"kty\":\"oct\"}'}]}]\n",
     "2:72: key_sets[1].keys[2]: " REPEATED("keys", "primary key",
                                            "69beda12-6606-59f1-b48c-c08e2c361ab7")},
    {"keys: [{name: k, kid: a, jwk: '{\"kid\":\"a\",\"kty\":\"oct\"}'}, {name: k, kid: b, jwk: "
     "'{\"kid\":\"b\",\"kty\":\"oct\"}'}]\n",
     "2:60: keys[2]: " REPEATED("keys", "name", "k")},
    {"vaults: [{name: env, prefix: aa}, {name: env, prefix: aa}]\n",
     "2:36: vaults[2]: " REPEATED("vaults", "prefix", "aa")},
    /* One plugin twice for one place, however the place is written. */
    {"services: [{name: s, host: h, plugins: [{name: cors}]}]\nplugins: [{name: cors, service: "
     "s}]\n",
     "3:12: plugins[1]: plugin 'cors' is declared twice for the same place: first in line 2\n"},
    {"plugins: [{name: cors, id: 0855b320-0dd2-547d-891d-601e9b38647f}, {name: cors}]\n",
     "2:68: plugins[2]: plugin 'cors' is declared twice for the same place: first in line 2\n"},
    {"services: [{id: 0855b320-0dd2-547d-891d-601e9b386471, host: h}, {id: "
     "0855b320-0dd2-547d-891d-601e9b386472, host: h}]\nplugins: [{name: cors, service: {id: "
     "0855b320-0dd2-547d-891d-601e9b386471}}, {name: cors, service: {id: "
     "0855b320-0dd2-547d-891d-601e9b386472}}]\n",
     ""},
    /* The same place twice: Kong's id, which leaves {id: ...} out. */
    {"services: [{id: 0855b320-0dd2-547d-891d-601e9b386471, host: h}]\nplugins: [{name: key-auth, "
     "service: {id: 0855b320-0dd2-547d-891d-601e9b386471}}, {name: key-auth, service: {id: "
     "0855b320-0dd2-547d-891d-601e9b386471}}]\n",
     "3:83: plugins[2]: " REPEATED("plugins", "primary key",
                                   "c04f9480-85e6-5186-b75a-061c34c7fb72")},
    {"upstreams: [{name: u, id: 0855b320-0dd2-547d-891d-601e9b386471}, {name: v, id: "
     "0855b320-0dd2-547d-891d-601e9b386472}]\ntargets: [{target: t, upstream: {id: "
     "0855b320-0dd2-547d-891d-601e9b386471}}, {target: t, upstream: {id: "
     "0855b320-0dd2-547d-891d-601e9b386472}}]\n",
     ""},
    {"services: [{name: s, host: h, routes: [{name: r, paths: [/]}]}]\nplugins: [{name: cors, "
     "service: s}, {name: cors, route: r}, {name: cors, route: r, service: s}, {name: cors}]\n",
     ""},
};

#define NO_ENTRY(what, list) "invalid reference '" what "' (no such entry in '" list "')\n"

static const struct row references[] = {
    {"routes: [{paths: [/], service: s}]\nservices: [{name: s, host: h}]\n", ""},
    {"routes: [{paths: [/], service: 0855b320-0dd2-547d-891d-601e9b38647f}]\nservices: [{name: "
     "my-service, host: h}]\n",
     ""},
    {"routes: [{paths: [/], service: {id: 0855B320-0dd2-547d-891d-601e9b38647f}}]\nservices: "
     "[{name: my-service, host: h}]\n",
     ""},
    {"routes: [{paths: [/], service: null}]\n", ""},
    {"routes: [{paths: [/], service: s}]\n",
     "2:32: routes[1].service: " NO_ENTRY("service: s", "services")},
    {"routes: [{paths: [/], service: {id: 0855b320-0dd2-547d-891d-601e9b38647f}}]\n",
     "2:32: routes[1].service: " NO_ENTRY(
         "service: {\"id\":\"0855b320-0dd2-547d-891d-601e9b38647f\"}", "services")},
    {"routes: [{paths: [/], service: ''}]\n",
     "2:32: routes[1].service.id: missing primary key: an empty text names nothing\n"},
    {"routes: [{paths: [/], service: 5}]\n", "2:32: routes[1].service: expected a string\n"},
    {"routes: [{paths: [/], service: {id: x}}]\n",
     "2:37: routes[1].service.id: expected a valid UUID\n"},
    {"routes: [{paths: [/], service: {name: s}}]\n",
     "2:32: routes[1].service.id: missing primary key: {name: ...} is decK's form; write the "
     "name alone, or read it with --deck-format\n"},
    {"routes: [{paths: [/], service: {port: x}}]\n",
     "2:39: routes[1].service.port: expected an integer\n"},
    /* Certificates are found by id alone. */
    {"certificates: [{id: 0855b320-0dd2-547d-891d-601e9b38647f, cert: c, key: k}]\nservices: "
     "[{host: "
     "h, protocol: https, client_certificate: 0855b320-0dd2-547d-891d-601e9b38647f}]\n",
     ""},
    /* With something else wrong, Kong's words are others. */
    {"routes: [{paths: [/], service: s}]\nservices: [{host: h, nope: 1}]\n",
     "2:32: routes[1].service: missing primary key: no such entry in 'services': 's'\n"
     "3:22: services[1].nope: unknown field\n"},
    /* Nested: another foreign field must name something; the parent's own is in place already. */
    {"consumers: [{username: c}]\nservices: [{name: s, host: h, plugins: [{name: cors, consumer: "
     "c}]}]\n",
     ""},
    {"services: [{name: s, host: h, plugins: [{name: cors, consumer: c}]}]\n",
     "2:64: services[1].plugins[1].consumer: value must be null, or name one of 'consumers': there "
     "is no 'c'\n"},
    {"services: [{name: s, host: h, routes: [{paths: [/], service: s}]}]\n", ""},
    {"services: [{name: s, host: h, routes: [{paths: [/], service: t}]}, {name: t, host: h}]\n",
     "2:62: warning: services[1].routes[1].service: has no effect: it is written inside of "
     "services[1], and belongs to that\n"},
    {"services: [{name: s, host: h, routes: [{paths: [/], service: x}]}]\n",
     "2:62: services[1].routes[1].service: value must be null, or name one of 'services': there is "
     "no 'x'\n"},
    {"services: [{name: s, host: h, targets: []}]\n", "2:31: services[1].targets: unknown field\n"},
    /* Looked up by us, not by Kong: warnings. */
    {"services: [{host: h, protocol: https, ca_certificates: "
     "[0855b320-0dd2-547d-891d-601e9b38647f]}]\n",
     "2:57: warning: services[1].ca_certificates[1]: no such entry in 'ca_certificates'\n"},
    {"ca_certificates: [{id: 0855b320-0dd2-547d-891d-601e9b38647f, cert: c}]\nservices: [{host: h, "
     "protocol: https, ca_certificates: [0855b320-0dd2-547d-891d-601e9b38647f]}]\n",
     ""},
    {"plugins: [{name: acme, config: {account_email: a@b, account_key: {key_id: k}}}]\n",
     "2:75: warning: plugins[1].config.account_key.key_id: no key with this kid outside of key "
     "sets\n"},
    {"plugins: [{name: acme, config: {account_email: a@b, account_key: {key_id: k, key_set: s}}}]\n"
     "keys: [{kid: k, jwk: '{\"kid\":\"k\",\"kty\":\"oct\"}'}]\n",
     "2:75: warning: plugins[1].config.account_key.key_id: no key with this kid in that key set\n"},
};

static void test_repeats(void)
{
    run(repeats, ARRAY_LENGTH(repeats));
}

static void test_references(void)
{
    run(references, ARRAY_LENGTH(references));
}

/* Everything points at what it names, at any depth. */
static void test_pointers(void)
{
    const struct model *m;
    struct spec_text t;

    spec_text_open(
        &t,
        "_format_version: '3.0'\n"
        "certificates:\n"
        "- cert: c\n"
        "  key: k\n"
        "  snis: [{name: A.b}]\n"
        "  services:\n"
        "  - name: deep\n"
        "    url: https://h/x\n"
        "    routes:\n"
        "    - paths: [/]\n"
        "      plugins: [{name: cors}]\n"
        "key_sets: [{name: s, keys: [{kid: k, jwk: '{\"kid\":\"k\",\"kty\":\"oct\"}'}]}]\n"
        "upstreams: [{name: u, targets: [{target: t}]}]\n"
        "plugins:\n"
        "- {name: acme, config: {account_email: a@b, account_key: {key_id: k, key_set: "
        "s}}}\n"
        "- {name: jwt, service: deep}\n",
        NULL);
    CU_ASSERT_FATAL(t.model != NULL);
    m = t.model;
    CU_ASSERT(m->snis[0].certificate == &m->certificates[0]);
    CU_ASSERT(m->services[0].client_certificate == &m->certificates[0]);
    CU_ASSERT(m->routes[0].service == &m->services[0]);
    CU_ASSERT(m->plugin_count == 3 && m->plugins[0].route == &m->routes[0]);
    CU_ASSERT(m->plugins[0].service == NULL && m->plugins[2].service == &m->services[0]);
    CU_ASSERT(m->keys[0].set == &m->key_sets[0] && m->targets[0].upstream == &m->upstreams[0]);
    CU_ASSERT(m->acme && m->acme->account_key == &m->keys[0]);
    CU_ASSERT(str_equal(m->snis[0].name.value, STR("a.b")));
    CU_ASSERT(has_random_id(&t, ENTITY_CERTIFICATE) && has_random_id(&t, ENTITY_ROUTE));
    CU_ASSERT(!has_random_id(&t, ENTITY_SERVICE));
    CU_ASSERT(m->entity_count == 11);
    spec_text_close(&t);
}

static const char *id_of(const struct spec_text *t, enum entity_kind kind, uint32_t ordinal)
{
    return resolve_id_of(&t->detail->catalog, (struct catalog_ref){ordinal, (uint8_t)kind});
}

/* Ids that Kong draws at random depend on the file alone here. */
static void test_own_ids(void)
{
    static const char one[] = "_format_version: '3.0'\n"
                              "certificates: [{cert: ' xy', key: k}, {cert: xy, key: k}, {cert: "
                              "z, key: k}]\nroutes: [{paths: [/]}, {paths: [/]}]\n";
    struct spec_text a, b;

    spec_text_open(&a, one, NULL);
    spec_text_open(&b, one, NULL);
    CU_ASSERT_FATAL(a.model && b.model);
    for (uint32_t i = 0; i < 3; i++)
        CU_ASSERT_STRING_EQUAL(id_of(&a, ENTITY_CERTIFICATE, i), id_of(&b, ENTITY_CERTIFICATE, i));
    CU_ASSERT_STRING_EQUAL(id_of(&a, ENTITY_ROUTE, 1), id_of(&b, ENTITY_ROUTE, 1));
    CU_ASSERT_STRING_NOT_EQUAL(id_of(&a, ENTITY_CERTIFICATE, 0), id_of(&a, ENTITY_CERTIFICATE, 1));
    CU_ASSERT_STRING_NOT_EQUAL(id_of(&a, ENTITY_CERTIFICATE, 0), id_of(&a, ENTITY_CERTIFICATE, 2));
    CU_ASSERT_STRING_NOT_EQUAL(id_of(&a, ENTITY_ROUTE, 0), id_of(&a, ENTITY_ROUTE, 1));
    spec_text_close(&a);
    spec_text_close(&b);
    /* White space and place do not make another certificate. */
    spec_text_open(&a,
                   "_format_version: '3.0'\ncertificates: [{cert: q, key: k}, {cert: xy, key: "
                   "k}]\n",
                   NULL);
    spec_text_open(
        &b, "_format_version: '3.0'\ncertificates: [{cert: \"x\\r\\n y \\n\", key: k}]\n", NULL);
    CU_ASSERT_FATAL(a.model && b.model);
    CU_ASSERT_STRING_EQUAL(id_of(&a, ENTITY_CERTIFICATE, 1), id_of(&b, ENTITY_CERTIFICATE, 0));
    spec_text_close(&a);
    spec_text_close(&b);
}

/* Lists of several files are appended; each has its own version, and its own places. */
static void test_files(void)
{
    const struct spec_source good[] = {
        {.name = "a.yaml", .bytes = STR("_format_version: '1.1'\nroutes: [{paths: ['/%41+']}]\n")},
        {.name = "b.json",
         .bytes =
             STR("{\"_format_version\":\"3.0\",\"services\":[{\"name\":\"s\",\"host\":\"h\"}]}")},
        {.name = "c.yml",
         .bytes = STR("_format_version: '3.0'\nroutes: [{paths: ['/a+'], service: s}]\n")},
    };
    const struct spec_source bad[] = {
        {.name = "b.yaml",
         .bytes = STR("_format_version: '3.0'\nservices: [{name: s, host: h}]\n")},
        {.name = "a.yaml", .bytes = STR("services: [{name: s, host: h}]\n")},
        {.name = "c.yaml", .bytes = STR("a: ]\n")},
        {.name = "d.toml", .bytes = STR("")},
    };
    struct spec_text t;

    spec_text_open_all(&t, good, ARRAY_LENGTH(good), NULL);
    CU_ASSERT_FATAL(t.model != NULL);
    CU_ASSERT(t.model->file_count == 3 && strcmp(t.model->files[1], "b.json") == 0);
    CU_ASSERT(str_equal(t.model->routes[0].paths.items[0].value, STR("~/A+")));
    CU_ASSERT(str_equal(t.model->routes[1].paths.items[0].value, STR("/a+")));
    CU_ASSERT(t.model->routes[1].service == &t.model->services[0]);
    CU_ASSERT(t.model->routes[1].entity.place.file == 2);
    spec_text_close(&t);
    spec_text_open_all(&t, bad, ARRAY_LENGTH(bad), NULL);
    CU_ASSERT(t.rc == -1 && t.model == NULL);
    CU_ASSERT_STRING_EQUAL(
        t.printed.data,
        "a.yaml:1:1: _format_version: required field missing\n"
        "a.yaml:1:13: services[1]: " REPEATED(
            "services", "name",
            "s") "c.yaml:1:4: failed parsing declarative configuration: did not find expected node "
                 "content, "
                 "while parsing a block node\n"
                 "d.toml:1:1: failed parsing declarative configuration: expected an object\n");
    spec_text_close(&t);
}

/* Old files: paths of routes at the top and in services at the top, and nowhere else. */
static void test_migration(void)
{
    static const char yaml[] =
        "_format_version: '2.1'\n"
        "routes: [{paths: ['/a/./b%41', '/x.+', '~/y']}]\n"
        "services: [{host: h, routes: [{paths: ['/z$']}]}]\n"
        "certificates: [{cert: c, key: k, services: [{url: 'https://h', routes: [{paths: "
        "['/w$']}]}]}]\n";
    static const char *const wanted[] = {"/a/bA", "~/x.+", "~/y", "~/z$", "/w$"};
    struct spec_text t;
    size_t n = 0;

    spec_text_open(&t, yaml, NULL);
    CU_ASSERT_FATAL(t.model != NULL);
    for (size_t i = 0; i < t.model->route_count; i++)
        for (size_t k = 0; k < t.model->routes[i].paths.count; k++)
            CU_ASSERT(str_equal_cstr(t.model->routes[i].paths.items[k].value, wanted[n++]));
    CU_ASSERT(n == 5);
    spec_text_close(&t);
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("resolve", NULL, NULL);
    CU_add_test(suite, "vectors of ids", test_vectors);
    CU_add_test(suite, "uniqueness", test_repeats);
    CU_add_test(suite, "references", test_references);
    CU_add_test(suite, "pointers", test_pointers);
    CU_add_test(suite, "ids of our own", test_own_ids);
    CU_add_test(suite, "several files", test_files);
    CU_add_test(suite, "old files", test_migration);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
