/* Durable first, then believed, then told. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <event2/event.h>
#include <string.h>

#include "reconciler/base/log.h"
#include "reconciler/control/journal.h"
#include "reconciler/pki/chain.h"
#include "reconciler/storage/memory.h"
#include "reconciler/store/store.h"
#include "tests/support/scratch.h"

static struct event_base *base;
static struct memory_space *space;
static struct storage *storage;
static struct chain_pool *chains;
static struct store *store;
static struct journal *journal;
static int done_count, failed_count;
static bool known_when_told;
static int vanished_count;

static void on_vanished(void *context, const struct error *e)
{
    (void)context;
    CU_ASSERT_EQUAL(e->kind, ERROR_STORAGE);
    vanished_count++;
}

static void on_ready(void *context)
{
    (void)context;
}

static int load_nothing(void *context, const struct value *v, struct error *e)
{
    (void)context;
    (void)v;
    return error_set(e, ERROR_STORAGE, "nothing should be here");
}

static void on_loaded(void *context, const struct storage_problems *problems, const struct error *e)
{
    CU_ASSERT(problems->total == 0 && !e);
    *(bool *)context = true;
}

static void begin_with(const struct storage_options *options)
{
    bool is_loaded = false;
    const struct storage_face face = {
        .found = load_nothing, .loaded = on_loaded, .context = &is_loaded};
    struct error e;

    base = event_base_new();
    storage = storage_open(base, options, &face, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(storage);
    while (!is_loaded)
        event_base_loop(base, EVLOOP_ONCE);
    chains = chain_pool_new();
    store = store_new(&(struct store_options){0}, chains);
    journal = journal_new(
        &(struct journal_options){
            .storage = storage, .store = store, .ready = on_ready, .vanished = on_vanished},
        &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(journal);
    done_count = failed_count = vanished_count = 0;
    known_when_told = true;
}

static void begin(void)
{
    space = memory_space_new();
    CU_ASSERT_PTR_NOT_NULL_FATAL(space);
    begin_with(&(struct storage_options){.kind = STORAGE_MEMORY, .space = space});
}

static void end(void)
{
    storage_close(storage);
    journal_free(journal);
    store_free(store);
    chain_pool_free(chains);
    event_base_free(base);
    memory_space_free(space);
    space = NULL;
}

static void on_done(void *context, const struct error *e)
{
    const char *name = context;

    if (e)
        failed_count++;
    else
        done_count++;
    if (name && !e && !store_find(store, subject_first(str_from(name))))
        known_when_told = false;
}

/* Turns the loop until nothing is under way. */
static void turn(void)
{
    journal_deliver(journal);
    while (!journal_is_idle(journal)) {
        event_base_loop(base, EVLOOP_ONCE);
        journal_deliver(journal);
    }
    CU_ASSERT_TRUE(journal_is_idle(journal));
}

/* The same, until everything has been delivered. */
static void settle(void)
{
    turn();
    CU_ASSERT_FALSE(journal_is_busy(journal));
}

static void put(const char *name)
{
    const struct value v = {.type = VALUE_DEMAND,
                            .subject.name = str_from(name),
                            .directory = STR("https://ca.example/dir"),
                            .u.demand = {.last_seen_at = 1000}};
    struct error e;

    CU_ASSERT_EQUAL(journal_put(journal, &v, 1, on_done, (void *)name, &e), 0);
}

static void test_put(void)
{
    begin();
    put("a.example");
    CU_ASSERT_PTR_NULL(
        store_find(store, subject_first(STR("a.example")))); /* not before it is durable */
    settle();
    CU_ASSERT_EQUAL(done_count, 1);
    CU_ASSERT(known_when_told);
    CU_ASSERT_EQUAL(memory_count(space), 1);
    end();
}

static void test_many(void)
{
    static char names[3000][32];

    begin();
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        snprintf(names[i], sizeof(names[i]), "n%zu.example", i);
        put(names[i]);
    }
    settle();
    CU_ASSERT_EQUAL(done_count, (int)ARRAY_LENGTH(names));
    CU_ASSERT(known_when_told);
    CU_ASSERT_EQUAL(memory_count(space), ARRAY_LENGTH(names));
    end();
}

/* A storage that fails: told, not believed; the next put works again. */
static void test_failure(void)
{
    begin();
    memory_fail_after(space, 1);
    put("a.example");
    settle();
    CU_ASSERT(done_count == 0 && failed_count == 1);
    CU_ASSERT_PTR_NULL(store_find(store, subject_first(STR("a.example"))));
    put("b.example");
    settle();
    CU_ASSERT_PTR_NOT_NULL(store_find(store, subject_first(STR("b.example"))));
    end();
}

/* What the storage refuses does not take its neighbours with it. */
static void test_refused_neighbour(void)
{
    static const char bad[] = "bad\nname.example";

    begin();
    put("a.example");
    put(bad);
    put("c.example");
    settle();
    CU_ASSERT_EQUAL(done_count, 2);
    CU_ASSERT_EQUAL(failed_count, 1);
    CU_ASSERT_PTR_NOT_NULL(store_find(store, subject_first(STR("a.example"))));
    CU_ASSERT_PTR_NOT_NULL(store_find(store, subject_first(STR("c.example"))));
    CU_ASSERT_PTR_NULL(store_find(store, subject_first(str_from(bad))));
    end();
}

static int put_nothing(void *context, storage_each *put_one, void *to, struct error *e)
{
    (void)context;
    (void)put_one;
    (void)to;
    (void)e;
    return 0;
}

static void on_restored(void *context, enum storage_outcome outcome, const struct error *e)
{
    (void)e;
    CU_ASSERT_EQUAL(outcome, STORAGE_OK);
    *(bool *)context = true;
}

static void restore(void)
{
    bool is_restored = false;
    struct error e;

    CU_ASSERT_EQUAL(storage_restore(storage, put_nothing, NULL, on_restored, &is_restored, &e), 0);
    while (!is_restored)
        event_base_loop(base, EVLOOP_ONCE);
}

/* A storage that takes minutes: nothing is believed or told before it answers. */
static void test_slow(void)
{
    begin();
    memory_hold(space, true);
    put("a.example");
    put("b.example");
    for (int i = 0; i < 100; i++) {
        event_base_loop(base, EVLOOP_NONBLOCK);
        journal_deliver(journal);
    }
    CU_ASSERT(done_count == 0 && failed_count == 0 && journal_is_busy(journal));
    CU_ASSERT_EQUAL(store_count(store), 0);
    memory_hold(space, false);
    settle();
    CU_ASSERT(done_count == 2 && known_when_told);
    end();
}

/* A storage that is not there any more: what it did not take waits, and what comes, in order. */
static void test_vanished(void)
{
    const struct error gone = {.kind = ERROR_STORAGE};
    char scratch[SCRATCH_PATH_MAX], prefix[SCRATCH_PATH_MAX + 8];
    struct error e;

    scratch_make(scratch);
    snprintf(prefix, sizeof(prefix), "%s/prefix", scratch);
    begin_with(&(struct storage_options){.kind = STORAGE_FILE, .prefix = prefix});
    put("a.example");
    settle();
    scratch_remove(prefix);
    put("b.example");
    CU_ASSERT_EQUAL(journal_probe(journal, 1, on_done, NULL, &e), 0);
    turn();
    put("c.example");
    turn();
    CU_ASSERT_EQUAL(vanished_count, 1);
    CU_ASSERT(journal_is_busy(journal));
    CU_ASSERT(done_count == 1 && failed_count == 0);
    restore();
    journal_go_on(journal, NULL);
    settle();
    CU_ASSERT(done_count == 4 && failed_count == 0 && known_when_told);
    /* It does not come back: what it did not take has failed. */
    scratch_remove(prefix);
    put("d.example");
    turn();
    CU_ASSERT_EQUAL(vanished_count, 2);
    journal_go_on(journal, &gone);
    settle();
    CU_ASSERT(done_count == 4 && failed_count == 1);
    end();
    scratch_remove(scratch);
}

static void test_probe(void)
{
    struct error e;

    begin();
    CU_ASSERT_EQUAL(journal_probe(journal, 10, on_done, NULL, &e), 0);
    settle();
    CU_ASSERT_EQUAL(done_count, 1);
    memory_fail_after(space, 1);
    CU_ASSERT_EQUAL(journal_probe(journal, 10, on_done, NULL, &e), 0);
    settle();
    CU_ASSERT_EQUAL(failed_count, 1);
    end();
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    log_open("test", LOG_CRIT, LOG_KEY_VALUE);
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("journal", NULL, NULL);
    CU_add_test(suite, "put", test_put);
    CU_add_test(suite, "many", test_many);
    CU_add_test(suite, "failure", test_failure);
    CU_add_test(suite, "refused neighbour", test_refused_neighbour);
    CU_add_test(suite, "slow", test_slow);
    CU_add_test(suite, "vanished", test_vanished);
    CU_add_test(suite, "probe", test_probe);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
