#include <CUnit/Basic.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/nearest.h"

static void distance(void)
{
    static const struct {
        const char *a, *b;
        size_t edits;
    } rows[] = {
        {"", "", 0},           {"", "abc", 3},         {"check", "check", 0},
        {"chek", "check", 1},  {"checks", "check", 1}, {"chack", "check", 1},
        {"chekc", "check", 1}, {"hcekc", "check", 2},  {"run", "diff", 4},
        {"ca", "abc", 3},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct str a = str_from(rows[i].a), b = str_from(rows[i].b);
        CU_ASSERT_EQUAL(nearest_distance(a, b), rows[i].edits);
        CU_ASSERT_EQUAL(nearest_distance(b, a), rows[i].edits);
    }
}

static void distance_limit(void)
{
    char word[NEAREST_WORD_MAX + 1];

    memset(word, 'a', sizeof(word));
    CU_ASSERT_EQUAL(nearest_distance((struct str){word, NEAREST_WORD_MAX}, STR("")),
                    NEAREST_WORD_MAX);
    CU_ASSERT_EQUAL(nearest_distance((struct str){word, sizeof(word)}, STR("")),
                    NEAREST_WORD_MAX + 1);
    CU_ASSERT_EQUAL(nearest_distance(STR("a"), (struct str){word, sizeof(word)}),
                    NEAREST_WORD_MAX + 1);
}

static void offers(void)
{
    static const char *const words[] = {"run", "check", "diff", "status", "version", "explain"};
    static const struct {
        const char *given, *near;
    } rows[] = {
        {"chek", "check"},
        {"dif", "diff"},
        {"stauts", "status"},
        {"verison", "version"},
        {"explian", "explain"},
        {"rnu", "run"},
        {"ver", "version"},
        {"st", "status"},
        {"r", NULL},
        {"", NULL},
        {"xyzzy", NULL},
        {"apply", NULL},
        {"help", NULL},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const char *near = NULL;
        for (size_t k = 0; k < ARRAY_LENGTH(words); k++)
            nearest_offer(str_from(rows[i].given), words[k], &near);
        if (rows[i].near)
            CU_ASSERT(near && strcmp(near, rows[i].near) == 0)
        else
            CU_ASSERT_PTR_NULL(near);
    }
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"distance", distance},
        {"distance limit", distance_limit},
        {"offers", offers},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"nearest", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
