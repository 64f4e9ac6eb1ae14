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

static void test_lists(void)
{
    static const struct str hosts[] = {STR_INIT("a.example"), STR_INIT("*.b.example"),
                                       STR_INIT("a.example")},
                            domains[] = {STR_INIT("c.example")};
    struct segment_routes r = {.gate_open = true,
                               .allow_ipv4 = true,
                               .hosts = hosts,
                               .host_count = ARRAY_LENGTH(hosts),
                               .domains = domains,
                               .domain_count = 1};
    struct segment *s = routes(&r);

    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_EQUAL(segment_count(s), 2); /* one came twice */
    CU_ASSERT_EQUAL(segment_flags(s), SEGMENT_GATE_OPEN | SEGMENT_IPV4);
    CU_ASSERT_TRUE(segment_lists(s, SEGMENT_HOSTS, STR("*.b.example")));
    CU_ASSERT_FALSE(segment_lists(s, SEGMENT_HOSTS, STR("x.b.example")));
    CU_ASSERT_FALSE(segment_lists(s, SEGMENT_HOSTS, STR("c.example")));
    CU_ASSERT_TRUE(segment_lists(s, SEGMENT_DOMAINS, STR("c.example")));
    CU_ASSERT_FALSE(segment_lists(s, SEGMENT_DOMAINS, STR("")));
    segment_unref(s);
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
                           {"lists", test_lists},
                           {"paths", test_paths},

                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "segment_routes", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
