#include "reconciler/io/way.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define WAY_FLAGS (O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

/* ---- the right to read everything, of this thread alone ---- */

/* False: this thread has no such right, or cannot change it. */
static bool set_right(bool is_on, bool *had)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    const uint32_t bit = 1U << CAP_DAC_READ_SEARCH;

    if (syscall(SYS_capget, &header, data))
        return false;
    *had = data[0].effective & bit;
    if (!(data[0].permitted & bit))
        return false;
    data[0].effective = is_on ? data[0].effective | bit : data[0].effective & ~bit;
    return syscall(SYS_capset, &header, data) == 0;
}

/* With what everybody in our place may do. */
static int open_plainly(const char *path)
{
    bool had = false, is_off = set_right(false, &had);
    int fd, saved;

    if (had && !is_off) {
        errno = EPERM;
        return -1;
    }
    fd = open(path, WAY_FLAGS);
    saved = errno;
    if (had)
        (void)!set_right(true, &had);
    errno = saved;
    return fd;
}

/* ---- the way ---- */

/* Where we stand, and what of the path lies ahead. */
struct walk {
    int folder;     /* O_PATH */
    bool is_shared; /* others may put names into the folder, but not move what is root's */
    bool is_held;   /* it is not root's alone, but lies on this read-only mount: no way leads out */
    uint64_t mount;
    int steps;
    char rest[PATH_MAX];
};

/* Is the folder on the mount that holds us, or may this one do so? */
static bool hold(struct walk *w)
{
    struct statfs fs;
    struct statx x;

    if (statx(w->folder, "", AT_EMPTY_PATH, STATX_MNT_ID, &x) || !(x.stx_mask & STATX_MNT_ID))
        return false;
    if (w->is_held)
        return x.stx_mnt_id == w->mount;
    w->is_held = true;
    w->mount = x.stx_mnt_id;
    /* Anybody may mount FUSE. */
    return fstatfs(w->folder, &fs) == 0 && fs.f_flags & ST_RDONLY && fs.f_type != FUSE_SUPER_MAGIC;
}

/*
 * May nobody but root change what the folder's names lead to? Who writes a read-only mount
 * elsewhere chooses its names, so that those may not lead to other files than its own.
 */
static bool is_safe(struct walk *w)
{
    struct stat st;
    bool is_open;

    if (fstat(w->folder, &st))
        return false;
    is_open = st.st_mode & (S_IWGRP | S_IWOTH);
    w->is_shared = is_open && st.st_mode & S_ISVTX;
    if (!w->is_held && st.st_uid == 0 && (!is_open || w->is_shared))
        return true;
    w->is_shared = false;
    return hold(w);
}

static bool enter(struct walk *w, int folder)
{
    close(w->folder);
    w->folder = folder;
    return is_safe(w);
}

/* From the root or the working directory on, whose own way nobody can change under us. */
static bool start(struct walk *w, const char *from)
{
    int folder = open(from[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

    return folder >= 0 && enter(w, folder);
}

/* The link's text takes its name's place in front of what lies ahead. */
static bool follow(struct walk *w, int link, const char *rest)
{
    char text[PATH_MAX], whole[2 * PATH_MAX];
    ssize_t len = readlinkat(link, "", text, sizeof(text) - 1);
    int size;

    if (len <= 0)
        return false;
    text[len] = '\0';
    size = snprintf(whole, sizeof(whole), "%s/%s", text, rest);
    if (size < 0 || (size_t)size >= sizeof(w->rest))
        return false;
    memcpy(w->rest, whole, (size_t)size + 1);
    return text[0] != '/' || start(w, text);
}

/* The next name, taken out of what lies ahead; false at the end. */
static bool next_name(struct walk *w, char name[NAME_MAX + 1], const char **rest)
{
    const char *from = w->rest + strspn(w->rest, "/");
    size_t len = strcspn(from, "/");

    if (!len || len > NAME_MAX)
        return false;
    memcpy(name, from, len);
    name[len] = '\0';
    *rest = from + len + strspn(from + len, "/");
    return true;
}

/* From the folder's name `next` (O_PATH, taken over) on: as step. */
static int pass(struct walk *w, int next, const struct stat *st, const char *name, const char *rest,
                int *fd)
{
    int rc = -1;

    if (*rest && S_ISDIR(st->st_mode)) {
        memmove(w->rest, rest, strlen(rest) + 1);
        return enter(w, next) ? 0 : -1;
    }
    if (S_ISLNK(st->st_mode)) {
        rc = follow(w, next, rest) ? 0 : -1;
    } else if (!*rest) {
        *fd = openat(w->folder, name, WAY_FLAGS | O_NOFOLLOW);
        rc = *fd < 0 ? -1 : 1;
    }
    close(next);
    return rc;
}

/* One name on: 0 goes on, 1 the walk ends at a file or folder that *fd is, -1 it ends. */
static int step(struct walk *w, int *fd)
{
    char name[NAME_MAX + 1];
    const char *rest;
    struct stat st;
    int next;

    if (++w->steps > WAY_STEPS_MAX || !next_name(w, name, &rest))
        return -1;
    next = openat(w->folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    /* A file or link of root's could be given another name here; a folder cannot. */
    if (next >= 0 &&
        (fstat(next, &st) || (w->is_shared && (st.st_uid != 0 || !S_ISDIR(st.st_mode))))) {
        close(next);
        next = -1;
    }
    return next < 0 ? -1 : pass(w, next, &st, name, rest, fd);
}

/* -1 where the way is not safe, or does not lead anywhere. */
static int open_safely(const char *path)
{
    struct walk w = {.folder = -1};
    int fd = -1, rc = -1;

    if (strlen(path) < sizeof(w.rest)) {
        memcpy(w.rest, path, strlen(path) + 1);
        rc = start(&w, path) ? 0 : -1;
    }
    while (rc == 0)
        rc = step(&w, &fd);
    if (w.folder >= 0)
        close(w.folder);
    return fd;
}

int way_open(const char *path)
{
    bool had = false;
    int fd = set_right(true, &had) ? open_safely(path) : -1;

    return fd >= 0 ? fd : open_plainly(path);
}
