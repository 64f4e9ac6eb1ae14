/* Batches move in step: patience, splitting, waits. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/issue/batch.h"
#include "reconciler/issue/issuance.h"

static struct batch_list list;
static size_t running[URGENCY_KINDS];
static struct task tasks[4];
static size_t released;

static void count_release(struct task *t, void *context)
{
    (void)context;
    t->state = TASK_RELEASED;
    released++;
}

static struct batch *begin(size_t count)
{
    struct batch *b;

    TAILQ_INIT(&list);
    memset(running, 0, sizeof(running));
    released = 0;
    b = batch_new(&list, running);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    for (size_t i = 0; i < count; i++) {
        tasks[i] = (struct task){.number = i + 1, .state = TASK_BUSY};
        batch_join(b, &tasks[i]);
    }
    CU_ASSERT_EQUAL(running[URGENCY_RENEWAL], count);
    return b;
}

static void ready(size_t i, int64_t at)
{
    tasks[i].state = TASK_READY;
    batch_is_ready(&tasks[i], at);
}

static void end(size_t count)
{
    for (size_t i = 0; i < count; i++)
        batch_leave(&tasks[i]);
    CU_ASSERT_EQUAL(running[URGENCY_RENEWAL], 0);
    CU_ASSERT(TAILQ_EMPTY(&list));
}

static void test_all_ready(void)
{
    begin(2);
    ready(0, 100);
    batches_release(&list, 0, 100, count_release, NULL);
    CU_ASSERT_EQUAL(released, 0);
    CU_ASSERT_EQUAL(batches_next(&list, 5000, 100), 5000 + ISSUANCE_PATIENCE_MS);
    ready(1, 120);
    batches_release(&list, 0, 120, count_release, NULL);
    CU_ASSERT_EQUAL(released, 2);
    end(2);
}

/* The late one is left behind, as a batch of its own. */
static void test_patience(void)
{
    begin(3);
    ready(0, 100);
    ready(2, 110);
    batches_release(&list, 0, 100 + ISSUANCE_PATIENCE_MS - 1, count_release, NULL);
    CU_ASSERT_EQUAL(released, 0);
    batches_release(&list, 0, 100 + ISSUANCE_PATIENCE_MS, count_release, NULL);
    CU_ASSERT_EQUAL(released, 2);
    CU_ASSERT_EQUAL(tasks[1].state, TASK_BUSY);
    CU_ASSERT_PTR_NOT_EQUAL(tasks[0].batch, tasks[1].batch);
    CU_ASSERT_PTR_EQUAL(tasks[0].batch, tasks[2].batch);
    ready(1, 400);
    batches_release(&list, 0, 400, count_release, NULL);
    CU_ASSERT_EQUAL(released, 3);
    end(3);
}

/* Who waits for a time holds nobody up, and is ready when it has come. */
static void test_waits(void)
{
    begin(2);
    tasks[0].state = TASK_WAITING;
    tasks[0].wait_ms = 7000;
    ready(1, 100);
    batches_release(&list, 6000, 100, count_release, NULL);
    CU_ASSERT_EQUAL(released, 1);
    CU_ASSERT_EQUAL(batches_next(&list, 6000, 100), 7000);
    tasks[1].state = TASK_WAITING;
    tasks[1].wait_ms = 9000;
    batches_release(&list, 6999, 200, count_release, NULL);
    CU_ASSERT_EQUAL(released, 1);
    batches_release(&list, 7000, 200, count_release, NULL);
    CU_ASSERT_EQUAL(released, 2);
    CU_ASSERT_EQUAL(tasks[0].state, TASK_RELEASED);
    end(2);
}

static void test_find(void)
{
    begin(2);
    CU_ASSERT_PTR_EQUAL(batches_find(&list, 2), &tasks[1]);
    CU_ASSERT_PTR_NULL(batches_find(&list, 3));
    batch_leave(&tasks[1]);
    CU_ASSERT_PTR_NULL(batches_find(&list, 2));
    batch_leave(&tasks[1]); /* twice is fine */
    end(1);
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("batch", NULL, NULL);
    CU_add_test(suite, "all ready", test_all_ready);
    CU_add_test(suite, "patience", test_patience);
    CU_add_test(suite, "waits", test_waits);
    CU_add_test(suite, "find", test_find);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
