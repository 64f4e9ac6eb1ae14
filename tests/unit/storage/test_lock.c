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

static void test_two_lockers(void)
{
    char pid[32];
    struct place p;
    struct error e;
    struct stat st;
    int fd;

    make_place(&p);
    umask(0777);
    fd = lock_take(p.prefix, &e);
    umask(022);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CU_ASSERT(stat(p.prefix, &st) == 0 && (st.st_mode & 07777) == 0700);
    CU_ASSERT(stat(p.lock, &st) == 0 && (st.st_mode & 07777) == 0600);
    snprintf(pid, sizeof(pid), "process %ld uses", (long)getpid());
    CU_ASSERT(lock_take(p.prefix, &e) == -1);
    CU_ASSERT(e.kind == ERROR_IN_USE);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, pid));
    close(fd);
    fd = lock_take(p.prefix, &e);
    CU_ASSERT(fd >= 0);
    close(fd);
    scratch_remove(p.scratch);
}

/* Nothing holds a lock for a process that died, and its pid is not named when another holds it. */
static void test_dead_owner(void)
{
    struct place p;
    struct error e;
    int ready[2];
    pid_t child;
    char byte;
    int fd;

    make_place(&p);
    CU_ASSERT_FATAL(pipe(ready) == 0);
    child = fork();
    if (child == 0) {
        fd = lock_take(p.prefix, &e);
        (void)!write(ready[1], fd >= 0 ? "y" : "n", 1);
        pause();
        _exit(0);
    }
    CU_ASSERT(read(ready[0], &byte, 1) == 1 && byte == 'y');
    CU_ASSERT(lock_take(p.prefix, &e) == -1 && e.kind == ERROR_IN_USE);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    fd = lock_take(p.prefix, &e);
    CU_ASSERT(fd >= 0);
    close(fd);
    close(ready[0]);
    close(ready[1]);
    scratch_remove(p.scratch);
}

static void test_refused(void)
{
    struct place p;
    struct error e;
    int fd;

    make_place(&p);
    fd = lock_take(p.prefix, &e);
    close(fd);
    CU_ASSERT(unlink(p.lock) == 0 && symlink("/etc/passwd", p.lock) == 0);
    CU_ASSERT(lock_take(p.prefix, &e) == -1 && e.kind == ERROR_STORAGE);
    CU_ASSERT(unlink(p.lock) == 0 && mkfifo(p.lock, 0600) == 0);
    CU_ASSERT(lock_take(p.prefix, &e) == -1 && e.kind == ERROR_STORAGE);
    CU_ASSERT(lock_take(p.lock, &e) == -1 && e.kind == ERROR_STORAGE);
    CU_ASSERT(lock_take("", &e) == -1 && e.kind == ERROR_STORAGE);
    scratch_remove(p.scratch);
}

/* What stands in the file is for people: nonsense does no harm. */
static void test_nonsense_inside(void)
{
    struct place p;
    struct error e;
    int fd;

    make_place(&p);
    fd = lock_take(p.prefix, &e);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT(pwrite(fd, "\x1b[31mroot", 9, 0) == 9);
    CU_ASSERT(lock_take(p.prefix, &e) == -1);
    CU_ASSERT_PTR_NULL(strchr(e.message, '\x1b'));
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "another process"));
    close(fd);
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
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
