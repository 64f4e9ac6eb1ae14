#include "presence.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ledger.h"

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

static int check_folder(const struct presence *p, struct error *e)
{
    struct stat there, ours;

    if (lstat(p->path, &there))
        return error_errno(e, ERROR_STORAGE, errno, "the folder is gone");
    if (fstat(p->folder, &ours) || !is_same(&there, &ours))
        return error_set(e, ERROR_STORAGE, "another folder is in the place of ours");
    return 0;
}

static int check_header(const struct presence *p, struct error *e)
{
    unsigned char wanted[APPEND_LOG_HEADER_SIZE], found[APPEND_LOG_HEADER_SIZE];

    append_log_make_header(wanted, p->ledger->marker);
    if (p->knows_header && (pread(p->ledger->fd, found, sizeof(found), 0) != sizeof(found) ||
                            memcmp(found, wanted, sizeof(found)) != 0))
        return error_set(e, ERROR_STORAGE, "the log was overwritten");
    return 0;
}

static int check_contents(const struct presence *p, struct error *e)
{
    const struct ledger *l = p->ledger;
    struct stat st;

    if (fstat(l->fd, &st))
        return error_errno(e, ERROR_STORAGE, errno, "the log cannot be looked at");
    if ((uint64_t)st.st_size < l->end)
        return error_set(e, ERROR_STORAGE, "the log was cut: %llu of its %llu bytes are left",
                         (unsigned long long)st.st_size, (unsigned long long)l->end);
    if ((uint64_t)st.st_size > l->end && !l->is_uncut)
        return error_set(e, ERROR_STORAGE, "somebody else wrote to the log");
    return check_header(p, e);
}

int presence_check(const struct presence *p, struct error *e)
{
    struct stat there, ours;

    if (check_folder(p, e))
        return -1;
    if (fstatat(p->folder, p->name, &there, AT_SYMLINK_NOFOLLOW))
        return error_errno(e, ERROR_STORAGE, errno, "the log is gone");
    if (fstat(p->ledger->fd, &ours) || !is_same(&there, &ours))
        return error_set(e, ERROR_STORAGE, "another file is in the place of the log");
    return check_contents(p, e);
}

bool presence_is_whole(const struct presence *p)
{
    struct error ignored;

    return check_contents(p, &ignored) == 0;
}

/* A folder with the sticky bit lets nobody move what is another's (/tmp). */
static bool is_open(const struct stat *st, bool is_prefix)
{
    bool may_write = st->st_mode & (S_IWGRP | S_IWOTH) && (is_prefix || !(st->st_mode & S_ISVTX));

    return may_write || (st->st_uid != 0 && st->st_uid != geteuid());
}

void presence_print_open(const char *prefix, struct buf *out)
{
    char path[PATH_MAX];
    struct stat st;

    if (!realpath(prefix, path))
        return;
    for (bool is_prefix = true;; is_prefix = false) {
        char *slash = strrchr(path, '/');

        if (stat(path, &st) == 0 && is_open(&st, is_prefix)) {
            buf_printf(out, "others than root and uid %ld may write %s (mode %04o, uid %ld)",
                       (long)geteuid(), path, st.st_mode & 07777u, (long)st.st_uid);
            if (!is_prefix)
                buf_printf(out, ", and so put another folder in the place of %s", prefix);
            return;
        }
        if (slash == path && !path[1])
            return;
        *(slash == path ? slash + 1 : slash) = '\0';
    }
}
