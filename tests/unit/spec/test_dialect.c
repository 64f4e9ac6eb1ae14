/* decK's form, and what only other Kongs know: read as if Kong 3.9's own file had been given. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>

#include "spec/flatten.h"
#include "tests/support/spec_text.h"

#define VERSION "_format_version: '3.0'\n"

static const struct spec_options deck = {.deck_format = true};
static const struct spec_options ignoring = {.ignore_unsupported = true};
static const struct spec_options both = {.deck_format = true, .ignore_unsupported = true};

static void flatten(const char *yaml, const struct spec_options *options, struct buf *out)
{
    struct json_out j = json_out_compact(out);
    struct spec_text t;
    struct error e;

    spec_text_open(&t, yaml, options);
    if (t.rc)
        printf("\n%.*s\n", STR_ARG(buf_view(&t.printed)));
    CU_ASSERT(t.rc == 0 && flatten_print(t.detail, &j, &e) == 0);
    spec_text_close(&t);
}

/* Is what `given` says with the options what `plain` says without? */
static bool is_same(const char *given, const struct spec_options *options, const char *plain)
{
    struct buf a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
    bool is_equal;

    flatten(given, options, &a);
    flatten(plain, NULL, &b);
    is_equal = str_equal(buf_view(&a), buf_view(&b));
    if (!is_equal)
        printf("\n%.*s\n%.*s\n", STR_ARG(buf_view(&a)), STR_ARG(buf_view(&b)));
    buf_free(&a);
    buf_free(&b);
    return is_equal;
}

static const struct {
    const struct spec_options *options;
    const char *given, *plain;
} rows[] = {
    {&deck, "_konnect: {control_plane_name: x}\n_workspace: w\nservices: [{name: s, host: h}]\n",
     VERSION "services: [{name: s, host: h}]\n"},
    {&deck,
     VERSION "services: [{name: s, host: h}]\nconsumers: [{username: u}]\n"
             "routes: [{name: r, paths: [/], service: {name: s}}]\n"
             "plugins: [{name: cors, service: {name: s}, route: {name: r}},\n"
             "  {name: acl, consumer: {username: u}}]\n",
     VERSION "services: [{name: s, host: h}]\nconsumers: [{username: u}]\n"
             "routes: [{name: r, paths: [/], service: s}]\n"
             "plugins: [{name: cors, service: s, route: r},\n"
             "  {name: acl, consumer: u}]\n"},
    /* An alias shares its nodes; what is changed in one place stays in the other. */
    {&deck,
     VERSION "_ignore: [&r {name: s}]\nservices: [{name: s, host: h}]\n"
             "routes: [{name: a, paths: [/], service: *r}, {name: b, paths: [/], service: *r}]\n",
     VERSION "services: [{name: s, host: h}]\n"
             "routes: [{name: a, paths: [/], service: s}, {name: b, paths: [/], service: s}]\n"},
    {&deck,
     "_info: {select_tags: [x, y], defaults: {service: {port: 8080, retries: 2},\n"
     "  upstream: {healthchecks: {threshold: 5, active: {timeout: 3}}}}}\n"
     "services: [{name: s, host: h, retries: 7, tags: [y],\n"
     "  routes: [{name: r, paths: [/], tags: null}]}]\n"
     "upstreams: [{name: u.test, healthchecks: {active: {concurrency: 4}}}]\n",
     VERSION "services: [{name: s, host: h, retries: 7, port: 8080, tags: [y, x],\n"
             "  routes: [{name: r, paths: [/], tags: [x, y]}]}]\n"
             "upstreams: [{name: u.test, tags: [x, y], healthchecks: {threshold: 5,\n"
             "  active: {concurrency: 4, timeout: 3}}}]\n"},
    {&deck,
     "_plugin_configs: {k: {key_names: [a], hide_credentials: true}, z: {key_names: [z]}}\n"
     "plugins: [{name: key-auth, _config: k, config: {key_names: [b]}}]\n"
     "services: [{name: s, host: h, plugins: [{name: key-auth, _config: k}]}]\n",
     VERSION "plugins: [{name: key-auth, config: {key_names: [b], hide_credentials: true}}]\n"
             "services: [{name: s, host: h,\n"
             "  plugins: [{name: key-auth, config: {key_names: [a], hide_credentials: true}}]}]\n"},
    {&both,
     "_info: {select_tags: [t]}\nconsumer_groups: [{name: gold}]\n"
     "consumers: [{username: u, groups: [{name: gold}]}]\n",
     VERSION "consumers: [{username: u, tags: [t]}]\n"},
    {&ignoring,
     VERSION "services: [{name: s, host: h, tls_sans: {}, plugins: [{name: jq}, {name: cors}]}]\n"
             "upstreams: [{name: u.test, algorithm: sticky-sessions, sticky_sessions_cookie: c,\n"
             "  targets: [{target: 'a:1', failover: true}]}]\n"
             "plugins: [{name: openid-connect}, {name: cors, consumer_group: gold}]\n"
             "partials: []\n",
     VERSION "services: [{name: s, host: h, plugins: [{name: cors}]}]\n"
             "upstreams: [{name: u.test, targets: [{target: 'a:1'}]}]\n"},
};

static void test_meaning(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        CU_ASSERT(is_same(rows[i].given, rows[i].options, rows[i].plain));
}

static const struct {
    const struct spec_options *options;
    const char *yaml, *problems;
} sayings[] = {
    {&ignoring, "services: [{host: h, tls_sans: {}, nope: 1}]\n",
     "2:22: warning: services[1].tls_sans: left out: known to Kong Enterprise 3.11 and later, not "
     "to 3.9\n2:36: services[1].nope: unknown field\n"},
    {&ignoring, "services: [{host: h, plugins: [{name: cors}, {name: jq}, {name: nope}]}]\n",
     "2:53: warning: services[1].plugins[2].name: the plugin is left out: known to Kong "
     "Enterprise, "
     "not to 3.9\n"
     "2:65: services[1].plugins[2].name: plugin 'nope' not enabled; add it to the 'plugins' "
     "configuration property\n"},
    {&ignoring, "upstreams: [{name: u.test, algorithm: sticky-sessions}]\n",
     "2:39: warning: upstreams[1].algorithm: value left out: known to Kong Enterprise 3.11 and "
     "later, not to 3.9\n"},
    {&ignoring, "consumer_groups: []\n_info: {}\n",
     "2:1: warning: consumer_groups: left out: known to Kong Enterprise, not to 3.9\n"
     "3:1: _info: unknown field: decK's own key; read it with --deck-format, run `deck file "
     "render` or remove it\n"},
    {&deck, "plugins: [{name: cors, _config: none}]\n",
     "2:33: plugins[1]: no such entry in '_plugin_configs': 'none'\n"},
    {&deck, "services: [{host: h, tls_sans: {}}]\n_nope: 1\n",
     "2:22: services[1].tls_sans: unknown field: known to Kong Enterprise 3.11 and later, not to "
     "3.9; --ignore-unsupported leaves it out\n3:1: _nope: unknown field\n"},
    {&deck, "_info: 1\n_plugin_configs: [x]\nservices: [1, {host: h, tags: {a: b}}]\n",
     "4:12: services[1]: expected a record\n4:31: services[2].tags: expected a set\n"},
    {NULL, "upstreams: [{name: u.test, algorithm: sticky-sessions}]\n",
     "2:39: upstreams[1].algorithm: expected one of: consistent-hashing, least-connections, "
     "round-robin, latency (known to Kong Enterprise 3.11 and later, not to 3.9; "
     "--ignore-unsupported leaves it out)\n"},
};

static void test_sentences(void)
{
    struct spec_text t;

    for (size_t i = 0; i < ARRAY_LENGTH(sayings); i++)
        CU_ASSERT(spec_text_says_with(sayings[i].yaml, sayings[i].problems, sayings[i].options));
    spec_text_open(&t, "_workspace: x\n", NULL);
    CU_ASSERT(memmem(t.printed.data, t.printed.len, "Kong wants it, decK does not", 28) != NULL);
    spec_text_close(&t);
    spec_text_open(&t, "services: []\n", NULL);
    CU_ASSERT(memmem(t.printed.data, t.printed.len, "decK", 4) == NULL);
    spec_text_close(&t);
}

/* decK merges its files first: what one says of tags and defaults is for the others too. */
static void test_files(void)
{
    const struct spec_source sources[] = {
        {.name = "a.yaml",
         .bytes = STR("_info: {select_tags: [t], defaults: {route: {protocols: "
                      "[https]}}}\n")},
        {.name = "b.yaml", .bytes = STR("routes: [{name: r, paths: [/]}]\n")}};
    struct spec_text t;

    spec_text_open_all(&t, sources, 2, &deck);
    CU_ASSERT(t.rc == 0 && t.model && t.model->routes[0].protocols.count == 1);
    spec_text_close(&t);
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("dialect", NULL, NULL);
    CU_add_test(suite, "what it means", test_meaning);
    CU_add_test(suite, "sentences", test_sentences);
    CU_add_test(suite, "several files", test_files);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
