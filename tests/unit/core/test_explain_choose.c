#include <CUnit/Basic.h>

#include "reconciler/base/attr.h"
#include "reconciler/core/explain.h"
#include "tests/support/model_builder.h"

#define DAY ((int64_t)86400)
#define NOW ((int64_t)1800000000)

static const struct policy policy;

/* Kong's ladder: exact, first label, last label, "*"; ours before all of them while it is good. */
static void choices(void)
{
    static const struct {
        const char *name;
        enum explain_served served;
        const char *sni;
    } rows[] = {
        {"www.domain.test", SERVED_EXACT, "www.domain.test"},
        {"a.domain.test", SERVED_FIRST_WILDCARD, "*.domain.test"},
        {"a.b.domain.test", SERVED_STAR, "*"}, /* one label only */
        {"domain.test", SERVED_LAST_WILDCARD, "domain.*"},
        {"domain.eu", SERVED_LAST_WILDCARD, "domain.*"},
        {"a.com", SERVED_STAR, "*"}, /* "*.com" is not tried for two labels */
        {"x.a.com", SERVED_LAST_WILDCARD, "x.a.*"},
        {"y.a.com", SERVED_STAR, "*"},
        {"single", SERVED_STAR, "*"},
        {"", SERVED_STAR, "*"},
    };
    static const char *const snis[] = {"*",     "www.domain.test", "*.domain.test", "domain.*",
                                       "*.com", "x.a.*",           "www.domain.*",  "*x"};
    struct model_builder *b = model_builder_new();
    struct certificate *certificate = model_builder_certificate(b, "");
    struct observed_name o = {.has_certificate = true,
                              .facts.not_before = NOW - DAY,
                              .facts.not_after = NOW + 89 * DAY,
                              .managed.active = true};

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        CU_ASSERT_EQUAL(
            explain_choose(&b->model, str_from(rows[i].name), NULL, &policy, NOW).served,
            SERVED_DEFAULT);
    for (unsigned i = 0; i < ARRAY_LENGTH(snis); i++)
        model_builder_sni(b, certificate, snis[i], "", i + 1);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct explain_choice c =
            explain_choose(&b->model, str_from(rows[i].name), NULL, &policy, NOW);

        CU_ASSERT_EQUAL(c.served, rows[i].served);
        CU_ASSERT(c.sni && str_equal_cstr(c.sni->name.value, rows[i].sni));
        c = explain_choose(&b->model, str_from(rows[i].name), &o, &policy, NOW);
        CU_ASSERT(c.served == SERVED_MANAGED && !c.sni);
        c = explain_choose(&b->model, str_from(rows[i].name), &o, &policy, NOW + 90 * DAY);
        CU_ASSERT_EQUAL(c.served, rows[i].served);
    }
    certificate->unresolved = STR("{vault://env/x}");
    CU_ASSERT_EQUAL(explain_choose(&b->model, STR("domain.eu"), NULL, &policy, NOW).served,
                    SERVED_DEFAULT);
    CU_ASSERT_EQUAL(explain_choose(&b->model, STR("domain.eu"), &o, &policy, NOW + 90 * DAY).served,
                    SERVED_MANAGED_STALE);
    o.managed.active = false;
    CU_ASSERT_EQUAL(explain_choose(&b->model, STR("domain.eu"), &o, &policy, NOW).served,
                    SERVED_DEFAULT);
    model_builder_free(b);
}

/* What is not valid now gives way to a valid one further down, if there is one. */
static void dates(void)
{
    const struct validity good = {NOW - DAY, NOW + DAY}, early = {NOW + 1, NOW + DAY},
                          ended = {NOW - DAY, NOW - 1};
    const struct {
        struct validity exact, wildcard, star;
        enum explain_served served, passed; /* passed: the same as served for none */
    } rows[] = {
        {good, good, good, SERVED_EXACT, SERVED_EXACT},
        {early, good, good, SERVED_FIRST_WILDCARD, SERVED_EXACT},
        {ended, good, good, SERVED_FIRST_WILDCARD, SERVED_EXACT},
        {ended, early, good, SERVED_STAR, SERVED_EXACT},
        {early, ended, early, SERVED_EXACT, SERVED_EXACT}, /* none: as it is declared */
        {good, ended, ended, SERVED_EXACT, SERVED_EXACT},
        {{0, 0}, good, good, SERVED_EXACT, SERVED_EXACT}, /* nobody knows */
    };
    const struct policy later = {.built_at = NOW + DAY}; /* the clock is wrong */

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct model_builder *b = model_builder_new();
        struct certificate *exact = model_builder_certificate(b, "");
        struct certificate *wildcard = model_builder_certificate(b, "");
        struct certificate *star = model_builder_certificate(b, "");
        const struct sni *sni = model_builder_sni(b, exact, "a.b.test", "", 1);
        struct explain_choice c;

        exact->valid = rows[i].exact;
        wildcard->valid = rows[i].wildcard;
        star->valid = rows[i].star;
        model_builder_sni(b, star, "*", "", 2);
        model_builder_sni(b, wildcard, "*.b.test", "", 3);
        c = explain_choose(&b->model, STR("a.b.test"), NULL, &policy, NOW);
        CU_ASSERT_EQUAL(c.served, rows[i].served);
        CU_ASSERT_PTR_EQUAL(c.passed, rows[i].passed == rows[i].served ? NULL : sni);
        CU_ASSERT_EQUAL(explain_gives_way(&b->model, sni, &policy, NOW), c.passed != NULL);
        c = explain_choose(&b->model, STR("a.b.test"), NULL, &later, NOW);
        CU_ASSERT_EQUAL(c.served, SERVED_EXACT);
        exact->cert_alt.value = STR("another"); /* of another key type, and valid */
        exact->valid_alt = good;
        c = explain_choose(&b->model, STR("a.b.test"), NULL, &policy, NOW);
        CU_ASSERT_EQUAL(c.served, SERVED_EXACT);
        model_builder_free(b);
    }
}

int main(void)
{
    CU_TestInfo tests[] = {{"choices", choices}, {"dates", dates}, CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{"explain choose", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
