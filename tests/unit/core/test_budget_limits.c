#include "reconciler/core/budget.h"

#include <CUnit/Basic.h>

#include "reconciler/base/attr.h"
#include "reconciler/core/budget_bucket.h"

#define HOUR ((int64_t)3600)
#define DAY ((int64_t)86400)
#define NOW ((int64_t)1800000000)
#define PRODUCTION STR("https://acme-v02.api.letsencrypt.org/directory")

static void known(void)
{
    const struct budget_limits *limits = budget_known(PRODUCTION);

    CU_ASSERT_PTR_NOT_NULL_FATAL(limits);
    CU_ASSERT(limits->scopes[BUDGET_ORDERS].count == 300 &&
              limits->scopes[BUDGET_ORDERS].seconds == 3 * HOUR);
    CU_ASSERT(limits->scopes[BUDGET_DOMAIN].count == 50 &&
              limits->scopes[BUDGET_DOMAIN].seconds == 7 * DAY);
    CU_ASSERT(limits->scopes[BUDGET_SET].count == 5 && limits->scopes[BUDGET_FAILURES].count == 5);
    limits = budget_known(STR("https://acme-staging-v02.api.letsencrypt.org/directory"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(limits);
    CU_ASSERT(limits->scopes[BUDGET_DOMAIN].count == 30000);
    CU_ASSERT_PTR_NULL(budget_known(STR("https://localhost:14000/dir")));
    CU_ASSERT_PTR_NULL(budget_known(STR("https://acme-v02.api.letsencrypt.org.evil.com/")));
    CU_ASSERT_PTR_NULL(budget_known(STR("")));
}

static void parses(void)
{
    static const char *const wrong[] = {
        "orders",
        "orders=",
        "orders=5",
        "orders=5/",
        "orders=5/h",
        "orders=0/1h",
        "orders=5/0h",
        "orders=5/1w",
        "orders=-5/1h",
        "orders=5/1h,",
        "certs=5/1h",
        "renewals=free",
        "x=exempt",
        "orders=5/1h=",
        "orders=1000000001/1h",
        "orders=1/36501d",
        "orders=1/99999999999999999999d",
        "orders=1/18446744073709551615d",
    };
    struct budget_limits limits;
    struct error e;

    CU_ASSERT_EQUAL_FATAL(
        budget_parse(STR(" orders=300/3h  domain=50/7d set=5/90m failures=7/30s renewals=exempt"),
                     &limits, &e),
        0);
    CU_ASSERT(limits.scopes[BUDGET_ORDERS].count == 300);
    CU_ASSERT(limits.scopes[BUDGET_ORDERS].seconds == 3 * HOUR);
    CU_ASSERT(limits.scopes[BUDGET_SET].seconds == 90 * 60);
    CU_ASSERT(limits.scopes[BUDGET_FAILURES].seconds == 30);
    CU_ASSERT(limits.renewals_exempt && !limits.ari_exempt);
    CU_ASSERT_EQUAL(budget_parse(STR(""), &limits, &e), 0);
    CU_ASSERT_EQUAL(limits.scopes[BUDGET_ORDERS].count, 0);
    CU_ASSERT_EQUAL(budget_parse(STR("orders=1000000000/36500d ari=exempt"), &limits, &e), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        CU_ASSERT_EQUAL(budget_parse(str_from(wrong[i]), &limits, &e), -1);
        CU_ASSERT_EQUAL(e.kind, ERROR_USAGE);
        CU_ASSERT_EQUAL(limits.scopes[BUDGET_ORDERS].count, 1000000000);
    }
}

static void registered_domains(void)
{
    static const char *const rows[][2] = {
        {"example.com", "example.com"},
        {"a.b.example.com", "example.com"},
        {"www.example.co.uk", "example.co.uk"},
        {"co.uk", "co.uk"},
        {"com", "com"},
        {"x.github.io", "x.github.io"},
        {"10.1.2.3", "10.1.2.3"},
        {"a.test", "a.test"},
        {"a.b.test", "b.test"},
        {"", ""},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        CU_ASSERT(str_equal_cstr(policy_registered_domain(str_from(rows[i][0])), rows[i][1]));
}

/* The bucket as one instant against a bucket that counts: the same answers at every step. */
static void bucket_arithmetic(void)
{
    const struct budget_limit limit = {5, 50}; /* one back every 10 s */
    struct budget_bucket bucket = {.full_at = -1000000};
    double tokens = 5;
    uint64_t state = 1;
    int64_t last = 0;

    for (int64_t now = 0; now < 5000; now++) {
        bool may;

        state = state * 6364136223846793005u + 1442695040888963407u;
        tokens += (double)(now - last) / 10;
        tokens = tokens > 5 ? 5 : tokens;
        last = now;
        may = tokens >= 1 - 1e-9;
        CU_ASSERT_EQUAL(budget_bucket_when(&bucket, &limit, now) == now, may);
        CU_ASSERT_EQUAL(budget_bucket_left(&bucket, &limit, now), (uint32_t)(tokens + 1e-9));
        if (may && state >> 60 < 4) {
            budget_bucket_take(&bucket, &limit, now);
            tokens -= 1;
        }
    }
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"known", known},
        {"parses", parses},
        {"registered domains", registered_domains},
        {"bucket arithmetic", bucket_arithmetic},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"limits", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
