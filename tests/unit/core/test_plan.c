#include "reconciler/core/plan.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "tests/support/plan_check.h"

#define RANDOM_NAMES 300

static const struct sni declared = {.name = {.value = STR_INIT("a.test")}};

static void nothing_there(void)
{
    struct observed_name o = {.subject.name = STR("a.test")};

    plan_check(plan_check_decide(&plan_check_wanted, NULL), PLAN_ISSUE, PLAN_ISSUE, REASON_MISSING,
               NOW, "pending");
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_ISSUE, PLAN_ISSUE, REASON_MISSING,
               NOW, "pending");
    CU_ASSERT_EQUAL(plan_check_decide(NULL, &o).action, PLAN_NOTHING);
    o.order_open = true;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_WAIT, PLAN_ISSUE, REASON_ORDER_OPEN,
               0, "pending");
    CU_ASSERT_EQUAL(plan_check_decide(NULL, &o).action, PLAN_NOTHING);
}

static void by_age(void)
{
    struct observed_name o = plan_check_aged(0);
    int64_t due = NOW + 60 * DAY;

    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_KEEP, PLAN_KEEP, REASON_NOT_DUE, due,
               "valid");
    o = plan_check_aged(60);
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_RENEW, PLAN_RENEW,
               REASON_RENEWAL_DUE, NOW, "due");
    o.facts.not_before++; /* one second younger */
    o.facts.not_after++;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_KEEP, PLAN_KEEP, REASON_NOT_DUE,
               NOW + 1, "valid");
    o = plan_check_aged(90);
    o.facts.not_after = NOW; /* its last second */
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_RENEW, PLAN_RENEW,
               REASON_RENEWAL_DUE, NOW, "due");
    o.facts.not_after = NOW - 1;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_RENEW, PLAN_RENEW, REASON_EXPIRED,
               NOW, "expired");
    o.managed.active = false;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_ISSUE, PLAN_ISSUE, REASON_EXPIRED,
               NOW, "expired");
    o = plan_check_aged(0);
    o.facts.not_after = o.facts.not_before - 5 + 90 * DAY;
    o.facts.not_before = o.facts.not_after + 1; /* valid never */
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_RENEW, PLAN_RENEW, REASON_EXPIRED,
               NOW, "expired");
    o = plan_check_aged(0);
    o.ari_at = NOW + 3;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_KEEP, PLAN_KEEP, REASON_NOT_DUE,
               NOW + 3, "valid");
    o.ari_at = NOW;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_RENEW, PLAN_RENEW,
               REASON_RENEWAL_DUE, NOW, "due");
}

static void revoked(void)
{
    struct observed_name o = plan_check_aged(0);

    o.managed.revoked = true;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_RENEW, PLAN_RENEW, REASON_REVOKED,
               NOW, "revoked");
    o.managed.active = false;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_ISSUE, PLAN_ISSUE, REASON_REVOKED,
               NOW, "revoked");
    plan_check(plan_check_decide(NULL, &o), PLAN_NOTHING, PLAN_NOTHING, REASON_NOT_DECLARED, 0,
               "revoked");
}

/* Somebody wants another try: no wait that failures brought holds, everything else does. */
static void waived(void)
{
    struct observed_name o = {.subject.name = STR("a.test"),
                              .failure.count = 3,
                              .failure.failed_at = NOW - 1,
                              .failure.retry_at = NOW + DAY,
                              .failure.waived = true};

    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_ISSUE, PLAN_ISSUE, REASON_MISSING,
               NOW, "failing");
    o.failure.permanent = true;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_ISSUE, PLAN_ISSUE, REASON_MISSING,
               NOW, "failing");
    plan_check(plan_decide(&plan_check_wanted, &o, &plan_check_policy, false, NOW), PLAN_WAIT,
               PLAN_ISSUE, REASON_STORAGE, NOW + POLICY_STORAGE_RETRY_SECONDS, "failing");
    o.order_open = true;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_WAIT, PLAN_ISSUE, REASON_ORDER_OPEN,
               0, "failing");
}

static void adopted(void)
{
    struct observed_name o = plan_check_aged(10);
    struct desired_name blocked = plan_check_wanted;

    o.managed.active = false;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_ADOPT, PLAN_ADOPT,
               REASON_FOUND_VALID, NOW, "pending");
    o.directory = STR(""); /* who wrote it is not known */
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_ADOPT, PLAN_ADOPT,
               REASON_FOUND_VALID, NOW, "pending");
    /* Served first, renewed in the next pass; neither needs the CA or a writable storage yet. */
    o = plan_check_aged(70);
    o.managed.active = false;
    o.failure.count = 2;
    o.failure.failed_at = NOW - 1;
    blocked.block = DESIRED_TOS;
    plan_check(plan_decide(&blocked, &o, &plan_check_policy, false, NOW), PLAN_ADOPT, PLAN_ADOPT,
               REASON_FOUND_VALID, NOW, "pending");
}

static void other_directory(void)
{
    struct observed_name o = plan_check_aged(10);

    o.directory = STR("https://staging.test/directory");
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_ISSUE, PLAN_ISSUE,
               REASON_OTHER_DIRECTORY, NOW, "due");
    o.managed.active = false;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_ISSUE, PLAN_ISSUE,
               REASON_OTHER_DIRECTORY, NOW, "pending");
    o.order_open = true;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_WAIT, PLAN_ISSUE, REASON_ORDER_OPEN,
               0, "pending");
}

static void other_key_type(void)
{
    struct observed_name o = plan_check_aged(10);

    o.facts.key_type = KEY_RSA_4096;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_KEEP, PLAN_KEEP,
               REASON_OTHER_KEY_TYPE, NOW + 50 * DAY, "valid");
    o.facts.key_type = KEY_NONE;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_KEEP, PLAN_KEEP, REASON_NOT_DUE,
               NOW + 50 * DAY, "valid");
}

static void failed(void)
{
    struct observed_name o = {
        .subject.name = STR("a.test"), .failure.count = 1, .failure.failed_at = NOW - 10};
    int64_t retry = policy_retry_at(1, NOW - 10, 0, 0, STR("a.test"), &plan_check_policy);

    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_WAIT, PLAN_ISSUE, REASON_BACKOFF,
               retry, "failing");
    o.failure.failed_at = NOW - 67;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_ISSUE, PLAN_ISSUE, REASON_MISSING,
               NOW, "failing");
    o.failure.retry_at = NOW + 5;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_WAIT, PLAN_ISSUE,
               REASON_RATE_LIMITED, NOW + 5, "failing");
    o.failure.failed_at = NOW; /* our own time is later than what the CA asks */
    retry = policy_retry_at(1, NOW, 0, 0, STR("a.test"), &plan_check_policy);
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_WAIT, PLAN_ISSUE, REASON_BACKOFF,
               retry, "failing");
    o.failure.count = 0;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_WAIT, PLAN_ISSUE,
               REASON_RATE_LIMITED, NOW + 5, "pending");
}

/* The machine's clock was a year ahead when it failed, or is back now. */
static void failed_in_the_future(void)
{
    struct observed_name o = {
        .subject.name = STR("a.test"), .failure.count = 4, .failure.failed_at = NOW + 365 * DAY};

    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_ISSUE, PLAN_ISSUE, REASON_MISSING,
               NOW, "failing");
    o.failure.permanent = true;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_ISSUE, PLAN_ISSUE, REASON_MISSING,
               NOW, "failing");
    o.failure.retry_at = NOW + 366 * DAY;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_ISSUE, PLAN_ISSUE, REASON_MISSING,
               NOW, "failing");
    o.failure.failed_at = NOW + 1;
    o.failure.retry_at = NOW + 30 * DAY;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_WAIT, PLAN_ISSUE,
               REASON_RATE_LIMITED, NOW + DAY, "failing");
}

static void failed_renewal(void)
{
    struct observed_name o = plan_check_aged(60);
    int64_t retry = policy_retry_at(3, NOW, 0, 90 * DAY, STR("a.test"), &plan_check_policy);

    o.failure.count = 3;
    o.failure.failed_at = NOW;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_WAIT, PLAN_RENEW, REASON_BACKOFF,
               retry, "failing");
    o = plan_check_aged(10); /* a forced renewal failed; this one is good for long */
    o.failure.count = 3;
    o.failure.failed_at = NOW;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_KEEP, PLAN_KEEP, REASON_NOT_DUE,
               NOW + 50 * DAY, "valid");
}

static void refused(void)
{
    struct observed_name o = {.subject.name = STR("a.test"),
                              .failure.count = 1,
                              .failure.failed_at = NOW - 600,
                              .failure.permanent = true};
    int64_t retry = policy_retry_at(4, NOW - 600, 0, 0, STR("a.test"), &plan_check_policy);

    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_BLOCK, PLAN_BLOCK,
               REASON_REFUSED_BY_CA, retry, "blocked");
    o.failure.failed_at = NOW - 2 * DAY;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_ISSUE, PLAN_ISSUE, REASON_MISSING,
               NOW, "failing");
    o.failure.retry_at = NOW + 1; /* a day is the most without a certificate */
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_ISSUE, PLAN_ISSUE, REASON_MISSING,
               NOW, "failing");
    o.failure.failed_at = NOW - 1;
    o.failure.retry_at = NOW + 100 * DAY;
    retry = policy_retry_at(4, NOW - 1, 0, 0, STR("a.test"), &plan_check_policy);
    retry = retry > NOW - 1 + DAY ? retry : NOW - 1 + DAY;
    plan_check(plan_check_decide(&plan_check_wanted, &o), PLAN_BLOCK, PLAN_BLOCK,
               REASON_REFUSED_BY_CA, retry, "blocked");
}

static void blocked(void)
{
    static const struct {
        enum desired_block block;
        enum plan_reason reason;
    } rows[] = {{DESIRED_NOT_PUBLIC, REASON_NOT_PUBLIC},
                {DESIRED_NO_ACCOUNT_KEY, REASON_NO_ACCOUNT_KEY},
                {DESIRED_UNRESOLVED, REASON_UNRESOLVED},
                {DESIRED_TOS, REASON_TOS},
                {DESIRED_STORAGE, REASON_STORAGE_UNSUPPORTED}};
    struct desired_name lacking = plan_check_wanted;
    struct observed_name o = plan_check_aged(10);

    /* A name that is served already is not let down for what its service lacks. */
    lacking.block = DESIRED_NO_CA_CERTIFICATE;
    plan_check(plan_check_decide(&lacking, NULL), PLAN_BLOCK, PLAN_BLOCK, REASON_NO_CA_CERTIFICATE,
               0, "blocked");
    plan_check(plan_check_decide(&lacking, &o), PLAN_KEEP, PLAN_KEEP, REASON_NOT_DUE,
               NOW + 50 * DAY, "valid");
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct desired_name d = plan_check_wanted;
        d.block = rows[i].block;
        plan_check(plan_check_decide(&d, NULL), PLAN_BLOCK, PLAN_BLOCK, rows[i].reason, 0,
                   "blocked");
        plan_check(plan_check_decide(&d, &o), PLAN_BLOCK, PLAN_BLOCK, rows[i].reason, 0, "blocked");
    }
}

static void storage(void)
{
    struct observed_name o = plan_check_aged(60);

    plan_check(plan_decide(&plan_check_wanted, NULL, &plan_check_policy, false, NOW), PLAN_WAIT,
               PLAN_ISSUE, REASON_STORAGE, NOW + POLICY_STORAGE_RETRY_SECONDS, "pending");
    plan_check(plan_decide(&plan_check_wanted, &o, &plan_check_policy, false, NOW), PLAN_WAIT,
               PLAN_RENEW, REASON_STORAGE, NOW + POLICY_STORAGE_RETRY_SECONDS, "due");
    o.order_open = true;
    plan_check(plan_decide(&plan_check_wanted, &o, &plan_check_policy, false, NOW), PLAN_WAIT,
               PLAN_RENEW, REASON_ORDER_OPEN, 0, "due");
    o = plan_check_aged(1);
    plan_check(plan_decide(&plan_check_wanted, &o, &plan_check_policy, false, NOW), PLAN_KEEP,
               PLAN_KEEP, REASON_NOT_DUE, NOW + 59 * DAY, "valid");
}

static void retired(void)
{
    struct observed_name o = plan_check_aged(10);

    plan_check(plan_check_decide(NULL, &o), PLAN_RETIRE, PLAN_RETIRE, REASON_NOT_DECLARED, NOW,
               "retired");
    o.managed.active = false;
    CU_ASSERT_EQUAL(plan_check_decide(NULL, &o).action, PLAN_NOTHING);
}

static bool overrides(struct observed_name *o, bool storage_usable, enum desired_block block)
{
    struct desired_name d = plan_check_wanted;

    d.overrides = &declared;
    d.block = block;
    return plan_decide(&d, o, &plan_check_policy, storage_usable, NOW).overrides;
}

static void override(void)
{
    struct observed_name o = plan_check_aged(10);

    CU_ASSERT_FALSE(plan_check_decide(&plan_check_wanted, NULL).overrides);
    CU_ASSERT(overrides(NULL, true, DESIRED_FREE));
    CU_ASSERT(overrides(NULL, false, DESIRED_FREE)); /* waiting to */
    CU_ASSERT_FALSE(overrides(NULL, true, DESIRED_TOS));
    CU_ASSERT_FALSE(overrides(&o, true, DESIRED_FREE)); /* it does already */
    o = plan_check_aged(70);
    CU_ASSERT_FALSE(overrides(&o, true, DESIRED_FREE));
    o = plan_check_aged(91);
    CU_ASSERT(overrides(&o, true, DESIRED_FREE)); /* expired: the declared one is back */
    o = plan_check_aged(10);
    o.managed.revoked = true;
    CU_ASSERT(overrides(&o, true, DESIRED_FREE));
    o = plan_check_aged(10);
    o.managed.active = false;
    CU_ASSERT(overrides(&o, true, DESIRED_FREE));
    o = plan_check_aged(10);
    o.directory = STR("https://other.test/");
    CU_ASSERT_FALSE(overrides(&o, true, DESIRED_FREE)); /* the old managed one is served still */
}

static uint64_t next(uint64_t *state, uint64_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (*state >> 33) % below;
}

static struct observed_name random_observed(struct str name, uint64_t *s)
{
    static const int64_t lifetimes[] = {0, 1, 3600, 6 * DAY, 10 * DAY, 90 * DAY, 365 * DAY};
    static const struct str directories[] = {STR_INIT(""), STR_INIT("https://ca.test/directory"),
                                             STR_INIT("https://other.test/")};
    struct observed_name o = {.subject.name = name};
    int64_t lifetime = lifetimes[next(s, ARRAY_LENGTH(lifetimes))];

    o.has_certificate = next(s, 4) > 0;
    o.facts.not_before = NOW + 10 - (int64_t)next(s, (uint64_t)lifetime * 3 / 2 + 20);
    o.facts.not_after = o.facts.not_before + lifetime - 1;
    o.directory = directories[next(s, 3)];
    o.facts.key_type = (enum key_type)next(s, 7);
    o.managed.revoked = next(s, 10) == 0;
    o.managed.active = next(s, 3) > 0;
    o.ari_at = next(s, 5) ? 0 : NOW - 100 + (int64_t)next(s, 200);
    o.failure.count = (unsigned)(next(s, 3) ? 0 : next(s, 6));
    o.failure.failed_at = NOW - (int64_t)next(s, 2 * DAY);
    o.failure.retry_at = next(s, 6) ? 0 : NOW - 100 + (int64_t)next(s, 1000);
    o.failure.permanent = o.failure.count && next(s, 4) == 0;
    o.order_open = next(s, 8) == 0;
    return o;
}

struct random_world {
    char names[RANDOM_NAMES][16];
    struct desired_name desired_names[RANDOM_NAMES];
    struct observed_name observed_names[RANDOM_NAMES];
    struct desired desired;
    struct observed observed;
};

static void make_world(struct random_world *w, uint64_t *s)
{
    memset(w, 0, sizeof(*w));
    w->desired.names = w->desired_names;
    w->observed.names = w->observed_names;
    w->observed.storage_usable = next(s, 4) > 0;
    for (size_t i = 0; i < RANDOM_NAMES; i++) {
        uint64_t where = next(s, 4); /* nowhere, desired, observed, both */
        struct str name;

        snprintf(w->names[i], sizeof(w->names[i]), "n%03zu.test", i);
        name = str_from(w->names[i]);
        if (where & 1)
            w->desired_names[w->desired.count++] = (struct desired_name){
                .subject.name = name,
                .ca = &plan_check_ca,
                .key_type = KEY_P256,
                .block = next(s, 5) ? DESIRED_FREE : (enum desired_block)next(s, 6),
                .overrides = next(s, 3) ? NULL : &declared};
        if (where & 2)
            w->observed_names[w->observed.count++] = random_observed(name, s);
    }
}

static const struct observed_name *observed_of(const struct random_world *w, struct str name)
{
    for (size_t i = 0; i < w->observed.count; i++)
        if (str_equal(w->observed_names[i].subject.name, name))
            return &w->observed_names[i];
    return NULL;
}

static bool same_action(const struct action *a, const struct action *b)
{
    return a->action == b->action && a->wanted == b->wanted && a->reason == b->reason &&
           a->clamp == b->clamp && a->at == b->at && a->renew_at == b->renew_at &&
           a->desired == b->desired && a->observed == b->observed && a->overrides == b->overrides &&
           str_equal(a->subject.name, b->subject.name);
}

/* What must hold of any action whatever the inputs. */
static bool makes_sense(const struct action *a, int64_t now)
{
    bool is_order = a->action == PLAN_ISSUE || a->action == PLAN_RENEW;

    if (a->action == PLAN_WAIT)
        return (a->wanted == PLAN_ISSUE || a->wanted == PLAN_RENEW) && (a->at == 0 || a->at > now);
    if (a->wanted != a->action)
        return false;
    if (a->action == PLAN_KEEP || (a->action == PLAN_BLOCK && a->at))
        return a->at > now;
    return a->action == PLAN_BLOCK || (a->at == now && (!is_order || a->desired));
}

/* The plan of a whole world against its names one by one. */
static void compare(const struct random_world *w, const struct plan *plan)
{
    size_t listed = 0, counts[PLAN_ACTION_COUNT] = {0}, wrong = 0;
    int64_t next_at = 0;

    for (size_t i = 0; i < RANDOM_NAMES; i++) {
        struct str name = str_from(w->names[i]);
        const struct desired_name *d = desired_find(&w->desired, subject_first(name));
        const struct observed_name *o = observed_of(w, name);
        const struct action *found = plan_find(plan, subject_first(name));
        struct action a;

        if (!d && !o) {
            wrong += found != NULL;
            continue;
        }
        a = plan_decide(d, o, &plan_check_policy, w->observed.storage_usable, NOW);
        if (a.action == PLAN_NOTHING) {
            wrong += found != NULL;
            continue;
        }
        wrong += !found || !same_action(found, &a) || !makes_sense(&a, NOW) ||
                 found != &plan->items[listed];
        listed++;
        counts[a.action]++;
        next_at = a.at && (!next_at || a.at < next_at) ? a.at : next_at;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(plan->count, listed);
    CU_ASSERT_EQUAL(plan->next_at, next_at);
    CU_ASSERT_EQUAL(memcmp(counts, plan->counts, sizeof(counts)), 0);
}

static void sweep_equals_single_looks(void)
{
    struct random_world *w = malloc(sizeof(*w));
    uint64_t state = 7;

    CU_ASSERT_PTR_NOT_NULL_FATAL(w);
    for (int round = 0; round < 100; round++) {
        struct arena *arena = arena_new(NULL);
        struct plan *plan;
        struct error e;

        CU_ASSERT_PTR_NOT_NULL_FATAL(arena);
        make_world(w, &state);
        CU_ASSERT_EQUAL_FATAL(
            plan_make(&w->desired, &w->observed, &plan_check_policy, NOW, arena, &plan, &e), 0);
        compare(w, plan);
        arena_free(arena);
    }
    free(w);
}

static enum plan_exit exit_of(enum plan_action action, enum plan_reason reason)
{
    struct action items[] = {{.action = PLAN_KEEP}, {.action = action, .reason = reason}};
    struct plan plan = {.items = items, .count = 2, .counts = {[PLAN_KEEP] = 1}};

    plan.counts[action]++;
    return plan_exit_code(&plan);
}

static void exit_codes(void)
{
    struct plan empty = {0};

    CU_ASSERT_EQUAL(plan_exit_code(&empty), 0);
    CU_ASSERT_EQUAL(exit_of(PLAN_KEEP, REASON_NOT_DUE), 0);
    CU_ASSERT_EQUAL(exit_of(PLAN_KEEP, REASON_OTHER_KEY_TYPE), 0);
    CU_ASSERT_EQUAL(exit_of(PLAN_ISSUE, REASON_MISSING), 2);
    CU_ASSERT_EQUAL(exit_of(PLAN_RENEW, REASON_RENEWAL_DUE), 2);
    CU_ASSERT_EQUAL(exit_of(PLAN_ADOPT, REASON_FOUND_VALID), 2);
    CU_ASSERT_EQUAL(exit_of(PLAN_RETIRE, REASON_NOT_DECLARED), 2);
    CU_ASSERT_EQUAL(exit_of(PLAN_WAIT, REASON_ORDER_OPEN), 2);
    CU_ASSERT_EQUAL(exit_of(PLAN_WAIT, REASON_BACKOFF), 4);
    CU_ASSERT_EQUAL(exit_of(PLAN_WAIT, REASON_RATE_LIMITED), 4);
    CU_ASSERT_EQUAL(exit_of(PLAN_WAIT, REASON_BUDGET), 4);
    CU_ASSERT_EQUAL(exit_of(PLAN_WAIT, REASON_STORAGE), 4);
    CU_ASSERT_EQUAL(exit_of(PLAN_BLOCK, REASON_NOT_PUBLIC), 4);
}

static void policy_of_a_file(void)
{
    struct acme acme = {.renew_threshold_days = 14,
                        .renew_threshold_is_stated = true,
                        .fail_backoff_minutes = 5,
                        .fail_backoff_is_stated = false};
    struct desired desired = {.key_type = KEY_RSA_2048, .acme = &acme};
    struct policy p = plan_policy(&desired, 9);

    CU_ASSERT(p.threshold_is_stated && p.threshold_days == 14 && !p.backoff_is_stated);
    CU_ASSERT(p.built_at == 9 && p.jitter_part == POLICY_JITTER_PART);
    desired.acme = NULL;
    CU_ASSERT_FALSE(plan_policy(&desired, 9).threshold_is_stated);
}

static void words(void)
{
    for (int reason = 0; reason < REASON_COUNT; reason++)
        for (int other = 0; other < reason; other++)
            CU_ASSERT_STRING_NOT_EQUAL(plan_reason_id((enum plan_reason)reason),
                                       plan_reason_id((enum plan_reason)other));
    CU_ASSERT_STRING_EQUAL(plan_action_name(PLAN_ISSUE), "issue");
    CU_ASSERT_STRING_EQUAL(plan_action_name(PLAN_RETIRE), "retire");
    CU_ASSERT_STRING_EQUAL(plan_reason_id(REASON_RENEWAL_DUE), "renewal_due");
}

static void memory_runs_out(void)
{
    struct arena *arena = arena_new(NULL);
    struct desired desired = {.names = &plan_check_wanted, .count = 1};
    struct observed observed = {0};
    struct plan *plan;
    struct error e;

    CU_ASSERT_PTR_NOT_NULL_FATAL(arena);
    for (size_t n = 1; n <= 2; n++) {
        arena_fail_after(arena, n);
        CU_ASSERT_EQUAL(plan_make(&desired, &observed, &plan_check_policy, NOW, arena, &plan, &e),
                        -1);
        CU_ASSERT_EQUAL(e.kind, ERROR_MEMORY);
    }
    arena_free(arena);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"nothing there", nothing_there},
        {"by age", by_age},
        {"revoked", revoked},
        {"waived", waived},
        {"adopted", adopted},
        {"other directory", other_directory},
        {"other key type", other_key_type},
        {"failed", failed},
        {"failed in the future", failed_in_the_future},
        {"failed renewal", failed_renewal},
        {"refused", refused},
        {"blocked", blocked},
        {"storage", storage},
        {"retired", retired},
        {"override", override},
        {"a sweep equals single looks", sweep_equals_single_looks},
        {"exit codes", exit_codes},
        {"policy of a file", policy_of_a_file},
        {"words", words},
        {"memory runs out", memory_runs_out},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"plan", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
