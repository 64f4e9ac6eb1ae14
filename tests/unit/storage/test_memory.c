#include "reconciler/storage/memory.h"

#include <CUnit/Basic.h>
#include <string.h>

#include "tests/support/scratch.h"
#include "tests/support/storage_model.h"
#include "tests/support/value_sample.h"

static void test_against_model(void)
{
    static struct storage_model m, loaded;
    static struct value_sample sample;
    struct storage_problems problems = {0};
    struct storage *s;
    struct error e;

    memset(&m, 0, sizeof(m));
    s = storage_open(&(struct storage_options){.kind = STORAGE_MEMORY}, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    for (unsigned i = 0; i < 400; i++) {
        value_sample_make(&sample, (enum value_type)(1 + i % 5), i * 7 % 8, i, 100);
        sample.v.gone = i % 6 == 5;
        CU_ASSERT(storage_put(s, &sample.v, 1, &e) == 0);
        storage_model_put(&m, &sample.v);
    }
    CU_ASSERT(storage_model_load(&loaded, &m, s, &problems, &e) == 0);
    CU_ASSERT(storage_model_differences(&loaded, &m, NULL) == 0 && problems.total == 0);
    storage_close(s);
}

static void test_failing(void)
{
    static struct value_sample sample;
    struct storage *s;
    struct error e;

    s = storage_open(&(struct storage_options){.kind = STORAGE_MEMORY}, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    value_sample_make(&sample, VALUE_ORDER, 1, 1, 0);
    memory_fail_after(s, 2);
    CU_ASSERT(storage_probe(s, 1, &e) == 0);
    CU_ASSERT(storage_put(s, &sample.v, 1, &e) == -1 && e.kind == ERROR_STORAGE);
    CU_ASSERT(memory_count(s) == 0);
    CU_ASSERT(storage_put(s, &sample.v, 1, &e) == 0);
    CU_ASSERT(memory_count(s) == 1);
    storage_close(s);
}

static int refuse_orders(void *context, const struct value *v, struct error *e)
{
    if (v->type == VALUE_ORDER)
        return error_set(e, *(const enum error_kind *)context, "not this one");
    return 0;
}

/* One value that its taker cannot use does not take the others with it. */
static void test_refused_by_taker(void)
{
    static const enum storage_kind kinds[] = {STORAGE_MEMORY, STORAGE_FILE};
    static struct value_sample sample;

    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct storage_problems problems = {0};
        enum error_kind kind = ERROR_CRYPTO;
        char prefix[SCRATCH_PATH_MAX];
        struct storage *s;
        struct error e;
        scratch_make(prefix);
        s = storage_open(&(struct storage_options){.kind = kinds[i], .prefix = prefix}, &e);
        CU_ASSERT_PTR_NOT_NULL_FATAL(s);
        CU_ASSERT(storage_load(s, refuse_orders, &kind, &problems, &e) == 0);
        for (int type = VALUE_CREDENTIAL; type <= VALUE_FAILURE; type++) {
            value_sample_make(&sample, (enum value_type)type, 1, 1, 100);
            CU_ASSERT(storage_put(s, &sample.v, 1, &e) == 0);
        }
        if (kinds[i] == STORAGE_FILE) {
            storage_close(s);
            s = storage_open(&(struct storage_options){.kind = kinds[i], .prefix = prefix}, &e);
        }
        CU_ASSERT(storage_load(s, refuse_orders, &kind, &problems, &e) == 0);
        CU_ASSERT(problems.total == 1);
        CU_ASSERT(strstr(problems.items[0].message, "n1.test: not this one") != NULL);
        kind = ERROR_MEMORY;
        if (kinds[i] == STORAGE_MEMORY)
            CU_ASSERT(storage_load(s, refuse_orders, &kind, &problems, &e) == -1);
        storage_problems_free(&problems);
        storage_close(s);
        scratch_remove(prefix);
    }
}

static void test_problems_are_bounded(void)
{
    struct storage_problems problems = {0};
    struct error e = {.kind = ERROR_STORAGE};

    for (size_t i = 0; i < STORAGE_PROBLEMS_MAX + 50; i++)
        storage_problem(&problems, &e);
    CU_ASSERT(problems.len == STORAGE_PROBLEMS_MAX);
    CU_ASSERT(problems.total == STORAGE_PROBLEMS_MAX + 50);
    storage_problems_free(&problems);
    CU_ASSERT(problems.len == 0 && problems.total == 0);
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("storage/memory", NULL, NULL);
    CU_add_test(suite, "against a table", test_against_model);
    CU_add_test(suite, "failing", test_failing);
    CU_add_test(suite, "refused by its taker", test_refused_by_taker);
    CU_add_test(suite, "problems are bounded", test_problems_are_bounded);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
