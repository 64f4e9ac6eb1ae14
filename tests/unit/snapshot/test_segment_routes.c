#include "reconciler/snapshot/segment.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct segment *map_and_close(int fd)
{
    struct error e = {0};
    struct segment *s = NULL;

    if (fd >= 0) {
        s = segment_map(fd, NULL, &e);
        close(fd);
    }
    if (!s)
        fprintf(stderr, "segment: %s\n", e.message);
    return s;
}

/* ---- tokens and routes ---- */

static void test_tokens(void)
{
    struct segment_token tokens[] = {{STR("abc"), STR("abc.thumb")}, {STR("A-_9"), STR("A-_9.t")}};
    struct segment_name found;
    struct error e = {0};
    struct segment *s = map_and_close(segment_write_tokens(tokens, 2, NULL, &e));
    struct str answer;

    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_EQUAL(segment_kind_of(s), SEGMENT_TOKENS);
    CU_ASSERT_EQUAL(segment_find_token(s, STR("abc"), &answer), 1);
    CU_ASSERT_TRUE(str_equal(answer, STR("abc.thumb")));
    CU_ASSERT_EQUAL(segment_find_token(s, STR("A-_9"), &answer), 1);
    CU_ASSERT_EQUAL(segment_find_token(s, STR("ABC"), &answer), 0);
    CU_ASSERT_EQUAL(segment_find_name(s, STR("abc"), &found), 0);
    CU_ASSERT_EQUAL(segment_name_at(s, 0, &found), -1);
    segment_unref(s);
}

static struct segment *routes(const struct segment_routes *r)
{
    struct error e = {0};

    return map_and_close(segment_write_routes(r, NULL, &e));
}

static void test_gate(void)
{
    static const struct str domains[] = {STR_INIT("a.example"), STR_INIT("*.b.example"),
                                         STR_INIT("c.*"), STR_INIT("10.1.1.1"),
                                         STR_INIT("a.example")};
    static const struct {
        const char *host;
        bool listed, any;
    } cases[] = {
        {"a.example", true, true},     {"x.a.example", false, true}, {"x.b.example", true, true},
        {"x.y.b.example", true, true}, {"b.example", false, true},   {"xb.example", false, true},
        {"c.example", false, true},    {"10.1.1.1", false, false},   {"1.2.3.4", false, false},
        {"1.2.3.4.5", false, true},    {"1.2.3", false, true},       {"", false, false},
        {".b.example", false, true},
    };
    struct segment_routes listed = {.gate_open = true, .domains = domains, .domain_count = 5};
    struct segment_routes any = {.gate_open = true, .allow_any_domain = true};
    struct segment_routes ipv4 = listed;
    struct segment *s = routes(&listed), *a = routes(&any), *closed, *i;

    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    for (size_t k = 0; k < ARRAY_LENGTH(cases); k++) {
        CU_ASSERT_EQUAL(segment_gate(s, str_from(cases[k].host)), cases[k].listed);
        CU_ASSERT_EQUAL(segment_gate(a, str_from(cases[k].host)), cases[k].any);
    }
    ipv4.allow_ipv4 = true;
    i = routes(&ipv4);
    CU_ASSERT_PTR_NOT_NULL_FATAL(i);
    CU_ASSERT_TRUE(segment_gate(i, STR("10.1.1.1")));
    CU_ASSERT_FALSE(segment_gate(i, STR("1.2.3.4")));
    any.gate_open = false;
    closed = routes(&any);
    CU_ASSERT_PTR_NOT_NULL_FATAL(closed);
    CU_ASSERT_FALSE(segment_gate(closed, STR("a.example")));
    segment_unref(s);
    segment_unref(a);
    segment_unref(i);
    segment_unref(closed);
}

static void test_hosts(void)
{
    static const struct str hosts[] = {
        STR_INIT("a.example"),      STR_INIT("*.b.example"),    STR_INIT("c.*"),
        STR_INIT("p.example:8000"), STR_INIT("*.q.example:80"), STR_INIT("r.*:81"),
        STR_INIT("a.example")};
    static const struct {
        const char *host;
        uint16_t port;
        bool claimed;
    } cases[] = {
        {"a.example", 0, true},    {"a.example", 8000, true},   {"x.a.example", 80, false},
        {"x.b.example", 80, true}, {"x.y.b.example", 80, true}, {"b.example", 80, false},
        {"c.example", 80, true},   {"c.x.example", 80, true},   {"c", 80, false},
        {"xc.example", 80, false}, {"p.example", 8000, true},   {"p.example", 80, false},
        {"p.example", 0, false},   {"x.q.example", 80, true},   {"x.q.example", 81, false},
        {"r.example", 81, true},   {"r.example", 80, false},    {"", 80, false},
    };
    char longest[300];
    struct segment_routes r = {.hosts = hosts, .host_count = ARRAY_LENGTH(hosts)};
    struct segment *s = routes(&r), *any;

    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_EQUAL(segment_count(s), 6); /* one came twice */
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        bool got = segment_claims_host(s, str_from(cases[i].host), cases[i].port);
        if (got != cases[i].claimed)
            fprintf(stderr, "%s:%u\n", cases[i].host, cases[i].port);
        CU_ASSERT_EQUAL(got, cases[i].claimed);
    }
    memset(longest, 'a', sizeof(longest));
    memcpy(longest + 256, ".b.example", 10);
    CU_ASSERT_FALSE(segment_claims_host(s, (struct str){longest, 266}, 80));
    r.any_host = true;
    any = routes(&r);
    CU_ASSERT_PTR_NOT_NULL_FATAL(any);
    CU_ASSERT_TRUE(segment_claims_host(any, STR("whatever"), 1));
    CU_ASSERT_TRUE(segment_claims_host(any, STR(""), 1));
    segment_unref(s);
    segment_unref(any);
}

static void test_paths(void)
{
    static char too_long[SEGMENT_KEY_MAX + 1];
    struct str prefixes[] = {STR("/.well-known/acme-challenge/solver"), STR("")};
    struct segment_routes r = {.challenge_prefixes = prefixes, .challenge_prefix_count = 2};
    struct segment *s, *all;

    memset(too_long, 'x', sizeof(too_long));
    prefixes[1] = (struct str){too_long, sizeof(too_long)}; /* left out, not an error */
    s = routes(&r);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_TRUE(segment_keeps_path(s, STR("/.well-known/acme-challenge/solver")));
    CU_ASSERT_TRUE(segment_keeps_path(s, STR("/.well-known/acme-challenge/solver2/x")));
    CU_ASSERT_FALSE(segment_keeps_path(s, STR("/.well-known/acme-challenge/solve")));
    CU_ASSERT_FALSE(segment_keeps_path(s, STR("/.well-known/acme-challenge")));
    CU_ASSERT_FALSE(segment_keeps_path(s, STR("/")));
    prefixes[0] = STR("/.well-known/acme-challenge");
    all = routes(&r);
    CU_ASSERT_PTR_NOT_NULL_FATAL(all);
    CU_ASSERT_TRUE(segment_keeps_path(all, STR("/.well-known/acme-challenge/any")));
    segment_unref(s);
    segment_unref(all);
}

int main(void)
{
    CU_TestInfo tests[] = {{"tokens", test_tokens},
                           {"gate", test_gate},
                           {"hosts", test_hosts},
                           {"paths", test_paths},

                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "segment_routes", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
