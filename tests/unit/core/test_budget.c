#include "reconciler/core/budget.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/core/budget_bucket.h"
#include "reconciler/core/render.h"
#include "tests/support/golden.h"
#include "tests/support/model_builder.h"

#define HOUR ((int64_t)3600)
#define DAY ((int64_t)86400)
#define NOW ((int64_t)1800000000)
#define PRODUCTION production.directory
#define ORDERS_MAX 400

static const struct ca production = {
    .directory = STR_INIT("https://acme-v02.api.letsencrypt.org/directory")};

/* ---- plans ---- */

struct world {
    struct arena *arena;
    char names[ORDERS_MAX][40];
    struct desired_name desired[ORDERS_MAX];
    struct observed_name observed[ORDERS_MAX];
    struct action items[ORDERS_MAX];
    struct plan plan;
};

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof(*w));

    if (!w || !(w->arena = arena_new(NULL)))
        BUG("out of memory in a test");
    w->plan.items = w->items;
    return w;
}

static void world_free(struct world *w)
{
    arena_free(w->arena);
    free(w);
}

/* An order for `name`; with a certificate that ends in `days` if days is not 0. */
static void add(struct world *w, const char *name, int days)
{
    size_t i = w->plan.count++;
    struct action *a = &w->items[i];

    snprintf(w->names[i], sizeof(w->names[i]), "%s", name);
    w->desired[i] = (struct desired_name){
        .subject.name = str_from(w->names[i]), .ca = &production, .place_count = 1};
    *a = (struct action){.action = days ? PLAN_RENEW : PLAN_ISSUE,
                         .wanted = days ? PLAN_RENEW : PLAN_ISSUE,
                         .subject.name = w->desired[i].subject.name,
                         .at = NOW,
                         .desired = &w->desired[i]};
    w->plan.counts[a->action]++;
    if (!days)
        return;
    w->observed[i] = (struct observed_name){.subject.name = a->subject.name,
                                            .has_certificate = true,
                                            .facts.not_after = NOW + days * DAY,
                                            .directory = PRODUCTION};
    a->observed = &w->observed[i];
}

static const struct plan *fit(struct world *w, struct budget *b)
{
    const struct plan *fitting = NULL;
    struct error e;

    CU_ASSERT_EQUAL_FATAL(budget_plan(b, &w->plan, NOW, w->arena, &fitting, &e), 0);
    return fitting;
}

static int64_t at_of(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->count; i++)
        if (str_equal_cstr(plan->items[i].subject.name, name))
            return plan->items[i].at - NOW;
    return -1;
}

/* 60 first certificates of one domain, one of another: 50 go now, then one every 202 minutes. */
static void one_domain(void)
{
    struct world *w = world_new();
    struct budget *b = budget_new(budget_known(PRODUCTION));
    const struct plan *plan;
    char name[32];

    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof(name), "n%02d.example.com", i);
        add(w, name, 0);
    }
    add(w, "other.net", 0);
    plan = fit(w, b);
    CU_ASSERT_EQUAL(plan->counts[PLAN_ISSUE], 51);
    CU_ASSERT_EQUAL(plan->counts[PLAN_WAIT], 10);
    CU_ASSERT_EQUAL(plan->next_at, NOW);
    CU_ASSERT_EQUAL(at_of(plan, "n49.example.com"), 0);
    for (int i = 50; i < 60; i++) {
        snprintf(name, sizeof(name), "n%02d.example.com", i);
        CU_ASSERT_EQUAL(at_of(plan, name), (i - 49) * 12096);
    }
    CU_ASSERT_EQUAL(at_of(plan, "other.net"), 0);
    CU_ASSERT_EQUAL(plan->items[55].action, PLAN_WAIT);
    CU_ASSERT_EQUAL(plan->items[55].wanted, PLAN_ISSUE);
    CU_ASSERT_EQUAL(plan->items[55].reason, REASON_BUDGET);
    CU_ASSERT_EQUAL(plan_exit_code(plan), PLAN_EXIT_STUCK);
    budget_free(b);
    world_free(w);
}

/* 350 domains: the account's 300, then one every 36 seconds; renewals pass by. */
static void one_account(void)
{
    struct world *w = world_new();
    struct budget *b = budget_new(budget_known(PRODUCTION));
    const struct plan *plan;
    char name[32];
    size_t renewals = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    for (int i = 0; i < 350; i++) {
        snprintf(name, sizeof(name), "n%03d.com", i);
        add(w, name, i % 7 == 0 ? 20 : 0);
        renewals += i % 7 == 0;
    }
    plan = fit(w, b);
    CU_ASSERT_EQUAL(plan->counts[PLAN_RENEW], renewals);
    CU_ASSERT_EQUAL(plan->counts[PLAN_ISSUE], 300);
    CU_ASSERT_EQUAL(plan->counts[PLAN_WAIT], 0);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "z%d.com", i);
        add(w, name, 0);
    }
    budget_free(b);
    b = budget_new(budget_known(PRODUCTION));
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    plan = fit(w, b);
    CU_ASSERT_EQUAL(plan->counts[PLAN_WAIT], 3);
    CU_ASSERT_EQUAL(at_of(plan, "z0.com"), 36);
    CU_ASSERT_EQUAL(at_of(plan, "z2.com"), 108);
    budget_free(b);
    world_free(w);
}

/* Where renewals count too: those that end first go first, then first certificates. */
static void urgency(void)
{
    static const struct budget_limits limits = {.scopes = {[BUDGET_ORDERS] = {1, 100}}};
    struct world *w = world_new();
    struct budget *b = budget_new(&limits);
    const struct plan *plan;

    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    add(w, "a-first.com", 0);
    add(w, "b-20.com", 20);
    add(w, "c-demand.com", 0);
    w->desired[2].place_count = 0;
    add(w, "d-3.com", 3);
    add(w, "e-first.com", 0);
    plan = fit(w, b);
    CU_ASSERT_EQUAL(at_of(plan, "d-3.com"), 0);
    CU_ASSERT_EQUAL(at_of(plan, "b-20.com"), 100);
    CU_ASSERT_EQUAL(at_of(plan, "a-first.com"), 200);
    CU_ASSERT_EQUAL(at_of(plan, "e-first.com"), 300);
    CU_ASSERT_EQUAL(at_of(plan, "c-demand.com"), 400);
    budget_free(b);
    world_free(w);
}

static void history(void)
{
    struct world *w = world_new();
    struct budget *b = budget_new(budget_known(PRODUCTION));
    struct budget_event events[60];
    const struct plan *plan;
    struct error e;

    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    /* Five of one exact set, an hour ago; out of order. */
    for (int i = 0; i < 5; i++)
        events[i] = (struct budget_event){STR("set.example.com"), NOW - HOUR - (i * 7) % 5,
                                          BUDGET_SENT, .renewal = true};
    for (int i = 5; i < 10; i++)
        events[i] =
            (struct budget_event){STR("bad.example.com"), NOW - 60, BUDGET_FAILED, .ari = false};
    CU_ASSERT_EQUAL(budget_record(b, events, 10, &e), 0);
    add(w, "set.example.com", 20);
    add(w, "bad.example.com", 0);
    add(w, "good.example.com", 0);
    plan = fit(w, b);
    /* 34 hours after they began to be drawn, less what has passed since */
    CU_ASSERT(at_of(plan, "set.example.com") > 33 * HOUR - HOUR - 60);
    CU_ASSERT(at_of(plan, "set.example.com") < 34 * HOUR);
    CU_ASSERT_EQUAL(at_of(plan, "bad.example.com"), 720 - 60);
    CU_ASSERT_EQUAL(at_of(plan, "good.example.com"), 0);
    budget_free(b);
    world_free(w);
}

/* However much we believe was drawn: what passed has passed, so one refill later the next one fits.
 */
static void impossible_history(void)
{
    struct world *w = world_new();
    struct budget *b = budget_new(budget_known(PRODUCTION));
    struct observed_name names[200];
    char text[200][32];
    struct observed observed = {.names = names, .count = 200};
    struct error e;

    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    for (int i = 0; i < 200; i++) {
        snprintf(text[i], sizeof(text[i]), "o%03d.example.com", i);
        names[i] =
            (struct observed_name){.subject.name = str_from(text[i]),
                                   .has_certificate = true,
                                   .directory = PRODUCTION,
                                   .managed.issued_at = i == 199 ? INT64_MAX : NOW - 1000 + i,
                                   .failure.count = i % 2 ? 1 : 0,
                                   .failure.failed_at = INT64_MIN + i};
    }
    CU_ASSERT_EQUAL(budget_record_observed(b, &observed, &production, NOW, &e), 0);
    add(w, "new.example.com", 0);
    CU_ASSERT(at_of(fit(w, b), "new.example.com") > 11000);
    CU_ASSERT(at_of(fit(w, b), "new.example.com") <= 2 * 12096);
    budget_free(b);
    /* Renewals drew on nothing but their own set; another CA's certificates on nothing at all. */
    for (int i = 0; i < 200; i++) {
        names[i].managed.renewed = i % 2 == 0;
        if (i % 2)
            names[i].directory = STR("https://other.test/");
    }
    b = budget_new(budget_known(PRODUCTION));
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    CU_ASSERT_EQUAL(budget_record_observed(b, &observed, &production, NOW, &e), 0);
    CU_ASSERT_EQUAL(at_of(fit(w, b), "new.example.com"), 0);
    budget_free(b);
    world_free(w);
}

/* How many of the account's 250 are left. */
static uint32_t left_of(const struct observed_name *o, size_t count)
{
    const struct budget_limits limits = {.scopes = {[BUDGET_ORDERS] = {250, 3 * HOUR},
                                                    [BUDGET_DOMAIN] = {250, 7 * DAY},
                                                    [BUDGET_SET] = {250, 7 * DAY}},
                                         .renewals_exempt = true};
    const struct observed observed = {.names = o, .count = count, .storage_usable = true};
    struct budget *b = budget_new(&limits);
    uint32_t left, same;
    struct error e;

    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    CU_ASSERT_EQUAL(budget_record_observed(b, &observed, &production, NOW, &e), 0);
    left = budget_bucket_left(budget_bucket_of(b, BUDGET_ORDERS, o->subject.name),
                              &limits.scopes[0], NOW);
    for (int scope = BUDGET_DOMAIN; scope <= BUDGET_SET; scope++) {
        same = budget_bucket_left(budget_bucket_of(b, (enum budget_scope)scope, o->subject.name),
                                  &limits.scopes[scope], NOW);
        if (!o->failure.count)
            CU_ASSERT_EQUAL(same, left);
    }
    budget_free(b);
    return left;
}

/* Each newOrder that was sent counts, and what came of it does not count again. */
static void sent(void)
{
    char eight[256];
    struct observed_name o = {.subject.name = STR("a.example.com"), .sent_directory = PRODUCTION};
    size_t len = 0;

    for (int i = 0; i < 8; i++)
        len += (size_t)snprintf(eight + len, sizeof(eight) - len, "%s%lld", i ? " " : "",
                                (long long)(NOW - 8 + i));
    CU_ASSERT_EQUAL(left_of(&o, 1), 250);
    o.sent = str_from(eight);
    CU_ASSERT_EQUAL(left_of(&o, 1), 242);
    o.has_certificate = true;
    o.directory = PRODUCTION;
    o.managed.issued_at = NOW - 1;
    CU_ASSERT_EQUAL(left_of(&o, 1), 242);
    o.managed.issued_at = NOW - 9; /* before the first of them: it is not among them */
    CU_ASSERT_EQUAL(left_of(&o, 1), 241);
    o.has_certificate = false;
    o.failure.count = 1;
    o.failure.failed_at = NOW;
    CU_ASSERT_EQUAL(left_of(&o, 1), 242);
    o.failure.count = 0;
    o.sent = STR("1r"); /* long ago */
    CU_ASSERT_EQUAL(left_of(&o, 1), 250);
    o.sent = STR("999999999999"); /* by a clock that was wrong */
    CU_ASSERT_EQUAL(left_of(&o, 1), 250);
    o.sent = str_from(eight);
    o.sent_directory = STR("https://other.test/");
    CU_ASSERT_EQUAL(left_of(&o, 1), 250);
}

static void exemptions(void)
{
    struct observed_name o = {.subject.name = STR("a.com"),
                              .has_certificate = true,
                              .directory = PRODUCTION,
                              .ari_at = NOW};
    const struct desired_name asked = {.ca = &production};
    struct action a = {
        .action = PLAN_RENEW, .subject.name = STR("a.com"), .desired = &asked, .observed = &o};
    const struct budget_limits *limits = budget_known(PRODUCTION);
    struct budget_request r = budget_request_of(&a, NOW);

    CU_ASSERT(r.renewal && r.ari);
    for (int scope = 0; scope < BUDGET_SCOPE_COUNT; scope++)
        CU_ASSERT_FALSE(budget_draws_on(limits, &r, (enum budget_scope)scope));
    r = budget_request_of(&a, NOW - 1);
    CU_ASSERT(r.renewal && !r.ari);
    CU_ASSERT_FALSE(budget_draws_on(limits, &r, BUDGET_ORDERS));
    CU_ASSERT_FALSE(budget_draws_on(limits, &r, BUDGET_DOMAIN));
    CU_ASSERT(budget_draws_on(limits, &r, BUDGET_SET));
    o.directory = STR("https://other.test/");
    r = budget_request_of(&a, NOW);
    CU_ASSERT(!r.renewal && !r.ari && budget_draws_on(limits, &r, BUDGET_ORDERS));
    o.directory = STR("");
    CU_ASSERT(budget_request_of(&a, NOW).renewal);
    a.observed = NULL;
    CU_ASSERT_FALSE(budget_request_of(&a, NOW).renewal);
}

/* ---- against a CA that counts in its own way ---- */

struct counter {
    char key[64];
    double tokens;
    int64_t seen_at;
};

struct mock_ca {
    const struct budget_limits *limits;
    struct counter counters[4 * ORDERS_MAX];
    size_t count;
};

static struct counter *counter_of(struct mock_ca *ca, enum budget_scope scope, struct str subject)
{
    char key[64];

    snprintf(key, sizeof(key), "%d %.*s", scope, STR_ARG(subject));
    for (size_t i = 0; i < ca->count; i++)
        if (strcmp(ca->counters[i].key, key) == 0)
            return &ca->counters[i];
    memcpy(ca->counters[ca->count].key, key, sizeof(key));
    ca->counters[ca->count].tokens = ca->limits->scopes[scope].count;
    return &ca->counters[ca->count++];
}

/* True if the CA accepts an order for a first certificate at `at`. */
static bool accepts(struct mock_ca *ca, struct str name, int64_t at)
{
    struct str subjects[] = {STR("account"), policy_registered_domain(name), name};
    struct counter *counters[3];

    for (int i = 0; i < 3; i++) {
        const struct budget_limit *limit = &ca->limits->scopes[i];
        struct counter *c = counters[i] = counter_of(ca, (enum budget_scope)i, subjects[i]);

        c->tokens += (double)(at - c->seen_at) * limit->count / (double)limit->seconds;
        c->tokens = c->tokens > limit->count ? limit->count : c->tokens;
        c->seen_at = at;
        if (limit->count && c->tokens < 1 - 1e-6)
            return false;
    }
    for (int i = 0; i < 3; i++)
        counters[i]->tokens -= 1;
    return true;
}

static int by_time(const void *left, const void *right)
{
    const struct action *a = *(const struct action *const *)left;
    const struct action *b = *(const struct action *const *)right;

    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return str_compare(a->subject.name, b->subject.name);
}

/* How many orders the CA refuses when all come at their times, or (`now`) all at once. */
static size_t refusals(const struct plan *plan, const struct budget_limits *limits, bool at_once)
{
    const struct action *sorted[ORDERS_MAX];
    struct mock_ca *ca = calloc(1, sizeof(*ca));
    size_t refused = 0;

    if (!ca)
        BUG("out of memory in a test");
    ca->limits = limits;
    for (size_t i = 0; i < plan->count; i++)
        sorted[i] = &plan->items[i];
    qsort(sorted, plan->count, sizeof(sorted[0]), by_time);
    for (size_t i = 0; i < plan->count; i++)
        refused += !accepts(ca, sorted[i]->subject.name, at_once ? NOW : sorted[i]->at);
    free(ca);
    return refused;
}

static void forecast_holds(void)
{
    uint64_t state = 3;

    for (int round = 0; round < 60; round++) {
        struct budget_limits limits = {0};
        struct world *w = world_new();
        struct budget *b;
        const struct plan *plan;
        size_t count, domains;
        char name[32];

        for (int scope = 0; scope < 3; scope++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            if (state >> 62)
                limits.scopes[scope] = (struct budget_limit){(uint32_t)(state >> 40) % 20 + 1,
                                                             (int64_t)(state >> 20) % 1000 + 1};
        }
        count = (state >> 33) % 100 + 1;
        domains = (state >> 50) % 9 + 1;
        for (size_t i = 0; i < count; i++) {
            snprintf(name, sizeof(name), "n%03zu.d%zu.com", i, i * i % domains);
            add(w, name, 0);
        }
        b = budget_new(&limits);
        CU_ASSERT_PTR_NOT_NULL_FATAL(b);
        plan = fit(w, b);
        CU_ASSERT_EQUAL(refusals(plan, &limits, false), 0);
        CU_ASSERT_EQUAL(refusals(plan, &limits, true) > 0, plan->counts[PLAN_WAIT] > 0);
        budget_free(b);
        world_free(w);
    }
}

/* budget_promise and budget_take, one order at a time, agree with the whole plan. */
static void single_orders(void)
{
    struct budget *b = budget_new(budget_known(PRODUCTION));
    struct budget_request r = {.name = STR("x.example.com")};
    struct error e;

    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    for (int i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(budget_promise(b, &r, NOW), NOW);
        CU_ASSERT_EQUAL(budget_take(b, &r, NOW, &e), 0);
    }
    CU_ASSERT_EQUAL(budget_promise(b, &r, NOW), NOW + 120960);
    CU_ASSERT_EQUAL(budget_promise(b, &(struct budget_request){.name = STR("y.example.com")}, NOW),
                    NOW);
    r.ari = r.renewal = true;
    CU_ASSERT_EQUAL(budget_promise(b, &r, NOW), NOW);
    budget_free(b);
    budget_free(NULL);
}

static void nothing_to_order(void)
{
    struct world *w = world_new();
    struct budget *b = budget_new(budget_known(PRODUCTION));

    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    CU_ASSERT_PTR_EQUAL(fit(w, b), &w->plan);
    budget_free(b);
    world_free(w);
}

static void memory_runs_out(void)
{
    struct world *w = world_new();
    const struct plan *fitting;
    struct error e;
    int rc = -1;

    add(w, "a.com", 0);
    add(w, "b.com", 20);
    for (size_t n = 1; n < 20 && rc; n++) {
        struct budget *b = budget_new(budget_known(PRODUCTION));

        CU_ASSERT_PTR_NOT_NULL_FATAL(b);
        arena_fail_after(w->arena, n);
        rc = budget_plan(b, &w->plan, NOW, w->arena, &fitting, &e);
        CU_ASSERT(rc == 0 || e.kind == ERROR_MEMORY);
        CU_ASSERT(n > 2 || rc == -1);
        budget_free(b);
    }
    CU_ASSERT_EQUAL(rc, 0);
    world_free(w);
}

static void rendered(void)
{
    struct model_builder *builder = model_builder_new();
    struct acme *acme = model_builder_acme(builder);
    struct budget *b = budget_new(budget_known(PRODUCTION));
    struct observed observed = {.storage_usable = true};
    struct buf out = BUF_INIT((size_t)1 << 20);
    struct render_options options;
    struct budget_event events[49];
    struct desired *desired;
    struct policy policy;
    struct plan *plan;
    const struct plan *fitting;
    struct error e;

    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    acme->api_uri.value = PRODUCTION;
    model_builder_domain(builder, "a.shop.com", 5);
    model_builder_domain(builder, "b.shop.com", 6);
    model_builder_domain(builder, "c.shop.co.uk", 7);
    for (int i = 0; i < 49; i++)
        events[i] = (struct budget_event){STR("old.shop.com"), NOW - 10, BUDGET_SENT, .ari = false};
    CU_ASSERT_EQUAL(budget_record(b, events, 49, &e), 0);
    CU_ASSERT_EQUAL_FATAL(
        desired_make(&builder->model, &(struct desired_options){0}, builder->arena, &desired, &e),
        0);
    policy = plan_policy(desired, 0);
    CU_ASSERT_EQUAL_FATAL(plan_make(desired, &observed, &policy, NOW, builder->arena, &plan, &e),
                          0);
    CU_ASSERT_EQUAL_FATAL(budget_plan(b, plan, NOW, builder->arena, &fitting, &e), 0);
    options = (struct render_options){.model = &builder->model,
                                      .desired = desired,
                                      .sha256 = "00",
                                      .against = STR("storage"),
                                      .now = NOW};
    CU_ASSERT_EQUAL(render_plan_text(fitting, &options, &out), 0);
    CU_ASSERT(golden_matches("tests/golden/plan/budget.txt", buf_view(&out)));
    buf_clear(&out);
    CU_ASSERT_EQUAL(render_plan_json(fitting, &options, &out), 0);
    CU_ASSERT(golden_matches("tests/golden/plan/budget.json", buf_view(&out)));
    buf_free(&out);
    budget_free(b);
    model_builder_free(builder);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"one domain", one_domain},
        {"one account", one_account},
        {"urgency", urgency},
        {"history", history},
        {"impossible history", impossible_history},
        {"sent", sent},
        {"exemptions", exemptions},
        {"forecast holds", forecast_holds},
        {"single orders", single_orders},
        {"nothing to order", nothing_to_order},
        {"memory runs out", memory_runs_out},
        {"rendered", rendered},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"budget", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
