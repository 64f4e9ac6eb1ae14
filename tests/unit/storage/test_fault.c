/* The file backend on a disk that fails, and killed between any two system calls. */
#include "reconciler/storage/file.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reconciler/storage/lock.h"
#include "tests/support/scratch.h"
#include "tests/support/storage_model.h"
#include "tests/support/value_sample.h"

/*
 * The program's own definitions of what the storage calls take the place of libc's, so that each of
 * them can be made to fail. `calls` counts those that change something.
 */
enum fault { FAULT_NONE, FAULT_ERROR, FAULT_SHORT, FAULT_CRASH };

static struct {
    enum fault fault;
    int number;       /* errno of FAULT_ERROR */
    unsigned calls;   /* since the start */
    unsigned at;      /* the call that fails; FAULT_SHORT: all of them */
    bool for_good;    /* all after it fail as well */
    off_t unreadable; /* pread of this byte gives EIO; 0 = none */
    bool read_only;   /* nothing can be opened for writing */
} plan;

static bool fails(void)
{
    plan.calls++;
    if (plan.fault == FAULT_CRASH && plan.calls == plan.at)
        _exit(9);
    if (plan.fault != FAULT_ERROR || plan.calls < plan.at ||
        (plan.calls > plan.at && !plan.for_good))
        return false;
    errno = plan.number;
    return true;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    if (plan.fault == FAULT_CRASH && plan.calls + 1 == plan.at)
        (void)!syscall(SYS_pwrite64, fd, bytes, len / 2, at);
    if (fails()) {
        /* A full disk takes what fits. */
        if (plan.number == ENOSPC && len > 1 && plan.calls == plan.at)
            return syscall(SYS_pwrite64, fd, bytes, len / 2, at);
        return -1;
    }
    if (plan.fault == FAULT_SHORT && len > 7)
        len = 7;
    return syscall(SYS_pwrite64, fd, bytes, len, at);
}

ssize_t pread(int fd, void *bytes, size_t len, off_t at)
{
    if (plan.unreadable && at <= plan.unreadable && at + (off_t)len > plan.unreadable) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, fd, bytes, len, at);
}

int fdatasync(int fd)
{
    return fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return fails() ? -1 : (int)syscall(SYS_fsync, fd);
}

int ftruncate(int fd, off_t len)
{
    return fails() ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

int renameat(int from, const char *old, int to, const char *new)
{
    return fails() ? -1 : (int)syscall(SYS_renameat, from, old, to, new);
}

int unlinkat(int fd, const char *name, int flags)
{
    return fails() ? -1 : (int)syscall(SYS_unlinkat, fd, name, flags);
}

int openat(int fd, const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (plan.read_only && (flags & O_ACCMODE) != O_RDONLY) {
        errno = EROFS;
        return -1;
    }
    return (int)syscall(SYS_openat, fd, path, flags, mode);
}

/* ---- */

/* So that a few puts are worth a compaction. */
#define BIG_LEAF 60000
#define STEPS 40

struct place {
    char prefix[SCRATCH_PATH_MAX];
    char log[SCRATCH_PATH_MAX + 32];
};

static void make_place(struct place *p)
{
    memset(&plan, 0, sizeof(plan));
    scratch_make(p->prefix);
    snprintf(p->log, sizeof(p->log), "%s/storage/log", p->prefix);
}

static size_t size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) ? 0 : (size_t)st.st_size;
}

static int drop_value(void *context, const struct value *v, struct error *e)
{
    (void)context;
    (void)v;
    (void)e;
    return 0;
}

static struct file *open_loaded(const struct place *p, struct error *e)
{
    struct file *s = file_open(p->prefix, false, e);
    struct storage_problems problems = {0};

    if (s && file_load(s, drop_value, NULL, &problems, e)) {
        file_close(s);
        s = NULL;
    }
    storage_problems_free(&problems);
    return s;
}

/*
 * Step number `i` of a scenario with everything in it: batches, deletions, and room for
 * compactions.
 */
static size_t make_step(unsigned i, struct value_sample samples[2], struct value values[2])
{
    value_sample_make(&samples[0], VALUE_CREDENTIAL, i % 5, i, BIG_LEAF);
    values[0] = samples[0].v;
    if (i % 7 == 3)
        values[0].gone = true;
    value_sample_make(&samples[1], VALUE_ORDER, i % 5, i, 0);
    values[1] = samples[1].v;
    values[1].gone = i % 2;
    return 2;
}

static int do_step(struct file *s, unsigned i, struct error *e)
{
    static struct value_sample samples[2];
    struct value values[2];
    size_t count = make_step(i, samples, values);

    return file_put_values(s, values, count, e);
}

static void model_step(struct storage_model *m, unsigned i)
{
    static struct value_sample samples[2];
    struct value values[2];
    size_t count = make_step(i, samples, values);

    for (size_t k = 0; k < count; k++)
        storage_model_put(m, &values[k]);
}

/* Does a fresh look find exactly the model, without complaint? */
static bool shows(const struct place *p, const struct storage_model *m, bool read_only)
{
    static struct storage_model loaded;
    struct storage_problems problems = {0};
    struct error e;
    struct file *s = file_open(p->prefix, read_only, &e);
    bool same;

    if (!s)
        return false;
    same = storage_model_load(&loaded, m, s, &problems, &e) == 0 && problems.total == 0 &&
           storage_model_differences(&loaded, m, NULL) == 0;
    storage_problems_free(&problems);
    file_close(s);
    return same;
}

static bool holds(const struct place *p, const struct storage_model *m)
{
    return shows(p, m, false);
}

/*
 * Every call in turn fails once: the step says so, holds what it held, and goes through the next
 * time.
 */
static void fail_each_call(int number)
{
    static struct storage_model m;
    unsigned total;

    for (unsigned at = 1, done = 0; !done; at++) {
        struct place p;
        struct file *s;
        struct error e;
        make_place(&p);
        memset(&m, 0, sizeof(m));
        s = open_loaded(&p, &e);
        CU_ASSERT_PTR_NOT_NULL_FATAL(s);
        plan.calls = 0;
        plan.fault = FAULT_ERROR;
        plan.number = number;
        plan.at = at;
        for (unsigned i = 0; i < STEPS; i++) {
            e.kind = ERROR_NONE;
            if (do_step(s, i, &e)) {
                CU_ASSERT(e.kind == ERROR_STORAGE);
                CU_ASSERT_PTR_NOT_NULL(strstr(e.message, strerror(number)));
                if (i % 8 == 0)
                    CU_ASSERT(shows(&p, &m, true));
                CU_ASSERT(do_step(s, i, &e) == 0);
            }
            model_step(&m, i);
        }
        total = plan.calls;
        done = at > total;
        plan.fault = FAULT_NONE;
        file_close(s);
        if (!holds(&p, &m)) {
            fprintf(stderr, "call %u failing with %s\n", at, strerror(number));
            CU_FAIL("a failed call left a wrong state");
        }
        scratch_remove(p.prefix);
    }
}

static void test_no_space(void)
{
    fail_each_call(ENOSPC);
}

static void test_io_error(void)
{
    fail_each_call(EIO);
}

/*
 * A disk that stays full: nothing is stored, everything is kept; when there is room again it goes
 * on.
 */
static void test_stays_full(void)
{
    static struct storage_model m;
    struct place p;
    struct file *s;
    struct error e;

    make_place(&p);
    memset(&m, 0, sizeof(m));
    s = open_loaded(&p, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    for (unsigned i = 0; i < 5; i++) {
        CU_ASSERT(do_step(s, i, &e) == 0);
        model_step(&m, i);
    }
    plan.fault = FAULT_ERROR;
    plan.number = ENOSPC;
    plan.at = plan.calls;
    plan.for_good = true;
    for (unsigned i = 5; i < 8; i++) {
        CU_ASSERT(do_step(s, i, &e) == -1 && e.kind == ERROR_STORAGE);
        CU_ASSERT(file_probe(s, 4096, &e) == -1 && e.kind == ERROR_STORAGE);
    }
    plan.fault = FAULT_NONE;
    CU_ASSERT(file_probe(s, 4096, &e) == 0);
    for (unsigned i = 8; i < 40; i++) {
        CU_ASSERT(do_step(s, i, &e) == 0);
        model_step(&m, i);
    }
    file_close(s);
    CU_ASSERT(holds(&p, &m));
    scratch_remove(p.prefix);
}

static void test_short_writes(void)
{
    static struct storage_model m;
    struct place p;
    struct file *s;
    struct error e;

    make_place(&p);
    memset(&m, 0, sizeof(m));
    plan.fault = FAULT_SHORT;
    s = open_loaded(&p, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    for (unsigned i = 0; i < 3; i++) {
        CU_ASSERT(do_step(s, i, &e) == 0);
        model_step(&m, i);
    }
    plan.fault = FAULT_NONE;
    file_close(s);
    CU_ASSERT(holds(&p, &m));
    scratch_remove(p.prefix);
}

/* The limit of the file's size stands in for a quota. */
static void test_size_limit(void)
{
    struct rlimit before, small;
    struct place p;
    struct file *s;
    struct error e;

    make_place(&p);
    signal(SIGXFSZ, SIG_IGN);
    s = open_loaded(&p, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT(do_step(s, 0, &e) == 0);
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){100000, before.rlim_max};
    CU_ASSERT(setrlimit(RLIMIT_FSIZE, &small) == 0);
    CU_ASSERT(do_step(s, 1, &e) == -1 && e.kind == ERROR_STORAGE);
    CU_ASSERT(file_probe(s, 100000, &e) == -1);
    CU_ASSERT(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CU_ASSERT(do_step(s, 1, &e) == 0);
    file_close(s);
    scratch_remove(p.prefix);
}

/* Steps that the child was told are durable; shared with it. */
static unsigned *shared_counter(void)
{
    unsigned *at =
        mmap(NULL, sizeof(*at), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return at == MAP_FAILED ? NULL : at;
}

/* Runs the scenario in a child that dies at call number `at`. False: it lived to the end. */
static bool run_and_crash(const struct place *p, unsigned at, unsigned *done)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        struct file *s;
        struct error e;
        plan.calls = 0;
        plan.fault = FAULT_CRASH;
        plan.at = at;
        s = open_loaded(p, &e);
        for (; s && *done < STEPS; ++*done)
            if (do_step(s, *done, &e))
                _exit(2);
        _exit(s ? 0 : 3);
    }
    waitpid(child, &status, 0);
    CU_ASSERT(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9));
    return WIFEXITED(status) && WEXITSTATUS(status) == 9;
}

/* Killed at every call, compactions and the first start included: what was told durable is there.
 */
static void test_crash_anywhere(void)
{
    unsigned *done = shared_counter();
    bool crashed = true;

    CU_ASSERT_PTR_NOT_NULL_FATAL(done);
    for (unsigned at = 1; crashed; at++) {
        static struct storage_model m;
        struct place p;
        bool good;
        make_place(&p);
        memset(&m, 0, sizeof(m));
        *done = 0;
        crashed = run_and_crash(&p, at, done);
        for (unsigned i = 0; i < *done; i++)
            model_step(&m, i);
        good = holds(&p, &m);
        /* The step that was under way may have become durable before it was told. */
        if (!good && *done < STEPS) {
            model_step(&m, *done);
            good = holds(&p, &m);
        }
        if (!good) {
            fprintf(stderr, "killed at call %u, in step %u\n", at, *done);
            CU_FAIL("a crash left a wrong state");
            crashed = false;
        }
        /* The one that lived to the end was compacted on the way. */
        CU_ASSERT(crashed || size_of(p.log) < (size_t)STEPS * BIG_LEAF * 2 / 3);
        scratch_remove(p.prefix);
    }
    munmap(done, sizeof(*done));
}

/* A block that cannot be read costs what lies in it. */
static void test_unreadable(void)
{
    static struct storage_model m, loaded;
    struct storage_problems problems = {0};
    struct place p;
    struct file *s;
    struct error e;

    make_place(&p);
    memset(&m, 0, sizeof(m));
    s = open_loaded(&p, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    for (unsigned i = 0; i < 3; i++) {
        CU_ASSERT(do_step(s, i, &e) == 0);
        model_step(&m, i);
    }
    file_close(s);
    plan.unreadable = 3 * BIG_LEAF / 2;
    s = file_open(p.prefix, false, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT(storage_model_load(&loaded, &m, s, &problems, &e) == 0);
    CU_ASSERT(problems.total >= 1);
    CU_ASSERT(storage_model_differences(&loaded, &m, NULL) == 1);
    /* It was rewritten elsewhere: that block is not needed any more. */
    plan.unreadable = 0;
    file_close(s);
    CU_ASSERT(holds(&p, &loaded));
    storage_problems_free(&problems);
    scratch_remove(p.prefix);
}

/*
 * A filesystem that became read-only: what is there is served, nothing can be stored until it is
 * back.
 */
static void test_read_only(void)
{
    static struct storage_model m, loaded;
    struct storage_problems problems = {0};
    struct place p;
    struct file *s;
    struct lock lock = LOCK_NONE;
    struct error e;

    make_place(&p);
    memset(&m, 0, sizeof(m));
    s = open_loaded(&p, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    for (unsigned i = 0; i < 5; i++) {
        CU_ASSERT(do_step(s, i, &e) == 0);
        model_step(&m, i);
    }
    file_close(s);
    /* With a torn tail that cannot be cut off now. */
    CU_ASSERT(truncate(p.log, (off_t)size_of(p.log) + 5000) == 0);
    plan.read_only = true;
    s = file_open(p.prefix, false, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT(lock_take(&lock, p.prefix, &e) == -1 && e.kind == ERROR_IN_USE);
    CU_ASSERT(storage_model_load(&loaded, &m, s, &problems, &e) == 0);
    CU_ASSERT(storage_model_differences(&loaded, &m, NULL) == 0);
    CU_ASSERT(file_probe(s, 4096, &e) == -1 && e.kind == ERROR_STORAGE);
    CU_ASSERT(do_step(s, 5, &e) == -1 && e.kind == ERROR_STORAGE);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, strerror(EROFS)));
    plan.read_only = false;
    CU_ASSERT(file_probe(s, 4096, &e) == 0);
    CU_ASSERT(do_step(s, 5, &e) == 0);
    model_step(&m, 5);
    file_close(s);
    CU_ASSERT(holds(&p, &m));
    storage_problems_free(&problems);
    scratch_remove(p.prefix);
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("storage/fault", NULL, NULL);
    CU_add_test(suite, "no space at each call", test_no_space);
    CU_add_test(suite, "input/output error at each call", test_io_error);
    CU_add_test(suite, "disk stays full", test_stays_full);
    CU_add_test(suite, "short writes", test_short_writes);
    CU_add_test(suite, "size limit", test_size_limit);
    CU_add_test(suite, "crash anywhere", test_crash_anywhere);
    CU_add_test(suite, "read-only filesystem", test_read_only);
    CU_add_test(suite, "unreadable block", test_unreadable);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
