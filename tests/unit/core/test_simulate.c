#include "reconciler/core/simulate.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/cli/text/simulate_text.h"
#include "tests/support/golden.h"

#define HOUR ((int64_t)3600)
#define DAY ((int64_t)86400)
#define NOW ((int64_t)1800000000)
#define CA STR_INIT("https://ca.test/directory")
#define NAMES_MAX 10000
#define SENT_MAX 40000

struct sent {
    int64_t at;
    struct str name;
    bool succeeded;
};

struct world {
    struct arena *arena;
    char text[NAMES_MAX][40];
    struct desired_name desired_names[NAMES_MAX];
    struct observed_name observed_names[NAMES_MAX];
    struct desired desired;
    struct observed observed;
    struct reconcile_rules rules;
    struct simulate_options options;
    struct sent sent[SENT_MAX];
    size_t sent_count;
};

static void on_order(void *context, int64_t at, const struct action *a, bool succeeded)
{
    struct world *w = context;

    if (w->sent_count < SENT_MAX)
        w->sent[w->sent_count++] = (struct sent){at, a->subject.name, succeeded};
}

/* `count` names nNNNNN.<domain> without certificates; %u in `domain` is the name's number. */
static struct world *world_new(size_t count)
{
    struct world *w = calloc(1, sizeof(*w));

    if (!w || !(w->arena = arena_new(NULL)))
        BUG("out of memory in a test");
    w->desired = (struct desired){.names = w->desired_names, .count = count, .ca.directory = CA};
    w->observed = (struct observed){.names = w->observed_names, .storage_usable = true};
    w->rules.ca = &w->desired.ca;
    for (size_t i = 0; i < count; i++) {
        snprintf(w->text[i], sizeof(w->text[i]), "n%05zu.example.com", i);
        w->desired_names[i] = (struct desired_name){.subject.name = str_from(w->text[i]),
                                                    .ca = &w->desired.ca,
                                                    .key_type = KEY_P256,
                                                    .place_count = 1};
    }
    w->options = (struct simulate_options){.desired = &w->desired,
                                           .observed = &w->observed,
                                           .rules = &w->rules,
                                           .now = NOW,
                                           .days = 90,
                                           .ordered = on_order,
                                           .context = w};
    return w;
}

/* The next name that is observed; in order of name. */
static struct observed_name *observe(struct world *w, size_t i, int64_t age, int64_t lifetime)
{
    struct observed_name *o = &w->observed_names[w->observed.count++];

    *o = (struct observed_name){.subject.name = w->desired_names[i].subject.name,
                                .has_certificate = true,
                                .facts.not_before = NOW - age,
                                .facts.not_after = NOW - age + lifetime - 1,
                                .directory = CA,
                                .facts.key_type = KEY_P256,
                                .managed.active = true};
    return o;
}

static void world_free(struct world *w)
{
    arena_free(w->arena);
    free(w);
}

static struct simulation *run(struct world *w)
{
    struct simulation *s = NULL;
    struct error e;

    CU_ASSERT_EQUAL_FATAL(simulate_run(&w->options, w->arena, &s, &e), 0);
    return s;
}

static void steady(void)
{
    struct world *w = world_new(NAMES_MAX);
    struct simulation *s = run(w);

    CU_ASSERT_EQUAL(s->names, NAMES_MAX);
    CU_ASSERT_EQUAL(s->orders, 2 * NAMES_MAX);
    CU_ASSERT_EQUAL(s->failed, 0);
    CU_ASSERT_EQUAL(s->by_day[0].orders, NAMES_MAX);
    CU_ASSERT_EQUAL(s->by_day[60].orders, NAMES_MAX); /* a third of 90 days is left */
    CU_ASSERT_EQUAL(s->peak_day, 0);
    CU_ASSERT(s->has_slack && s->smallest_slack == 30 * DAY);
    CU_ASSERT_EQUAL(s->risk_count, 0);
    CU_ASSERT_EQUAL(w->sent_count, 2 * NAMES_MAX);
    CU_ASSERT(str_equal_cstr(w->sent[0].name, "n00000.example.com"));
    world_free(w);
}

/* 47 days from 2027, 6 days: the same code, no constant in days. */
static void lifetimes(void)
{
    static const struct {
        int64_t lifetime;
        unsigned days;
        uint64_t orders; /* of one name: the first, then one every 2/3 (or half) of a lifetime */
    } rows[] = {{90 * DAY, 90, 2},   {45 * DAY, 90, 3}, {47 * DAY, 90, 3}, {6 * DAY, 30, 10},
                {160 * HOUR, 30, 9}, {HOUR, 1, 48},     {398 * DAY, 90, 1}};

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct world *w = world_new(1);

        w->options.lifetime = rows[i].lifetime;
        w->options.days = rows[i].days;
        CU_ASSERT_EQUAL(run(w)->orders, rows[i].orders);
        world_free(w);
    }
}

/* As long as the CA is away for less than the window, nothing expires; beyond, what had to. */
static void outages(void)
{
    struct world *w = world_new(20);
    struct simulation *s;

    for (size_t i = 0; i < 20; i++)
        observe(w, i, (int64_t)i * 3 * DAY, 90 * DAY);
    w->options.outages[0] = (struct simulate_outage){10 * DAY, 3 * DAY};
    w->options.outage_count = 1;
    s = run(w);
    CU_ASSERT(s->failed > 0 && s->risk_count == 0 && s->smallest_slack > 25 * DAY);
    w->options.outages[0].length = 28 * DAY;
    s = run(w);
    CU_ASSERT_EQUAL(s->risk_count, 1); /* saved in the last days: too close */
    CU_ASSERT_EQUAL(s->risks[0].fault, SIMULATE_TIGHT);
    w->options.outages[0].length = 60 * DAY;
    s = run(w);
    CU_ASSERT(s->smallest_slack < 0);
    CU_ASSERT(s->risk_count > 5);
    for (size_t i = 0; i < s->risk_count; i++)
        CU_ASSERT(s->risks[i].fault == SIMULATE_EXPIRED || s->risks[i].fault == SIMULATE_TIGHT);
    world_free(w);
}

/* Failures are a day apart at the most often, never a storm. */
static void outage_is_gentle(void)
{
    struct world *w = world_new(1);
    struct simulation *s;

    w->options.outages[0] = (struct simulate_outage){0, 30 * DAY};
    w->options.outage_count = 1;
    s = run(w);
    CU_ASSERT(s->failed >= 30 && s->failed <= 38);
    CU_ASSERT_EQUAL(s->by_day[0].failed, 4);
    CU_ASSERT_EQUAL(s->risk_count, 0);
    world_free(w);
}

static void blocked(void)
{
    struct world *w = world_new(3);
    struct simulation *s;

    w->desired_names[0].block = DESIRED_NOT_PUBLIC;
    w->desired_names[1].block = DESIRED_TOS;
    observe(w, 1, 20 * DAY, 90 * DAY);
    s = run(w);
    CU_ASSERT_EQUAL_FATAL(s->risk_count, 2);
    CU_ASSERT_EQUAL(s->risks[0].fault, SIMULATE_NEVER);
    CU_ASSERT_EQUAL(s->risks[0].reason, REASON_NOT_PUBLIC);
    CU_ASSERT_EQUAL(s->risks[1].fault, SIMULATE_EXPIRED);
    CU_ASSERT_EQUAL(s->risks[1].since, NOW + 70 * DAY);
    CU_ASSERT_EQUAL(s->risks[1].reason, REASON_TOS);
    world_free(w);
}

static void under_limits(void)
{
    struct world *w = world_new(700);
    struct simulation *s;

    w->desired.ca.limits = budget_known(STR("https://acme-v02.api.letsencrypt.org/directory"));
    w->options.days = 80;
    s = run(w);
    CU_ASSERT(s->by_day[0].orders >= 50 + 6 && s->by_day[0].orders <= 50 + 8);
    CU_ASSERT(s->by_day[1].orders >= 7 && s->by_day[1].orders <= 8);
    /* One every 12,096 s, and the renewals of the first ones, which are free of that limit. */
    CU_ASSERT_EQUAL(w->sent[50].at, NOW + 12096);
    CU_ASSERT_EQUAL(w->sent[51].at, NOW + 2 * 12096);
    CU_ASSERT(s->by_day[60].orders >= 50 + 6);
    CU_ASSERT(s->risk_count > 0);
    CU_ASSERT_EQUAL(s->risks[s->risk_count - 1].fault, SIMULATE_NEVER);
    world_free(w);
}

/* Ten thousand domains at once against the account's limit: 300, then one every 36 s. */
static void account_limit(void)
{
    static const struct budget_limits limits = {.scopes = {[BUDGET_ORDERS] = {300, 3 * HOUR}}};
    struct world *w = world_new(NAMES_MAX);
    size_t wrong = 0;

    w->desired.ca.limits = &limits;
    w->options.days = 5;
    CU_ASSERT_EQUAL(run(w)->orders, NAMES_MAX);
    for (size_t i = 0; i < w->sent_count; i++)
        wrong += w->sent[i].at != NOW + (i < 300 ? 0 : (int64_t)(i - 299) * 36);
    CU_ASSERT_EQUAL(wrong, 0);
    world_free(w);
}

/* ---- against whole sweeps ---- */

static uint64_t next(uint64_t *state, uint64_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (*state >> 33) % below;
}

static void mix(struct world *w, size_t count, uint64_t seed)
{
    static const int64_t ages[] = {0, 30 * DAY, 59 * DAY, 61 * DAY, 89 * DAY, 95 * DAY};
    uint64_t state = seed;

    for (size_t i = 0; i < count; i++) {
        struct observed_name *o;

        if (next(&state, 3) == 0)
            continue;
        o = observe(w, i, ages[next(&state, 6)] + (int64_t)next(&state, 5 * DAY),
                    next(&state, 2) ? 90 * DAY : 45 * DAY);
        o->managed.active = next(&state, 3) > 0;
        o->managed.revoked = next(&state, 9) == 0;
        o->failure.count = (unsigned)(next(&state, 4) ? 0 : next(&state, 5));
        o->failure.failed_at = NOW - (int64_t)next(&state, DAY);
        o->order_open = next(&state, 9) == 0;
        if (next(&state, 7) == 0)
            o->directory = STR("https://other.test/");
    }
}

static bool is_away(const struct world *w, int64_t now)
{
    const struct simulate_outage *o = &w->options.outages[0];

    return w->options.outage_count && now >= NOW + o->start && now < NOW + o->start + o->length;
}

/* What a server would do that knew nothing but plan_make: sweep, carry out, sleep until next_at. */
static size_t sweep(struct world *w, size_t count, struct observed_name *states, struct sent *sent)
{
    int64_t now = NOW, end = NOW + w->options.days * DAY;
    size_t orders = 0;

    while (now && now < end) {
        struct arena *arena = arena_new(NULL);
        struct observed observed = {.names = states, .count = count, .storage_usable = true};
        struct plan *plan;
        struct error e;
        bool acted = false;

        CU_ASSERT_PTR_NOT_NULL_FATAL(arena);
        CU_ASSERT_EQUAL_FATAL(
            plan_make(&w->desired, &observed, &w->rules.policy, now, arena, &plan, &e), 0);
        for (size_t i = 0; i < plan->count; i++) {
            const struct action *a = &plan->items[i];
            struct observed_name *o = &states[i];

            acted |= a->action == PLAN_ADOPT || a->action == PLAN_ISSUE || a->action == PLAN_RENEW;
            if (a->action == PLAN_ADOPT)
                o->managed.active = true;
            if (a->action != PLAN_ISSUE && a->action != PLAN_RENEW)
                continue;
            sent[orders++] = (struct sent){now, a->subject.name, !is_away(w, now)};
            if (is_away(w, now)) {
                o->failure.count++;
                o->failure.failed_at = now;
                o->failure.retry_at = 0;
                o->failure.permanent = false;
                continue;
            }
            *o = (struct observed_name){.subject.name = o->subject.name,
                                        .has_certificate = true,
                                        .facts.not_before = now,
                                        .facts.not_after =
                                            now - 1 +
                                            (o->has_certificate
                                                 ? o->facts.not_after - o->facts.not_before + 1
                                                 : SIMULATE_LIFETIME),
                                        .directory = w->desired.ca.directory,
                                        .facts.key_type = w->desired_names[0].key_type,
                                        .managed.active = true};
        }
        now = acted ? now : plan->next_at;
        arena_free(arena);
    }
    return orders;
}

static int by_time(const void *left, const void *right)
{
    const struct sent *a = left, *b = right;

    return a->at != b->at ? (a->at < b->at ? -1 : 1) : str_compare(a->name, b->name);
}

static void compare_with_sweeps(size_t count, uint64_t seed, struct sent *expected)
{
    struct world *w = world_new(count);
    struct observed_name states[64];
    size_t orders, o = 0, wrong = 0;

    mix(w, count, seed);
    w->options.outages[0] = (struct simulate_outage){20 * DAY, 25 * DAY};
    w->options.outage_count = seed % 2;
    for (size_t i = 0; i < count; i++) {
        states[i] = (struct observed_name){.subject.name = w->desired_names[i].subject.name};
        if (o < w->observed.count &&
            str_equal(w->observed_names[o].subject.name, states[i].subject.name))
            states[i] = w->observed_names[o++];
        states[i].order_open = false;
    }
    run(w);
    orders = sweep(w, count, states, expected);
    CU_ASSERT_EQUAL_FATAL(orders, w->sent_count);
    qsort(expected, orders, sizeof(*expected), by_time);
    qsort(w->sent, orders, sizeof(*w->sent), by_time);
    for (size_t i = 0; i < orders; i++)
        wrong += expected[i].at != w->sent[i].at || !str_equal(expected[i].name, w->sent[i].name) ||
                 expected[i].succeeded != w->sent[i].succeeded;
    CU_ASSERT_EQUAL(wrong, 0);
    world_free(w);
}

static void equals_sweeps(void)
{
    struct sent *expected = calloc(SENT_MAX, sizeof(*expected));

    CU_ASSERT_PTR_NOT_NULL_FATAL(expected);
    for (uint64_t seed = 1; seed <= 10; seed++)
        compare_with_sweeps(64, seed, expected);
    free(expected);
}

static bool same_orders(const struct world *w, const struct sent *others, size_t count)
{
    if (w->sent_count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (w->sent[i].at != others[i].at || !str_equal(w->sent[i].name, others[i].name))
            return false;
    return true;
}

/* The seed, and nothing else, decides what chance decides. */
static void seeds(void)
{
    struct world *w = world_new(50);
    struct sent *first = calloc(SENT_MAX, sizeof(*first));
    size_t count;

    CU_ASSERT_PTR_NOT_NULL_FATAL(first);
    w->options.outages[0] = (struct simulate_outage){0, 2 * DAY};
    w->options.outage_count = 1;
    w->options.days = 1;
    run(w);
    count = w->sent_count;
    CU_ASSERT(count >= 200 && count < 250);
    memcpy(first, w->sent, count * sizeof(*first));
    w->sent_count = 0;
    run(w);
    CU_ASSERT(same_orders(w, first, count));
    w->sent_count = 0;
    w->rules.policy.jitter_seed = 1;
    run(w);
    CU_ASSERT_FALSE(same_orders(w, first, count));
    free(first);
    world_free(w);
}

static void reports(void)
{
    struct world *w = world_new(40);
    struct buf out = BUF_INIT((size_t)1 << 20);
    struct simulation *s;

    for (size_t i = 0; i < 30; i++)
        observe(w, i, (int64_t)i * 2 * DAY, 90 * DAY);
    w->options.outages[0] = (struct simulate_outage){5 * DAY, 60 * DAY};
    w->options.outage_count = 1;
    s = run(w);
    CU_ASSERT_EQUAL(simulate_text_print(s, &out), 0);
    CU_ASSERT(golden_matches("tests/golden/simulate/outage.txt", buf_view(&out)));
    buf_clear(&out);
    CU_ASSERT_EQUAL(simulate_text_print_json(s, &out), 0);
    CU_ASSERT(golden_matches("tests/golden/simulate/outage.json", buf_view(&out)));
    buf_clear(&out);
    w->options.outage_count = 0;
    w->options.days = 10;
    CU_ASSERT_EQUAL(simulate_text_print(run(w), &out), 0);
    CU_ASSERT(golden_matches("tests/golden/simulate/ten-days.txt", buf_view(&out)));
    buf_clear(&out);
    w->desired.count = 0;
    CU_ASSERT_EQUAL(simulate_text_print(run(w), &out), 0);
    CU_ASSERT(golden_matches("tests/golden/simulate/nothing.txt", buf_view(&out)));
    buf_clear(&out);
    CU_ASSERT_EQUAL(simulate_text_print_json(run(w), &out), 0);
    CU_ASSERT(golden_matches("tests/golden/simulate/nothing.json", buf_view(&out)));
    buf_free(&out);
    world_free(w);
}

static void out_of_range(void)
{
    struct world *w = world_new(1);
    struct simulation *s;
    struct error e;

    w->options.days = 0;
    CU_ASSERT_EQUAL(simulate_run(&w->options, w->arena, &s, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_USAGE);
    w->options.days = SIMULATE_DAYS_MAX + 1;
    CU_ASSERT_EQUAL(simulate_run(&w->options, w->arena, &s, &e), -1);
    w->options.days = SIMULATE_DAYS_MAX;
    CU_ASSERT_EQUAL(run(w)->days, SIMULATE_DAYS_MAX);
    w->options.days = 1;
    for (size_t n = 1; n <= 3; n++) {
        arena_fail_after(w->arena, n);
        CU_ASSERT_EQUAL(simulate_run(&w->options, w->arena, &s, &e), -1);
        CU_ASSERT_EQUAL(e.kind, ERROR_MEMORY);
    }
    world_free(w);
}

static void parses(void)
{
    static const char *const wrong[] = {
        "", "d", "5", "0d", "-1d", "1w", "1D", "3661d", "1.5d", "1d ", "99999999999999999999d"};
    static const char *const wrong_outages[] = {"3d",   "3d@",     "@10", "3d@x",
                                                "0d@1", "3d@3661", "3@1d"};
    struct simulate_outage outage;
    int64_t seconds;

    CU_ASSERT(simulate_parse_duration(STR("90d"), &seconds) && seconds == 90 * DAY);
    CU_ASSERT(simulate_parse_duration(STR("36h"), &seconds) && seconds == 36 * HOUR);
    CU_ASSERT(simulate_parse_duration(STR("15m"), &seconds) && seconds == 900);
    CU_ASSERT(simulate_parse_duration(STR("3660d"), &seconds) && seconds == 3660 * DAY);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        CU_ASSERT_FALSE(simulate_parse_duration(str_from(wrong[i]), &seconds));
    CU_ASSERT_FATAL(simulate_parse_outage(STR("3d@10"), &outage));
    CU_ASSERT(outage.length == 3 * DAY && outage.start == 10 * DAY);
    CU_ASSERT_FATAL(simulate_parse_outage(STR("90m@36h"), &outage));
    CU_ASSERT(outage.length == 5400 && outage.start == 36 * HOUR);
    CU_ASSERT_FATAL(simulate_parse_outage(STR("1d@0"), &outage));
    CU_ASSERT_EQUAL(outage.start, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong_outages); i++)
        CU_ASSERT_FALSE(simulate_parse_outage(str_from(wrong_outages[i]), &outage));
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"steady", steady},
        {"lifetimes", lifetimes},
        {"outages", outages},
        {"an outage is gentle", outage_is_gentle},
        {"blocked", blocked},
        {"under limits", under_limits},
        {"account limit", account_limit},
        {"equals sweeps", equals_sweeps},
        {"seeds", seeds},
        {"reports", reports},
        {"out of range", out_of_range},
        {"parses", parses},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"simulate", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
