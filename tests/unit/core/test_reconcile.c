#include "reconciler/core/reconcile.h"

#include <CUnit/Basic.h>

#include "reconciler/core/breaker.h"
#include "tests/support/fake_source.h"
#include "tests/support/model_builder.h"

#define DAY ((int64_t)86400)
#define NOW ((int64_t)1800000000)
#define CA STR_INIT("https://ca.test/directory")

struct scene {
    struct model_builder *b;
    struct observed_name names[8]; /* of which the source tells source.observed.count */
    struct fake_source source;
    struct reconcile_options options;
    struct reconciliation made;
};

static const struct saved_plan nothing;

static void set_up(struct scene *s)
{
    *s = (struct scene){.b = model_builder_new()};
    model_builder_acme(s->b);
    model_builder_domain(s->b, "a.shop.com", 1);
    model_builder_domain(s->b, "b.shop.com", 2);
    model_builder_domain(s->b, "c.shop.com", 3);
    s->source.observed = (struct observed){.names = s->names, .storage_usable = true};
    s->options = (struct reconcile_options){.model = &s->b->model, .is_foretold = true, .now = NOW};
}

static struct observed_name *observe(struct scene *s, const char *name)
{
    struct observed_name *o = &s->names[s->source.observed.count++];

    *o = (struct observed_name){.subject.name = str_from(name), .directory = CA};
    return o;
}

static void make(struct scene *s)
{
    const struct reconcile_source source = fake_source(&s->source);
    struct error e;

    reconcile_fini(&s->made);
    CU_ASSERT_EQUAL_FATAL(reconcile_make(&s->options, &source, s->b->arena, &s->made, &e), 0);
}

static void tear_down(struct scene *s)
{
    reconcile_fini(&s->made);
    model_builder_free(s->b);
}

static const struct action *find(const struct scene *s, const char *name)
{
    const struct action *a = plan_find(s->made.plan, subject_first(str_from(name)));

    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    return a;
}

static void set_limits(struct scene *s, char *row)
{
    static char *rows[1];

    rows[0] = row;
    s->options.asked.limits = rows;
    s->options.asked.limit_count = 1;
}

/* Nobody has approved two of them: what is left of the limits is the third one's. */
static void held_before_limited(void)
{
    static char once[] = "https://ca.test/ domain=1/7d";
    const struct saved_action approved = {.name = STR_INIT("c.shop.com"), .action = PLAN_ISSUE};
    const struct saved_plan saved = {.items = &approved, .count = 1};
    struct scene s;

    set_up(&s);
    set_limits(&s, once);
    s.options.approved = &saved;
    make(&s);
    CU_ASSERT_EQUAL(find(&s, "a.shop.com")->reason, REASON_APPROVAL);
    CU_ASSERT_EQUAL(find(&s, "b.shop.com")->reason, REASON_APPROVAL);
    CU_ASSERT_EQUAL(find(&s, "c.shop.com")->action, PLAN_ISSUE);
    s.options.approved = NULL;
    make(&s);
    CU_ASSERT_EQUAL(find(&s, "a.shop.com")->action, PLAN_ISSUE);
    CU_ASSERT_EQUAL(find(&s, "c.shop.com")->reason, REASON_BUDGET);
    tear_down(&s);
}

/* An order that is under way has drawn; whoever orders finds out what does not fit by himself. */
static void limited_by_what_is_open(void)
{
    static char two[] = "https://ca.test/ orders=2/1h";
    struct budget_request third = {.name = STR_INIT("c.shop.com")};
    struct scene s;

    set_up(&s);
    set_limits(&s, two);
    observe(&s, "a.shop.com")->order_open = true;
    make(&s);
    CU_ASSERT_EQUAL(find(&s, "b.shop.com")->action, PLAN_ISSUE);
    CU_ASSERT_EQUAL(find(&s, "c.shop.com")->reason, REASON_BUDGET);
    s.options.is_foretold = false;
    make(&s);
    CU_ASSERT_EQUAL(find(&s, "c.shop.com")->action, PLAN_ISSUE);
    CU_ASSERT_EQUAL(budget_promise(s.made.budget, &third, NOW), NOW);
    CU_ASSERT_EQUAL(budget_take(s.made.budget, &third, NOW, &(struct error){0}), 0);
    CU_ASSERT(budget_promise(s.made.budget, &third, NOW) > NOW);
    tear_down(&s);
}

/* All names at once and each for itself: the same decision. */
static void one_by_one(void)
{
    struct desired_name room;
    struct scene s;

    set_up(&s);
    *observe(&s, "a.shop.com") = (struct observed_name){.subject.name = STR_INIT("a.shop.com"),
                                                        .has_certificate = true,
                                                        .facts.not_before = NOW - 80 * DAY,
                                                        .facts.not_after = NOW + 10 * DAY,
                                                        .managed.active = true,
                                                        .directory = CA};
    observe(&s, "b.shop.com")->failure =
        (struct failure){.count = 2, .failed_at = NOW - 1, .kind = ERROR_NETWORK};
    for (int approves = 0; approves < 2; approves++) {
        s.options.approved = approves ? &nothing : NULL;
        make(&s);
        for (size_t i = 0; i < s.made.plan->count; i++) {
            const struct action *a = &s.made.plan->items[i];
            struct action b =
                reconcile_name(&s.made.rules, a->desired, a->observed, &room, s.options.now);

            CU_ASSERT(a->action == b.action && a->reason == b.reason && a->at == b.at);
        }
    }
    CU_ASSERT_EQUAL(find(&s, "a.shop.com")->action, PLAN_RENEW);
    CU_ASSERT_EQUAL(find(&s, "b.shop.com")->reason, REASON_APPROVAL);
    tear_down(&s);
}

/* What was found in its way before stays there until its date. */
static void put_off(void)
{
    const struct ca ca = {.directory = CA};
    struct desired_name room,
        wanted = {.subject.name = STR_INIT("a.shop.com"), .ca = &ca, .place_count = 1};
    struct observed_name there = {.subject = wanted.subject, .limited_until = NOW + 60};
    struct reconcile_rules rules = {.ca = &ca, .storage_usable = true};
    struct action a = reconcile_name(&rules, &wanted, &there, &room, NOW);

    CU_ASSERT(a.action == PLAN_WAIT && a.wanted == PLAN_ISSUE && a.reason == REASON_BUDGET);
    CU_ASSERT_EQUAL(a.at, NOW + 60);
    CU_ASSERT_EQUAL(reconcile_name(&rules, &wanted, &there, &room, NOW + 60).action, PLAN_ISSUE);
    rules.stopped_until = NOW + 3600;
    a = reconcile_name(&rules, &wanted, &there, &room, NOW);
    CU_ASSERT(a.reason == REASON_BREAKER && a.at == NOW + 3600);
    CU_ASSERT_EQUAL(reconcile_name(&rules, NULL, &there, &room, NOW).action, PLAN_NOTHING);
}

/* Who came on demand is desired, unless that has been found out before; the breaker is asked. */
static void parts(void)
{
    const struct desired_demand demand = {.name = STR_INIT("d.shop.com"), .last_seen_at = NOW};
    struct breaker breaker = {.until = NOW + 5};
    const struct desired *before;
    struct scene s;

    set_up(&s);
    s.b->acme.allow_any_domain = true;
    s.source.demands = &demand;
    s.source.demand_count = 1;
    s.options.breaker = &breaker;
    make(&s);
    CU_ASSERT_EQUAL(s.made.desired->count, 4);
    CU_ASSERT_EQUAL(s.made.rules.stopped_until, NOW + 5);
    before = s.made.desired;
    s.options.desired = before;
    s.source.demand_count = 0;
    make(&s);
    CU_ASSERT_PTR_EQUAL(s.made.desired, before);
    CU_ASSERT_EQUAL(s.source.asked, 2);
    CU_ASSERT_PTR_NULL(s.made.budget);
    tear_down(&s);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"held before limited", held_before_limited},
        {"limited by what is open", limited_by_what_is_open},
        {"one by one", one_by_one},
        {"put off", put_off},
        {"parts", parts},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"reconcile", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};
    unsigned failures;

    if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
        return 1;
    CU_basic_run_tests();
    failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
