#include "reconciler/storage/last_good.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/storage/folder.h"

#define LAST_GOOD "last_good"
#define LAST_GOOD_MAX ((uint64_t)8 << 30)

/* Each file as "NAME_LENGTH DATA_LENGTH LF name data". */
static int write_set(struct folder_file *to, const struct source_set *set, struct error *e)
{
    char head[64];
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < set->count; i++) {
        const struct source_file *f = &set->files[i];
        int len = snprintf(head, sizeof(head), "%zu %zu\n", strlen(f->name), f->len);

        if (folder_file_write(to, (struct str){head, (size_t)len}, e) ||
            folder_file_write(to, str_from(f->name), e) ||
            folder_file_write(to, (struct str){f->data, f->len}, e))
            rc = -1;
    }
    return rc;
}

int last_good_write(const char *prefix, const struct source_set *set, struct error *e)
{
    int parent = folder_open(prefix, true, e), rc;
    struct folder_file f;

    if (parent < 0)
        return -1;
    rc = folder_file_begin(&f, parent, LAST_GOOD, e);
    if (rc == 0)
        rc = folder_file_end(&f, write_set(&f, set, e), e);
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
