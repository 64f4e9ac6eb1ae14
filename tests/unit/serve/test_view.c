#include "reconciler/serve/view.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/segment_maker.h"

/* A name whose leaf says where it comes from. NULL = a tombstone. */
static struct segment_name entry(const char *name, const char *leaf)
{
    struct segment_name n = {.name = str_from(name)};

    if (leaf) {
        n.count = 1;
        n.credentials[0] = (struct segment_credential){KEY_P256, str_from(leaf), STR("k"), STR("")};
    }
    return n;
}

static struct view *stack_of(struct segment_name (*layers)[8], const size_t *counts, size_t depth)
{
    struct segment *segments[8];

    for (size_t i = 0; i < depth; i++)
        segments[i] = segment_maker_names(layers[i], counts[i]);
    return segment_maker_view(7, segments, depth);
}

static void check(const struct view *v, const char *sni, enum view_match match, const char *leaf)
{
    struct view_choice choice;

    view_choose(v, sni ? str_from(sni) : STR_NONE, &choice);
    if (choice.match != match)
        fprintf(stderr, "%s: %d\n", sni ? sni : "no SNI", choice.match);
    CU_ASSERT_EQUAL(choice.match, match);
    if (leaf && choice.match != VIEW_NONE)
        CU_ASSERT_TRUE(str_equal_cstr(choice.found.credentials[0].leaf, leaf));
}

/* Kong's order (its 24-runloop_certificate and 06-ssl specs). */
static void test_order(void)
{
    struct segment_name layers[1][8] = {{entry("www.domain.test", "exact"),
                                         entry("*.domain.test", "first"), entry("domain.*", "last"),
                                         entry("www.domain.*", "last2"),
                                         entry("*.www.domain.test", "deep"), entry("", "default")}};
    const size_t counts[] = {6};
    struct view *v = stack_of(layers, counts, 1);

    check(v, "www.domain.test", VIEW_EXACT, "exact");
    check(v, "WWW.Domain.TEST", VIEW_EXACT, "exact");
    check(v, "www.domain.test.", VIEW_EXACT, "exact");
    check(v, "a.domain.test", VIEW_FIRST_LABEL, "first");
    check(v, "foo.www.domain.test", VIEW_FIRST_LABEL, "deep");
    check(v, "a.b.domain.test", VIEW_DEFAULT, "default"); /* one label, no climbing */
    check(v, "domain.test", VIEW_LAST_LABEL, "last");
    check(v, "domain.other", VIEW_LAST_LABEL, "last");
    check(v, "www.domain.other", VIEW_LAST_LABEL, "last2");
    check(v, "domain", VIEW_DEFAULT, "default");
    check(v, "other.test", VIEW_DEFAULT, "default");
    check(v, NULL, VIEW_DEFAULT, "default");
    view_free(v);
}

static void test_star(void)
{
    struct segment_name layers[1][8] = {
        {entry("*", "star"), entry("*.test", "never"), entry("a.test", "exact")}};
    const size_t counts[] = {3};
    struct view *v = stack_of(layers, counts, 1);

    check(v, "a.test", VIEW_EXACT, "exact");
    check(v, "b.test", VIEW_STAR, "star"); /* two labels have no first-label wildcard */
    check(v, "x", VIEW_STAR, "star");
    check(v, NULL, VIEW_NONE, NULL);
    check(v, "127.0.0.1", VIEW_NONE, NULL);
    view_free(v);
}

static void test_invalid_names(void)
{
    static const char *const invalid[] = {"127.0.0.1",
                                          "256.256.256.256",
                                          "1.2.3.4.",
                                          "::1",
                                          "[::1]",
                                          "a.test:443",
                                          "*.exam*le.com",
                                          "a b",
                                          "a..test",
                                          ".a.test",
                                          "a\\b",
                                          "a/b",
                                          "",
                                          ".",
                                          "\xc3\xa4.test"};
    struct segment_name layers[1][8] = {{entry("*", "star"), entry("", "default")}};
    const size_t counts[] = {2};
    struct view *v = stack_of(layers, counts, 1);
    struct view_choice choice;
    char longest[HOSTNAME_MAX + 2];

    for (size_t i = 0; i < ARRAY_LENGTH(invalid); i++) {
        view_choose(v, str_from(invalid[i]), &choice);
        if (choice.is_name)
            fprintf(stderr, "%s\n", invalid[i]);
        CU_ASSERT_FALSE(choice.is_name);
        CU_ASSERT_EQUAL(choice.match, VIEW_DEFAULT);
    }
    memset(longest, 'a', sizeof(longest));
    view_choose(v, (struct str){longest, HOSTNAME_MAX}, &choice);
    CU_ASSERT_TRUE(choice.is_name);
    CU_ASSERT_EQUAL(choice.match, VIEW_STAR);
    view_choose(v, (struct str){longest, HOSTNAME_MAX + 1}, &choice);
    CU_ASSERT_FALSE(choice.is_name);
    view_choose(v, STR("Under_Score-1.Test."), &choice);
    CU_ASSERT_TRUE(choice.is_name);
    CU_ASSERT_STRING_EQUAL(choice.name, "under_score-1.test");
    CU_ASSERT_EQUAL(choice.name_len, strlen(choice.name));
    view_free(v);
}

static void test_stack(void)
{
    struct segment_name layers[3][8] = {{entry("a.test", NULL), entry("b.test", "b new")},
                                        {entry("a.test", "a middle"), entry("c.test", "c middle")},
                                        {entry("a.test", "a old"), entry("b.test", "b old"),
                                         entry("d.test", "d old"), entry("", "default")}};
    const size_t counts[] = {2, 2, 4};
    struct view *v = stack_of(layers, counts, 3);

    check(v, "a.test", VIEW_DEFAULT, "default"); /* the tombstone hides both */
    check(v, "b.test", VIEW_EXACT, "b new");
    check(v, "c.test", VIEW_EXACT, "c middle");
    check(v, "d.test", VIEW_EXACT, "d old");
    CU_ASSERT_EQUAL(view_generation(v), 7);
    view_free(v);
}

/* A tombstone of an exact name lets a wildcard take over. */
static void test_tombstone_and_wildcard(void)
{
    struct segment_name layers[2][8] = {{entry("a.b.test", NULL)},
                                        {entry("a.b.test", "exact"), entry("*.b.test", "wild")}};
    const size_t counts[] = {1, 2};
    struct view *v = stack_of(layers, counts, 2);

    check(v, "a.b.test", VIEW_FIRST_LABEL, "wild");
    view_free(v);
}

static void test_tokens_and_routes(void)
{
    static const struct str host = STR_INIT("a.test"),
                            path = STR_INIT("/.well-known/acme-challenge/k");
    struct segment_challenge fresh = {CHALLENGE_HTTP_01, STR("t"), STR("new")},
                             stale = {CHALLENGE_HTTP_01, STR("t"), STR("old")};
    struct segment_gate open = {.is_open = true, .domains = &host, .domain_count = 1};
    struct segment_routes routes = {
        .hosts = &host, .host_count = 1, .challenge_prefixes = &path, .challenge_prefix_count = 1};
    struct segment *segments[] = {segment_maker_challenges(&fresh, 1), segment_maker_gate(&open),
                                  segment_maker_routes(&routes),
                                  segment_maker_challenges(&stale, 1)};
    struct view *v = segment_maker_view(1, segments, 4), *empty = segment_maker_view(1, NULL, 0);
    struct str answer;

    CU_ASSERT_TRUE(view_find_token(v, STR("t"), &answer));
    CU_ASSERT_TRUE(str_equal(answer, STR("new")));
    CU_ASSERT_FALSE(view_find_token(v, STR("u"), &answer));
    CU_ASSERT_TRUE(view_gate(v, STR("a.test")));
    CU_ASSERT_TRUE(view_claims_host(v, STR("a.test"), 80));
    CU_ASSERT_TRUE(view_keeps_path(v, STR("/.well-known/acme-challenge/kk")));
    CU_ASSERT_FALSE(view_keeps_path(v, STR("/.well-known/acme-challenge/")));
    CU_ASSERT_FALSE(view_keeps_path(v, STR("/.well-known/other")));
    CU_ASSERT_FALSE(view_find_token(empty, STR("t"), &answer));
    CU_ASSERT_FALSE(view_gate(empty, STR("a.test")));
    CU_ASSERT_FALSE(view_claims_host(empty, STR("a.test"), 80));
    CU_ASSERT_FALSE(view_keeps_path(empty, STR("/.well-known/acme-challenge/k")));
    check(empty, "a.test", VIEW_NONE, NULL);
    view_free(v);
    view_free(empty);
    view_free(NULL);
}

static struct view *routes(const struct segment_routes *r)
{
    struct segment *segment = segment_maker_routes(r);

    return segment_maker_view(1, &segment, 1);
}

static struct view *gate(const struct segment_gate *g)
{
    struct segment *segment = segment_maker_gate(g);

    return segment_maker_view(1, &segment, 1);
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
    struct segment_gate listed = {.is_open = true, .domains = domains, .domain_count = 5};
    struct segment_gate any = {.is_open = true, .allow_any_domain = true};
    struct segment_gate ipv4 = listed;
    struct view *s = gate(&listed), *a = gate(&any), *closed, *i;

    for (size_t k = 0; k < ARRAY_LENGTH(cases); k++) {
        CU_ASSERT_EQUAL(view_gate(s, str_from(cases[k].host)), cases[k].listed);
        CU_ASSERT_EQUAL(view_gate(a, str_from(cases[k].host)), cases[k].any);
    }
    ipv4.allow_ipv4 = true;
    i = gate(&ipv4);
    CU_ASSERT_TRUE(view_gate(i, STR("10.1.1.1")));
    CU_ASSERT_FALSE(view_gate(i, STR("1.2.3.4")));
    any.is_open = false;
    closed = gate(&any);
    CU_ASSERT_FALSE(view_gate(closed, STR("a.example")));
    view_free(s);
    view_free(a);
    view_free(i);
    view_free(closed);
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
    struct view *s = routes(&r), *any;

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        bool got = view_claims_host(s, str_from(cases[i].host), cases[i].port);
        if (got != cases[i].claimed)
            fprintf(stderr, "%s:%u\n", cases[i].host, cases[i].port);
        CU_ASSERT_EQUAL(got, cases[i].claimed);
    }
    memset(longest, 'a', sizeof(longest));
    memcpy(longest + 256, ".b.example", 10);
    CU_ASSERT_FALSE(view_claims_host(s, (struct str){longest, 266}, 80));
    r.any_host = true;
    any = routes(&r);
    CU_ASSERT_TRUE(view_claims_host(any, STR("whatever"), 1));
    CU_ASSERT_TRUE(view_claims_host(any, STR(""), 1));
    view_free(s);
    view_free(any);
}

int main(void)
{
    CU_TestInfo tests[] = {{"order", test_order},
                           {"star", test_star},
                           {"invalid names", test_invalid_names},
                           {"stack", test_stack},
                           {"tombstone and wildcard", test_tombstone_and_wildcard},
                           {"tokens and routes", test_tokens_and_routes},
                           {"gate", test_gate},
                           {"hosts", test_hosts},
                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "view", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
