/* What visitors may ask for: bounds, the hour of a domain, what is dropped and said. */

#include "reconciler/feed/demands.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <sys/socket.h>

#include "reconciler/base/log.h"
#include "reconciler/core/policy.h"

#define NOW 1000000

static char block[] = "203.0.113.0/24";
static char *const trusted[] = {block};

static char said[128]; /* "": nothing, or that it is over */

static void keep_said(void *context, const char *text)
{
    (void)context;
    snprintf(said, sizeof(said), "%s", text ? text : "");
}

static struct demands *begin(size_t total, size_t per_address, size_t per_domain)
{
    const struct demands_options options = {
        .bounds = {total, per_address, per_domain},
        .trusted = trusted,
        .trusted_count = 1,
        .domain_of = policy_registered_domain,
        .said = keep_said,
    };
    struct demands *d = demands_new(&options);

    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    return d;
}

static struct address_block address(unsigned number)
{
    return (struct address_block){
        .family = AF_INET, .bytes = {198, 51, (unsigned char)(number >> 8), (unsigned char)number}};
}

static bool hear(struct demands *d, const char *name, unsigned from, int64_t now)
{
    struct address_block b = address(from);

    return demands_hear(d, str_from(name), &b, now) && demands_accept(d, demands_next(d), now);
}

/* `count` names below `domain`: how many were taken. */
static unsigned flood(struct demands *d, const char *domain, unsigned count, unsigned addresses,
                      int64_t now)
{
    char name[64];
    unsigned taken = 0;

    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "n%u.%s", i, domain);
        taken += hear(d, name, i % addresses, now);
    }
    return taken;
}

static void test_total(void)
{
    struct demands *d = begin(1000, 20, 5000);

    CU_ASSERT_EQUAL(flood(d, "example.com", 5000, 5000, NOW), 1000);
    CU_ASSERT_EQUAL(demands_count(d), 1000);
    CU_ASSERT_EQUAL(demands_dropped(d), 4000);
    CU_ASSERT_FALSE(hear(d, "late.example.com", 9, NOW));
    demands_end(d, STR("n7.example.com"));
    demands_end(d, STR("never.example.com"));
    CU_ASSERT_TRUE(hear(d, "late.example.com", 9, NOW));
    demands_free(d);
}

static void test_address(void)
{
    const struct address_block balancer = {.family = AF_INET, .bytes = {203, 0, 113, 7}};
    const struct address_block unknown = {0};
    struct demands *d = begin(1000, 20, 5000);
    char name[64];

    CU_ASSERT_EQUAL(flood(d, "example.com", 500, 1, NOW), 20);
    CU_ASSERT_TRUE(hear(d, "other.example.com", 1, NOW));
    CU_ASSERT_FALSE(hear(d, "more.example.com", 0, NOW));
    CU_ASSERT_TRUE(hear(d, "n3.example.com", 0, NOW)); /* one that it has */
    demands_end(d, STR("n3.example.com"));
    CU_ASSERT_TRUE(hear(d, "more.example.com", 0, NOW));
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof(name), "b%d.example.com", i);
        CU_ASSERT_TRUE(demands_hear(d, str_from(name), i % 2 ? &balancer : &unknown, NOW));
    }
    demands_free(d);
}

static void test_domain(void)
{
    struct demands *d = begin(1000, 1000, 50);

    CU_ASSERT_EQUAL(flood(d, "example.co.uk", 200, 200, NOW), 50);
    CU_ASSERT_TRUE(hear(d, "a.example.com", 1, NOW));
    CU_ASSERT_TRUE(hear(d, "a.other.co.uk", 1, NOW));
    /* An hour is an hour of new ones, whatever became of the old ones. */
    demands_end(d, STR("n0.example.co.uk"));
    CU_ASSERT_FALSE(hear(d, "b.example.co.uk", 1, NOW + DEMANDS_DOMAIN_SECONDS - 1));
    CU_ASSERT_EQUAL(flood(d, "x.example.co.uk", 200, 200, NOW + DEMANDS_DOMAIN_SECONDS), 50);
    demands_free(d);
}

/* Two that are heard before one is accepted share what is left. */
static void test_heard_together(void)
{
    struct demands *d = begin(1000, 20, 1);
    const struct address_block from = address(1);

    CU_ASSERT_TRUE(demands_hear(d, STR("a.example.com"), &from, NOW));
    CU_ASSERT_TRUE(demands_hear(d, STR("b.example.com"), &from, NOW));
    CU_ASSERT_TRUE(demands_accept(d, demands_next(d), NOW));
    CU_ASSERT_FALSE(demands_accept(d, demands_next(d), NOW));
    CU_ASSERT_PTR_NULL(demands_next(d).ptr);
    CU_ASSERT_EQUAL(demands_count(d), 1);
    /* one that ends while it is heard is in no list any more */
    CU_ASSERT_TRUE(demands_hear(d, STR("a.example.com"), &from, NOW));
    demands_end(d, STR("a.example.com"));
    CU_ASSERT_PTR_NULL(demands_next(d).ptr);
    demands_free(d);
}

static void test_restored(void)
{
    struct demands *d = begin(3, 20, 2);

    CU_ASSERT_EQUAL(demands_restore(d, STR("old.example.com"), NOW - 7200, NOW), 0);
    CU_ASSERT_EQUAL(demands_restore(d, STR("new.example.com"), NOW - 60, NOW), 0);
    CU_ASSERT_EQUAL(demands_restore(d, STR("new.example.com"), NOW - 60, NOW), 0);
    CU_ASSERT_EQUAL(demands_count(d), 2);
    CU_ASSERT_TRUE(hear(d, "a.example.com", 1, NOW));
    CU_ASSERT_FALSE(hear(d, "b.example.org", 1, NOW));
    demands_end(d, STR("old.example.com"));
    CU_ASSERT_FALSE(hear(d, "b.example.com", 1, NOW));
    CU_ASSERT_TRUE(hear(d, "b.example.org", 1, NOW));
    demands_free(d);
}

static void test_marks(void)
{
    struct demands *d = begin(10, 10, 10);
    char name[64];

    for (int i = 0; i < DEMANDS_MARKS_MAX + 9; i++) {
        snprintf(name, sizeof(name), "a.n%d.example", i < 10 ? 0 : i);
        if (i < 10)
            snprintf(name, sizeof(name), "n%d.first.example", i);
        CU_ASSERT_TRUE_FATAL(hear(d, name, 1, NOW));
        demands_end(d, str_from(name));
    }
    /* The oldest nine are forgotten before their hour is over. */
    for (int i = 0; i < 9; i++) {
        snprintf(name, sizeof(name), "m%d.first.example", i);
        CU_ASSERT_TRUE(hear(d, name, 1, NOW));
        demands_end(d, str_from(name));
    }
    demands_free(d);
}

static void test_said(void)
{
    struct demands *d = begin(1, 20, 50);

    CU_ASSERT_EQUAL(demands_say(d, NOW), 0);
    CU_ASSERT_EQUAL(flood(d, "example.com", 10, 10, NOW), 1);
    CU_ASSERT_TRUE(demands_has_news(d, NOW));
    CU_ASSERT_EQUAL(demands_say(d, NOW), NOW + DEMANDS_SAY_SECONDS);
    CU_ASSERT_STRING_EQUAL(said,
                           "visitors ask for more names than acme_demand_total = 1 lets wait");
    CU_ASSERT_EQUAL(flood(d, "example.com", 10, 10, NOW + 1), 1);
    CU_ASSERT_FALSE(demands_has_news(d, NOW + 1));
    CU_ASSERT_EQUAL(demands_say(d, NOW + 1), NOW + DEMANDS_SAY_SECONDS);
    CU_ASSERT_EQUAL(demands_say(d, NOW + DEMANDS_SAY_SECONDS), NOW + 2 * DEMANDS_SAY_SECONDS);
    /* a minute without any */
    CU_ASSERT_EQUAL(demands_say(d, NOW + 2 * DEMANDS_SAY_SECONDS), 0);
    CU_ASSERT_STRING_EQUAL(said, "");
    demands_free(d);
    demands_free(NULL);
}

int main(void)
{
    CU_TestInfo tests[] = {{"total", test_total},       {"address", test_address},
                           {"domain", test_domain},     {"heard together", test_heard_together},
                           {"restored", test_restored}, {"marks", test_marks},
                           {"said", test_said},         CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "demands", .pTests = tests}, CU_SUITE_INFO_NULL};

    log_open("test", LOG_CRIT, LOG_KEY_VALUE);
    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
