#include "reconciler/base/hostname.h"

#include <CUnit/Basic.h>
#include <stdio.h>

#include "reconciler/base/attr.h"

static void forms(void)
{
    static const struct {
        const char *text, *lower;
        bool is_normal, is_ipv4, is_numeric;
    } rows[] = {
        {"www.example.com", "www.example.com", true, false, false},
        {"WWW.Example.COM", "www.example.com", false, false, false},
        {"a.test.", "a.test", false, false, false},
        {"a_b-c.1", "a_b-c.1", true, false, false},
        {"x", "x", true, false, false},
        {"1.2.3.4", "1.2.3.4", true, true, true},
        {"999.999.999.999", "999.999.999.999", true, true, true},
        {"1.2.3", "1.2.3", true, false, true},
        {"1.2.3.4.5", "1.2.3.4.5", true, false, true},
        {"1.2.3.4a", "1.2.3.4a", true, false, false},
        {"1..3.4", "1..3.4", false, false, true},
        {"1.2.3.", "1.2.3", false, false, true},
        {".1.2.3", ".1.2.3", false, false, true},
        {"", "", false, false, false},
        {".", ".", false, false, true},
        {"..", ".", false, false, true},
        {".a", ".a", false, false, false},
        {"a..b", "a..b", false, false, false},
        {"*.a.b", "*.a.b", false, false, false},
        {"a:80", "a:80", false, false, false},
        {"[::1]", "[::1]", false, false, false},
        {"a b", "a b", false, false, false},
        {"\xc3\xa4.test", "\xc3\xa4.test", false, false, false},
    };
    char room[64];

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct str text = str_from(rows[i].text);

        if (hostname_is_normal(text) != rows[i].is_normal ||
            hostname_is_ipv4(text) != rows[i].is_ipv4 ||
            hostname_is_numeric(text) != rows[i].is_numeric ||
            !str_equal_cstr(hostname_lower(text, room), rows[i].lower)) {
            fprintf(stderr, "%s\n", rows[i].text);
            CU_FAIL("a form");
        }
    }
}

static void longest(void)
{
    char text[HOSTNAME_MAX + 2], room[HOSTNAME_ROOM];
    const struct hostname_gate any = {.allows_any = true};

    memset(text, 'a', sizeof(text));
    CU_ASSERT(hostname_is_normal((struct str){text, HOSTNAME_MAX}));
    CU_ASSERT_FALSE(hostname_is_normal((struct str){text, HOSTNAME_MAX + 1}));
    CU_ASSERT(hostname_passes(&any, (struct str){text, HOSTNAME_MAX}));
    CU_ASSERT_FALSE(hostname_passes(&any, (struct str){text, HOSTNAME_MAX + 1}));
    text[1] = text[3] = '.';
    for (int rung = 0; rung < HOSTNAME_RUNGS; rung++) {
        struct str pattern =
            hostname_pattern((struct str){text, HOSTNAME_MAX}, (enum hostname_rung)rung, room);
        CU_ASSERT_PTR_NOT_NULL(pattern.ptr);
        CU_ASSERT(pattern.len <= HOSTNAME_MAX);
    }
    CU_ASSERT_PTR_NULL(
        hostname_pattern((struct str){text, HOSTNAME_MAX + 1}, HOSTNAME_FIRST_LABEL, room).ptr);
}

static void below(void)
{
    CU_ASSERT(hostname_lies_under(STR("Example.com"), STR("example.com")));
    CU_ASSERT(hostname_lies_under(STR("a.b.EXAMPLE.com"), STR("example.com")));
    CU_ASSERT_FALSE(hostname_lies_under(STR("anexample.com"), STR("example.com")));
    CU_ASSERT_FALSE(hostname_lies_under(STR("com"), STR("example.com")));
    CU_ASSERT_FALSE(hostname_lies_under(STR_NONE, STR("example.com")));
}

static void ladder(void)
{
    static const struct {
        const char *name, *first, *last; /* NULL: that rung is not tried */
    } rows[] = {
        {"a.b.c", "*.b.c", "a.b.*"},
        {"a.b.c.d", "*.b.c.d", "a.b.c.*"},
        {"b.c", NULL, "b.*"},
        {"c", NULL, NULL},
    };
    char room[HOSTNAME_ROOM];

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct str name = str_from(rows[i].name);

        CU_ASSERT(str_equal(hostname_pattern(name, HOSTNAME_EXACT, room), name));
        CU_ASSERT(
            str_equal(hostname_pattern(name, HOSTNAME_FIRST_LABEL, room), str_from(rows[i].first)));
        CU_ASSERT(
            str_equal(hostname_pattern(name, HOSTNAME_LAST_LABEL, room), str_from(rows[i].last)));
        CU_ASSERT(str_equal(hostname_pattern(name, HOSTNAME_STAR, room), STR("*")));
    }
    CU_ASSERT_EQUAL(hostname_rung_of(STR("b.*"), STR("b.c")), HOSTNAME_LAST_LABEL);
    CU_ASSERT_EQUAL(hostname_rung_of(STR("*.c"), STR("b.c")), HOSTNAME_RUNGS);
    CU_ASSERT_EQUAL(hostname_rung_of(STR("x"), STR("b.c")), HOSTNAME_RUNGS);
}

int main(void)
{
    CU_TestInfo tests[] = {{"forms", forms},
                           {"longest", longest},
                           {"below", below},
                           {"ladder", ladder},
                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "hostname", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
