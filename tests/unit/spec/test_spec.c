/* The face: syntaxes by name, limits, judges from outside, the model's values, memory running out.
 */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/spec_text.h"

#define GOOD_JSON "{\"_format_version\":\"3.0\"}"
#define GOOD_YAML "_format_version: '3.0'\n"

static const struct {
    const char *name, *text;
    enum spec_syntax syntax;
    const char *problems;
} syntaxes[] = {
    {"a.yaml", GOOD_YAML, SPEC_BY_NAME, ""},
    {"a.yml", GOOD_YAML, SPEC_BY_NAME, ""},
    {"a.yaml", GOOD_JSON, SPEC_BY_NAME, ""}, /* which is YAML, too */
    {"a.json", GOOD_JSON, SPEC_BY_NAME, ""},
    {"a.json", GOOD_YAML, SPEC_BY_NAME,
     "a.json:1:1: failed parsing declarative configuration: not a JSON value\n"},
    {"a.json", "[]", SPEC_BY_NAME,
     "a.json:1:1: failed parsing declarative configuration: expected an object\n"},
    {"-", GOOD_YAML, SPEC_BY_NAME, ""},
    {"-", GOOD_JSON, SPEC_BY_NAME, ""},
    {"-", "{_format_version: '3.0'}", SPEC_BY_NAME, ""}, /* begins like JSON */
    {"-", "{_format_version: }}", SPEC_BY_NAME,
     "-:1:20: failed parsing declarative configuration: did not find expected <document start>\n"},
    {"-", "{\"a\":1,\"a\":2}", SPEC_BY_NAME,
     "-:1:1: _format_version: required field missing\n-:1:2: a: unknown field\n"
     "-:1:8: a: key given twice: first in line 1, column 2\n-:1:8: a: unknown field\n"},
    {"kong.yaml.example", GOOD_YAML, SPEC_BY_NAME, ""}, /* whatever it is called */
    {"kong", GOOD_YAML, SPEC_YAML, ""},
    {"kong", GOOD_JSON, SPEC_JSON, ""},
    {"", GOOD_YAML, SPEC_BY_NAME, ""},
};

static void test_syntaxes(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(syntaxes); i++) {
        struct spec_source source = {.name = syntaxes[i].name,
                                     .bytes = str_from(syntaxes[i].text),
                                     .syntax = syntaxes[i].syntax};
        struct spec_text t;

        spec_text_open_all(&t, &source, 1, NULL);
        CU_ASSERT_STRING_EQUAL(t.printed.data ? t.printed.data : "", syntaxes[i].problems);
        CU_ASSERT((t.rc == 0) == !*syntaxes[i].problems);
        spec_text_close(&t);
    }
}

/* Refused from its size alone: nothing is parsed, nothing allocated for it. */
static void test_size(void)
{
    struct spec_options options = {.max_bytes = 64};
    const struct spec_source two[] = {{.name = "a.yaml", .bytes = STR(GOOD_YAML)},
                                      {.name = "b.yaml",
                                       .bytes = STR("_format_version: '3.0' # and a remark that "
                                                    "is too long")}};
    struct spec_source one = {.name = "a.yaml", .bytes = {NULL, (size_t)1 << 40}};
    struct spec_text t;

    spec_text_open_all(&t, two, 1, &options);
    CU_ASSERT(t.rc == 0);
    spec_text_close(&t);
    spec_text_open_all(&t, two, 2, &options);
    CU_ASSERT(t.rc == -1 && t.error.kind == ERROR_LIMIT);
    CU_ASSERT_STRING_EQUAL(t.printed.data,
                           "b.yaml: larger than acme_max_document: 77 bytes of at most 64\n");
    spec_text_close(&t);
    spec_text_open_all(&t, &one, 1, NULL); /* its bytes are never looked at */
    CU_ASSERT(t.rc == -1 && t.error.kind == ERROR_LIMIT);
    spec_text_close(&t);
}

/* `begin`, then `unit` so many times, then `end`, as JSON. */
static void open_repeated(struct spec_text *t, struct buf *text, const char *begin,
                          const char *unit, size_t count, const char *end)
{
    struct spec_source source = {.name = "a.json"};

    buf_cstr(text, begin);
    while (count--)
        buf_cstr(text, unit);
    buf_cstr(text, end);
    source.bytes = buf_view(text);
    spec_text_open_all(t, &source, 1, NULL);
}

/* Entities of three bytes: within what stands beside the bytes, and beyond it. */
static void test_memory_bound(void)
{
    static const char begin[] = "{\"_format_version\":\"3.0\",\"key_sets\":[{}";
    struct buf text = BUF_INIT((size_t)16 << 20);
    struct spec_text t;

    open_repeated(&t, &text, begin, ",{}", 100000, "]}");
    CU_ASSERT(t.rc == 0);
    spec_text_close(&t);
    buf_clear(&text);
    open_repeated(&t, &text, begin, ",{}", SPEC_MEMORY_BESIDE / 128, "]}");
    CU_ASSERT(t.rc == -1 && t.error.kind == ERROR_LIMIT);
    CU_ASSERT_STRING_EQUAL(
        t.printed.data,
        "a.json: reading takes more memory than 24 bytes for each of its 6291497 bytes and 256 "
        "MiB: too many values in too little text\n");
    spec_text_close(&t);
    buf_free(&text);
}

/* A text that aliases repeat, in a plugin's config, which the model keeps as one text. */
static void test_memory_of_aliases(void)
{
    struct buf text = BUF_INIT((size_t)4 << 20);
    struct spec_source source = {.name = "a.yaml"};
    struct spec_text t;

    buf_cstr(&text, "_format_version: '3.0'\nplugins:\n- {name: cors, config: {methods: [&a '");
    for (size_t i = 0; i < 10000; i++)
        buf_cstr(&text, "0123456789");
    buf_cstr(&text, "'");
    for (size_t i = 0; i < 10000; i++)
        buf_cstr(&text, ",*a");
    buf_cstr(&text, "]}}\n");
    source.bytes = buf_view(&text);
    spec_text_open_all(&t, &source, 1, NULL);
    CU_ASSERT(t.rc == -1 && t.error.kind == ERROR_LIMIT);
    CU_ASSERT(strstr(t.printed.data, "a.yaml: reading takes more memory than 24 bytes") != NULL);
    spec_text_close(&t);
    buf_free(&text);
}

/* Judges that know certificates by their first letter. */
static int judge_pair(void *context, struct str cert, struct str key, struct validity *valid,
                      const char **field, struct error *e)
{
    (void)valid;
    ++*(int *)context;
    if (cert.ptr && cert.ptr[0] == '!') {
        *field = "cert";
        return error_set(e, ERROR_INVALID, "invalid certificate: bang");
    }
    if (key.ptr && key.ptr[0] == '!') {
        *field = "key";
        return error_set(e, ERROR_INVALID, "invalid key: bang");
    }
    *field = "";
    if (cert.ptr && key.ptr && cert.ptr[1] != key.ptr[1])
        return error_set(e, ERROR_INVALID, "certificate does not match key");
    return 0;
}

static int judge_key(void *context, struct str private_key, struct str public_key,
                     const char **field, struct error *e)
{
    (void)context;
    *field = "pem";
    if (private_key.ptr && public_key.ptr)
        return error_set(e, ERROR_INVALID, "public key does not match private key");
    return 0;
}

static const char *algorithm(void *context, struct str cert)
{
    (void)context;
    return cert.ptr[0] == 'r' ? "RSA" : "EC";
}

static int judge_ca(void *context, struct str cert, struct error *e)
{
    (void)context;
    return cert.ptr[0] == 'x'
               ? error_set(e, ERROR_INVALID, "certificate does not appear to be a CA")
               : 0;
}

static const struct {
    const char *yaml, *problems;
} judged[] = {
    {"certificates: [{cert: e1, key: k1}]\n", ""},
    {"certificates: [{cert: '!', key: '!'}]\n",
     "2:23: certificates[1].cert: invalid certificate: bang\n"
     "2:33: certificates[1].key: invalid key: bang\n"},
    {"certificates: [{cert: e1, key: '!'}]\n", "2:32: certificates[1].key: invalid key: bang\n"},
    {"certificates: [{cert: '!', key: ''}]\n",
     "2:23: certificates[1].cert: invalid certificate: bang\n"
     "2:33: certificates[1].key: length must be at least 1\n"},
    {"certificates: [{cert: e1, key: k2}]\n",
     "2:16: certificates[1]: certificate does not match key\n"},
    {"certificates: [{cert: e1, key: k1, cert_alt: r2, key_alt: k3}]\n",
     "2:16: certificates[1]: alternative certificate does not match key\n"},
    {"certificates: [{cert: e1, key: k1, cert_alt: e2, key_alt: k2}]\n",
     "2:16: certificates[1]: certificate and alternative certificate need to have different type "
     "(e.g. RSA and ECDSA), the provided certificates were both of the same type\n"},
    {"certificates: [{cert: e1, key: k1, cert_alt: r2, key_alt: '!'}]\n",
     "2:59: certificates[1].key_alt: invalid key: bang\n"},
    /* References are not judged, nor what stands beside them. */
    {"certificates: [{cert: '{vault://env/x}', key: k2}]\n", ""},
    {"keys: [{kid: a, pem: {private_key: x, public_key: y}}]\n",
     "2:22: keys[1].pem: public key does not match private key\n"},
    {"keys: [{kid: a, pem: {private_key: x, public_key: '{vault://env/y}'}}]\n", ""},
    {"ca_certificates: [{cert: '!'}]\n",
     "2:26: ca_certificates[1].cert: invalid certificate: bang\n"},
    {"ca_certificates: [{cert: x1}]\n",
     "2:19: ca_certificates[1]: certificate does not appear to be a CA\n"},
};

static void test_judges(void)
{
    int calls = 0;
    struct spec_options options = {.outside = {.context = &calls,
                                               .check_certificate = judge_pair,
                                               .check_key = judge_key,
                                               .certificate_algorithm = algorithm,
                                               .check_ca_certificate = judge_ca}};

    for (size_t i = 0; i < ARRAY_LENGTH(judged); i++)
        CU_ASSERT(spec_text_says_with(judged[i].yaml, judged[i].problems, &options));
    calls = 0;
    CU_ASSERT(spec_text_says_with("certificates: [{cert: e1, key: k1}]\n", "", &options));
    CU_ASSERT(calls == 1); /* a good pair is parsed once */
}

static void check_service(const struct service *s)
{
    CU_ASSERT(str_equal(s->protocol, STR("https")) && s->port == 443 && s->retries == 5);
    CU_ASSERT(str_equal(s->host.value, STR("Up.example")) && s->host.place.line == 4);
    CU_ASSERT(str_equal(s->path, STR("/api")) && s->connect_timeout_ms == 60000);
    CU_ASSERT(s->enabled && s->tls_verify.is_set && !s->tls_verify.value);
    CU_ASSERT(!s->tls_verify_depth.is_set && !s->ca_certificates.is_set);
    CU_ASSERT(s->entity.tags.count == 2 && str_equal(s->entity.tags.items[1].value, STR("b")));
    CU_ASSERT(s->entity.place.line == 3 && s->entity.place.column == 3);
}

static void check_route(const struct route *r)
{
    CU_ASSERT(r->hosts.count == 2 && str_equal(r->hosts.items[0].value, STR("a.example")));
    CU_ASSERT(r->hosts.items[1].place.line == 8 && r->hosts.items[1].place.column == 24);
    CU_ASSERT(!r->name.ptr && !r->paths.is_set && r->methods.is_set && r->methods.count == 0);
    CU_ASSERT(r->protocols.count == 2 && r->protocols.items[0].place.line == 0);
    CU_ASSERT(r->strip_path && !r->preserve_host && r->https_redirect_status_code == 426);
    CU_ASSERT(r->header_count == 1);
    CU_ASSERT(str_equal(r->headers[0].name.value, STR("X-V")) && r->headers[0].values.count == 2);
    CU_ASSERT(r->headers[0].name.place.line == 10);
    CU_ASSERT(str_equal(r->path_handling, STR("v0")) && r->regex_priority == 0);
}

static void test_model(void)
{
    struct spec_text t;
    const struct model *m;

    spec_text_open(&t,
                   "_format_version: '3.0'\n"
                   "services:\n"
                   "- name: up\n"
                   "  url: https://Up.example/api\n"
                   "  tls_verify: no\n"
                   "  tags: [a, b, a]\n"
                   "  routes:\n"
                   "  - hosts: [A.example, '*.B.example']\n"
                   "    methods: []\n"
                   "    headers: {X-V: [one, two]}\n"
                   "    path_handling: null\n"
                   "  - protocols: [grpc]\n"
                   "    hosts: [g]\n"
                   "  - protocols: [udp]\n"
                   "    sources: [{ip: 10.0.0.0/8}, {port: 53.0}]\n"
                   "upstreams: [{name: u, algorithm: latency, hash_on: ip}]\n"
                   "plugins: [{name: cors, config: {a: [1, x]}}]\n",
                   NULL);
    CU_ASSERT_FATAL(t.model != NULL);
    m = t.model;
    check_service(&m->services[0]);
    check_route(&m->routes[0]);
    CU_ASSERT(!m->routes[1].strip_path); /* grpc has another default */
    CU_ASSERT(m->routes[2].source_count == 2);
    CU_ASSERT(str_equal(m->routes[2].sources[0].ip.value, STR("10.0.0.0/8")));
    CU_ASSERT(!m->routes[2].sources[0].port.is_set && m->routes[2].sources[1].port.value == 53);
    CU_ASSERT(str_equal(m->upstreams[0].hash_on, STR("none")));
    CU_ASSERT(str_equal(m->upstreams[0].algorithm, STR("latency")));
    CU_ASSERT(str_equal(m->plugins[0].config, STR("{\"a\":[1,\"x\"]}")));
    CU_ASSERT(!m->plugins[0].is_checked && m->acme == NULL);
    spec_text_close(&t);
}

/* Long lists stay linear: sets, names, references, repeats. */
static void test_long_lists(void)
{
    struct buf yaml = BUF_INIT(SIZE_MAX / 2);
    struct spec_text t;

    buf_cstr(&yaml, "_format_version: '3.0'\nservices:\n- name: s\n  host: h\n  tags: [");
    for (int i = 0; i < 20000; i++)
        buf_printf(&yaml, "%st%d", i ? ", " : "", i % 10000);
    buf_cstr(&yaml, "]\nconsumers:\n");
    for (int i = 0; i < 20000; i++)
        buf_printf(&yaml, "- {username: u%d, custom_id: c%d}\n", i, i);
    buf_cstr(&yaml, "routes:\n");
    for (int i = 0; i < 20000; i++)
        buf_printf(&yaml, "- {name: r%d, paths: [/%d], service: s}\n", i, i);
    spec_text_open(&t, yaml.data, &(struct spec_options){.lint = true});
    CU_ASSERT_FATAL(t.model != NULL);
    CU_ASSERT(t.model->services[0].entity.tags.count == 10000);
    CU_ASSERT(t.model->route_count == 20000 && t.model->consumer_count == 20000);
    CU_ASSERT(t.model->routes[19999].service == &t.model->services[0]);
    spec_text_close(&t);
    buf_free(&yaml);
}

/* The n-th allocation of the caller's arena fails, for every n: an error, never a crash. */
static void test_memory(void)
{
    static const char yaml[] =
        "_format_version: '1.1'\n"
        "services: [{name: S, url: 'https://h/p', tags: [a], routes: [{hosts: [A.b], paths: "
        "['/a.+'], headers: {x: [y]}, snis: [a]}]}]\n"
        "certificates: [{cert: c, key: k, snis: [{name: A.b}]}]\n"
        "keys: [{kid: k, jwk: '{\"kid\":\"k\",\"kty\":\"oct\"}'}]\n"
        "plugins: [{name: cors, config: {a: 1}}, {name: acme, config: {account_email: a@b, "
        "domains: [A.b], storage_config: {redis: {namespace: n}}}}]\n";
    struct spec_source source = {.name = "kong.yaml", .bytes = STR(yaml)};
    struct spec_options options = {.lint = true};
    int rc = -1;

    for (size_t n = 1; rc && n < 100000; n++) {
        struct arena *arena = arena_new(NULL);
        struct problems problems;
        struct model *model = NULL;
        struct error e;

        CU_ASSERT_FATAL(arena && problems_init(&problems) == 0);
        arena_fail_after(arena, n);
        rc = spec_load(&source, 1, &options, arena, &model, &problems, &e);
        if (rc)
            CU_ASSERT(e.kind == ERROR_MEMORY && !model);
        problems_fini(&problems);
        arena_free(arena);
    }
    CU_ASSERT(rc == 0);
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("spec", NULL, NULL);
    CU_add_test(suite, "syntaxes", test_syntaxes);
    CU_add_test(suite, "size", test_size);
    CU_add_test(suite, "memory", test_memory_bound);
    CU_add_test(suite, "memory of aliases", test_memory_of_aliases);
    CU_add_test(suite, "judges from outside", test_judges);
    CU_add_test(suite, "values of the model", test_model);
    CU_add_test(suite, "long lists", test_long_lists);
    CU_add_test(suite, "memory running out", test_memory);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
