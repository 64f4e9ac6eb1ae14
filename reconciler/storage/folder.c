#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/base/whole.h"

#define DIRECTORY_MODE 0700
#define FILE_MODE 0600

/* mkdir under any umask. 1 made, 0 there already, -1. */
static int make(int parent, const char *name)
{
    if (mkdirat(parent, name, DIRECTORY_MODE))
        return errno == EEXIST ? 0 : -1;
    return fchmodat(parent, name, DIRECTORY_MODE, 0) ? -1 : 1;
}

/* Makes a new entry of the directory that `path` lies in durable; it need not be ours to read. */
static void sync_parent(char *path)
{
    char *slash = strrchr(path, '/');
    const char *parent = slash == path ? "/" : slash ? path : ".";
    int fd;

    if (slash)
        *slash = '\0';
    fd = open(*parent ? parent : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (slash)
        *slash = '/';
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

/* Makes the missing parts of `path`. */
static int make_parents(const char *path)
{
    char *copy = str_dup(str_from(path));
    char *slash;
    int made;

    if (!copy)
        return -1;
    slash = copy;
    do {
        slash = strchr(slash + 1, '/');
        if (slash)
            *slash = '\0';
        made = make(AT_FDCWD, copy);
        if (made > 0)
            sync_parent(copy);
        if (slash)
            *slash = '/';
    } while (slash && slash[1] && made >= 0);
    free(copy);
    return made < 0 ? -1 : 0;
}

/* Like error_errno, and errno stays `number`. */
static int fail(struct error *e, int number, const char *what, const char *name)
{
    error_errno(e, ERROR_STORAGE, number, "%s %s", what, name);
    errno = number;
    return -1;
}

int folder_open(const char *path, bool create, struct error *e)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT && create) {
        if (!*path || make_parents(path))
            return fail(e, errno, "cannot make directory", path);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0)
        return fail(e, errno, "cannot open directory", path);
    return fd;
}

int folder_open_below(int parent, const char *name, bool create, struct error *e)
{
    int made = create ? make(parent, name) : 0;
    int fd;

    if (made < 0 || (made > 0 && fsync(parent)))
        return fail(e, errno, "cannot make directory", name);
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fail(e, errno, "cannot open directory", name);
    return fd;
}

int folder_open_file(int parent, const char *name, int flags, struct error *e)
{
    /* Not blocking: a FIFO in its place would hold us up for ever. */
    int fd =
        openat(parent, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, FILE_MODE);
    struct stat st;
    int why;

    if (fd < 0)
        return fail(e, errno, "cannot open file", name);
    if (fstat(fd, &st)) {
        why = errno;
    } else if (!S_ISREG(st.st_mode)) {
        close(fd);
        return error_set(e, ERROR_STORAGE, "%s is not a regular file", name);
    } else if ((flags & O_ACCMODE) == O_RDONLY || (st.st_mode & 07777) == FILE_MODE ||
               fchmod(fd, FILE_MODE) == 0) {
        return fd;
    } else {
        why = errno;
    }
    close(fd);
    return fail(e, why, "cannot keep others out of file", name);
}

static int fail_file(const struct folder_file *f, struct error *e)
{
    return fail(e, errno, "cannot write file", f->name);
}

int folder_file_begin(struct folder_file *f, int parent, const char *name, struct error *e)
{
    struct stat st;

    *f = (struct folder_file){.parent = parent, .name = name};
    snprintf(f->beside, sizeof(f->beside), "%s.new", name);
    f->fd = folder_open_file(parent, f->beside, O_WRONLY | O_CREAT | O_TRUNC, e);
    if (f->fd < 0)
        return -1;
    if (geteuid() == 0 && (fstat(parent, &st) || fchown(f->fd, st.st_uid, st.st_gid)))
        return folder_file_end(f, fail_file(f, e), e);
    return 0;
}

int folder_file_write(struct folder_file *f, struct str bytes, struct error *e)
{
    return whole_write(f->fd, bytes) ? fail_file(f, e) : 0;
}

int folder_file_end(struct folder_file *f, int rc, struct error *e)
{
    if (rc == 0 && (fsync(f->fd) || renameat(f->parent, f->beside, f->parent, f->name)))
        rc = fail_file(f, e);
    close(f->fd);
    if (rc)
        unlinkat(f->parent, f->beside, 0);
    return rc;
}
