#include "tests/support/plan_check.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

const struct policy plan_check_policy = {0};
const struct ca plan_check_ca = {.directory = STR_INIT("https://ca.test/directory")};

/* A certificate of 90 days from our CA, of which `age` days have passed, served. */
struct observed_name plan_check_aged(int age)
{
    return (struct observed_name){.subject.name = STR("a.test"),
                                  .has_certificate = true,
                                  .facts.not_before = NOW - age * DAY,
                                  .facts.not_after = NOW - age * DAY + 90 * DAY - 1,
                                  .directory = plan_check_ca.directory,
                                  .facts.key_type = KEY_P256,
                                  .managed.active = true};
}

const struct desired_name plan_check_wanted = {.subject.name = STR_INIT("a.test"),
                                               .ca = &plan_check_ca,
                                               .key_type = KEY_P256,
                                               .origins = DESIRED_DOMAIN};

struct action plan_check_decide(const struct desired_name *desired,
                                const struct observed_name *observed)
{
    return plan_decide(desired, observed, &plan_check_policy, true, NOW);
}

void plan_check(struct action a, enum plan_action action, enum plan_action wants,
                enum plan_reason reason, int64_t at, const char *state)
{
    const char *actual = plan_state(&a, NOW);

    if (a.action != action || a.wanted != wants || a.reason != reason || a.at != at ||
        strcmp(actual, state) != 0)
        fprintf(stderr, "%s, wants %s, because %s, at now%+lld, %s\n", plan_action_name(a.action),
                plan_action_name(a.wanted), plan_reason_id(a.reason), (long long)(a.at - NOW),
                actual);
    CU_ASSERT_EQUAL(a.action, action);
    CU_ASSERT_EQUAL(a.wanted, wants);
    CU_ASSERT_EQUAL(a.reason, reason);
    CU_ASSERT_EQUAL(a.at, at);
    CU_ASSERT_STRING_EQUAL(actual, state);
}
