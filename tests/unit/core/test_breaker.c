#include "reconciler/core/breaker.h"

#include <CUnit/Basic.h>

#define NOW ((int64_t)1800000000)
#define HOUR ((int64_t)3600)

/* Asks and orders until it says no, at most `most` times: how many went. */
static unsigned order(struct breaker *b, uint64_t names, unsigned most, int64_t now)
{
    unsigned count = 0;

    for (; count < most && breaker_ask(b, names, now) == now; count++)
        breaker_count(b, now);
    return count;
}

static void a_loop(void)
{
    struct breaker b = {0};
    unsigned bound = BREAKER_ORDERS_A_NAME + BREAKER_ORDERS_SPARE;

    CU_ASSERT_EQUAL(order(&b, 1, 100000, NOW), bound);
    CU_ASSERT_EQUAL(breaker_stopped_until(&b, NOW), NOW + HOUR);
    CU_ASSERT_EQUAL(breaker_ask(&b, 1, NOW + 1), NOW + HOUR);
    CU_ASSERT_EQUAL(b.count, bound);
    CU_ASSERT_EQUAL(b.bound, bound);
    CU_ASSERT_EQUAL(breaker_ask(&b, 1, NOW + HOUR), NOW + HOUR);
    CU_ASSERT_EQUAL(breaker_stopped_until(&b, NOW + HOUR), 0);
    CU_ASSERT_EQUAL(order(&b, 1, 100000, NOW + HOUR), bound);
}

/* Any burst that names explain goes through, at any pace. */
static void a_burst(void)
{
    struct breaker b = {0};

    CU_ASSERT_EQUAL(order(&b, 1000000, 1000000, NOW), 1000000);
    for (int minute = 1; minute < 60; minute++)
        CU_ASSERT_EQUAL(order(&b, 1000000, 30000, NOW + minute * 60), 30000);
    CU_ASSERT_EQUAL(breaker_stopped_until(&b, NOW + HOUR), 0);
}

/* A certificate of 20 seconds, a ladder of a minute: each outcome explains the next one. */
static void short_lifetimes(void)
{
    struct breaker b = {0};

    for (int64_t now = NOW; now < NOW + 10 * HOUR; now += 10) {
        CU_ASSERT_EQUAL(breaker_ask(&b, 1, now), now);
        breaker_count(&b, now);
        breaker_explain(&b, now + 10, now);
    }
}

/* What was explained for later does not explain a loop now. */
static void not_yet(void)
{
    struct breaker b = {0};
    unsigned count = 0;

    while (count < 1000 && breaker_ask(&b, 1, NOW) == NOW) {
        breaker_count(&b, NOW);
        breaker_explain(&b, NOW + 600 * ++count, NOW);
    }
    CU_ASSERT_EQUAL(count, BREAKER_ORDERS_A_NAME + BREAKER_ORDERS_SPARE);
}

/* The window is an hour: what went out before it counts no more. */
static void a_rolling_hour(void)
{
    struct breaker b = {0};

    for (int64_t now = NOW; now < NOW + 100 * HOUR; now += HOUR / 20)
        CU_ASSERT_EQUAL(order(&b, 1, 1, now), 1);
}

/* The clock is set: back forgets nothing and stops nothing for longer; ahead is an hour gone by. */
static void a_clock_that_jumps(void)
{
    struct breaker b = {0};

    order(&b, 1, 10, NOW);
    CU_ASSERT_EQUAL(order(&b, 1, 1000, NOW - 365 * 24 * HOUR),
                    BREAKER_ORDERS_A_NAME + BREAKER_ORDERS_SPARE - 10);
    CU_ASSERT(breaker_stopped_until(&b, NOW - 365 * 24 * HOUR) > 0);
    CU_ASSERT_EQUAL(breaker_stopped_until(&b, NOW - 366 * 24 * HOUR), 0);
    CU_ASSERT_EQUAL(order(&b, 1, 5, NOW + 365 * 24 * HOUR), 5);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"a loop", a_loop},
        {"a burst", a_burst},
        {"short lifetimes", short_lifetimes},
        {"explained for later", not_yet},
        {"a rolling hour", a_rolling_hour},
        {"a clock that jumps", a_clock_that_jumps},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"breaker", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
