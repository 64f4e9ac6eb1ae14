#include "reconciler/control/approval.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/control/plan_file.h"
#include "reconciler/io/source.h"
#include "reconciler/storage/folder.h"

void approval_free(struct approval *a)
{
    if (!a)
        return;
    arena_free(a->arena);
    free(a);
}

/* The files, in the order of struct approval's hashes. */
enum { FILE_NAMED, FILE_BROUGHT, FILE_COUNT };

struct look {
    const char *paths[FILE_COUNT]; /* NULL: there is none */
    struct source_set *sets[FILE_COUNT];
    bool failed;
};

/* What apply brings need not be there. */
static void read_file(struct look *l, int file, struct error *e)
{
    char *paths[] = {(char *)l->paths[file], NULL};
    const struct source_options options = {
        .paths = paths, .path_count = 1, .max_bytes = PLAN_FILE_MAX};

    if (!paths[0] || (file == FILE_BROUGHT && access(paths[0], F_OK) && errno == ENOENT))
        return;
    if (source_read(&options, &l->sets[file], e))
        l->failed = true;
}

static const char *hash_of(const struct look *l, int file)
{
    return l->sets[file] ? l->sets[file]->files[0].sha256 : "";
}

static bool is_same(const struct look *l, const struct approval *before)
{
    return before && strcmp(hash_of(l, FILE_NAMED), before->sha256[FILE_NAMED]) == 0 &&
           strcmp(hash_of(l, FILE_BROUGHT), before->sha256[FILE_BROUGHT]) == 0;
}

static int parse_file(struct look *l, int file, struct arena *arena, struct saved_plan *plan,
                      struct error *e)
{
    const struct source_set *set = l->sets[file];
    int rc;

    *plan = (struct saved_plan){0};
    if (!set)
        return 0;
    rc = set->count == 1
             ? plan_file_parse((struct str){set->files[0].data, set->files[0].len}, arena, plan, e)
             : error_set(e, ERROR_INVALID, "it is no plan, but a folder");
    if (rc == 0)
        return 0;
    snprintf(e->file, sizeof(e->file), "%s", l->paths[file]);
    l->failed = true;
    *plan = (struct saved_plan){0};
    return -1;
}

static int by_name(const void *left, const void *right)
{
    const struct saved_action *a = left, *b = right;

    return str_compare(a->name, b->name);
}

/* Both plans as one. -1: memory. */
static int join(struct approval *a, const struct saved_plan *plans)
{
    size_t count = plans[FILE_NAMED].count + plans[FILE_BROUGHT].count;
    struct saved_action *items = arena_array(a->arena, count, sizeof(*items));

    if (!items)
        return -1;
    for (int file = 0; file < FILE_COUNT; file++) {
        if (plans[file].count)
            memcpy(items + a->plan.count, plans[file].items, plans[file].count * sizeof(*items));
        a->plan.count += plans[file].count;
    }
    if (count)
        qsort(items, count, sizeof(*items), by_name);
    a->plan.items = items;
    return 0;
}

static struct approval *parse(struct look *l, struct error *e)
{
    struct approval *a = calloc(1, sizeof(*a));
    struct saved_plan plans[FILE_COUNT];
    struct error memory;

    if (a && (a->arena = arena_new(NULL))) {
        for (int file = 0; file < FILE_COUNT; file++)
            if (parse_file(l, file, a->arena, &plans[file], e) == 0)
                snprintf(a->sha256[file], sizeof(a->sha256[file]), "%s", hash_of(l, file));
        if (join(a, plans) == 0)
            return a;
    }
    l->failed = true;
    error_memory(&memory);
    *e = memory;
    approval_free(a);
    return NULL;
}

int approval_read(const struct settings *s, const struct approval *before, struct approval **next,
                  struct error *e)
{
    char *brought = settings_approved_path(s);
    struct look l = {.paths = {settings_approve_file(s), brought}};

    *next = NULL;
    if (!brought)
        return error_memory(e);
    for (int file = 0; file < FILE_COUNT; file++)
        read_file(&l, file, e);
    if (!is_same(&l, before) && !(l.failed && before))
        *next = parse(&l, e);
    if (l.failed && before) {
        approval_free(*next);
        *next = NULL;
    }
    for (int file = 0; file < FILE_COUNT; file++)
        source_free(l.sets[file]);
    free(brought);
    return l.failed ? -1 : 0;
}

bool approval_is_awaited(const struct settings *s, const struct approval *before,
                         const struct error *e)
{
    const char *named = settings_approve_file(s);

    if (!named || strcmp(e->file, named) != 0 || (before && before->sha256[FILE_NAMED][0]))
        return false;
    return access(named, F_OK) && errno == ENOENT;
}

/* ---- bringing it ---- */

int approval_bring(const struct settings *s, struct str plan, struct error *e)
{
    int parent = folder_open(s->prefix, false, e), rc;
    struct folder_file f;

    if (parent < 0)
        return -1;
    rc = folder_file_begin(&f, parent, SETTINGS_APPROVED, e);
    if (rc == 0)
        rc = folder_file_end(&f, folder_file_write(&f, plan, e), e);
    close(parent);
    return rc ? error_prefix(e, "cannot bring the plan to the server") : 0;
}
