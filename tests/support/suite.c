#include "tests/support/suite.h"

#include <CUnit/Basic.h>

int suite_run(const char *name, const CU_TestInfo *tests)
{
    CU_SuiteInfo suites[] = {{.pName = name, .pTests = (CU_TestInfo *)tests}, CU_SUITE_INFO_NULL};
    int rc = 1;

    if (CU_initialize_registry() == CUE_SUCCESS && CU_register_suites(suites) == CUE_SUCCESS) {
        CU_basic_run_tests();
        rc = CU_get_number_of_failures() ? 1 : 0;
    }
    CU_cleanup_registry();
    return rc;
}
