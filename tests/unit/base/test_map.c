#include "reconciler/base/map.h"

#include <CUnit/Basic.h>
#include <stdbool.h>
#include <stdio.h>

#define ITEMS 500

struct item {
    char name[16];
    bool is_in;
};

static struct str key_of(const void *item)
{
    return str_from(((const struct item *)item)->name);
}

static bool agrees(const struct map *m, struct item *items)
{
    size_t cursor = 0, walked = 0, count = 0;
    const struct item *item;

    while ((item = map_next(m, &cursor))) {
        if (!item->is_in)
            return false;
        walked++;
    }
    for (size_t i = 0; i < ITEMS; i++) {
        count += items[i].is_in;
        if (map_find(m, key_of(&items[i])) != (items[i].is_in ? &items[i] : NULL))
            return false;
    }
    return walked == count && m->len == count;
}

static void test_random(void)
{
    static struct item items[ITEMS];
    struct map m = MAP_INIT(key_of, 7);
    uint64_t seed = 1;

    for (size_t i = 0; i < ITEMS; i++)
        snprintf(items[i].name, sizeof(items[i].name), "n%zu", i);
    CU_ASSERT(agrees(&m, items));
    for (int step = 0; step < 20000; step++) {
        struct item *item;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        item = &items[(seed >> 33) % ITEMS];
        CU_ASSERT(item->is_in ? map_take(&m, key_of(item)) == item : map_put(&m, item) == 0);
        item->is_in = !item->is_in;
        CU_ASSERT(item->is_in || map_take(&m, key_of(item)) == NULL);
        if (step % 64 == 0)
            CU_ASSERT(agrees(&m, items));
    }
    map_free(&m);
    CU_ASSERT(m.len == 0 && map_find(&m, STR("n1")) == NULL && map_take(&m, STR("n1")) == NULL);
}

/* A put that was reserved needs no memory: the table does not move. */
static void test_reserve(void)
{
    static struct item items[ITEMS];
    struct map m = MAP_INIT(key_of, 7);

    for (size_t i = 0; i < ITEMS; i++) {
        const struct map_slot *slots;
        snprintf(items[i].name, sizeof(items[i].name), "n%zu", i);
        CU_ASSERT(map_reserve(&m) == 0);
        slots = m.slots;
        CU_ASSERT(map_put(&m, &items[i]) == 0);
        CU_ASSERT(m.slots == slots && m.cap >= m.len * 3 / 2);
    }
    map_free(&m);
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("base/map", NULL, NULL);
    CU_add_test(suite, "random", test_random);
    CU_add_test(suite, "reserve", test_reserve);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
