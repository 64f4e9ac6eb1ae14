#include "reconciler/control/plan_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/base/whole.h"
#include "reconciler/control/reading.h"
#include "reconciler/io/source.h"
#include "reconciler/pki/digest.h"

/* Written piece by piece: this bounds one action. */
#define PLAN_FILE_PIECE_MAX ((size_t)1 << 30)
#define PLAN_FILE_MODE 0644
#define PLAN_FILE_TRIES 100

/* ---- the hash ---- */

static int by_identity(const void *left, const void *right)
{
    const struct saved_action *a = left, *b = right;
    int order = str_compare(a->name, b->name);

    if (order == 0)
        order = (a->key_type > b->key_type) - (a->key_type < b->key_type);
    return order ? order : (a->action > b->action) - (a->action < b->action);
}

/* Sorts them, too. */
static int hash_actions(struct saved_action *items, size_t count, char hash[PLAN_FILE_HASH_SIZE],
                        struct error *e)
{
    struct buf lines = BUF_INIT(PLAN_FILE_PIECE_MAX);
    bool is_made;

    if (count)
        qsort(items, count, sizeof(*items), by_identity);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&lines, "%s%s ", plan_action_name(items[i].action),
                   items[i].overrides ? "+" : "");
        buf_str(&lines, items[i].name);
        buf_char(&lines, '\n');
    }
    is_made = !lines.failed && digest_sha256_hex(buf_view(&lines), hash) == 0;
    buf_free(&lines);
    return is_made ? 0 : error_memory(e);
}

int plan_file_hash(const struct plan *plan, char hash[PLAN_FILE_HASH_SIZE], struct error *e)
{
    struct saved_action *items = calloc(plan->count + 1, sizeof(*items));
    int rc;

    if (!items)
        return error_memory(e);
    for (size_t i = 0; i < plan->count; i++) {
        const struct action *a = &plan->items[i];
        items[i] =
            (struct saved_action){a->subject.name, plan_key_type(a), a->action, a->overrides};
    }
    rc = hash_actions(items, plan->count, hash, e);
    free(items);
    return rc;
}

/* ---- writing ---- */

struct writing {
    int fd;
    int number; /* errno of what went wrong */
};

static int write_piece(void *context, struct buf *out)
{
    struct writing *w = context;

    if (whole_write(w->fd, buf_view(out))) {
        w->number = errno;
        return -1;
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

/* ---- reading ---- */

#define PLAN_FORMAT 1

static int read_action(const struct reading *r, const struct document_node *node,
                       struct arena *arena, struct saved_action *a, struct error *e)
{
    const struct document_node *overrides = reading_get(r, node, "overrides");
    struct str name = reading_text(r, node, "name");

    a->action = plan_action_from(reading_text(r, node, "action"));
    a->key_type = key_type_from(reading_text(r, node, "key_type"));
    a->overrides = overrides && overrides->kind == DOCUMENT_MAP;
    if (!name.len || name.len > HOSTNAME_MAX || a->action == PLAN_NOTHING)
        return error_set(e, ERROR_INVALID, "an action in it is not understood");
    a->name = arena_str(arena, name);
    return a->name.ptr ? 0 : error_memory(e);
}

static int check_hash(const struct reading *r, struct saved_action *items, size_t count,
                      struct error *e)
{
    char hash[PLAN_FILE_HASH_SIZE];

    if (hash_actions(items, count, hash, e))
        return -1;
    for (size_t i = 1; i < count; i++)
        if (by_identity(&items[i - 1], &items[i]) == 0)
            return error_set(e, ERROR_INVALID, "a name stands in it twice");
    if (!str_equal_cstr(reading_text(r, &r->root, "hash"), hash))
        return error_set(e, ERROR_INVALID, "it was changed after it was made: its hash is another");
    return 0;
}

static int read_actions(const struct reading *r, struct arena *arena, struct saved_plan *saved,
                        struct error *e)
{
    size_t count;
    const struct document_node *nodes = reading_list(r, &r->root, "actions", &count);
    struct saved_action *items = arena_array(arena, count, sizeof(*items));

    if (!items)
        return error_memory(e);
    for (size_t i = 0; i < count; i++)
        if (read_action(r, &nodes[i], arena, &items[i], e))
            return -1;
    saved->items = items;
    saved->count = count;
    return check_hash(r, items, count, e);
}

static int read_files(const struct reading *r, struct arena *arena, struct saved_plan *saved,
                      struct error *e)
{
    const struct document_node *config = reading_get(r, &r->root, "config");
    const struct document_node *nodes = reading_list(r, config, "files", &saved->file_count);

    saved->files = arena_array(arena, saved->file_count + 1, sizeof(*saved->files));
    if (!saved->files)
        return error_memory(e);
    for (size_t i = 0; i < saved->file_count; i++) {
        struct str name = reading_text(r, &nodes[i], "file");

        if (!name.len || memchr(name.ptr, '\0', name.len))
            return error_set(e, ERROR_INVALID, "a file in it is not understood");
        saved->files[i] = arena_str(arena, name).ptr;
        if (!saved->files[i])
            return error_memory(e);
    }
    return 0;
}

int plan_file_parse(struct str json, struct arena *arena, struct saved_plan *saved, struct error *e)
{
    struct reading r;
    int rc = -1;

    *saved = (struct saved_plan){0};
    if (reading_open(&r, json, e)) {
        if (e->kind != ERROR_MEMORY)
            error_set(e, ERROR_INVALID, "it is no plan: not a JSON object");
        goto out;
    }
    saved->made_at = reading_time(&r, &r.root, "made_at");
    if (reading_number(&r, &r.root, "format") != PLAN_FORMAT || !saved->made_at ||
        !reading_get(&r, &r.root, "actions"))
        error_set(e, ERROR_INVALID, "it is no plan that diff --out has written");
    else if (read_files(&r, arena, saved, e) == 0)
        rc = read_actions(&r, arena, saved, e);
out:
    reading_close(&r);
    return rc;
}

int plan_file_read(const char *path, struct arena *arena, struct saved_plan *saved,
                   struct source_set **set, struct error *e)
{
    char *paths[] = {(char *)path, NULL};
    const struct source_options options = {
        .paths = paths, .path_count = 1, .max_bytes = PLAN_FILE_MAX};
    int rc;

    *set = NULL;
    if (source_read(&options, set, e))
        return -1;
    if ((*set)->count == 1)
        rc = plan_file_parse((struct str){(*set)->files[0].data, (*set)->files[0].len}, arena,
                             saved, e);
    else
        rc = error_set(e, ERROR_INVALID, "it is no plan, but a folder");
    if (rc)
        snprintf(e->file, sizeof(e->file), "%s", path);
    return rc;
}
