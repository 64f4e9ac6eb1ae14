#include "reconciler/core/saved.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/base/attr.h"

#define NOW ((int64_t)1800000000)
#define AGE ((int64_t)SAVED_MAX_AGE_SECONDS)

/* All pairs of a saved and a fresh action: S same, d done, X differs. Columns and rows in enum
 * order. */
static void verdicts(void)
{
    /* fresh:                     issue renew adopt keep wait block retire, none */
    static const char *const rows[PLAN_ACTION_COUNT] = {
        [PLAN_ISSUE] = "SXXdXXXX",  [PLAN_RENEW] = "XSXdXXXX", [PLAN_ADOPT] = "XdSdXXXX",
        [PLAN_KEEP] = "XXXSXXXX",   [PLAN_WAIT] = "XXXdSXXX",  [PLAN_BLOCK] = "XXXXXSXX",
        [PLAN_RETIRE] = "XXXXXXSd",
    };

    for (int was = 0; was < PLAN_ACTION_COUNT; was++)
        for (int is = 0; is <= PLAN_ACTION_COUNT; is++) {
            struct saved_action saved = {STR("a"), KEY_NONE, (enum plan_action)was, false};
            struct action fresh = {.action = (enum plan_action)is,
                                   .wanted = (enum plan_action)is,
                                   .reason = REASON_BACKOFF};
            enum saved_verdict verdict =
                saved_judge(&saved, is == PLAN_ACTION_COUNT ? NULL : &fresh);

            CU_ASSERT_EQUAL("SdX"[verdict], rows[was][is]);
        }
}

static void under_way(void)
{
    struct saved_action saved = {STR("a"), KEY_NONE, PLAN_ISSUE, true};
    struct action fresh = {
        .action = PLAN_WAIT, .wanted = PLAN_ISSUE, .reason = REASON_ORDER_OPEN, .overrides = true};

    CU_ASSERT_EQUAL(saved_judge(&saved, &fresh), SAVED_DONE);
    fresh.wanted = PLAN_RENEW;
    CU_ASSERT_EQUAL(saved_judge(&saved, &fresh), SAVED_DIFFERS);
    saved.action = PLAN_ADOPT; /* adopted, and its renewal waits */
    fresh.reason = REASON_BACKOFF;
    CU_ASSERT_EQUAL(saved_judge(&saved, &fresh), SAVED_DONE);
    fresh = (struct action){.action = PLAN_ISSUE, .wanted = PLAN_ISSUE, .overrides = true};
    saved = (struct saved_action){STR("a"), KEY_NONE, PLAN_ISSUE, false};
    CU_ASSERT_EQUAL(saved_judge(&saved, &fresh), SAVED_DIFFERS); /* nobody saw that it overrides */
}

/* An action is known by its name and the type of its key. */
static void other_key(void)
{
    const struct observed_name there = {.facts.key_type = KEY_RSA_2048};
    const struct desired_name wanted = {.key_type = KEY_RSA_2048};
    struct saved_action saved = {STR("a"), KEY_P256, PLAN_ISSUE, false};
    struct action fresh = {.action = PLAN_ISSUE, .wanted = PLAN_ISSUE, .desired = &wanted};

    CU_ASSERT_EQUAL(saved_judge(&saved, &fresh), SAVED_DIFFERS);
    saved.key_type = KEY_RSA_2048;
    CU_ASSERT_EQUAL(saved_judge(&saved, &fresh), SAVED_SAME);
    fresh = (struct action){.action = PLAN_KEEP, .wanted = PLAN_KEEP, .observed = &there};
    CU_ASSERT_EQUAL(saved_judge(&saved, &fresh), SAVED_DONE);
    saved.key_type = KEY_P256;
    CU_ASSERT_EQUAL(saved_judge(&saved, &fresh), SAVED_DIFFERS);
    saved.action = PLAN_KEEP; /* renewed with another key: nobody asked for the old one */
    CU_ASSERT_EQUAL(saved_judge(&saved, &fresh), SAVED_SAME);
}

/* Two families of a name, as the storage and the plan tell them apart. */
static void families(void)
{
    static const struct action items[] = {
        {.action = PLAN_KEEP, .subject.name = STR_INIT("a")},
        {.action = PLAN_ISSUE, .subject = {STR_INIT("a"), FAMILY_RSA}},
    };
    const struct plan plan = {.items = items, .count = ARRAY_LENGTH(items)};
    const struct saved_action rsa = {STR("a"), KEY_RSA_4096, PLAN_ISSUE, false};
    const struct saved_action ecdsa = {STR("a"), KEY_P384, PLAN_KEEP, false};

    CU_ASSERT_PTR_EQUAL(saved_find(&rsa, &plan), &items[1]);
    CU_ASSERT_PTR_EQUAL(saved_find(&ecdsa, &plan), &items[0]);
}

static const struct saved_action saved_items[] = {
    {STR_INIT("a"), KEY_NONE, PLAN_ISSUE, true},   {STR_INIT("b"), KEY_NONE, PLAN_RENEW, false},
    {STR_INIT("c"), KEY_NONE, PLAN_RETIRE, false}, {STR_INIT("d"), KEY_NONE, PLAN_KEEP, false},
    {STR_INIT("e"), KEY_NONE, PLAN_ADOPT, true},
};
static const struct saved_plan saved_plan = {
    .items = saved_items, .count = ARRAY_LENGTH(saved_items), .made_at = NOW};

static const struct action same_items[] = {
    {.action = PLAN_ISSUE,
     .wanted = PLAN_ISSUE,
     .subject.name = STR_INIT("a"),
     .overrides = true,
     .at = NOW},
    {.action = PLAN_RENEW, .wanted = PLAN_RENEW, .subject.name = STR_INIT("b"), .at = NOW},
    {.action = PLAN_ISSUE, .wanted = PLAN_ISSUE, .subject.name = STR_INIT("bb"), .at = NOW},
    {.action = PLAN_RETIRE, .wanted = PLAN_RETIRE, .subject.name = STR_INIT("c"), .at = NOW},
    {.action = PLAN_KEEP, .wanted = PLAN_KEEP, .subject.name = STR_INIT("d"), .at = NOW + 9},
    {.action = PLAN_ADOPT,
     .wanted = PLAN_ADOPT,
     .subject.name = STR_INIT("e"),
     .overrides = true,
     .at = NOW},
};

/* Compares; the names still to be done are joined in `expected`, or it is the message. */
static void expect(const struct saved_plan *saved, const struct action *items, size_t count,
                   int64_t now, const char *expected)
{
    struct plan fresh = {.items = items, .count = count};
    struct arena *arena = arena_new(NULL);
    struct plan *deeds = NULL;
    char actual[512] = "";
    struct error e;

    CU_ASSERT_PTR_NOT_NULL_FATAL(arena);
    if (saved_compare(saved, &fresh, now, AGE, arena, &deeds, &e)) {
        CU_ASSERT_EQUAL(e.kind, ERROR_INVALID);
        CU_ASSERT_STRING_EQUAL(e.message, expected);
        if (strcmp(e.message, expected) != 0)
            fprintf(stderr, "%s\n", e.message);
    } else {
        for (size_t i = 0; i < deeds->count; i++)
            snprintf(actual + strlen(actual), sizeof(actual) - strlen(actual), "%.*s ",
                     STR_ARG(deeds->items[i].subject.name));
        CU_ASSERT_STRING_EQUAL(actual, expected);
    }
    arena_free(arena);
}

static void compares(void)
{
    struct action items[ARRAY_LENGTH(same_items)];
    struct saved_plan none = {.made_at = NOW};

    expect(&saved_plan, same_items, 6, NOW, "a b c e ");
    expect(&none, same_items, 6, NOW, "");
    expect(&saved_plan, same_items, 6, NOW + AGE, "a b c e ");
    expect(&saved_plan, same_items, 6, NOW + AGE + 1,
           "the plan is older than 24 hours: make a new one");
    expect(&saved_plan, same_items, 6, NOW - SAVED_CLOCK_SKEW_SECONDS, "a b c e ");
    expect(&saved_plan, same_items, 6, NOW - SAVED_CLOCK_SKEW_SECONDS - 1,
           "the plan was made in the future");
    memcpy(items, same_items, sizeof(items));
    items[0].action = PLAN_KEEP; /* issued meanwhile */
    items[0].overrides = false;
    expect(&saved_plan, items, 6, NOW, "b c e ");
    items[1].action = items[1].wanted = PLAN_BLOCK;
    expect(&saved_plan, items, 6, NOW, "b: the plan says renew, now it is block");
    items[4].action = items[4].wanted = PLAN_RENEW;
    expect(&saved_plan, items, 6, NOW, "b: the plan says renew, now it is block; 1 more differ");
    expect(&saved_plan, items, 0, NOW,
           "a: the plan says issue, now it is not listed; 3 more differ");
}

/* A second apply: all is done, nothing is to do, and that is no error. */
static void applies_once(void)
{
    static const struct action done[] = {
        {.action = PLAN_KEEP, .wanted = PLAN_KEEP, .subject.name = STR_INIT("a")},
        {.action = PLAN_KEEP, .wanted = PLAN_KEEP, .subject.name = STR_INIT("b")},
        {.action = PLAN_KEEP, .wanted = PLAN_KEEP, .subject.name = STR_INIT("e")},
    };
    struct saved_plan saved = {.items = saved_items, .count = 3, .made_at = NOW};

    expect(&saved, done, 3, NOW, "");
}

static void extreme_ages(void)
{
    struct saved_plan saved = {.items = saved_items, .made_at = INT64_MIN};

    expect(&saved, same_items, 6, NOW, "the plan is older than 24 hours: make a new one");
    saved.made_at = INT64_MAX;
    expect(&saved, same_items, 6, NOW, "the plan was made in the future");
}

static void approval(void)
{
    static const struct {
        struct action a;
        bool needs, covered;
    } rows[] = {
        {{.action = PLAN_ISSUE, .wanted = PLAN_ISSUE, .subject.name = STR_INIT("a")}, true, true},
        {{.action = PLAN_ISSUE,
          .wanted = PLAN_ISSUE,
          .subject.name = STR_INIT("a"),
          .overrides = true},
         true,
         true},
        {{.action = PLAN_ISSUE, .wanted = PLAN_ISSUE, .subject.name = STR_INIT("x")}, true, false},
        {{.action = PLAN_ISSUE, .wanted = PLAN_ISSUE, .subject.name = STR_INIT("b")}, true, false},
        {{.action = PLAN_RENEW, .wanted = PLAN_RENEW, .subject.name = STR_INIT("x")}, false, true},
        {{.action = PLAN_RENEW,
          .wanted = PLAN_RENEW,
          .subject.name = STR_INIT("x"),
          .overrides = true},
         false,
         true},
        {{.action = PLAN_RETIRE, .wanted = PLAN_RETIRE, .subject.name = STR_INIT("c")}, true, true},
        {{.action = PLAN_RETIRE, .wanted = PLAN_RETIRE, .subject.name = STR_INIT("d")},
         true,
         false},
        {{.action = PLAN_ADOPT, .wanted = PLAN_ADOPT, .subject.name = STR_INIT("x")}, false, true},
        {{.action = PLAN_ADOPT,
          .wanted = PLAN_ADOPT,
          .subject.name = STR_INIT("x"),
          .overrides = true},
         true,
         false},
        {{.action = PLAN_ADOPT,
          .wanted = PLAN_ADOPT,
          .subject.name = STR_INIT("e"),
          .overrides = true},
         true,
         true},
        {{.action = PLAN_KEEP, .wanted = PLAN_KEEP, .subject.name = STR_INIT("x")}, false, true},
        {{.action = PLAN_WAIT, .wanted = PLAN_RENEW, .subject.name = STR_INIT("x")}, false, true},
    };
    static const struct saved_action plain = {STR_INIT("a"), KEY_NONE, PLAN_ISSUE, false};
    struct saved_plan unseen = {.items = &plain, .count = 1, .made_at = NOW};

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        CU_ASSERT_EQUAL(saved_needs_approval(&rows[i].a), rows[i].needs);
        CU_ASSERT_EQUAL(saved_covers(&saved_plan, &rows[i].a), rows[i].covered);
    }
    /* Approved as a first certificate, but not that it takes a declared one's place. */
    CU_ASSERT_FALSE(saved_covers(&unseen, &rows[1].a));
}

/* Of several plans, one is enough. */
static void approved_twice(void)
{
    static const struct saved_action both[] = {{STR_INIT("a"), KEY_NONE, PLAN_KEEP, false},
                                               {STR_INIT("b"), KEY_NONE, PLAN_KEEP, false},
                                               {STR_INIT("b"), KEY_NONE, PLAN_RETIRE, false},
                                               {STR_INIT("b"), KEY_NONE, PLAN_ISSUE, true},
                                               {STR_INIT("c"), KEY_NONE, PLAN_KEEP, false}};
    const struct saved_plan saved = {.items = both, .count = 5, .made_at = NOW};
    struct action a = {
        .action = PLAN_ISSUE, .wanted = PLAN_ISSUE, .subject.name = STR("b"), .overrides = true};

    CU_ASSERT_TRUE(saved_covers(&saved, &a));
    a = (struct action){.action = PLAN_RETIRE, .wanted = PLAN_RETIRE, .subject.name = STR("b")};
    CU_ASSERT_TRUE(saved_covers(&saved, &a));
    a.subject.name = STR("c");
    CU_ASSERT_FALSE(saved_covers(&saved, &a));
}

/* A wait in a plan that was approved is one for the limits or after failures. */
static void approved_waits(void)
{
    static const struct saved_action waits[] = {{STR_INIT("a"), KEY_NONE, PLAN_WAIT, false},
                                                {STR_INIT("c"), KEY_NONE, PLAN_BLOCK, false}};
    const struct saved_plan saved = {.items = waits, .count = 2, .made_at = NOW};
    struct action a = {.action = PLAN_ISSUE, .wanted = PLAN_ISSUE, .subject.name = STR("a")};

    CU_ASSERT_TRUE(saved_covers(&saved, &a));
    a.overrides = true;
    CU_ASSERT_FALSE(saved_covers(&saved, &a));
    a = (struct action){.action = PLAN_RETIRE, .wanted = PLAN_RETIRE, .subject.name = STR("a")};
    CU_ASSERT_FALSE(saved_covers(&saved, &a));
    a = (struct action){.action = PLAN_ISSUE, .wanted = PLAN_ISSUE, .subject.name = STR("c")};
    CU_ASSERT_FALSE(saved_covers(&saved, &a));
}

#define DAY ((int64_t)86400)

static const struct policy policy;
static const struct ca ca = {.directory = STR_INIT("https://ca.test/dir")}, nobody = {0};

/* Of a name that the file asks for no more, `age` days old of 90. */
static struct observed_name observe(int64_t age)
{
    return (struct observed_name){.subject.name = STR("old"),
                                  .has_certificate = true,
                                  .facts.not_before = NOW - age * DAY,
                                  .facts.not_after = NOW + (90 - age) * DAY - 1,
                                  .managed.active = true};
}

static void holds(void)
{
    const struct saved_guard guard = {
        .approved = &saved_plan, .policy = &policy, .ca = &ca, .storage_usable = true, .now = NOW};
    static const struct {
        struct action a;
        bool is_held;
    } rows[] = {
        {{.action = PLAN_ISSUE, .wanted = PLAN_ISSUE, .subject.name = STR_INIT("a"), .at = NOW},
         false},
        {{.action = PLAN_ISSUE, .wanted = PLAN_ISSUE, .subject.name = STR_INIT("x"), .at = NOW},
         true},
        {{.action = PLAN_WAIT,
          .wanted = PLAN_ISSUE,
          .reason = REASON_BACKOFF,
          .subject.name = STR_INIT("x"),
          .at = NOW + 9},
         true},
        {{.action = PLAN_WAIT,
          .wanted = PLAN_ISSUE,
          .reason = REASON_ORDER_OPEN,
          .subject.name = STR_INIT("x")},
         false},
        {{.action = PLAN_RENEW, .wanted = PLAN_RENEW, .subject.name = STR_INIT("x")}, false},
        {{.action = PLAN_KEEP, .wanted = PLAN_KEEP, .subject.name = STR_INIT("x")}, false},
        {{.action = PLAN_BLOCK, .wanted = PLAN_BLOCK, .subject.name = STR_INIT("x")}, false},
        {{.action = PLAN_NOTHING, .wanted = PLAN_NOTHING, .subject.name = STR_INIT("x")}, false},
        {{.action = PLAN_ADOPT,
          .wanted = PLAN_ADOPT,
          .subject.name = STR_INIT("x"),
          .overrides = true},
         true},
        {{.action = PLAN_RETIRE, .wanted = PLAN_RETIRE, .subject.name = STR_INIT("c")}, false},
    };
    struct desired_name room;

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct action held = saved_hold(&guard, &rows[i].a, &room);

        CU_ASSERT_EQUAL(held.action, rows[i].is_held ? PLAN_WAIT : rows[i].a.action);
        CU_ASSERT_EQUAL(held.wanted, rows[i].a.wanted);
        CU_ASSERT_EQUAL(held.at, rows[i].is_held ? 0 : rows[i].a.at);
        CU_ASSERT_EQUAL(held.reason == REASON_APPROVAL, rows[i].is_held);
    }
}

/* Until somebody approves it, a name that is to be retired lives on, renewals and all. */
static void holds_retirements(void)
{
    struct saved_guard guard = {
        .approved = &saved_plan, .policy = &policy, .ca = &ca, .storage_usable = true, .now = NOW};
    struct observed_name o = observe(10);
    struct action a = {.action = PLAN_RETIRE,
                       .wanted = PLAN_RETIRE,
                       .reason = REASON_NOT_DECLARED,
                       .subject.name = STR("old"),
                       .observed = &o};
    struct desired_name room;
    struct action held = saved_hold(&guard, &a, &room);

    CU_ASSERT(held.action == PLAN_WAIT && held.wanted == PLAN_RETIRE && !held.desired);
    CU_ASSERT(held.reason == REASON_APPROVAL && held.at == 0);
    o = observe(70);
    held = saved_hold(&guard, &a, &room);
    CU_ASSERT(held.action == PLAN_RENEW && held.desired == &room);
    o.failure.count = 1;
    o.failure.failed_at = NOW - 1;
    held = saved_hold(&guard, &a, &room);
    CU_ASSERT(held.action == PLAN_WAIT && held.wanted == PLAN_RENEW);
    CU_ASSERT_EQUAL(held.reason, REASON_BACKOFF);
    guard.ca = &nobody; /* the plugin is gone too: who would renew it? */
    held = saved_hold(&guard, &a, &room);
    CU_ASSERT(held.action == PLAN_WAIT && held.wanted == PLAN_RETIRE && held.at == 0);
}

static void holds_plans(void)
{
    struct observed_name o = observe(10), due = observe(70);
    const struct action items[] = {
        {.action = PLAN_ISSUE, .wanted = PLAN_ISSUE, .subject.name = STR("a"), .at = NOW},
        {.action = PLAN_ISSUE, .wanted = PLAN_ISSUE, .subject.name = STR("b"), .overrides = true},
        {.action = PLAN_RETIRE,
         .wanted = PLAN_RETIRE,
         .subject.name = STR("due"),
         .observed = &due},
        {.action = PLAN_RETIRE, .wanted = PLAN_RETIRE, .subject.name = STR("old"), .observed = &o},
    };
    const struct plan plan = {
        .items = items, .count = 4, .counts = {[PLAN_ISSUE] = 2, [PLAN_RETIRE] = 2}};
    struct saved_guard guard = {.policy = &policy, .ca = &ca, .storage_usable = true, .now = NOW};
    struct arena *arena = arena_new(NULL);
    const struct plan *held = NULL;
    struct error e;

    CU_ASSERT_EQUAL_FATAL(saved_hold_plan(&guard, &plan, arena, &held, &e), 0);
    CU_ASSERT_PTR_EQUAL(held, &plan);
    guard.approved = &saved_plan;
    CU_ASSERT_EQUAL_FATAL(saved_hold_plan(&guard, &plan, arena, &held, &e), 0);
    CU_ASSERT(held->counts[PLAN_ISSUE] == 1 && held->counts[PLAN_RENEW] == 1 &&
              held->counts[PLAN_WAIT] == 2 && held->override_count == 1);
    CU_ASSERT(held->items[0].action == PLAN_ISSUE && held->items[1].action == PLAN_WAIT);
    CU_ASSERT(str_equal_cstr(held->items[2].desired->subject.name, "due"));
    CU_ASSERT_PTR_NULL(held->items[3].desired);
    arena_fail_after(arena, 2);
    CU_ASSERT_EQUAL(saved_hold_plan(&guard, &plan, arena, &held, &e), -1);
    arena_free(arena);
}

static void words(void)
{
    for (int action = 0; action < PLAN_ACTION_COUNT; action++)
        CU_ASSERT_EQUAL(plan_action_from(str_from(plan_action_name((enum plan_action)action))),
                        (enum plan_action)action);
    CU_ASSERT_EQUAL(plan_action_from(STR("Issue")), PLAN_NOTHING);
    CU_ASSERT_EQUAL(plan_action_from(STR("")), PLAN_NOTHING);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"verdicts", verdicts},
        {"under way", under_way},
        {"other key", other_key},
        {"families", families},
        {"compares", compares},
        {"applies once", applies_once},
        {"extreme ages", extreme_ages},
        {"approval", approval},
        {"approved twice", approved_twice},
        {"approved waits", approved_waits},
        {"holds", holds},
        {"holds retirements", holds_retirements},
        {"holds plans", holds_plans},
        {"words", words},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"saved", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
