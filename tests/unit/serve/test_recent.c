#include "reconciler/serve/recent.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>

static void test_time(void)
{
    struct recent *r = recent_new(16, 100);

    CU_ASSERT_PTR_NOT_NULL_FATAL(r);
    CU_ASSERT_FALSE(recent_has(r, STR("a"), 1000));
    recent_mark(r, STR("a"), 1000);
    CU_ASSERT_TRUE(recent_has(r, STR("a"), 1000));
    CU_ASSERT_TRUE(recent_has(r, STR("a"), 1099));
    CU_ASSERT_FALSE(recent_has(r, STR("a"), 1100));
    CU_ASSERT_FALSE(recent_has(r, STR("b"), 1000));
    recent_mark(r, STR("a"), 1050);
    CU_ASSERT_TRUE(recent_has(r, STR("a"), 1149));
    recent_forget(r, STR("a"));
    CU_ASSERT_FALSE(recent_has(r, STR("a"), 1051));
    recent_forget(r, STR("never seen"));
    recent_free(r);
    recent_free(NULL);
}

/* It stays bounded: the newest are remembered, some of the oldest are not. */
static void test_bound(void)
{
    struct recent *r = recent_new(64, 1000000);
    size_t known = 0;
    char text[16];

    CU_ASSERT_PTR_NOT_NULL_FATAL(r);
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof(text), "%d", i);
        recent_mark(r, str_from(text), 1 + i);
        CU_ASSERT_TRUE(recent_has(r, str_from(text), 1 + i));
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof(text), "%d", i);
        known += recent_has(r, str_from(text), 1000);
    }
    CU_ASSERT_TRUE(known <= 64 && known > 32);
    recent_free(r);
}

int main(void)
{
    CU_TestInfo tests[] = {{"time", test_time}, {"bound", test_bound}, CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "recent", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
