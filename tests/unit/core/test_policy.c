#include <CUnit/Basic.h>
#include <stdint.h>

#include "reconciler/base/attr.h"
#include "reconciler/core/policy.h"

#define HOUR ((int64_t)3600)
#define DAY ((int64_t)86400)
#define START ((int64_t)1800000000)
#define YEAR_1 (-62135596800)
#define YEAR_9999_END ((int64_t)253402300799)

static const struct policy plain = {0};

static int64_t renew_at(int64_t not_before, int64_t not_after, const struct policy *policy,
                        int64_t ari_at, enum policy_clamp *clamp)
{
    return policy_renew_at(
        &(struct policy_certificate){
            .name = STR("a"), .not_before = not_before, .not_after = not_after, .ari_at = ari_at},
        policy, clamp);
}

/* How long before the end a certificate of `lifetime` seconds is due. */
static int64_t window_of(int64_t lifetime, const struct policy *policy, enum policy_clamp *clamp)
{
    int64_t end = START + lifetime;

    return end - renew_at(START, end - 1, policy, 0, clamp);
}

static void default_window(void)
{
    static const struct {
        int64_t lifetime, window;
    } rows[] = {
        {HOUR, HOUR / 2},
        {6 * DAY, 3 * DAY},
        {160 * HOUR, 80 * HOUR},
        {10 * DAY, 5 * DAY}, /* "10 days or less" */
        {10 * DAY + 1, (10 * DAY + 1) / 3},
        {45 * DAY, 15 * DAY},
        {47 * DAY, 47 * DAY / 3},
        {64 * DAY, 64 * DAY / 3},
        {90 * DAY, 30 * DAY},
        {365 * DAY, 365 * DAY / 3},
        {5 * 365 * DAY, 5 * 365 * DAY / 3},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        enum policy_clamp clamp = POLICY_CLAMPED_LOW;

        CU_ASSERT_EQUAL(policy_lifetime(START, START + rows[i].lifetime - 1), rows[i].lifetime);
        CU_ASSERT_EQUAL(window_of(rows[i].lifetime, &plain, &clamp), rows[i].window);
        CU_ASSERT_EQUAL(clamp, POLICY_NOT_CLAMPED);
    }
}

/* Every lifetime with every threshold: the stated days where they lie inside the bounds. */
static void stated_window(void)
{
    static const int64_t lifetimes[] = {HOUR,     6 * DAY,  10 * DAY,  45 * DAY,     47 * DAY,
                                        64 * DAY, 90 * DAY, 365 * DAY, 5 * 365 * DAY};
    static const double extra[] = {0.25, 0.5, 1.5, -1, -1e300, 1e300};

    for (size_t i = 0; i < ARRAY_LENGTH(lifetimes); i++)
        for (int days = 0; days <= 400 + (int)ARRAY_LENGTH(extra) - 1; days++) {
            double threshold = days <= 399 ? days : days == 400 ? 400 : extra[days - 401];
            struct policy policy = {.threshold_is_stated = true, .threshold_days = threshold};
            enum policy_clamp clamp;
            int64_t window = window_of(lifetimes[i], &policy, &clamp);
            double stated = threshold * (double)DAY;

            if (stated < (double)(lifetimes[i] / 20)) {
                CU_ASSERT_EQUAL(window, lifetimes[i] / 20);
                CU_ASSERT_EQUAL(clamp, POLICY_CLAMPED_LOW);
            } else if (stated > (double)(lifetimes[i] / 2)) {
                CU_ASSERT_EQUAL(window, lifetimes[i] / 2);
                CU_ASSERT_EQUAL(clamp, POLICY_CLAMPED_HIGH);
            } else {
                CU_ASSERT_EQUAL(window, (int64_t)stated);
                CU_ASSERT_EQUAL(clamp, POLICY_NOT_CLAMPED);
            }
            CU_ASSERT(window * 2 <= lifetimes[i] && window * 20 >= lifetimes[i] - 20);
        }
}

/* A few rows in numbers, so that the loop above cannot be wrong in the same way as the code. */
static void stated_examples(void)
{
    static const struct {
        int64_t lifetime;
        double days;
        int64_t window;
        enum policy_clamp clamp;
    } rows[] = {
        {90 * DAY, 14, 14 * DAY, POLICY_NOT_CLAMPED},
        {90 * DAY, 0, 9 * DAY / 2, POLICY_CLAMPED_LOW},
        {90 * DAY, 45, 45 * DAY, POLICY_NOT_CLAMPED},
        {90 * DAY, 46, 45 * DAY, POLICY_CLAMPED_HIGH},
        {90 * DAY, 400, 45 * DAY, POLICY_CLAMPED_HIGH},
        {6 * DAY, 14, 3 * DAY, POLICY_CLAMPED_HIGH},
        {HOUR, 14, HOUR / 2, POLICY_CLAMPED_HIGH},
        {365 * DAY, 14, 365 * DAY / 20, POLICY_CLAMPED_LOW},
        {5 * 365 * DAY, 400, 400 * DAY, POLICY_NOT_CLAMPED},
        {45 * DAY, 2.5, 5 * DAY / 2, POLICY_NOT_CLAMPED},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct policy policy = {.threshold_is_stated = true, .threshold_days = rows[i].days};
        enum policy_clamp clamp;

        CU_ASSERT_EQUAL(window_of(rows[i].lifetime, &policy, &clamp), rows[i].window);
        CU_ASSERT_EQUAL(clamp, rows[i].clamp);
    }
}

static void not_a_number(void)
{
    struct policy policy = {.threshold_is_stated = true, .threshold_days = __builtin_nan("")};
    enum policy_clamp clamp;

    CU_ASSERT_EQUAL(window_of(90 * DAY, &policy, &clamp), 90 * DAY / 20);
    CU_ASSERT_EQUAL(clamp, POLICY_CLAMPED_LOW);
    policy.threshold_days = __builtin_inf();
    CU_ASSERT_EQUAL(window_of(90 * DAY, &policy, &clamp), 45 * DAY);
}

static void renewal_information(void)
{
    int64_t end = START + 90 * DAY - 1, due = START + 60 * DAY;

    CU_ASSERT_EQUAL(renew_at(START, end, &plain, 0, NULL), due);
    CU_ASSERT_EQUAL(renew_at(START, end, &plain, due - 1, NULL), due - 1);
    CU_ASSERT_EQUAL(renew_at(START, end, &plain, due + 1, NULL), due);
}

/* Due within a minute of its issuance: ordered in vain. */
static void needless(void)
{
    CU_ASSERT_TRUE(policy_is_needless(START, START + 3600));
    CU_ASSERT_TRUE(policy_is_needless(START + POLICY_NEEDLESS_SECONDS, START));
    CU_ASSERT_FALSE(policy_is_needless(START + POLICY_NEEDLESS_SECONDS + 1, START));
}

/* UBSan watches the arithmetic; the results must stay in order. */
static void extreme_dates(void)
{
    static const int64_t ends[] = {INT64_MIN, YEAR_1, -1, 0, 1, START, YEAR_9999_END, INT64_MAX};

    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++)
        for (size_t k = 0; k < ARRAY_LENGTH(ends); k++) {
            int64_t lifetime = policy_lifetime(ends[i], ends[k]);
            int64_t at = renew_at(ends[i], ends[k], &plain, 0, NULL);

            CU_ASSERT_EQUAL(lifetime > 0, k >= i);
            if (ends[k] >= YEAR_1 && ends[k] <= YEAR_9999_END)
                CU_ASSERT(at <= ends[k] + 1);
        }
    CU_ASSERT_EQUAL(policy_lifetime(YEAR_1, YEAR_9999_END), YEAR_9999_END - YEAR_1 + 1);
    CU_ASSERT_EQUAL(policy_lifetime(START, START - 1), 0);
    CU_ASSERT_EQUAL(policy_lifetime(START, START - DAY), 0);
    CU_ASSERT_EQUAL(policy_lifetime(START, START), 1);
}

static int64_t delay_of(unsigned failures, int64_t lifetime, const struct policy *policy,
                        const char *name)
{
    return policy_retry_at(failures, START, 0, lifetime, str_from(name), policy) - START;
}

static void check_delay(unsigned failures, int64_t lifetime, const struct policy *policy,
                        int64_t low, int64_t high)
{
    static const char *const names[] = {"a.example", "b.example", "c.d.example", "x",
                                        "longer.name"};

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        int64_t delay = delay_of(failures, lifetime, policy, names[i]);
        CU_ASSERT(delay >= low && delay <= high);
    }
}

static void backoff_series(void)
{
    static const int64_t series[] = {60, 600, 6000, DAY, DAY, DAY};

    for (unsigned k = 1; k <= ARRAY_LENGTH(series); k++)
        check_delay(k, 0, &plain, series[k - 1] * 9 / 10, series[k - 1] * 11 / 10);
    check_delay(UINT32_MAX, 0, &plain, DAY * 9 / 10, DAY * 11 / 10);
}

static void backoff_cap(void)
{
    /* A tenth of 6 days is 14.4 hours, of an hour 6 minutes: never more, jitter or not. */
    check_delay(4, 6 * DAY, &plain, 6 * DAY * 9 / 100, 6 * DAY / 10);
    check_delay(2, HOUR, &plain, HOUR * 9 / 100, HOUR / 10);
    check_delay(1, HOUR, &plain, 54, 66);
    check_delay(4, 90 * DAY, &plain, DAY * 9 / 10, DAY * 11 / 10);
    /* A lifetime of seconds does not lead to a try a second. */
    check_delay(1, 1, &plain, 54, 60);
    check_delay(9, 1, &plain, 54, 60);
}

static void backoff_floor(void)
{
    struct policy five = {.backoff_is_stated = true, .backoff_minutes = 5};
    struct policy zero = {.backoff_is_stated = true, .backoff_minutes = 0};
    struct policy minus = {.backoff_is_stated = true, .backoff_minutes = -7};
    struct policy week = {.backoff_is_stated = true, .backoff_minutes = 7 * 24 * 60};
    struct policy absurd = {.backoff_is_stated = true, .backoff_minutes = 1e308};
    struct policy unstated = {.backoff_minutes = 1e6};

    check_delay(1, 0, &five, 300, 330);
    check_delay(2, 0, &five, 540, 660);
    check_delay(1, 0, &zero, 60, 66);
    check_delay(1, 0, &minus, 60, 66);
    check_delay(1, 0, &week, 7 * DAY, 7 * DAY * 11 / 10);
    check_delay(1, HOUR, &week, 7 * DAY, 7 * DAY * 11 / 10);
    check_delay(1, 0, &unstated, 54, 66);
    CU_ASSERT(policy_retry_at(1, INT64_MAX, 0, 0, STR("a"), &absurd) > START);
    CU_ASSERT(policy_retry_at(1, INT64_MIN, 0, 0, STR("a"), &absurd) < START);
}

static void backoff_stated_by_ca(void)
{
    CU_ASSERT_EQUAL(policy_retry_at(1, START, START + 5 * HOUR, 0, STR("a"), &plain),
                    START + 5 * HOUR);
    CU_ASSERT_EQUAL(policy_retry_at(4, START, START + 1, 0, STR("a"), &plain),
                    START + delay_of(4, 0, &plain, "a"));
    CU_ASSERT_EQUAL(policy_retry_at(0, 0, START, 0, STR("a"), &plain), START);
    CU_ASSERT_EQUAL(policy_retry_at(0, 0, 0, 0, STR("a"), &plain), 0);
}

static void jitter_is_deterministic(void)
{
    struct policy other = {.jitter_seed = 1};
    bool by_name = false, by_seed = false, by_count = false;

    for (unsigned k = 4; k < 12; k++) {
        CU_ASSERT_EQUAL(delay_of(k, 0, &plain, "a.example"), delay_of(k, 0, &plain, "a.example"));
        by_name |= delay_of(k, 0, &plain, "a.example") != delay_of(k, 0, &plain, "b.example");
        by_seed |= delay_of(k, 0, &plain, "a.example") != delay_of(k, 0, &other, "a.example");
        by_count |= delay_of(k, 0, &plain, "a.example") != delay_of(k + 1, 0, &plain, "a.example");
    }
    CU_ASSERT(by_name && by_seed && by_count);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"default window", default_window},
        {"stated window", stated_window},
        {"stated examples", stated_examples},
        {"not a number", not_a_number},
        {"renewal information", renewal_information},
        {"needless", needless},
        {"extreme dates", extreme_dates},
        {"backoff series", backoff_series},
        {"backoff cap", backoff_cap},
        {"backoff floor", backoff_floor},
        {"backoff stated by the CA", backoff_stated_by_ca},
        {"jitter is deterministic", jitter_is_deterministic},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"policy", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
