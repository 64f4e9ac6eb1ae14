#include "reconciler/core/render.h"

#include <CUnit/Basic.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "reconciler/base/attr.h"
#include "tests/support/golden.h"
#include "tests/support/model_builder.h"

#define DAY ((int64_t)86400)
#define NOW ((int64_t)1800000000)
#define OUT_MAX ((size_t)64 << 20)
#define CA STR_INIT("https://ca.test/directory")

/* One of everything that a plan can say. */
static struct observed_name observed_names[] = {
    {.subject.name = STR_INIT("adopted.test"),
     .has_certificate = true,
     .facts.not_before = NOW - DAY,
     .facts.not_after = NOW + 89 * DAY - 1,
     .directory = CA,
     .facts.key_type = KEY_RSA_2048},
    {.subject.name = STR_INIT("backoff.test"),
     .failure.count = 2,
     .failure.failed_at = NOW - 60,
     .failure.kind = ERROR_CHALLENGE,
     .failure.text = STR_INIT("Cannot reach \"backoff.test\" \x1b[31mport 80\nLine two")},
    {.subject.name = STR_INIT("drift.test"),
     .has_certificate = true,
     .facts.not_before = NOW - DAY,
     .facts.not_after = NOW + 89 * DAY - 1,
     .directory = STR_INIT("https://staging.test/"),
     .facts.key_type = KEY_P256,
     .managed.active = true},
    {.subject.name = STR_INIT("due.test"),
     .has_certificate = true,
     .facts.not_before = NOW - 80 * DAY,
     .facts.not_after = NOW + 10 * DAY - 1,
     .directory = CA,
     .facts.key_type = KEY_P256,
     .managed.active = true,
     .managed.issuer = STR_INIT("Test CA \"1\"")},
    {.subject.name = STR_INIT("expired.test"),
     .has_certificate = true,
     .facts.not_before = NOW - 91 * DAY,
     .facts.not_after = NOW - DAY - 1,
     .directory = CA,
     .facts.key_type = KEY_P256,
     .managed.active = true},
    {.subject.name = STR_INIT("gone.test"),
     .has_certificate = true,
     .facts.not_before = NOW - DAY,
     .facts.not_after = NOW + 89 * DAY - 1,
     .directory = CA,
     .facts.key_type = KEY_P256,
     .managed.active = true},
    {.subject.name = STR_INIT("kept.test"),
     .has_certificate = true,
     .facts.not_before = NOW - DAY,
     .facts.not_after = NOW + 89 * DAY - 1,
     .directory = CA,
     .facts.key_type = KEY_P256,
     .managed.active = true,
     .managed.issuer = STR_INIT("Test CA 1"),
     .facts.fingerprint = {0xab, 0xcd, 0x01}},
    {.subject.name = STR_INIT("limited.test"),
     .failure.count = 1,
     .failure.failed_at = NOW - 60,
     .failure.retry_at = NOW + 7200,
     .failure.kind = ERROR_RATE_LIMIT,
     .failure.text = STR_INIT("too many certificates already issued")},
    {.subject.name = STR_INIT("open.test"), .order_open = true},
    {.subject.name = STR_INIT("other-key.test"),
     .has_certificate = true,
     .facts.not_before = NOW - DAY,
     .facts.not_after = NOW + 89 * DAY - 1,
     .directory = CA,
     .facts.key_type = KEY_RSA_4096,
     .managed.active = true},
    {.subject.name = STR_INIT("refused.test"),
     .failure.count = 1,
     .failure.failed_at = NOW - 60,
     .failure.permanent = true,
     .failure.kind = ERROR_CA_REFUSED,
     .failure.text = STR_INIT("the policy forbids issuing for this name")},
    {.subject.name = STR_INIT("revoked.test"),
     .has_certificate = true,
     .facts.not_before = NOW - DAY,
     .facts.not_after = NOW + 89 * DAY - 1,
     .directory = CA,
     .facts.key_type = KEY_P256,
     .managed.active = true,
     .managed.revoked = true},
};

static const char *const domains[] = {
    "adopted.test", "backoff.test", "drift.test",     "due.test",     "expired.test", "kept.test",
    "limited.test", "open.test",    "other-key.test", "refused.test", "revoked.test", "first.test",
};

struct fixture {
    struct model_builder *builder;
    struct desired *desired;
    struct observed observed;
    struct plan *plan;
    struct render_options options;
};

static const struct render_file files[] = {{"kong.yaml", "00112233"}};

static void plan_fixture(struct fixture *f, const struct desired_demand *demands, size_t count)
{
    struct desired_options options = {
        .demands = demands, .demand_count = count};
    struct policy policy;
    struct error e;

    CU_ASSERT_EQUAL_FATAL(
        desired_make(&f->builder->model, &options, f->builder->arena, &f->desired, &e), 0);
    policy = plan_policy(f->desired, 0);
    CU_ASSERT_EQUAL_FATAL(
        plan_make(f->desired, &f->observed, &policy, NOW, f->builder->arena, &f->plan, &e), 0);
    f->options = (struct render_options){.model = &f->builder->model,
                                         .desired = f->desired,
                                         .files = files,
                                         .file_count = 1,
                                         .sha256 = "44556677",
                                         .against = STR("storage"),
                                         .now = NOW};
}

static void set_up(struct fixture *f)
{
    static const struct desired_demand demands[] = {{STR_INIT("seen.wild.test"), NOW - 5}};
    struct model_builder *b = model_builder_new();
    const struct certificate *certificate = model_builder_certificate(b, "");

    memset(f, 0, sizeof(*f));
    f->builder = b;
    f->observed = (struct observed){observed_names, ARRAY_LENGTH(observed_names), true};
    model_builder_acme(b);
    for (unsigned i = 0; i < ARRAY_LENGTH(domains); i++)
        model_builder_domain(b, domains[i], 10 + i);
    model_builder_domain(b, "*.wild.test", 30);
    for (unsigned i = 0; i < 5; i++)
        model_builder_route(b, NULL, "many.wild.test", "", 40 + 2 * i);
    model_builder_sni(b, certificate, "first.test", "", 60);
    model_builder_sni(b, certificate, "kept.test", "", 61);
    plan_fixture(f, demands, 1);
}

static void tear_down(struct fixture *f)
{
    model_builder_free(f->builder);
}

static void expect_text(struct fixture *f, const char *path)
{
    struct buf out = BUF_INIT(OUT_MAX);

    CU_ASSERT_EQUAL(render_plan_text(f->plan, &f->options, &out), 0);
    CU_ASSERT(golden_matches(path, buf_view(&out)));
    buf_free(&out);
}

static void expect_json(struct fixture *f, const char *path)
{
    struct buf out = BUF_INIT(OUT_MAX);

    CU_ASSERT_EQUAL(render_plan_json(f->plan, &f->options, &out), 0);
    CU_ASSERT(golden_matches(path, buf_view(&out)));
    buf_free(&out);
}

static void everything(void)
{
    struct fixture f;

    set_up(&f);
    expect_text(&f, "tests/golden/plan/everything.txt");
    expect_json(&f, "tests/golden/plan/everything.json");
    f.options.verbose = true;
    f.options.colour = true;
    expect_text(&f, "tests/golden/plan/everything-colour.txt");
    tear_down(&f);
}

static void expect_markdown(struct fixture *f, const char *path)
{
    struct buf out = BUF_INIT(OUT_MAX);

    CU_ASSERT_EQUAL(render_plan_markdown(f->plan, &f->options, &out), 0);
    CU_ASSERT(golden_matches(path, buf_view(&out)));
    buf_free(&out);
}

static void markdown(void)
{
    struct observed_name hostile = {
        .subject.name = STR("everything.test"),
        .failure.count = 1,
        .failure.failed_at = NOW - 1,
        .failure.text =
            STR("| <script> @team #12 `x` *b* [l](http://x) \\ ~~ $a$ &amp;\n# h\x1b[2J")};
    struct fixture f;

    set_up(&f);
    expect_markdown(&f, "tests/golden/plan/everything.md");
    model_builder_domain(f.builder, "everything.test", 33);
    f.observed = (struct observed){&hostile, 1, true};
    plan_fixture(&f, NULL, 0);
    expect_markdown(&f, "tests/golden/plan/hostile.md");
    tear_down(&f);
    f = (struct fixture){.builder = model_builder_new(), .observed = {.storage_usable = true}};
    plan_fixture(&f, NULL, 0);
    expect_markdown(&f, "tests/golden/plan/nothing.md");
    tear_down(&f);
}

static void nothing(void)
{
    struct fixture f = {.builder = model_builder_new(), .observed = {.storage_usable = true}};

    plan_fixture(&f, NULL, 0);
    expect_text(&f, "tests/golden/plan/nothing.txt");
    expect_json(&f, "tests/golden/plan/nothing.json");
    tear_down(&f);
}

static void blocked_and_stuck(void)
{
    struct fixture f = {.builder = model_builder_new()};
    struct acme *acme = model_builder_acme(f.builder);

    model_builder_domain(f.builder, "a.com", 5);
    model_builder_domain(f.builder, "localhost", 6);
    plan_fixture(&f, NULL, 0);
    expect_text(&f, "tests/golden/plan/storage.txt");
    expect_json(&f, "tests/golden/plan/storage.json");
    acme->api_uri.value = STR("https://acme-v02.api.letsencrypt.org/directory");
    acme->tos_accepted = false;
    plan_fixture(&f, NULL, 0);
    expect_text(&f, "tests/golden/plan/terms.txt");
    acme->account_key_id.value = STR("kid");
    plan_fixture(&f, NULL, 0);
    expect_text(&f, "tests/golden/plan/account-key.txt");
    acme->unresolved = STR("{vault://env/mail}");
    plan_fixture(&f, NULL, 0);
    expect_text(&f, "tests/golden/plan/unresolved.txt");
    tear_down(&f);
}

static void clamped(void)
{
    struct fixture f = {.builder = model_builder_new()};
    struct acme *acme = model_builder_acme(f.builder);

    model_builder_domain(f.builder, "due.test", 5);
    model_builder_domain(f.builder, "kept.test", 6);
    f.observed = (struct observed){observed_names, ARRAY_LENGTH(observed_names), true};
    acme->renew_threshold_is_stated = true;
    acme->renew_threshold_days = 60;
    plan_fixture(&f, NULL, 0);
    f.options.verbose = true;
    expect_text(&f, "tests/golden/plan/clamped-high.txt");
    acme->renew_threshold_days = 1;
    plan_fixture(&f, NULL, 0);
    f.options.verbose = true;
    expect_text(&f, "tests/golden/plan/clamped-low.txt");
    tear_down(&f);
}

static void certificates(void)
{
    struct buf out = BUF_INIT(OUT_MAX);
    struct json_out j = json_out_pretty(&out);
    struct fixture f;

    set_up(&f);
    json_out_array(&j);
    for (size_t i = 0; i < f.plan->count; i++)
        render_certificate_json(&f.plan->items[i], &f.options, &j);
    json_out_end(&j);
    buf_char(&out, '\n');
    CU_ASSERT(golden_matches("tests/golden/plan/certificates.json", buf_view(&out)));
    buf_free(&out);
    tear_down(&f);
}

/* Neither time zone nor locale nor the order of routes in memory shows in the bytes. */
static void same_bytes(void)
{
    struct fixture f;

    setenv("TZ", "Pacific/Kiritimati", 1);
    tzset();
    setlocale(LC_ALL, "de_DE.UTF-8");
    set_up(&f);
    for (size_t i = 0; i < 2; i++) {
        struct route swap = f.builder->routes[i];
        f.builder->routes[i] = f.builder->routes[4 - i];
        f.builder->routes[4 - i] = swap;
    }
    plan_fixture(&f, (struct desired_demand[]){{STR("seen.wild.test"), NOW - 5}}, 1);
    expect_json(&f, "tests/golden/plan/everything.json");
    expect_text(&f, "tests/golden/plan/everything.txt");
    tear_down(&f);
    setlocale(LC_ALL, "C");
    unsetenv("TZ");
}

struct collected {
    struct buf all;
    size_t calls, fail_at;
};

static int collect(void *context, struct buf *out)
{
    struct collected *c = context;

    if (++c->calls == c->fail_at)
        return -1;
    buf_str(&c->all, buf_view(out));
    buf_clear(out);
    return 0;
}

static void fill_big(struct fixture *f)
{
    struct model_builder *b = model_builder_new();
    char name[40];

    *f = (struct fixture){.builder = b, .observed = {.storage_usable = true}};
    model_builder_acme(b);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "a-rather-long-name-%03u.test", i);
        model_builder_domain(b, name, i + 1);
    }
    plan_fixture(f, NULL, 0);
}

/* Written in parts or at once: the same bytes. A writer that fails stops the rendering. */
static void flushes(void)
{
    int (*const renders[])(const struct plan *, const struct render_options *,
                           struct buf *) = {render_plan_text, render_plan_json};
    struct fixture f;

    fill_big(&f);
    for (size_t i = 0; i < ARRAY_LENGTH(renders); i++) {
        struct collected c = {.all = BUF_INIT(OUT_MAX)};
        struct buf whole = BUF_INIT(OUT_MAX), part = BUF_INIT((size_t)100 << 10);
        struct buf small = BUF_INIT(1000);

        f.options.flush = NULL;
        CU_ASSERT_EQUAL(renders[i](f.plan, &f.options, &whole), 0);
        CU_ASSERT_EQUAL(renders[i](f.plan, &f.options, &small), -1);
        buf_free(&small);
        f.options.flush = collect;
        f.options.context = &c;
        CU_ASSERT_EQUAL(renders[i](f.plan, &f.options, &part), 0);
        buf_str(&c.all, buf_view(&part));
        CU_ASSERT(c.calls > 0);
        CU_ASSERT(str_equal(buf_view(&whole), buf_view(&c.all)));
        c.calls = 0;
        c.fail_at = 1;
        buf_clear(&part);
        CU_ASSERT_EQUAL(renders[i](f.plan, &f.options, &part), -1);
        buf_free(&c.all);
        buf_free(&whole);
        buf_free(&part);
    }
    tear_down(&f);
}

/* A comment has an end; what does not fit is counted. */
static void long_comment(void)
{
    struct buf out = BUF_INIT(OUT_MAX), small = BUF_INIT(1000);
    struct fixture f;

    fill_big(&f);
    CU_ASSERT_EQUAL(render_plan_markdown(f.plan, &f.options, &out), 0);
    CU_ASSERT(out.len < RENDER_COMMENT_MAX && out.len > RENDER_COMMENT_MAX - 3000);
    CU_ASSERT_PTR_NOT_NULL(strstr(out.data, " more.\n"));
    CU_ASSERT_EQUAL(render_plan_markdown(f.plan, &f.options, &small), -1);
    buf_free(&out);
    buf_free(&small);
    tear_down(&f);
}

static void reason_text(void)
{
    struct fixture f;
    struct arena *arena = arena_new(NULL);
    const struct action *a;

    CU_ASSERT_PTR_NOT_NULL_FATAL(arena);
    set_up(&f);
    a = plan_find(f.plan, subject_first(STR("first.test")));
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    CU_ASSERT(str_equal_cstr(plan_reason_text(a, NOW, arena), "there is no certificate yet"));
    arena_fail_after(arena, 1);
    CU_ASSERT_PTR_NULL(plan_reason_text(a, NOW, arena).ptr);
    arena_free(arena);
    tear_down(&f);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"everything", everything},
        {"markdown", markdown},
        {"long comment", long_comment},
        {"nothing", nothing},
        {"blocked", blocked_and_stuck},
        {"clamped", clamped},
        {"certificates", certificates},
        {"same bytes", same_bytes},
        {"flushes", flushes},
        {"reason text", reason_text},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"render", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
