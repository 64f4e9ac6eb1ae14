/* SPDX-License-Identifier: GPL-2.0-only */
#include "chain.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inotifytools/inotify.h>
#include <inotifytools/inotifytools.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MASK                                                                            \
    (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_DELETE | IN_ATTRIB | \
     IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
/* What a directory says about itself, or the kernel about its queue: always matters. */
#define SELF_MASK (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED | IN_Q_OVERFLOW)
#define DRAIN_MAX 1000000 /* events that are taken at one go */

/* One watched directory. */
struct folder {
    char *path; /* ends with '/' */
    int wd;
    char **names;
    size_t count;
    bool everything; /* any name that is not hidden matters */
};

struct chain {
    const char *const *paths;
    size_t path_count;
    struct folder *folders; /* sorted by path while they are gathered, then by wd */
    size_t count, capacity;
    bool is_open;  /* the library is initialised */
    bool has_said; /* that something cannot be watched */
};

/* A walk along one path: where it is, and what is left of the path. Both can hold any path. */
struct walk {
    char here[PATH_MAX]; /* real, ends with '/' */
    char rest[PATH_MAX];
    int links;
};

struct chain *chain_new(const char *const *paths, size_t count)
{
    struct chain *c = calloc(1, sizeof(*c));

    if (c) {
        c->paths = paths;
        c->path_count = count;
    }
    return c;
}

static void forget(struct chain *c)
{
    for (size_t i = 0; i < c->count; i++) {
        for (size_t k = 0; k < c->folders[i].count; k++)
            free(c->folders[i].names[k]);
        free(c->folders[i].names);
        free(c->folders[i].path);
    }
    c->count = 0;
    if (c->is_open)
        inotifytools_cleanup();
    c->is_open = false;
}

void chain_free(struct chain *c)
{
    if (!c)
        return;
    forget(c);
    free(c->folders);
    free(c);
}

static void say(struct chain *c, const char *what, int number)
{
    if (!c->has_said)
        fprintf(stderr, "reconcert-watch: %s: %s; changes there are found by polling only\n", what,
                strerror(number));
    c->has_said = true;
}

/*
 * The library keeps its descriptor to itself, and opens it without close-on-exec and blocking. It
 * is looked for among ours.
 */
static int find_descriptor(void)
{
    DIR *all = opendir("/proc/self/fd");
    struct dirent *entry;
    int found = -1;

    while (all && found < 0 && (entry = readdir(all))) {
        char target[64] = "";
        if (readlinkat(dirfd(all), entry->d_name, target, sizeof(target) - 1) > 0 &&
            strcmp(target, "anon_inode:inotify") == 0)
            found = (int)strtol(entry->d_name, NULL, 10);
    }
    if (all)
        closedir(all);
    if (found >= 0 && (fcntl(found, F_SETFD, FD_CLOEXEC) < 0 ||
                       fcntl(found, F_SETFL, fcntl(found, F_GETFL) | O_NONBLOCK) < 0))
        return -1;
    return found;
}

/* Where the path stands, or would stand, among those that are watched so far: sorted by path. */
static size_t find_path(const struct chain *c, const char *path, bool *is_there)
{
    size_t low = 0, high = c->count;

    *is_there = false;
    while (low < high && !*is_there) {
        size_t middle = (low + high) / 2;
        int order = strcmp(c->folders[middle].path, path);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
        *is_there = order == 0;
        if (*is_there)
            low = middle;
    }
    return low;
}

static struct folder *insert(struct chain *c, size_t at, const char *path)
{
    struct folder *f;

    if (c->count == c->capacity) {
        size_t more = c->capacity ? 2 * c->capacity : 16;
        struct folder *grown = reallocarray(c->folders, more, sizeof(*grown));
        if (!grown)
            return NULL;
        c->folders = grown;
        c->capacity = more;
    }
    f = &c->folders[at];
    memmove(f + 1, f, (c->count - at) * sizeof(*f));
    *f = (struct folder){.path = strdup(path), .wd = inotifytools_wd_from_filename(path)};
    if (!f->path) {
        memmove(f, f + 1, (c->count - at) * sizeof(*f));
        return NULL;
    }
    c->count++;
    return f;
}

/* Watches the directory unless it is watched; NULL where that cannot be. Good until the next call.
 */
static struct folder *watch(struct chain *c, const char *path)
{
    bool is_there;
    size_t at = find_path(c, path, &is_there);

    if (is_there)
        return &c->folders[at];
    if (c->count == CHAIN_FOLDERS_MAX) {
        say(c, path, ENOSPC);
        return NULL;
    }
    if (!inotifytools_watch_file(path, MASK)) {
        /* Gone again is the next event's matter. */
        if (inotifytools_error() != ENOENT && inotifytools_error() != ENOTDIR)
            say(c, path, inotifytools_error());
        return NULL;
    }
    return insert(c, at, path);
}

static void want(struct folder *f, const char *name)
{
    char **grown;

    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->names[i], name) == 0)
            return;
    grown = reallocarray(f->names, f->count + 1, sizeof(*grown));
    if (!grown)
        return;
    f->names = grown;
    f->names[f->count] = strdup(name);
    if (f->names[f->count])
        f->count++;
}

/* The next component of w->rest into `name`; false at the end. */
static bool next_component(struct walk *w, char name[NAME_MAX + 1])
{
    size_t skip = strspn(w->rest, "/"), len = strcspn(w->rest + skip, "/");

    if (!len || len > NAME_MAX)
        return false;
    memcpy(name, w->rest + skip, len);
    name[len] = '\0';
    memmove(w->rest, w->rest + skip + len, strlen(w->rest + skip + len) + 1);
    return true;
}

static void go_up(struct walk *w)
{
    size_t len = strlen(w->here);

    if (len <= 1)
        return;
    for (len--; w->here[len - 1] != '/'; len--)
        ;
    w->here[len] = '\0';
}

static bool go_down(struct walk *w, const char *name)
{
    size_t len = strlen(w->here), more = strlen(name);

    if (len + more + 2 > sizeof(w->here))
        return false;
    memcpy(w->here + len, name, more);
    w->here[len + more] = '/';
    w->here[len + more + 1] = '\0';
    return true;
}

/* Puts the link's target in front of what is left. */
static bool follow(struct walk *w, const char *link)
{
    char target[PATH_MAX], rest[PATH_MAX];
    ssize_t len = readlink(link, target, sizeof(target) - 1);

    if (len <= 0 || ++w->links > CHAIN_LINKS_MAX)
        return false;
    target[len] = '\0';
    if ((size_t)len + strlen(w->rest) + 2 > sizeof(rest))
        return false;
    snprintf(rest, sizeof(rest), "%.*s/%.*s", (int)len, target, PATH_MAX - (int)len - 2, w->rest);
    memcpy(w->rest, rest, strlen(rest) + 1);
    if (target[0] == '/')
        memcpy(w->here, "/", 2);
    return true;
}

enum step { STEP_ON, STEP_FILE, STEP_STOP };

/* One component: the directory is watched before the name in it is looked at, so no change slips
 * by. */
static enum step step(struct chain *c, struct walk *w, const char *name)
{
    char path[PATH_MAX + NAME_MAX + 1];
    struct folder *f;
    struct stat st;

    if (strcmp(name, ".") == 0)
        return STEP_ON;
    if (strcmp(name, "..") == 0) {
        go_up(w);
        return STEP_ON;
    }
    f = watch(c, w->here);
    if (f)
        want(f, name);
    snprintf(path, sizeof(path), "%s%s", w->here, name);
    if (lstat(path, &st))
        return STEP_STOP;
    if (S_ISLNK(st.st_mode))
        return follow(w, path) ? STEP_ON : STEP_STOP;
    if (!S_ISDIR(st.st_mode))
        return STEP_FILE;
    return go_down(w, name) ? STEP_ON : STEP_STOP;
}

static void walk_path(struct chain *c, const char *path, int depth);

/* Everything in a folder: its own names by one watch, and what its links and folders lead to. */
static void walk_folder(struct chain *c, const char *path, int depth)
{
    struct folder *f = depth <= CHAIN_DEPTH_MAX ? watch(c, path) : NULL;
    struct dirent *entry;
    DIR *all;

    if (!f || f->everything)
        return;
    f->everything = true;
    all = opendir(path);
    while (all && (entry = readdir(all))) {
        char inner[PATH_MAX];
        bool may_lead =
            entry->d_type == DT_DIR || entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN;
        if (!may_lead || entry->d_name[0] == '.' ||
            strlen(path) + strlen(entry->d_name) >= sizeof(inner))
            continue;
        snprintf(inner, sizeof(inner), "%.*s%s", (int)(sizeof(inner) - NAME_MAX - 1), path,
                 entry->d_name);
        walk_path(c, inner, depth + 1);
    }
    if (all)
        closedir(all);
}

static void walk_path(struct chain *c, const char *path, int depth)
{
    struct walk *w = calloc(1, sizeof(*w));
    char name[NAME_MAX + 1];
    enum step at = STEP_ON;

    if (!w || strlen(path) >= sizeof(w->rest))
        goto out;
    memcpy(w->rest, path, strlen(path) + 1);
    /* A relative path begins where we are, under its real name. */
    if (path[0] == '/' || !getcwd(w->here, sizeof(w->here) - 1))
        memcpy(w->here, "/", 2);
    else if (strcmp(w->here, "/") != 0)
        memcpy(w->here + strlen(w->here), "/", 2);
    while (at == STEP_ON && next_component(w, name))
        at = step(c, w, name);
    if (at == STEP_ON)
        walk_folder(c, w->here, depth);
out:
    free(w);
}

static int by_wd(const void *a, const void *b)
{
    const struct folder *x = a, *y = b;

    return (x->wd > y->wd) - (x->wd < y->wd);
}

int chain_arm(struct chain *c)
{
    int fd = -1;

    /*
     * Its tables keep dead watches, and by the name of a folder that was made anew they find the
     * dead one: so none of them outlives a change.
     */
    forget(c);
    c->is_open = inotifytools_initialize() != 0;
    if (c->is_open)
        fd = find_descriptor();
    if (fd < 0) {
        say(c, "inotify", c->is_open ? EBADF : inotifytools_error());
        forget(c);
        return -1;
    }
    for (size_t i = 0; i < c->path_count; i++)
        walk_path(c, c->paths[i], 0);
    qsort(c->folders, c->count, sizeof(*c->folders), by_wd);
    return fd;
}

static bool matters_in(const struct folder *f, const char *name)
{
    if (f->everything && name[0] != '.')
        return true;
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->names[i], name) == 0)
            return true;
    return false;
}

static bool matters(const struct chain *c, const struct inotify_event *event)
{
    size_t low = 0, high = c->count;

    if (event->mask & SELF_MASK)
        return true;
    if (!event->len)
        return false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c->folders[middle].wd < event->wd)
            low = middle + 1;
        else
            high = middle;
    }
    /* One directory may be watched under two names (a bind mount). */
    for (; low < c->count && c->folders[low].wd == event->wd; low++)
        if (matters_in(&c->folders[low], event->name))
            return true;
    return false;
}

bool chain_drain(struct chain *c)
{
    bool found = false;

    for (int i = 0; c->is_open && i < DRAIN_MAX; i++) {
        /* Not next_event(0), which blocks for ever; and until nothing is left in its buffer either.
         */
        const struct inotify_event *event = inotifytools_next_events(0, 1);
        if (!event)
            break;
        found = matters(c, event) || found;
    }
    return found;
}
