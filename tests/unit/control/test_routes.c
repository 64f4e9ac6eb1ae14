/* What workers are told of routes and of the gate. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>

#include "reconciler/control/routes.h"

#define TEXTS(...)                                                                                \
    {                                                                                             \
        .items = (const struct text[]){__VA_ARGS__},                                              \
        .count = sizeof((const struct text[]){__VA_ARGS__}) / sizeof(struct text), .is_set = true \
    }
#define TEXT(s)              \
    {                        \
        .value = STR_INIT(s) \
    }

static struct arena *arena;

static struct publisher_rules make(const struct route *routes, size_t count,
                                   const struct acme *acme, uint64_t *hash)
{
    const struct model model = {.routes = routes, .route_count = count, .acme = acme};
    struct publisher_rules out = {0};
    struct error e;

    CU_ASSERT_EQUAL_FATAL(routes_make(&model, arena, &out, hash, &e), 0);
    return out;
}

static void test_hosts(void)
{
    static const struct service off = {.enabled = false}, on = {.enabled = true};
    const struct route routes[] = {
        {.protocols = TEXTS(TEXT("https")), .hosts = TEXTS(TEXT("b.example"), TEXT("a.example"))},
        {.service = &on, .protocols = TEXTS(TEXT("http")), .hosts = TEXTS(TEXT("a.example"))},
        {.service = &off, .protocols = TEXTS(TEXT("http")), .hosts = TEXTS(TEXT("off.example"))},
        {.protocols = TEXTS(TEXT("tcp")), .snis = TEXTS(TEXT("tcp.example"))},
        {.protocols = TEXTS(TEXT("https")), .snis = TEXTS(TEXT("sni.example"))},
    };
    uint64_t hash;
    struct publisher_rules all = make(routes, ARRAY_LENGTH(routes), NULL, &hash);
    struct segment_routes r = all.routes;

    CU_ASSERT_EQUAL_FATAL(r.host_count, 3);
    CU_ASSERT(str_equal(r.hosts[0], STR("a.example")));
    CU_ASSERT(str_equal(r.hosts[1], STR("b.example")));
    CU_ASSERT(str_equal(r.hosts[2], STR("sni.example")));
    CU_ASSERT_FALSE(r.any_host);
    CU_ASSERT_FALSE(all.gate.is_open);
}

static void test_any_host(void)
{
    const struct route routes[] = {
        {.protocols = TEXTS(TEXT("http")), .paths = TEXTS(TEXT("/"))},
    };
    uint64_t hash;

    CU_ASSERT(make(routes, 1, NULL, &hash).routes.any_host);
}

static const struct {
    const char *path;
    const char *prefix; /* NULL: it does not name the challenge path */
} paths[] = {
    {"/.well-known/acme-challenge", "/.well-known/acme-challenge"},
    {"/.well-known/acme-challenge/yolo", "/.well-known/acme-challenge/yolo"},
    {"/.well-known", NULL},
    {"/", NULL},
    {"~/\\.well-known/acme-challenge/yolo$", "/.well-known/acme-challenge"},
    {"~^/\\.well-known/acme-challenge/.+", "/.well-known/acme-challenge"},
    {"~/\\.well-known/.*", NULL},
};

static void test_challenge_paths(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        const struct text path = {.value = str_from(paths[i].path)};
        const struct route route = {.protocols = TEXTS(TEXT("http")),
                                    .paths = {.items = &path, .count = 1, .is_set = true}};
        uint64_t hash;
        struct segment_routes r = make(&route, 1, NULL, &hash).routes;
        if (r.challenge_prefix_count != (paths[i].prefix ? 1 : 0) ||
            (paths[i].prefix && !str_equal_cstr(r.challenge_prefixes[0], paths[i].prefix)))
            CU_FAIL(paths[i].path);
    }
}

static void test_gate(void)
{
    const struct acme acme = {.enabled = true,
                              .enable_ipv4_common_name = true,
                              .domains = TEXTS(TEXT("*.example.com"), TEXT("a.example"))};
    struct acme off = acme;
    uint64_t hash, same, other;
    struct segment_gate r = make(NULL, 0, &acme, &hash).gate;

    CU_ASSERT(r.is_open);
    CU_ASSERT(r.allow_ipv4);
    CU_ASSERT_FALSE(r.allow_any_domain);
    CU_ASSERT_EQUAL_FATAL(r.domain_count, 2);
    CU_ASSERT(str_equal(r.domains[0], STR("*.example.com")));
    make(NULL, 0, &acme, &same);
    CU_ASSERT_EQUAL(hash, same);
    off.enabled = false;
    CU_ASSERT_FALSE(make(NULL, 0, &off, &other).gate.is_open);
    CU_ASSERT_NOT_EQUAL(hash, other);
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    arena = arena_new(NULL);
    if (!arena || CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("routes", NULL, NULL);
    CU_add_test(suite, "hosts", test_hosts);
    CU_add_test(suite, "any host", test_any_host);
    CU_add_test(suite, "challenge paths", test_challenge_paths);
    CU_add_test(suite, "gate", test_gate);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    arena_free(arena);
    return rc;
}
