#ifndef SUPPORT_SUITE_H
#define SUPPORT_SUITE_H

#include <CUnit/CUnit.h>

/* The whole of a unit program's main: one suite, its table ended by CU_TEST_INFO_NULL. */
int suite_run(const char *name, const CU_TestInfo *tests);

#endif
