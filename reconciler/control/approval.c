#include "reconciler/control/approval.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/cli/plan_file.h"
#include "reconciler/io/source.h"
#include "reconciler/storage/directory.h"

#define APPROVED_NEW SETTINGS_APPROVED ".new"

/* apply brings the plan; else it is a file that others write. */
static bool is_brought(const struct settings *s)
{
    return s->acme_approve && strcmp(s->acme_approve, "on") == 0;
}

void approval_free(struct approval *a)
{
    if (!a)
        return;
    arena_free(a->arena);
    free(a);
}

static struct approval *parse(const struct source_set *set, struct error *e)
{
    struct approval *a = calloc(1, sizeof(*a));
    const struct source_file *file = set ? &set->files[0] : NULL;

    if (!a || !(a->arena = arena_new(NULL))) {
        error_memory(e);
    } else if (!file) {
        return a;
    } else if (set->count != 1) {
        error_set(e, ERROR_INVALID, "it is no plan, but a folder");
    } else if (plan_file_parse((struct str){file->data, file->len}, a->arena, &a->plan, e) == 0) {
        memcpy(a->sha256, file->sha256, sizeof(a->sha256));
        return a;
    }
    approval_free(a);
    return NULL;
}

/* *set is NULL where there is no file and need not be one. */
static int read_file(const struct settings *s, const char *path, struct source_set **set,
                     struct error *e)
{
    char *paths[] = {(char *)path, NULL};
    const struct source_options options = {
        .paths = paths, .path_count = 1, .max_bytes = PLAN_FILE_MAX};

    *set = NULL;
    if (is_brought(s) && access(path, F_OK) && errno == ENOENT)
        return 0;
    return source_read(&options, set, e);
}

int approval_read(const struct settings *s, const struct approval *before, struct approval **next,
                  struct error *e)
{
    char *path = settings_approved_path(s);
    struct source_set *set = NULL;
    int rc;

    *next = NULL;
    rc = path ? read_file(s, path, &set, e) : error_memory(e);
    if (rc == 0 && (!before || strcmp(set ? set->files[0].sha256 : "", before->sha256) != 0)) {
        *next = parse(set, e);
        if (!*next && path)
            snprintf(e->file, sizeof(e->file), "%s", path);
        rc = *next ? 0 : -1;
    }
    source_free(set);
    free(path);
    return rc;
}

/* ---- bringing it ---- */

static int write_all(int fd, struct str text, struct error *e)
{
    while (text.len) {
        ssize_t n = write(fd, text.ptr, text.len);

        if (n < 0 && errno != EINTR)
            return error_errno(e, ERROR_IO, errno, "cannot bring the plan to the server");
        text = str_slice(text, n > 0 ? (size_t)n : 0, text.len);
    }
    return fsync(fd) ? error_errno(e, ERROR_IO, errno, "cannot bring the plan to the server") : 0;
}

/* Root writes as the prefix' owner: the server is no root. */
static int write_below(int parent, struct str plan, struct error *e)
{
    struct stat st;
    int fd = directory_open_file(parent, APPROVED_NEW, O_WRONLY | O_CREAT | O_TRUNC, e);
    int rc = -1;

    if (fd < 0)
        return -1;
    if (geteuid() == 0 && (fstat(parent, &st) || fchown(fd, st.st_uid, st.st_gid)))
        error_errno(e, ERROR_IO, errno, "cannot bring the plan to the server");
    else
        rc = write_all(fd, plan, e);
    close(fd);
    if (rc == 0 && renameat(parent, APPROVED_NEW, parent, SETTINGS_APPROVED))
        rc = error_errno(e, ERROR_IO, errno, "cannot bring the plan to the server");
    if (rc)
        unlinkat(parent, APPROVED_NEW, 0);
    return rc;
}

int approval_bring(const struct settings *s, struct str plan, struct error *e)
{
    int parent = directory_open(s->prefix, false, e);
    int rc = parent < 0 ? -1 : write_below(parent, plan, e);

    if (parent >= 0)
        close(parent);
    return rc;
}
