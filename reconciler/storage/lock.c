#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "directory.h"
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
    int fd = directory_open_file(directory, LOCK_NAME, O_RDWR | O_CREAT, e);

    if (fd < 0 && errno == EROFS)
        fd = directory_open_file(directory, LOCK_NAME, O_RDONLY, &second);
    return fd;
}

int lock_take(const char *prefix, struct error *e)
{
    int directory = directory_open(prefix, true, e);
    int fd = -1;
    int rc = -1;

    if (directory < 0)
        return -1;
    fd = open_lock(directory, e);
    if (fd < 0) {
        error_prefix(e, "%s", prefix);
        goto out;
    }
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        rc = errno == EWOULDBLOCK ? refuse(fd, prefix, e)
                                  : error_errno(e, ERROR_STORAGE, errno, "no lock on %s", prefix);
        goto out;
    }
    /* Only for people to read: on a full or read-only disk the lock holds all the same. */
    (void)write_pid(fd);
    rc = 0;
out:
    close(directory);
    if (rc && fd >= 0)
        close(fd);
    return rc ? -1 : fd;
}
