#include <CUnit/Basic.h>

#include "reconciler/base/attr.h"
#include "tests/support/plan_check.h"

/* What the plan makes of dates that are odd: too early, too late, asked for, from a wrong clock. */

/* The CA asks for ten years: two tries are left before the end all the same. */
static void asked_for_too_long(void)
{
    struct observed_name o = plan_check_aged(60);
    struct action a;

    o.failure.count = 1;
    o.failure.failed_at = NOW;
    o.failure.retry_at = NOW + 20 * DAY;
    a = plan_check_decide(&plan_check_wanted, &o);
    plan_check(a, PLAN_WAIT, PLAN_RENEW, REASON_RATE_LIMITED, NOW + 20 * DAY, "failing");
    CU_ASSERT_EQUAL(a.asked_at, 0);
    o.failure.retry_at = NOW + 3650 * DAY;
    a = plan_check_decide(&plan_check_wanted, &o);
    CU_ASSERT(a.action == PLAN_WAIT && a.reason == REASON_RATE_LIMITED);
    CU_ASSERT_EQUAL(a.asked_at, NOW + 3650 * DAY);
    /* After that one fails, the ladder's longest step still fits before the end. */
    CU_ASSERT(a.at < o.facts.not_after - DAY && a.at > o.facts.not_after - 2 * DAY);
    for (unsigned tries = 2; tries < 6; tries++) {
        int64_t now = a.at;

        o.failure.count = tries;
        o.failure.failed_at = now;
        o.failure.retry_at = now + 3650 * DAY;
        a = plan_decide(&plan_check_wanted, &o, &plan_check_policy, true, now);
        CU_ASSERT(a.at > now + 59 && a.at <= now + DAY + DAY / 10);
        CU_ASSERT(tries > 2 || a.at < o.facts.not_after);
    }
    /* Without a certificate, or with one that has ended: a day. */
    o = (struct observed_name){.subject.name = STR("a.test"),
                               .failure.count = 1,
                               .failure.failed_at = NOW,
                               .failure.retry_at = NOW + 3650 * DAY};
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_WAIT, PLAN_ISSUE,
               REASON_RATE_LIMITED, NOW + DAY, "failing");
    o = plan_check_aged(91);
    o.failure.count = 1;
    o.failure.failed_at = NOW;
    o.failure.retry_at = NOW + 3650 * DAY;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_WAIT, PLAN_RENEW,
               REASON_RATE_LIMITED, NOW + DAY, "expired");
}

/* One name has met the account's limit: the others wait for it too, but not past their ends. */
static void account_limited(void)
{
    struct policy p = plan_check_policy;
    struct observed_name met = {.subject.name = STR("met.test"),
                                .failure.count = 1,
                                .failure.failed_at = NOW - 60,
                                .failure.retry_at = NOW + 3600,
                                .failure.kind = ERROR_ACCOUNT_LIMIT};
    struct observed_name o = plan_check_aged(60);
    const struct observed observed = {.names = &met, .count = 1};

    plan_heed_account(&p, &plan_check_ca, &observed, NOW);
    plan_check(plan_decide(&plan_check_wanted, NULL, &p, true, NOW), PLAN_WAIT, PLAN_ISSUE,
               REASON_ACCOUNT_LIMITED, NOW + 3600, "pending");
    plan_check(plan_decide(&plan_check_wanted, &o, &p, true, NOW), PLAN_WAIT, PLAN_RENEW,
               REASON_ACCOUNT_LIMITED, NOW + 3600, "due");
    plan_check(plan_decide(&plan_check_wanted, &o, &p, true, NOW + 3600), PLAN_RENEW, PLAN_RENEW,
               REASON_RENEWAL_DUE, NOW + 3600, "due");
    met.failure.retry_at = NOW + 3650 * DAY;
    plan_heed_account(&p, &plan_check_ca, &observed, NOW);
    CU_ASSERT(plan_decide(&plan_check_wanted, &o, &p, true, NOW).at < o.facts.not_after - DAY);
    CU_ASSERT_EQUAL(plan_decide(&plan_check_wanted, &o, &p, true, NOW).asked_at,
                    met.failure.retry_at);
    CU_ASSERT_EQUAL(plan_decide(&plan_check_wanted, NULL, &p, true, NOW).at, NOW - 60 + DAY);
    /* Taken off by hand, of another kind, over: nobody waits. */
    met.failure.waived = true;
    plan_heed_account(&p, &plan_check_ca, &observed, NOW);
    CU_ASSERT_EQUAL(p.account_limited_until, 0);
    met.failure.waived = false;
    met.failure.kind = ERROR_RATE_LIMIT;
    plan_heed_account(&p, &plan_check_ca, &observed, NOW);
    CU_ASSERT_EQUAL(p.account_limited_until, 0);
    met.failure.kind = ERROR_ACCOUNT_LIMIT;
    plan_heed_account(&p, &plan_check_ca, &observed, met.failure.retry_at);
    CU_ASSERT_EQUAL(p.account_limited_until, 0);
}

/* Issued, and due at once: the ladder holds it back, whatever the lifetime. */
static void needless(void)
{
    static const int64_t least[] = {0, 60, 540, 5400, 77760, 77760};
    struct observed_name o = plan_check_aged(60);

    o.failure.kind = ERROR_NEEDLESS;
    o.failure.failed_at = NOW;
    for (int lifetime = 6; lifetime <= 90 * (int)DAY; lifetime *= 60) {
        o.facts.not_before = NOW - lifetime * 2 / 3;
        o.facts.not_after = NOW - 1 + lifetime / 3;
        for (o.failure.count = 1; o.failure.count < ARRAY_LENGTH(least); o.failure.count++) {
            struct action a = plan_check_decide(&plan_check_wanted, &o);

            CU_ASSERT(a.action == PLAN_WAIT && a.wanted == PLAN_RENEW);
            CU_ASSERT_EQUAL(a.reason, REASON_NEEDLESS);
            CU_ASSERT(a.at >= NOW + least[o.failure.count]);
            CU_ASSERT(a.at <= NOW + least[o.failure.count] * 11 / 9 + 6);
            CU_ASSERT_STRING_EQUAL(plan_state(&a, NOW), "due");
        }
    }
    o = plan_check_aged(10); /* the clock is right again: nothing is due */
    o.failure.kind = ERROR_NEEDLESS;
    o.failure.count = 3;
    o.failure.failed_at = NOW + 60 * DAY;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_KEEP, PLAN_KEEP, REASON_NOT_DUE,
               NOW + 50 * DAY, "valid");
}

/* A certificate that begins later is not good, whoever asks. */
static void early(void)
{
    static const struct sni declared = {.name = {.value = STR_INIT("a.test")}};
    struct desired_name d = plan_check_wanted;
    struct observed_name o = plan_check_aged(-1);

    o.facts.not_before = NOW + 60;
    CU_ASSERT_FALSE(plan_is_good(&o, &plan_check_policy, NOW));
    CU_ASSERT(plan_is_good(&o, &plan_check_policy, NOW + 60));
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_WAIT, PLAN_RENEW,
               REASON_NOT_YET_VALID, NOW + 60, "pending");
    d.overrides = &declared; /* which is served until then */
    CU_ASSERT(plan_check_decide(&d, &o).overrides);
    o.managed.active = false;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_WAIT, PLAN_ISSUE,
               REASON_NOT_YET_VALID, NOW + 60, "pending");
    o = plan_check_aged(-2); /* too late to wait for */
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_RENEW, PLAN_RENEW,
               REASON_NOT_YET_VALID, NOW, "pending");
}

/* A good one is there, and the next is in hand but begins later. */
static void next_in_hand(void)
{
    struct observed_name o = plan_check_aged(70);

    o.next_at = NOW + 3600;
    o.next_ends_at = NOW + 90 * DAY;
    o.next_directory = plan_check_ca.directory;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_KEEP, PLAN_KEEP, REASON_NEXT_IN_HAND,
               NOW + 3600, "valid");
    o.next_at = NOW;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_RENEW, PLAN_RENEW,
               REASON_NEXT_BEGINS, NOW, "due");
    o.next_at = o.facts.not_after + 1;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_KEEP, PLAN_KEEP, REASON_NEXT_IN_HAND,
               o.next_at, "valid");
    o.next_at = o.facts.not_after + 2; /* it would leave a gap */
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_RENEW, PLAN_RENEW,
               REASON_RENEWAL_DUE, NOW, "due");
    o = plan_check_aged(10); /* and this one is not due */
    o.next_at = o.facts.not_after + 2;
    o.next_ends_at = o.next_at + 90 * DAY;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_KEEP, PLAN_KEEP, REASON_NOT_DUE,
               NOW + 50 * DAY, "valid");
    o = plan_check_aged(70);
    o.next_at = NOW + 3600;
    o.next_ends_at = NOW + 90 * DAY;
    o.next_directory = STR("https://other.test/");
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_RENEW, PLAN_RENEW,
               REASON_RENEWAL_DUE, NOW, "due");
    o = plan_check_aged(10); /* what another CA issued is as good until then */
    o.directory = STR("https://other.test/");
    o.next_at = NOW + 5 * DAY;
    o.next_ends_at = NOW + 90 * DAY;
    o.next_directory = plan_check_ca.directory;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_KEEP, PLAN_KEEP, REASON_NEXT_IN_HAND,
               NOW + 5 * DAY, "valid");
    o = plan_check_aged(91); /* nothing good is there any more */
    o.next_at = NOW + 3600;
    o.next_ends_at = NOW + 90 * DAY;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_WAIT, PLAN_RENEW,
               REASON_NEXT_IN_HAND, NOW + 3600, "expired");
}

/* A clock from before the program was built decides nothing. */
static void wrong_clock(void)
{
    struct policy p = plan_check_policy;
    struct observed_name o = plan_check_aged(-1000);
    struct action a;

    p.built_at = NOW + 1;
    a = plan_decide(&plan_check_wanted, &o, &p, true, NOW);
    plan_check(a, PLAN_KEEP, PLAN_KEEP, REASON_CLOCK, NOW + 60, "valid");
    CU_ASSERT(plan_is_good(&o, &p, NOW));
    plan_check(plan_decide(&plan_check_wanted, NULL, &p, true, NOW), PLAN_WAIT, PLAN_ISSUE,
               REASON_CLOCK, NOW + 60, "pending");
    plan_check(plan_decide(NULL, &o, &p, true, NOW), PLAN_WAIT, PLAN_RETIRE, REASON_CLOCK, NOW + 60,
               "valid");
    o = plan_check_aged(91);
    CU_ASSERT(plan_is_good(&o, &p, NOW));
    p.built_at = NOW;
    CU_ASSERT_FALSE(plan_is_good(&o, &p, NOW));
}

/* Refused for good: until the file is another one. Failed: until the CA is another one. */
static void forgiven(void)
{
    struct policy policy = plan_check_policy;
    struct observed_name o = {.subject.name = STR("a.test"),
                              .failure.count = 2,
                              .failure.failed_at = NOW - 1,
                              .failure.permanent = true,
                              .failure.config = STR("one"),
                              .failure_directory = plan_check_ca.directory};
    const struct {
        const char *config, *failed_under, *failed_at; /* failed_at NULL: at the CA in use */
        bool permanent, waits;
    } rows[] = {
        {"one", "one", NULL, true, true},        {"two", "one", NULL, true, false},
        {"two", "", NULL, true, true},           {"", "one", NULL, true, true},
        {"two", "one", NULL, false, true},       {"one", "one", "https://other.test/", true, false},
        {"one", "", "https://o/", false, false}, {"one", "one", "", false, true},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct action a;

        policy.config = str_from(rows[i].config);
        o.failure.permanent = rows[i].permanent;
        o.failure.config = str_from(rows[i].failed_under);
        o.failure_directory =
            rows[i].failed_at ? str_from(rows[i].failed_at) : plan_check_ca.directory;
        CU_ASSERT_EQUAL(plan_is_forgiven(&o, &plan_check_ca, &policy), !rows[i].waits);
        a = plan_decide(&plan_check_wanted, &o, &policy, true, NOW);
        CU_ASSERT_EQUAL(a.action == PLAN_ISSUE, !rows[i].waits);
    }
    o.failure.count = 0;
    CU_ASSERT_FALSE(plan_is_forgiven(&o, &plan_check_ca, &policy));
}

/* What another CA said of the account says nothing of this one's. */
static void account_of_another(void)
{
    struct policy policy = plan_check_policy;
    struct observed_name o = {.subject.name = STR("a.test"),
                              .failure.count = 1,
                              .failure.kind = ERROR_ACCOUNT_LIMIT,
                              .failure.retry_at = NOW + DAY};
    const struct observed observed = {.names = &o, .count = 1};

    plan_heed_account(&policy, &plan_check_ca, &observed, NOW);
    CU_ASSERT_EQUAL(policy.account_limited_until, NOW + DAY);
    o.failure_directory = STR("https://other.test/");
    plan_heed_account(&policy, &plan_check_ca, &observed, NOW);
    CU_ASSERT_EQUAL(policy.account_limited_until, 0);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"a Retry-After beyond the end", asked_for_too_long},
        {"the account's limit", account_limited},
        {"due when issued", needless},
        {"not valid yet", early},
        {"the next in hand", next_in_hand},
        {"a clock before the build", wrong_clock},
        {"forgiven", forgiven},
        {"account of another", account_of_another},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"plan dates", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
