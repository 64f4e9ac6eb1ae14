/* The background thread: what runs before what. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/io/job.h"

static struct event_base *base;
static struct job_thread *jobs;
static char order[32]; /* a letter for each job that was run */
static int gate[2];

/* A letter, on the heap as slow jobs want it. */
static char *letter(char c)
{
    char *context = malloc(1);

    CU_ASSERT_PTR_NOT_NULL_FATAL(context);
    *context = c;
    return context;
}

static void note(char c)
{
    size_t len = strlen(order);

    if (len + 1 < sizeof(order))
        order[len] = c;
}

static void run(void *context)
{
    note(*(char *)context);
}

/* Until the test opens the gate. */
static void run_late(void *context)
{
    char byte;

    CU_ASSERT_EQUAL(read(gate[0], &byte, 1), 1);
    run(context);
}

static void done(void *context)
{
    free(context);
}

static void begin(void)
{
    struct error e;

    memset(order, 0, sizeof(order));
    base = event_base_new();
    jobs = base ? job_start(base, &e) : NULL;
    CU_ASSERT_PTR_NOT_NULL_FATAL(jobs);
    CU_ASSERT_EQUAL_FATAL(pipe(gate), 0);
}

static void finish(void)
{
    job_stop(jobs);
    event_base_free(base);
    close(gate[0]);
    close(gate[1]);
}

static void open_gate(void)
{
    CU_ASSERT_EQUAL(write(gate[1], "x", 1), 1);
}

static void test_order(void)
{
    begin();
    CU_ASSERT_EQUAL(job_submit(jobs, run_late, done, letter('a')), 0);
    CU_ASSERT_EQUAL(job_submit(jobs, run, done, letter('b')), 0);
    CU_ASSERT_EQUAL(job_submit(jobs, run, done, letter('c')), 0);
    open_gate();
    finish(); /* waits for what was submitted */
    CU_ASSERT_STRING_EQUAL(order, "abc");
}

static void test_slow_ones_wait(void)
{
    begin();
    CU_ASSERT_EQUAL(job_submit_slow(jobs, run_late, done, letter('A')), 0);
    CU_ASSERT_EQUAL(job_submit_slow(jobs, run_late, done, letter('B')), 0);
    CU_ASSERT_EQUAL(job_submit(jobs, run, done, letter('c')), 0);
    CU_ASSERT_EQUAL(job_submit(jobs, run_late, done, letter('d')), 0);
    for (int i = 0; i < 3; i++)
        open_gate();
    while (strlen(order) < 4)
        event_base_loop(base, EVLOOP_ONCE);
    finish();
    /* The thread may have begun with A before it saw c and d; B had to wait for them. */
    CU_ASSERT(strcmp(order, "AcdB") == 0 || strcmp(order, "cdAB") == 0 ||
              strcmp(order, "cAdB") == 0);
}

/* Those that were not begun by then are freed and never run. */
static void test_slow_ones_end_with_the_thread(void)
{
    static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    begin();
    for (const char *c = all; *c; c++)
        CU_ASSERT_EQUAL(job_submit_slow(jobs, run_late, done, letter(*c)), 0);
    open_gate();
    while (!order[0])
        event_base_loop(base, EVLOOP_ONCE);
    for (size_t i = 1; i < strlen(all); i++)
        open_gate();
    finish();
    CU_ASSERT_EQUAL(strncmp(order, all, strlen(order)), 0);
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("job", NULL, NULL);
    CU_add_test(suite, "in order", test_order);
    CU_add_test(suite, "slow ones wait", test_slow_ones_wait);
    CU_add_test(suite, "slow ones end with the thread", test_slow_ones_end_with_the_thread);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
