/* The contract of storage.h, kept by each adapter; the disk here fails and stands still. */

#include <CUnit/Basic.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "reconciler/base/attr.h"
#include "reconciler/storage/memory.h"
#include "tests/support/scratch.h"
#include "tests/support/storage_contract.h"

/* ---- the file adapter, on a disk of ours ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t go_on = PTHREAD_COND_INITIALIZER;
static bool is_held, fails_next;

/* In the place of libc's: what makes a step durable. */
int fdatasync(int fd)
{
    bool fails;

    pthread_mutex_lock(&lock);
    while (is_held)
        pthread_cond_wait(&go_on, &lock);
    fails = fails_next;
    fails_next = false;
    pthread_mutex_unlock(&lock);
    if (!fails)
        return (int)syscall(SYS_fdatasync, fd);
    errno = EIO;
    return -1;
}

struct disk_place {
    char scratch[SCRATCH_PATH_MAX];
    char prefix[SCRATCH_PATH_MAX + 8];
};

static void *make_disk(struct storage_options *options)
{
    struct disk_place *p = calloc(1, sizeof(*p));

    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    scratch_make(p->scratch);
    snprintf(p->prefix, sizeof(p->prefix), "%s/prefix", p->scratch);
    *options = (struct storage_options){.kind = STORAGE_FILE, .prefix = p->prefix};
    return p;
}

static void destroy_disk(void *place)
{
    scratch_remove(((struct disk_place *)place)->scratch);
    free(place);
}

static void fail_disk(void *place)
{
    (void)place;
    pthread_mutex_lock(&lock);
    fails_next = true;
    pthread_mutex_unlock(&lock);
}

static void hold_disk(void *place, bool holds)
{
    (void)place;
    pthread_mutex_lock(&lock);
    is_held = holds;
    pthread_cond_broadcast(&go_on);
    pthread_mutex_unlock(&lock);
}

static void vanish_disk(void *place)
{
    scratch_remove(((struct disk_place *)place)->prefix);
}

static const struct contract_adapter disk = {
    .name = "storage/disk",
    .make = make_disk,
    .destroy = destroy_disk,
    .fail_next = fail_disk,
    .hold = hold_disk,
    .can_vanish = true,
    .vanish = vanish_disk,
};

/* ---- the memory adapter ---- */

static void *make_memory(struct storage_options *options)
{
    struct memory_space *space = memory_space_new();

    CU_ASSERT_PTR_NOT_NULL_FATAL(space);
    *options = (struct storage_options){.kind = STORAGE_MEMORY, .space = space};
    return space;
}

static void destroy_memory(void *place)
{
    memory_space_free(place);
}

static void fail_memory(void *place)
{
    memory_fail_after(place, 1);
}

static void hold_memory(void *place, bool holds)
{
    memory_hold(place, holds);
}

static void take_memory_away(void *place, bool is_away)
{
    memory_away(place, is_away);
}

static const struct contract_adapter memory = {
    .name = "storage/memory",
    .make = make_memory,
    .destroy = destroy_memory,
    .fail_next = fail_memory,
    .hold = hold_memory,
    .away = take_memory_away,
    .is_shared = true,
};

/* ---- */

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

static int run_one(const struct contract_adapter *adapter)
{
    int failures;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    storage_contract_add(adapter);
    CU_add_test(CU_add_suite("storage/problems", NULL, NULL), "bounded", test_problems_are_bounded);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    failures = (int)CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures;
}

int main(void)
{
    int failures = run_one(&disk);

    return failures + run_one(&memory) ? 1 : 0;
}
