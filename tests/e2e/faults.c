/*
 * Preloaded into `reconcert run` by tests: makes control's disk full, read-only or broken, and
 * kills control at the n-th durable operation. Workers get no environment, so they never load it.
 *
 *   FAULT_PATH=/prefix          only what lies below this counts
 *   FAULT_ERROR=/file           while it exists, writing fails with the errno that it names
 *                               (ENOSPC, EROFS, EIO)
 *   FAULT_STALL=/file           while it exists, writing takes that long
 *   FAULT_KILL=N:WHEN:/marker   at operation N, WHEN = before, after or torn (half of a write is
 *                               done); the marker is made first, and with it there nobody dies
 *   FAULT_LOG=/file             one line an operation, for finding out how many there are
 *   FAULT_CLOCK=/file           control's clock is that many seconds ahead
 *   FAULT_NOW=/file             control's clock stands still at the second in these 8 bytes
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum when { WHEN_BEFORE, WHEN_AFTER, WHEN_TORN };

/* One operation under way. */
struct operation {
    bool counts; /* it is control's, below FAULT_PATH */
    bool dies;
    enum when when;
};

static bool is_control(void)
{
    static _Atomic int known; /* 0 = not looked yet, 1 = yes, 2 = no */
    char line[PATH_MAX + 64];
    int fd;
    ssize_t n;
    const char *second;

    if (known)
        return known == 1;
    fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    n = fd >= 0 ? read(fd, line, sizeof(line) - 1) : 0;
    if (fd >= 0)
        syscall(SYS_close, fd);
    line[n > 0 ? n : 0] = '\0';
    second = line + strlen(line) + 1;
    known = n > 0 && second < line + n && strcmp(second, "control") == 0 ? 1 : 2;
    return known == 1;
}

static bool is_below(const char *path)
{
    const char *top = getenv("FAULT_PATH");

    return top && strncmp(path, top, strlen(top)) == 0;
}

static bool is_fd_below(int fd)
{
    char link[64], path[PATH_MAX];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path) - 1);
    if (n <= 0)
        return false;
    path[n] = '\0';
    return is_below(path);
}

static bool is_name_below(int directory, const char *name)
{
    return name[0] == '/' ? is_below(name) : directory != AT_FDCWD && is_fd_below(directory);
}

/* What the file that a variable names holds; false where there is neither. */
static bool read_word(const char *variable, char word[16])
{
    const char *file = getenv(variable);
    int fd = file ? (int)syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n;

    if (fd < 0)
        return false;
    n = read(fd, word, 15);
    syscall(SYS_close, fd);
    word[n > 0 ? n : 0] = '\0';
    return true;
}

static int error_of(void)
{
    char word[16];

    if (!read_word("FAULT_ERROR", word))
        return 0;
    if (strncmp(word, "EROFS", 5) == 0)
        return EROFS;
    return strncmp(word, "EIO", 3) == 0 ? EIO : ENOSPC;
}

static void stall(void)
{
    const struct timespec moment = {0, 10000000};
    const char *file = getenv("FAULT_STALL");

    while (file && access(file, F_OK) == 0)
        nanosleep(&moment, NULL);
}

static void note(const char *what, long count)
{
    const char *file = getenv("FAULT_LOG");
    char line[64];
    int fd, n;

    if (!file)
        return;
    fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    n = snprintf(line, sizeof(line), "%ld %s\n", count, what);
    if (fd >= 0 && n > 0)
        syscall(SYS_write, fd, line, (size_t)n);
    if (fd >= 0)
        syscall(SYS_close, fd);
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    pause();
}

/* True if this is where we are to die: the marker is made now. */
static bool is_last(long count, enum when *when)
{
    const char *plan = getenv("FAULT_KILL");
    const char *marker;
    int fd;

    if (!plan || strtol(plan, NULL, 10) != count)
        return false;
    plan = strchr(plan, ':');
    marker = plan ? strchr(plan + 1, ':') : NULL;
    if (!marker)
        return false;
    *when = plan[1] == 'b' ? WHEN_BEFORE : plan[1] == 'a' ? WHEN_AFTER : WHEN_TORN;
    fd = (int)syscall(SYS_openat, AT_FDCWD, marker + 1, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                      0600);
    if (fd < 0)
        return false;
    syscall(SYS_close, fd);
    return true;
}

/* To be called before; -1 with errno when the operation is to fail. */
static int begin(struct operation *o, bool counts, const char *what)
{
    static _Atomic long operations;
    long count;
    int error;

    *o = (struct operation){.counts = counts};
    if (!counts)
        return 0;
    stall();
    error = error_of();
    if (error) {
        errno = error;
        return -1;
    }
    count = ++operations;
    note(what, count);
    o->dies = is_last(count, &o->when);
    if (o->dies && o->when == WHEN_BEFORE)
        die();
    return 0;
}

static void end(const struct operation *o)
{
    if (o->dies)
        die();
}

static size_t torn(const struct operation *o, size_t size)
{
    return o->dies && o->when == WHEN_TORN ? size / 2 : size;
}

__attribute__((visibility("default"))) ssize_t write(int fd, const void *data, size_t size)
{
    struct operation o;
    ssize_t n;

    if (begin(&o, is_control() && is_fd_below(fd), "write"))
        return -1;
    n = syscall(SYS_write, fd, data, torn(&o, size));
    end(&o);
    return n;
}

__attribute__((visibility("default"))) ssize_t pwrite(int fd, const void *data, size_t size,
                                                      off_t offset)
{
    struct operation o;
    ssize_t n;

    if (begin(&o, is_control() && is_fd_below(fd), "pwrite"))
        return -1;
    n = syscall(SYS_pwrite64, fd, data, torn(&o, size), offset);
    end(&o);
    return n;
}

__attribute__((visibility("default"))) ssize_t pwrite64(int fd, const void *data, size_t size,
                                                        off_t offset)
{
    return pwrite(fd, data, size, offset);
}

__attribute__((visibility("default"))) ssize_t writev(int fd, const struct iovec *parts, int count)
{
    struct operation o;
    ssize_t n;

    if (begin(&o, is_control() && is_fd_below(fd), "writev"))
        return -1;
    n = syscall(SYS_writev, fd, parts, o.dies && o.when == WHEN_TORN ? (count + 1) / 2 : count);
    end(&o);
    return n;
}

__attribute__((visibility("default"))) int fsync(int fd)
{
    struct operation o;
    int rc;

    if (begin(&o, is_control() && is_fd_below(fd), "fsync"))
        return -1;
    rc = (int)syscall(SYS_fsync, fd);
    end(&o);
    return rc;
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    struct operation o;
    int rc;

    if (begin(&o, is_control() && is_fd_below(fd), "fdatasync"))
        return -1;
    rc = (int)syscall(SYS_fdatasync, fd);
    end(&o);
    return rc;
}

__attribute__((visibility("default"))) int ftruncate(int fd, off_t size)
{
    struct operation o;
    int rc;

    if (begin(&o, is_control() && is_fd_below(fd), "ftruncate"))
        return -1;
    rc = (int)syscall(SYS_ftruncate, fd, size);
    end(&o);
    return rc;
}

__attribute__((visibility("default"))) int ftruncate64(int fd, off_t size)
{
    return ftruncate(fd, size);
}

__attribute__((visibility("default"))) int fallocate(int fd, int mode, off_t offset, off_t size)
{
    struct operation o;
    int rc;

    if (begin(&o, is_control() && is_fd_below(fd), "fallocate"))
        return -1;
    rc = (int)syscall(SYS_fallocate, fd, mode, offset, size);
    end(&o);
    return rc;
}

__attribute__((visibility("default"))) int posix_fallocate(int fd, off_t offset, off_t size)
{
    return fallocate(fd, 0, offset, size) ? errno : 0;
}

__attribute__((visibility("default"))) int renameat(int from, const char *old, int to,
                                                    const char *new)
{
    struct operation o;
    int rc;

    if (begin(&o, is_control() && is_name_below(to, new), "rename"))
        return -1;
    rc = (int)syscall(SYS_renameat2, from, old, to, new, 0);
    end(&o);
    return rc;
}

__attribute__((visibility("default"))) int rename(const char *old, const char *new)
{
    return renameat(AT_FDCWD, old, AT_FDCWD, new);
}

__attribute__((visibility("default"))) int unlinkat(int directory, const char *name, int flags)
{
    struct operation o;
    int rc;

    if (begin(&o, is_control() && is_name_below(directory, name), "unlink"))
        return -1;
    rc = (int)syscall(SYS_unlinkat, directory, name, flags);
    end(&o);
    return rc;
}

__attribute__((visibility("default"))) int openat(int directory, const char *name, int flags, ...)
{
    struct operation o = {0};
    va_list rest;
    unsigned mode = 0;
    int fd;

    if (flags & (O_CREAT | O_TMPFILE)) {
        va_start(rest, flags);
        mode = va_arg(rest, unsigned);
        va_end(rest);
    }
    if (begin(&o, (flags & O_CREAT) && is_control() && is_name_below(directory, name), "create"))
        return -1;
    fd = (int)syscall(SYS_openat, directory, name, flags, mode);
    end(&o);
    return fd;
}

__attribute__((visibility("default"))) int open(const char *name, int flags, ...)
{
    va_list rest;
    unsigned mode = 0;

    if (flags & (O_CREAT | O_TMPFILE)) {
        va_start(rest, flags);
        mode = va_arg(rest, unsigned);
        va_end(rest);
    }
    return openat(AT_FDCWD, name, flags, mode);
}

/* NULL: the clock goes on. */
static const _Atomic int64_t *map_now(void)
{
    static const _Atomic int64_t *_Atomic known;
    const char *file = getenv("FAULT_NOW");
    void *page;
    int fd;

    if (known || !file)
        return known;
    fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC);
    page = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*known), PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0)
        syscall(SYS_close, fd);
    if (page != MAP_FAILED)
        known = page;
    return known;
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *t)
{
    const _Atomic int64_t *now = NULL;
    char word[16];
    int rc = (int)syscall(SYS_clock_gettime, id, t);

    if (rc || id != CLOCK_REALTIME || !is_control())
        return rc;
    now = map_now();
    if (now)
        *t = (struct timespec){.tv_sec = *now};
    else if (read_word("FAULT_CLOCK", word))
        t->tv_sec += strtol(word, NULL, 10);
    return 0;
}
