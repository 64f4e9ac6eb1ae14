/* Who goes first: renewals by their end, then what the file names, then what visitors ask for. */

#include "reconciler/issue/urgent.h"

#include <CUnit/Basic.h>

static struct task task(uint64_t number, enum urgency_kind kind, int64_t not_after)
{
    return (struct task){.number = number, .urgency = {.kind = kind, .not_after = not_after}};
}

static void test_order(void)
{
    struct task tasks[] = {
        task(1, URGENCY_DEMANDED, 0),   task(2, URGENCY_DEMANDED, 0),
        task(3, URGENCY_DECLARED, 0),   task(4, URGENCY_RENEWAL, 2000),
        task(5, URGENCY_DECLARED, 0),   task(6, URGENCY_RENEWAL, 1000),
        task(7, URGENCY_RENEWAL, 2000),
    };
    const uint64_t expected[] = {6, 4, 7, 3, 5, 1, 2};
    struct urgent u;

    urgent_init(&u);
    for (size_t i = 0; i < 7; i++)
        urgent_put(&u, &tasks[i]);
    CU_ASSERT_EQUAL(u.count, 7);
    CU_ASSERT_EQUAL(u.counts[URGENCY_RENEWAL], 3);
    for (size_t i = 0; i < 7; i++) {
        CU_ASSERT_EQUAL(urgent_first(&u)->number, expected[i]);
        CU_ASSERT_EQUAL(urgent_take(&u)->number, expected[i]);
    }
    CU_ASSERT_PTR_NULL(urgent_take(&u));
    CU_ASSERT_EQUAL(u.count, 0);
}

/* One that could not go yet comes back to its place. */
static void test_return(void)
{
    struct task first = task(1, URGENCY_DECLARED, 0), second = task(2, URGENCY_DECLARED, 0);
    struct urgent u;

    urgent_init(&u);
    urgent_put(&u, &first);
    urgent_put(&u, &second);
    CU_ASSERT_PTR_EQUAL(urgent_take(&u), &first);
    urgent_put(&u, &first);
    CU_ASSERT_PTR_EQUAL(urgent_first(&u), &first);
    urgent_remove(&u, &first);
    CU_ASSERT_PTR_EQUAL(urgent_first(&u), &second);
}

int main(void)
{
    CU_TestInfo tests[] = {{"order", test_order}, {"return", test_return}, CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "urgent", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
