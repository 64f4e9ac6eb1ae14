#include "reconciler/storage/last_good.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/storage/folder.h"

#define LAST_GOOD "last_good"
#define LAST_GOOD_NEW "last_good.new"
#define LAST_GOOD_MAX ((uint64_t)8 << 30)

static int write_all(int fd, const char *data, size_t len, struct error *e)
{
    while (len) {
        ssize_t done = write(fd, data, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return error_errno(e, ERROR_STORAGE, errno, "cannot keep the last good file");
        data += done;
        len -= (size_t)done;
    }
    return 0;
}

/* Each file as "NAME_LENGTH DATA_LENGTH LF name data". */
static int write_set(int fd, const struct source_set *set, struct error *e)
{
    char head[64];
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < set->count; i++) {
        const struct source_file *f = &set->files[i];
        int len = snprintf(head, sizeof(head), "%zu %zu\n", strlen(f->name), f->len);
        rc = write_all(fd, head, (size_t)len, e);
        if (rc == 0)
            rc = write_all(fd, f->name, strlen(f->name), e);
        if (rc == 0)
            rc = write_all(fd, f->data, f->len, e);
    }
    if (rc == 0 && fsync(fd))
        rc = error_errno(e, ERROR_STORAGE, errno, "cannot keep the last good file");
    return rc;
}

int last_good_write(const char *prefix, const struct source_set *set, struct error *e)
{
    int parent = folder_open(prefix, true, e), fd = -1, rc = -1;

    if (parent < 0)
        return -1;
    fd = folder_open_file(parent, LAST_GOOD_NEW, O_WRONLY | O_CREAT | O_TRUNC, e);
    if (fd >= 0)
        rc = write_set(fd, set, e);
    if (rc == 0 && renameat(parent, LAST_GOOD_NEW, parent, LAST_GOOD))
        rc = error_errno(e, ERROR_STORAGE, errno, "cannot keep the last good file");
    if (rc)
        unlinkat(parent, LAST_GOOD_NEW, 0);
    if (fd >= 0)
        close(fd);
    close(parent);
    return rc;
}

/* The next file of `all` as a pair of views; -1 when the text is not what write_set writes. */
static int next_file(struct str *all, struct str *name, struct str *data)
{
    struct str rest, head = str_cut(*all, '\n', &rest), lengths;
    struct str first = str_cut(head, ' ', &lengths);
    uint64_t name_len, data_len;

    if (!rest.ptr || !str_to_u64(first, &name_len) || !str_to_u64(lengths, &data_len) ||
        name_len > rest.len || data_len > rest.len - name_len)
        return -1;
    *name = str_slice(rest, 0, name_len);
    *data = str_slice(rest, name_len, name_len + data_len);
    *all = str_slice(rest, name_len + data_len, rest.len);
    return 0;
}

int last_good_read(const char *prefix, struct source_set **set, struct error *e)
{
    struct source_set *whole = NULL;
    struct source_text texts[SOURCE_TEXTS_MAX];
    struct str all;
    char *path = NULL;
    size_t count = 0;
    int rc;

    if (asprintf(&path, "%s/%s", prefix, LAST_GOOD) < 0)
        return error_memory(e);
    rc = source_read(
        &(struct source_options){.paths = &path, .path_count = 1, .max_bytes = LAST_GOOD_MAX},
        &whole, e);
    if (rc == 0) {
        all = (struct str){whole->files[0].data, whole->files[0].len};
        while (rc == 0 && all.len && count < SOURCE_TEXTS_MAX)
            rc = next_file(&all, &texts[count].name, &texts[count].data) ? -1 : (count++, 0);
        if (rc || all.len)
            rc = error_set(e, ERROR_STORAGE, "%s is damaged", path);
        else
            rc = source_copy(texts, count, set, e);
    }
    source_free(whole);
    free(path);
    return rc;
}
