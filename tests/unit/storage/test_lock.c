#include "reconciler/storage/lock.h"

#include <CUnit/Basic.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/scratch.h"

struct place {
    char scratch[SCRATCH_PATH_MAX];
    char prefix[SCRATCH_PATH_MAX + 16];
    char lock[SCRATCH_PATH_MAX + 32];
};

static void make_place(struct place *p)
{
    scratch_make(p->scratch);
    snprintf(p->prefix, sizeof(p->prefix), "%s/a/b", p->scratch);
    snprintf(p->lock, sizeof(p->lock), "%s/lock", p->prefix);
}

/* Does a stranger get it? What it would hold is dropped again. */
static bool is_free(const struct place *p, struct error *e)
{
    struct lock lock = LOCK_NONE;
    bool got = lock_take(&lock, p->prefix, e) == 0;

    lock_drop(&lock);
    return got;
}

static void test_two_lockers(void)
{
    struct lock lock = LOCK_NONE;
    char pid[32];
    struct place p;
    struct error e;
    struct stat st;

    make_place(&p);
    umask(0777);
    CU_ASSERT_FATAL(lock_take(&lock, p.prefix, &e) == 0);
    umask(022);
    CU_ASSERT(fcntl(lock.file, F_GETFD) & FD_CLOEXEC);
    CU_ASSERT(fcntl(lock.folder, F_GETFD) & FD_CLOEXEC);
    CU_ASSERT(stat(p.prefix, &st) == 0 && (st.st_mode & 07777) == 0700);
    CU_ASSERT(stat(p.lock, &st) == 0 && (st.st_mode & 07777) == 0600);
    snprintf(pid, sizeof(pid), "process %ld uses", (long)getpid());
    CU_ASSERT(!is_free(&p, &e));
    CU_ASSERT(e.kind == ERROR_IN_USE);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, pid));
    lock_drop(&lock);
    CU_ASSERT(is_free(&p, &e));
    scratch_remove(p.scratch);
}

/* Nothing holds a lock for a process that died, and its pid is not named when another holds it. */
static void test_dead_owner(void)
{
    struct lock lock = LOCK_NONE;
    struct place p;
    struct error e;
    int ready[2];
    pid_t child;
    char byte;

    make_place(&p);
    CU_ASSERT_FATAL(pipe(ready) == 0);
    child = fork();
    if (child == 0) {
        (void)!write(ready[1], lock_take(&lock, p.prefix, &e) == 0 ? "y" : "n", 1);
        pause();
        _exit(0);
    }
    CU_ASSERT(read(ready[0], &byte, 1) == 1 && byte == 'y');
    CU_ASSERT(!is_free(&p, &e) && e.kind == ERROR_IN_USE);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    CU_ASSERT(is_free(&p, &e));
    close(ready[0]);
    close(ready[1]);
    scratch_remove(p.scratch);
}

static void test_refused(void)
{
    struct lock lock = LOCK_NONE;
    struct place p;
    struct error e;

    make_place(&p);
    CU_ASSERT(is_free(&p, &e));
    CU_ASSERT(unlink(p.lock) == 0 && symlink("/etc/passwd", p.lock) == 0);
    CU_ASSERT(!is_free(&p, &e) && e.kind == ERROR_STORAGE);
    CU_ASSERT(unlink(p.lock) == 0 && mkfifo(p.lock, 0600) == 0);
    CU_ASSERT(!is_free(&p, &e) && e.kind == ERROR_STORAGE);
    CU_ASSERT(lock_take(&lock, p.lock, &e) == -1 && e.kind == ERROR_STORAGE);
    CU_ASSERT(lock_take(&lock, "", &e) == -1 && e.kind == ERROR_STORAGE);
    scratch_remove(p.scratch);
}

/* What stands in the file is for people: nonsense does no harm. */
static void test_nonsense_inside(void)
{
    struct lock lock = LOCK_NONE;
    struct place p;
    struct error e;

    make_place(&p);
    CU_ASSERT_FATAL(lock_take(&lock, p.prefix, &e) == 0);
    CU_ASSERT(pwrite(lock.file, "\x1b[31mroot", 9, 0) == 9);
    CU_ASSERT(!is_free(&p, &e));
    CU_ASSERT_PTR_NULL(strchr(e.message, '\x1b'));
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "another process"));
    lock_drop(&lock);
    scratch_remove(p.scratch);
}

/* Whoever removes the file lets nobody in: the folder is locked, too. */
static void test_file_removed(void)
{
    struct lock lock = LOCK_NONE;
    struct place p;
    struct error e;

    make_place(&p);
    CU_ASSERT_FATAL(lock_take(&lock, p.prefix, &e) == 0);
    CU_ASSERT(lock_check(&lock, p.prefix, &e) == 0);
    CU_ASSERT(unlink(p.lock) == 0);
    CU_ASSERT(!is_free(&p, &e) && e.kind == ERROR_IN_USE);
    CU_ASSERT(unlink(p.lock) == 0);
    CU_ASSERT(lock_check(&lock, p.prefix, &e) == -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "the lock file is gone"));
    CU_ASSERT(lock_take(&lock, p.prefix, &e) == 0);
    CU_ASSERT(lock_check(&lock, p.prefix, &e) == 0);
    CU_ASSERT(!is_free(&p, &e));
    lock_drop(&lock);
    CU_ASSERT(is_free(&p, &e));
    scratch_remove(p.scratch);
}

/* A folder that was moved away can be locked anew at its path, unless somebody else was first. */
static void test_folder_moved(void)
{
    struct lock lock = LOCK_NONE, other = LOCK_NONE;
    char away[SCRATCH_PATH_MAX + 16];
    struct place p;
    struct error e;

    make_place(&p);
    snprintf(away, sizeof(away), "%s/away", p.scratch);
    CU_ASSERT_FATAL(lock_take(&lock, p.prefix, &e) == 0);
    CU_ASSERT(rename(p.prefix, away) == 0);
    CU_ASSERT(lock_check(&lock, p.prefix, &e) == -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "is gone"));
    CU_ASSERT(lock_take(&other, p.prefix, &e) == 0);
    CU_ASSERT(lock_check(&lock, p.prefix, &e) == -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "is another folder"));
    CU_ASSERT(lock_take(&lock, p.prefix, &e) == -1 && e.kind == ERROR_IN_USE);
    lock_drop(&other);
    CU_ASSERT(lock_take(&lock, p.prefix, &e) == 0);
    CU_ASSERT(lock_check(&lock, p.prefix, &e) == 0);
    CU_ASSERT(!is_free(&p, &e));
    lock_drop(&lock);
    scratch_remove(p.scratch);
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("storage/lock", NULL, NULL);
    CU_add_test(suite, "two lockers", test_two_lockers);
    CU_add_test(suite, "dead owner", test_dead_owner);
    CU_add_test(suite, "refused", test_refused);
    CU_add_test(suite, "nonsense inside", test_nonsense_inside);
    CU_add_test(suite, "file removed", test_file_removed);
    CU_add_test(suite, "folder moved", test_folder_moved);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
