#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"
#include "reconciler/base/str.h"

#define LOCK_NAME "lock"
#define PID_TEXT_MAX 32

static int refuse(int fd, const char *prefix, struct error *e)
{
    char text[PID_TEXT_MAX];
    ssize_t len = pread(fd, text, sizeof(text), 0);
    struct str pid = str_trim((struct str){text, len > 0 ? (size_t)len : 0});
    uint64_t number;

    /* Its owner may be about to write its pid. */
    if (!str_to_u64(pid, &number))
        return error_set(e, ERROR_IN_USE, "another process uses %s", prefix);
    return error_set(e, ERROR_IN_USE, "process %" PRIu64 " uses %s", number, prefix);
}

static bool write_pid(int fd)
{
    char text[PID_TEXT_MAX];
    int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

    return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)len, 0) == len;
}

/* On a filesystem that became read-only what is there can still be served. */
static int open_lock(int directory, struct error *e)
{
    struct error second;
    int fd = folder_open_file(directory, LOCK_NAME, O_RDWR | O_CREAT, e);

    if (fd < 0 && errno == EROFS)
        fd = folder_open_file(directory, LOCK_NAME, O_RDONLY, &second);
    return fd;
}

/* Do both lead to the same? */
static bool is_same(int fd, const struct stat *other)
{
    struct stat st;

    return fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == other->st_ino &&
           st.st_dev == other->st_dev;
}

/* Locks `fd`; where that is ours already, takes it in its place. -1: `fd` is closed. */
static int hold(int *held, int fd, const char *prefix, bool is_folder, int lock_file,
                struct error *e)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && is_same(*held, &st)) {
        close(fd);
        return 0;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 || (is_folder && errno != EWOULDBLOCK)) {
        *held = fd;
        return 1;
    }
    if (errno == EWOULDBLOCK)
        refuse(lock_file, prefix, e);
    else
        error_errno(e, ERROR_STORAGE, errno, "no lock on %s", prefix);
    close(fd);
    return -1;
}

int lock_take(struct lock *lock, const char *prefix, struct error *e)
{
    struct lock now = *lock;
    int folder = folder_open(prefix, true, e), file;
    int got_folder, got_file;

    if (folder < 0)
        return -1;
    file = open_lock(folder, e);
    if (file < 0) {
        close(folder);
        return error_prefix(e, "%s", prefix);
    }
    got_folder = hold(&now.folder, folder, prefix, true, file, e);
    if (got_folder < 0) {
        close(file);
        return -1;
    }
    got_file = hold(&now.file, file, prefix, false, file, e);
    if (got_file < 0) {
        if (got_folder)
            close(now.folder);
        return -1;
    }
    if (got_folder && lock->folder >= 0)
        close(lock->folder);
    if (got_file && lock->file >= 0)
        close(lock->file);
    *lock = now;
    /* Only for people to read: on a full or read-only disk the lock holds all the same. */
    (void)write_pid(now.file);
    return 0;
}

void lock_drop(struct lock *lock)
{
    if (lock->file >= 0)
        close(lock->file);
    if (lock->folder >= 0)
        close(lock->folder);
    *lock = LOCK_NONE;
}

int lock_check(const struct lock *lock, const char *prefix, struct error *e)
{
    struct stat st;

    if (stat(prefix, &st))
        return error_errno(e, ERROR_STORAGE, errno, "the folder %s is gone", prefix);
    if (!is_same(lock->folder, &st))
        return error_set(e, ERROR_STORAGE, "%s is another folder than the one that was opened",
                         prefix);
    if (fstatat(lock->folder, LOCK_NAME, &st, AT_SYMLINK_NOFOLLOW))
        return error_errno(e, ERROR_STORAGE, errno, "%s: the lock file is gone", prefix);
    if (!is_same(lock->file, &st))
        return error_set(e, ERROR_STORAGE, "%s: another lock file is in the place of ours", prefix);
    return 0;
}
