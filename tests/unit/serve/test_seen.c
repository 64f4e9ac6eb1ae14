/* One address that floods leaves room for the names of others. */

#include "reconciler/serve/seen.h"

#include <CUnit/Basic.h>
#include <sys/socket.h>

static struct address_block address(unsigned number)
{
    return (struct address_block){
        .family = AF_INET, .bytes = {198, 51, (unsigned char)(number >> 8), (unsigned char)number}};
}

static void test_one_address(void)
{
    struct address_block flood = address(1), other = address(2);
    struct seen *s = seen_new(SEEN_MS);
    unsigned told = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    for (int i = 0; i < 1000; i++)
        told += seen_take(s, &flood, 5000 + i % 999);
    CU_ASSERT_EQUAL(told, SEEN_PER_ADDRESS);
    CU_ASSERT_TRUE(seen_take(s, &other, 5999));
    CU_ASSERT_TRUE(seen_take(s, &flood, 6000));
    seen_free(s);
}

static void test_many_addresses(void)
{
    struct seen *s = seen_new(SEEN_MS);
    unsigned told = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    for (unsigned i = 0; i < 10 * SEEN_PER_SECOND; i++) {
        struct address_block from = address(i);
        told += seen_take(s, &from, 5000);
    }
    CU_ASSERT_EQUAL(told, SEEN_PER_SECOND);
    seen_free(s);
    seen_free(NULL);
}

static void test_names(void)
{
    struct seen *s = seen_new(SEEN_MS);

    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_FALSE(seen_has(s, STR("a.test"), 5000));
    seen_mark(s, STR("a.test"), 5000);
    CU_ASSERT_TRUE(seen_has(s, STR("a.test"), 5000 + SEEN_MS - 1));
    CU_ASSERT_FALSE(seen_has(s, STR("a.test"), 5000 + SEEN_MS));
    seen_free(s);
}

int main(void)
{
    CU_TestInfo tests[] = {{"one address", test_one_address},
                           {"many addresses", test_many_addresses},
                           {"names", test_names},
                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "seen", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
