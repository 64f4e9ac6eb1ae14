#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/core/name_sort.h"

#define MANY 5000
#define NAME_SIZE 80

struct fixture {
    char names[MANY][NAME_SIZE];
    struct name_item items[MANY], spare[MANY];
    size_t count;
};

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void add(struct fixture *f, const char *name)
{
    snprintf(f->names[f->count], NAME_SIZE, "%s", name);
    f->items[f->count] = (struct name_item){.name = f->names[f->count],
                                            .len = (uint32_t)strlen(f->names[f->count]),
                                            .tag = (uint32_t)f->count};
    f->count++;
}

/* In order, equal names by their tags, and every tag still there once. */
static void check_sorted(struct fixture *f)
{
    size_t wrong = 0;
    uint64_t tags = 0;

    name_sort(f->items, f->spare, f->count);
    for (size_t i = 0; i < f->count; i++) {
        const struct name_item *b = &f->items[i], *a = i ? b - 1 : b;
        int order = str_compare((struct str){a->name, a->len}, (struct str){b->name, b->len});

        tags += b->tag;
        wrong += b->name != f->names[b->tag];
        wrong += i && (order > 0 || (order == 0 && a->tag >= b->tag));
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(tags, (uint64_t)f->count * (f->count - 1) / 2);
}

static void with_names(void (*fill)(struct fixture *f))
{
    struct fixture *f = calloc(1, sizeof(*f));

    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fill(f);
    check_sorted(f);
    check_sorted(f);
    free(f);
}

static void fill_shared(struct fixture *f)
{
    char name[NAME_SIZE];

    for (size_t i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "a-rather-long-customer-%zu.example.com", i * 7919 % MANY);
        add(f, name);
    }
}

static void fill_random(struct fixture *f)
{
    uint64_t state = 42;

    for (size_t i = 0; i < MANY; i++) {
        char name[NAME_SIZE];
        size_t len = next(&state) % 20;
        for (size_t k = 0; k < len; k++)
            name[k] = "ab.-"[next(&state) % 4];
        name[len] = '\0';
        add(f, name);
    }
}

static void fill_equal(struct fixture *f)
{
    for (size_t i = 0; i < MANY; i++)
        add(f, i % 3 ? "the-very-same-name.example.com" : "the-very-same-name.example.co");
}

static void fill_prefixes(struct fixture *f)
{
    char name[NAME_SIZE] = "";

    for (size_t i = 0; i < 64; i++) {
        memset(name, 'a', 63 - i);
        name[63 - i] = '\0';
        add(f, name);
    }
}

static void fill_descending(struct fixture *f)
{
    char name[NAME_SIZE];

    for (size_t i = MANY; i-- > 0;) {
        snprintf(name, sizeof(name), "%05zu", i);
        add(f, name);
    }
}

static void fill_one(struct fixture *f)
{
    add(f, "a");
}

static void orders(void)
{
    static void (*const fills[])(struct fixture *) = {
        fill_shared, fill_random, fill_equal, fill_prefixes, fill_descending, fill_one,
    };
    struct fixture *none = calloc(1, sizeof(*none));

    for (size_t i = 0; i < ARRAY_LENGTH(fills); i++)
        with_names(fills[i]);
    CU_ASSERT_PTR_NOT_NULL_FATAL(none);
    name_sort(none->items, none->spare, 0);
    free(none);
}

int main(void)
{
    CU_TestInfo tests[] = {{"orders", orders}, CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{"name sort", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
