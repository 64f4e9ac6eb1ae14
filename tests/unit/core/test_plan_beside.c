/* What the plan makes of certificates beside the one that is asked for: of another CA, or family. */
#include <CUnit/Basic.h>

#include "tests/support/plan_check.h"
#include "tests/support/suite.h"

/* A certificate of the CA that it may fall back to is kept, and renewed at the first one. */
static void fallback(void)
{
    struct ca second = {.directory = STR("https://second.test/")}, first = plan_check_ca;
    struct desired_name d = plan_check_wanted;
    struct observed_name o = plan_check_aged(10);
    struct action a;

    d.ca = &first;
    o.directory = second.directory;
    CU_ASSERT_EQUAL(plan_check_decide(&d, &o).reason, REASON_OTHER_DIRECTORY);
    first.fallback = &second;
    plan_check(plan_check_decide(&d, &o), PLAN_KEEP, PLAN_KEEP, REASON_NOT_DUE, NOW + 50 * DAY,
               "valid");
    o = plan_check_aged(60);
    o.directory = second.directory;
    a = plan_check_decide(&d, &o);
    plan_check(a, PLAN_RENEW, PLAN_RENEW, REASON_RENEWAL_DUE, NOW, "due");
    CU_ASSERT(!a.replaces && a.desired->ca == &first);
    o.directory = STR("https://third.test/");
    CU_ASSERT_EQUAL(plan_check_decide(&d, &o).reason, REASON_OTHER_DIRECTORY);
}

/* What is stored of another key family than the file's is served while nothing else is. */
static void stands_in(void)
{
    struct observed_name o = plan_check_aged(10);
    struct desired_name left_alone = plan_check_wanted;

    o.subject.family = FAMILY_RSA;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_WAIT, PLAN_RETIRE, REASON_STANDS_IN,
               o.facts.not_after + 1, "valid");
    o.first_ends_at = NOW - 1;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_WAIT, PLAN_RETIRE, REASON_STANDS_IN,
               o.facts.not_after + 1, "valid");
    o.first_ends_at = NOW;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_RETIRE, PLAN_RETIRE,
               REASON_NOT_DECLARED, NOW, "retired");
    o.first_ends_at = 0;
    left_alone.is_left_alone = true;
    plan_check(plan_check_decide(&left_alone, &o), PLAN_RETIRE, PLAN_RETIRE, REASON_LEFT_ALONE, NOW,
               "retired");
    plan_check(plan_check_decide(NULL, &o), PLAN_RETIRE, PLAN_RETIRE, REASON_NOT_DECLARED, NOW,
               "retired");
    o = plan_check_aged(91); /* it is of no use any more */
    o.subject.family = FAMILY_RSA;
    CU_ASSERT_EQUAL(plan_check_decide(&plan_check_wanted, &o).action, PLAN_RETIRE);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"fallback", fallback},
        {"stands in", stands_in},
        CU_TEST_INFO_NULL,
    };

    return suite_run("plan beside", tests);
}
