#include "reconciler/cli/plan_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Written piece by piece: this bounds one action. */
#define PLAN_FILE_PIECE_MAX ((size_t)1 << 30)
#define PLAN_FILE_MODE 0644
#define PLAN_FILE_TRIES 100

struct writing {
    int fd;
    int number; /* errno of what went wrong */
};

static int write_piece(void *context, struct buf *out)
{
    struct writing *w = context;
    struct str rest = buf_view(out);

    while (rest.len) {
        ssize_t n = write(w->fd, rest.ptr, rest.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            w->number = errno;
            return -1;
        }
        rest = str_slice(rest, (size_t)n, rest.len);
    }
    buf_clear(out);
    return 0;
}

/* A name beside `path` that nobody has; caller frees *name. The mode is the umask's to narrow. */
static int create_beside(const char *path, char **name)
{
    int fd = -1;

    for (int i = 0; i < PLAN_FILE_TRIES; i++) {
        if (asprintf(name, "%s.%d.%d", path, (int)getpid(), i) < 0) {
            *name = NULL;
            return -1;
        }
        fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, PLAN_FILE_MODE);
        if (fd >= 0 || errno != EEXIST)
            break;
        free(*name);
        *name = NULL;
    }
    return fd;
}

static int fail(const char *path, int number, struct error *e)
{
    error_errno(e, ERROR_IO, number, "cannot write the plan");
    snprintf(e->file, sizeof(e->file), "%s", path);
    return -1;
}

static int fill(struct writing *w, const struct plan *plan, const struct render_options *options)
{
    struct buf out = BUF_INIT(PLAN_FILE_PIECE_MAX);
    struct render_options with = *options;
    int rc;

    with.flush = write_piece;
    with.context = w;
    rc = render_plan_json(plan, &with, &out);
    if (rc == 0)
        rc = write_piece(w, &out);
    if (rc == 0 && fsync(w->fd)) {
        w->number = errno;
        rc = -1;
    }
    buf_free(&out);
    return rc;
}

int plan_file_write(const char *path, const struct plan *plan, const struct render_options *options,
                    struct error *e)
{
    struct writing w = {0};
    char *beside = NULL;
    int rc;

    w.fd = create_beside(path, &beside);
    if (w.fd < 0) {
        rc = beside ? fail(path, errno, e) : error_memory(e);
        free(beside);
        return rc;
    }
    rc = fill(&w, plan, options);
    if (close(w.fd) && rc == 0) {
        w.number = errno;
        rc = -1;
    }
    if (rc == 0 && rename(beside, path)) {
        w.number = errno;
        rc = -1;
    }
    if (rc) {
        unlink(beside);
        rc = w.number ? fail(path, w.number, e) : error_memory(e);
    }
    free(beside);
    return rc;
}
