/* What comes of orders: certificates in vain, refusals, limits of the account, names nobody may. */
#include "reconciler/control/outcome.h"

#include <CUnit/Basic.h>
#include <string.h>

#include "tests/fakes/controlled.h"
#include "tests/support/suite.h"

#define DAY_MS INT64_C(86400000)
#define IS(name, state) "\"name\": \"" name "\",\n      \"state\": \"" state "\""

static struct controlled c;

static void start(const char *config, const struct fake_answer *answers, size_t count)
{
    controlled_open(&c, NULL);
    fake_ca_script(c.ca, answers, count);
    controlled_write(&c, config);
    controlled_start(&c);
}

static void certify_from(int64_t seconds)
{
    pthread_mutex_lock(&c.guard);
    fake_ca_options(c.ca)->not_before = c.began + seconds;
    pthread_mutex_unlock(&c.guard);
}

/* Certificates that are due, over, or far off when they come: a condition, and patience. */
static void in_vain(void)
{
    static const struct {
        int64_t begins;
        const char *said;
    } cases[] = {
        {-80 * 86400, "was due for renewal already"},
        {-200 * 86400, "has expired already"},
        {30 * 86400, "too late"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        controlled_open(&c, NULL);
        certify_from(cases[i].begins);
        controlled_write(&c, "domains: [a.test]");
        controlled_start(&c);
        CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, cases[i].said));
        CU_ASSERT_EQUAL(controlled_orders(&c), 1);
        certify_from(0);
        controlled_pass(&c, 2 * 60 * 1000); /* a minute, then ten */
        for (int n = 0; n < CONTROLLED_PATIENCE && controlled_orders(&c) < 2; n++)
            controlled_pass(&c, 20);
        CU_ASSERT_EQUAL(controlled_orders(&c), 2);
        CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.test", "valid")));
        controlled_close(&c);
    }
}

#define PROBLEM(type) "{\"type\":\"urn:ietf:params:acme:error:" type "\",\"detail\":\"said so\"}"
#define REFUSES(how_often, code, after, type)                                     \
    {                                                                             \
        .path = "/order", .nth = how_often, .status = code, .retry_after = after, \
        .content_type = "application/problem+json", .body = PROBLEM(type)         \
    }

static void for_good(void)
{
    static const struct fake_answer answers[] = {REFUSES(0, 400, NULL, "rejectedIdentifier")};

    start("domains: [a.test]", answers, 1);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "said so"));
    controlled_pass(&c, DAY_MS / 4); /* it is tried again tomorrow */
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "\"failures\": 1"));
    pthread_mutex_lock(&c.guard);
    fake_ca_script(c.ca, NULL, 0);
    pthread_mutex_unlock(&c.guard);
    controlled_write(&c, "domains: [a.test, b.test]"); /* another file: it is forgiven */
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.test", "valid")));
    controlled_close(&c);
}

/* The account is limited, as two names find out: all others wait as long. */
static void of_the_account(void)
{
    static const struct fake_answer answers[] = {REFUSES(1, 429, "86400", "rateLimited"),
                                                 REFUSES(1, 429, "86400", "rateLimited"),
                                                 REFUSES(1, 429, "86400", "rateLimited")};

    start("domains: [a.test, b.test, c.test]", answers, 3);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says, "account_limited"));
    controlled_write(&c, "domains: [a.test, b.test, c.test, d.test]");
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "\"d.test\""));
    CU_ASSERT_EQUAL(controlled_orders(&c), 0);
    controlled_pass(&c, DAY_MS + DAY_MS / 8);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("d.test", "valid")));
    controlled_close(&c);
}

/* The file asks for a storage that there is not yet: it is not taken, and that is told. */
static void of_storages_to_come(void)
{
    controlled_open(&c, NULL);
    controlled_write(&c, "domains: [a.test]");
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.test", "valid")));
    controlled_write_text(&c, "_format_version: \"3.0\"\nplugins:\n- name: acme\n"
                              "  config: {account_email: a@example.com, tos_accepted: true,\n"
                              "           domains: [b.test], storage: redis,\n"
                              "           storage_config: {redis: {host: r.test}}}\n");
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says, "file_refused"));
    CU_ASSERT_TRUE(controlled_says(&c, "redis"));
    CU_ASSERT_TRUE(controlled_lists(&c, IS("a.test", "valid")));
    CU_ASSERT_EQUAL(controlled_stop(&c), 0);
    controlled_start(&c); /* nor at a start */
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_has_ended, NULL));
    CU_ASSERT_EQUAL(controlled_stop(&c), 1);
    controlled_close(&c);
}

/* Failures stay through a restart, with the time of their next try. */
static void remembered(void)
{
    start("domains: [a.test]", NULL, 0);
    atomic_store(&c.is_cut, true);
    c.turn_ms = CONTROLLED_LONG_TURN_MS;
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "\"failures\": 1"));
    CU_ASSERT_EQUAL(controlled_stop(&c), 0);
    atomic_store(&c.is_cut, false);
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.test", "failing")));
    CU_ASSERT_EQUAL(controlled_orders(&c), 0);
    c.turn_ms = CONTROLLED_TURN_MS;
    controlled_pass(&c, 3 * 60 * 1000);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.test", "valid")));
    controlled_close(&c);
}

/* Stopped while validations are under way: it is brought home, or goes on after the restart. */
static void stopped_midway(void)
{
    controlled_open(&c, NULL);
    fake_ca_options(c.ca)->polls_pending = 3;
    controlled_write(&c, "domains: [a.test, b.test]");
    controlled_start(&c);
    for (int n = 0; n < CONTROLLED_PATIENCE && !controlled_orders(&c); n++)
        controlled_pass(&c, 5);
    CU_ASSERT_EQUAL(controlled_stop(&c), 0);
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.test", "valid")));
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("b.test", "valid")));
    CU_ASSERT(controlled_orders(&c) <= 2);
    controlled_close(&c);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"in vain", in_vain},
        {"for good", for_good},
        {"of the account", of_the_account},
        {"of storages to come", of_storages_to_come},
        {"remembered", remembered},
        {"stopped midway", stopped_midway},
        CU_TEST_INFO_NULL,
    };

    return suite_run("outcome", tests);
}
