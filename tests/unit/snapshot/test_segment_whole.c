/* What is whole: challenges, the gate, routes. */
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
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    return s;
}

static void test_stacked(void)
{
    for (enum segment_kind kind = SEGMENT_NAMES; kind < SEGMENT_KINDS; kind++)
        CU_ASSERT_EQUAL(segment_is_stacked(kind), kind == SEGMENT_NAMES);
}

static bool has_challenge(const struct segment *s, enum challenge_kind kind, const char *key,
                          const char *payload)
{
    struct str found;

    return segment_find_challenge(s, kind, str_from(key), &found) == 1 &&
           str_equal_cstr(found, payload);
}

static void test_challenges(void)
{
    struct segment_challenge list[] = {{CHALLENGE_HTTP_01, STR("abc"), STR("abc.thumb")},
                                       {CHALLENGE_HTTP_01, STR("A-_9"), STR("A-_9.t")},
                                       {CHALLENGE_TLS_ALPN_01, STR("a.test"), STR("t.thumb")},
                                       {CHALLENGE_TLS_ALPN_01, STR("abc"), STR("u.thumb")}};
    struct segment_name found;
    struct error e = {0};
    struct segment *s = map_and_close(segment_write_challenges(list, 4, NULL, &e));
    struct str payload;

    CU_ASSERT_EQUAL(segment_kind_of(s), SEGMENT_CHALLENGES);
    CU_ASSERT_TRUE(has_challenge(s, CHALLENGE_HTTP_01, "abc", "abc.thumb"));
    CU_ASSERT_TRUE(has_challenge(s, CHALLENGE_HTTP_01, "A-_9", "A-_9.t"));
    CU_ASSERT_TRUE(has_challenge(s, CHALLENGE_TLS_ALPN_01, "a.test", "t.thumb"));
    CU_ASSERT_TRUE(has_challenge(s, CHALLENGE_TLS_ALPN_01, "abc", "u.thumb"));
    CU_ASSERT_EQUAL(segment_find_challenge(s, CHALLENGE_HTTP_01, STR("ABC"), &payload), 0);
    CU_ASSERT_EQUAL(segment_find_challenge(s, CHALLENGE_HTTP_01, STR("a.test"), &payload), 0);
    CU_ASSERT_EQUAL(segment_find_name(s, STR("abc"), &found), 0);
    CU_ASSERT_EQUAL(segment_name_at(s, 0, &found), -1);
    CU_ASSERT_EQUAL(segment_count(s), 0);
    segment_unref(s);
    list[3] = list[2];
    CU_ASSERT_EQUAL(segment_write_challenges(list, 4, NULL, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_INVALID);
}

static void test_gate(void)
{
    static const struct str domains[] = {STR_INIT("c.example"), STR_INIT("*.d.example"),
                                         STR_INIT("c.example")};
    const struct segment_gate gate = {
        .is_open = true, .allow_ipv4 = true, .domains = domains, .domain_count = 3};
    struct error e = {0};
    struct segment *s = map_and_close(segment_write_gate(&gate, NULL, &e));

    CU_ASSERT_EQUAL(segment_kind_of(s), SEGMENT_GATE);
    CU_ASSERT_EQUAL(segment_flags(s), SEGMENT_GATE_OPEN | SEGMENT_IPV4);
    CU_ASSERT_TRUE(segment_lists(s, SEGMENT_DOMAINS, STR("c.example")));
    CU_ASSERT_TRUE(segment_lists(s, SEGMENT_DOMAINS, STR("*.d.example")));
    CU_ASSERT_FALSE(segment_lists(s, SEGMENT_DOMAINS, STR("x.d.example")));
    CU_ASSERT_FALSE(segment_lists(s, SEGMENT_DOMAINS, STR("")));
    CU_ASSERT_FALSE(segment_lists(s, SEGMENT_HOSTS, STR("c.example")));
    segment_unref(s);
}

static void test_routes(void)
{
    static char too_long[SEGMENT_KEY_MAX + 1];
    static const struct str hosts[] = {STR_INIT("a.example"), STR_INIT("*.b.example"),
                                       STR_INIT("a.example")};
    struct str paths[] = {STR("/a/b"), {too_long, sizeof(too_long)}};
    const struct segment_routes routes = {.any_host = true,
                                          .hosts = hosts,
                                          .host_count = 3,
                                          .challenge_prefixes = paths,
                                          .challenge_prefix_count = 2};
    struct error e = {0};
    struct segment *s;

    memset(too_long, 'x', sizeof(too_long)); /* left out, not an error */
    s = map_and_close(segment_write_routes(&routes, NULL, &e));
    CU_ASSERT_EQUAL(segment_kind_of(s), SEGMENT_ROUTES);
    CU_ASSERT_EQUAL(segment_flags(s), SEGMENT_ANY_HOST);
    CU_ASSERT_TRUE(segment_lists(s, SEGMENT_HOSTS, STR("*.b.example")));
    CU_ASSERT_FALSE(segment_lists(s, SEGMENT_HOSTS, STR("x.b.example")));
    CU_ASSERT_FALSE(segment_lists(s, SEGMENT_DOMAINS, STR("a.example")));
    CU_ASSERT_TRUE(segment_lists_prefix(s, SEGMENT_PATHS, STR("/a/b"), 0));
    CU_ASSERT_TRUE(segment_lists_prefix(s, SEGMENT_PATHS, STR("/a/b2/c"), 4));
    CU_ASSERT_FALSE(segment_lists_prefix(s, SEGMENT_PATHS, STR("/a/b2/c"), 5));
    CU_ASSERT_FALSE(segment_lists_prefix(s, SEGMENT_PATHS, STR("/a/"), 0));
    CU_ASSERT_FALSE(segment_lists_prefix(s, SEGMENT_PATHS, STR(""), 0));
    segment_unref(s);
}

int main(void)
{
    CU_TestInfo tests[] = {{"stacked", test_stacked},
                           {"challenges", test_challenges},
                           {"gate", test_gate},
                           {"routes", test_routes},

                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "segment_whole", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
