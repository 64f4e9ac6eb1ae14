#include "reconciler/io/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/vec.h"
#include "reconciler/base/whole.h"
#include "reconciler/io/way.h"
#include "reconciler/pki/digest.h"

/* A file that changes under every one of these reads is being written without end. */
#define SOURCE_READ_TRIES 5
#define SOURCE_STDIN_CHUNK ((size_t)64 << 10)

struct file_list vec(struct source_file);

static void file_fini(struct source_file *f)
{
    if (f->data) {
        explicit_bzero(f->data, f->len);
        munmap(f->data, f->mapped);
    }
    free(f->name);
    *f = (struct source_file){0};
}

void source_free(struct source_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++)
        file_fini(&set->files[i]);
    free(set->files);
    free(set);
}

/* Memory that stays out of core dumps; one byte more than `len` for the NUL. */
static int file_room(struct source_file *f, size_t len, struct error *e)
{
    void *room = mmap(NULL, len + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (room == MAP_FAILED)
        return error_memory(e);
    madvise(room, len + 1, MADV_DONTDUMP);
    f->data = room;
    f->mapped = len + 1;
    f->len = len;
    return 0;
}

static int at_file(struct error *e, const char *name)
{
    snprintf(e->file, sizeof(e->file), "%s", name);
    return -1;
}

/* How many bytes may be read, all in all, and how many were. */
struct allowance {
    uint64_t max, used;
};

static int check_size(uint64_t size, const struct allowance *a, struct error *e)
{
    if (size <= a->max - a->used)
        return 0;
    return error_set(e, ERROR_LIMIT, "%s %llu bytes, acme_max_document allows %llu",
                     a->used ? "with this one the documents have" : "the document has",
                     (unsigned long long)(a->used + size), (unsigned long long)a->max);
}

static int read_whole(int fd, char *to, size_t len, struct error *e)
{
    ssize_t got = whole_read(fd, to, len);

    if (got < 0)
        return error_errno(e, ERROR_IO, errno, "cannot read");
    return (size_t)got == len ? 0 : 1;
}

static bool same_state(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_ino == b->st_ino && a->st_dev == b->st_dev &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* 0 read; 1 the file changed under the read; -1 failed. */
static int try_read(const char *path, const struct allowance *a, struct source_file *f,
                    struct error *e)
{
    struct stat before, after;
    int fd = way_open(path);
    int rc = -1;

    if (fd < 0)
        return error_errno(e, ERROR_IO, errno, "cannot open");
    if (fstat(fd, &before))
        error_errno(e, ERROR_IO, errno, "cannot stat");
    else if (!S_ISREG(before.st_mode))
        error_set(e, ERROR_IO, "is not a regular file");
    else if (check_size((uint64_t)before.st_size, a, e) == 0 &&
             file_room(f, (size_t)before.st_size, e) == 0)
        rc = read_whole(fd, f->data, f->len, e);
    if (rc == 0 && (fstat(fd, &after) || !same_state(&before, &after)))
        rc = 1;
    if (rc == 0) {
        f->changed_ms = (int64_t)after.st_mtim.tv_sec * 1000 + after.st_mtim.tv_nsec / 1000000;
        f->is_foreign = after.st_uid != 0 && after.st_uid != geteuid();
    }
    close(fd);
    return rc;
}

static int read_file(const char *path, const struct allowance *a, struct source_file *f,
                     struct error *e)
{
    int rc = 1;

    for (int tries = 0; rc == 1 && tries < SOURCE_READ_TRIES; tries++) {
        file_fini(f);
        rc = try_read(path, a, f, e);
    }
    if (rc == 1)
        error_set(e, ERROR_IO, "keeps changing while it is read");
    if (rc)
        return at_file(e, path);
    f->name = strdup(path);
    return f->name ? 0 : error_memory(e);
}

static int keep_text(struct str name, struct str text, struct source_file *f, struct error *e)
{
    if (file_room(f, text.len, e))
        return -1;
    if (text.len)
        memcpy(f->data, text.ptr, text.len);
    f->name = str_dup(name);
    return f->name ? 0 : error_memory(e);
}

/* A file behind standard input tells its size, as any other. */
static int check_stdin(const struct allowance *a, struct error *e)
{
    struct stat st;
    off_t at;

    if (fstat(STDIN_FILENO, &st) || !S_ISREG(st.st_mode))
        return 0;
    at = lseek(STDIN_FILENO, 0, SEEK_CUR);
    return at < 0 || at > st.st_size ? 0 : check_size((uint64_t)(st.st_size - at), a, e);
}

static int read_stdin(const struct allowance *a, struct source_file *f, struct error *e)
{
    struct buf text = BUF_SECRET(a->max - a->used + SOURCE_STDIN_CHUNK);
    ssize_t got;
    char *room;
    int rc = -1;

    if (check_stdin(a, e))
        return at_file(e, "-");
    for (;;) {
        if (check_size(text.len, a, e))
            break;
        room = buf_reserve(&text, SOURCE_STDIN_CHUNK);
        if (!room) {
            error_memory(e);
            break;
        }
        got = read(STDIN_FILENO, room, SOURCE_STDIN_CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            error_errno(e, ERROR_IO, errno, "cannot read");
            break;
        }
        if (got == 0) {
            rc = keep_text(STR("-"), buf_view(&text), f, e);
            break;
        }
        buf_commit(&text, (size_t)got);
    }
    buf_free(&text);
    return rc ? at_file(e, "-") : 0;
}

static bool is_configuration(const char *name)
{
    struct str s = str_from(name);

    return name[0] != '.' &&
           (str_ends(s, STR(".yaml")) || str_ends(s, STR(".yml")) || str_ends(s, STR(".json")));
}

static struct allowance allow(const struct file_list *list, uint64_t max)
{
    struct allowance a = {.max = max};

    for (size_t i = 0; i < list->len; i++)
        a.used += list->items[i].len;
    return a;
}

static bool has_stdin(const struct file_list *list)
{
    for (size_t i = 0; i < list->len; i++)
        if (strcmp(list->items[i].name, "-") == 0)
            return true;
    return false;
}

static int add_path(struct file_list *list, const char *path, uint64_t max, int depth,
                    struct error *e);

/* The folder's descriptor; -1: it is none, or nothing that can be opened. */
static int open_folder(const char *path)
{
    struct stat st;
    int fd = way_open(path);

    if (fd < 0 || (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)))
        return fd;
    close(fd);
    return -1;
}

static bool is_folder(const char *path)
{
    int fd = open_folder(path);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* A folder's entries by name, so that two runs read in one order. Hidden ones (..data too) are left
 * out. */
static int add_folder(struct file_list *list, int fd, const char *folder, uint64_t max, int depth,
                      struct error *e)
{
    struct dirent **entries = NULL;
    int count, rc = 0;

    if (depth == SOURCE_DEPTH_MAX) {
        error_set(e, ERROR_LIMIT, "folders lie deeper than %d", SOURCE_DEPTH_MAX);
        return at_file(e, folder);
    }
    count = scandirat(fd, ".", &entries, NULL, alphasort);
    if (count < 0) {
        error_errno(e, ERROR_IO, errno, "cannot list");
        return at_file(e, folder);
    }
    for (int i = 0; i < count; i++) {
        char *path = NULL;
        if (rc == 0 && entries[i]->d_name[0] != '.') {
            /* A link to nothing is an error, not less to read: names would be retired for it. */
            if (asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0)
                rc = error_memory(e);
            else if (is_configuration(entries[i]->d_name) || is_folder(path))
                rc = add_path(list, path, max, depth + 1, e);
            free(path);
        }
        free(entries[i]);
    }
    free(entries);
    return rc;
}

static int add_path(struct file_list *list, const char *path, uint64_t max, int depth,
                    struct error *e)
{
    bool is_stdin = strcmp(path, "-") == 0;
    struct source_file f = {0};
    struct allowance allowance;
    int folder = is_stdin ? -1 : open_folder(path), rc;

    if (folder >= 0) {
        rc = add_folder(list, folder, path, max, depth, e);
        close(folder);
        return rc;
    }
    if (list->len == SOURCE_FILES_MAX) {
        error_set(e, ERROR_LIMIT, "more than %d files", SOURCE_FILES_MAX);
        return at_file(e, path);
    }
    if (is_stdin && has_stdin(list)) {
        error_set(e, ERROR_IO, "standard input can be read once");
        return at_file(e, path);
    }
    allowance = allow(list, max);
    rc = is_stdin ? read_stdin(&allowance, &f, e) : read_file(path, &allowance, &f, e);
    if (rc == 0 && vec_push(list, f))
        rc = error_memory(e);
    if (rc)
        file_fini(&f);
    return rc;
}

/*
 * Each file's own hash, and one of all: the same where there is one file, else over "hash LF" of
 * each; and when the last change was.
 */
static int sum_up(struct source_set *set, struct error *e)
{
    struct buf all = BUF_INIT(SIZE_MAX / 4);
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < set->count; i++) {
        struct source_file *f = &set->files[i];
        if (f->changed_ms > set->changed_ms)
            set->changed_ms = f->changed_ms;
        rc = digest_sha256_hex((struct str){f->data, f->len}, f->sha256);
        buf_printf(&all, "%s\n", f->sha256);
    }
    if (rc || all.failed || digest_sha256_hex(buf_view(&all), set->sha256))
        rc = error_memory(e);
    else if (set->count == 1)
        memcpy(set->sha256, set->files[0].sha256, sizeof(set->sha256));
    buf_free(&all);
    return rc;
}

int source_md5(const struct source_set *set, char out[33])
{
    struct str *pieces = calloc(set->count, sizeof(*pieces));
    int rc = -1;

    for (size_t i = 0; pieces && i < set->count; i++)
        pieces[i] = (struct str){set->files[i].data, set->files[i].len};
    if (pieces)
        rc = digest_md5_hex(pieces, set->count, out);
    free(pieces);
    return rc;
}

/* declarative_config_string. */
static int add_text(struct file_list *list, const char *text, uint64_t max, struct error *e)
{
    struct source_file f = {0};
    int rc = check_size(strlen(text), &(struct allowance){.max = max}, e);

    if (rc == 0)
        rc = keep_text(STR("declarative_config_string"), str_from(text), &f, e);
    if (rc == 0 && vec_push(list, f))
        rc = error_memory(e);
    if (rc)
        file_fini(&f);
    return rc;
}

static int refuse_nothing(const struct source_options *options, struct error *e)
{
    if (!options->path_count)
        return error_set(e, ERROR_IO,
                         "no declarative configuration: name a file, or set declarative_config");
    error_set(e, ERROR_IO, "the folder holds no *.yaml, *.yml or *.json");
    return at_file(e, options->paths[0]);
}

int source_read(const struct source_options *options, struct source_set **set, struct error *e)
{
    struct source_set *made = calloc(1, sizeof(*made));
    struct file_list list = {0};
    int rc = 0;

    if (!made)
        return error_memory(e);
    for (size_t i = 0; rc == 0 && i < options->path_count; i++)
        rc = add_path(&list, options->paths[i], options->max_bytes, 0, e);
    if (rc == 0 && !options->path_count && options->text)
        rc = add_text(&list, options->text, options->max_bytes, e);
    made->files = list.items;
    made->count = list.len;
    if (rc == 0 && !made->count)
        rc = refuse_nothing(options, e);
    if (rc == 0)
        rc = sum_up(made, e);
    if (rc) {
        source_free(made);
        return -1;
    }
    *set = made;
    return 0;
}

int source_copy(const struct source_text *texts, size_t count, struct source_set **set,
                struct error *e)
{
    struct source_set *made = calloc(1, sizeof(*made));
    int rc = 0;

    if (made)
        made->files = calloc(count + 1, sizeof(*made->files));
    if (!made || !made->files || count > SOURCE_TEXTS_MAX)
        rc = error_memory(e);
    for (size_t i = 0; rc == 0 && i < count; i++, made->count++)
        rc = keep_text(texts[i].name, texts[i].data, &made->files[i], e);
    if (rc == 0)
        rc = sum_up(made, e);
    if (rc) {
        source_free(made);
        return -1;
    }
    *set = made;
    return 0;
}
