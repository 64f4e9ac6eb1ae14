#include "privilege.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "reconciler/base/happening.h"
#include "reconciler/base/str.h"

#define FALLBACK_USER "nobody"
#define FALLBACK_GROUP "nogroup"
#define NAME_SIZE 80

/* All that lies directly under a prefix of ours. */
static const char *const own_names[] = {
    "storage", "lock", "control.sock", "last_good", "last_good.new", "ssl",
};
static const char mount_leftover[] = "lost+found"; /* of a volume: not ours, and no harm */

/* The capabilities of this process as one number, read raw: there is no libcap here. */
static int get_capabilities(uint64_t *effective, uint64_t *permitted)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};

    if (syscall(SYS_capget, &header, data))
        return -1;
    *effective = (uint64_t)data[1].effective << 32 | data[0].effective;
    *permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted;
    return 0;
}

/* Permitted, effective and inheritable, all the same set. */
static int set_capabilities(uint64_t set)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    for (int i = 0; i < 2; i++) {
        uint32_t half = (uint32_t)(set >> (32 * i));
        data[i] = (struct __user_cap_data_struct){half, half, half};
    }
    return syscall(SYS_capset, &header, data) ? -1 : 0;
}

static bool can_change_user(void)
{
    const uint64_t needed = UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID;
    uint64_t effective = 0, permitted = 0;

    return geteuid() == 0 && get_capabilities(&effective, &permitted) == 0 &&
           (effective & needed) == needed;
}

static int find_user(struct privilege *p, const char *setting, const char *user, const char *group,
                     struct error *e)
{
    const struct passwd *u = getpwnam(user);
    const struct group *g;

    if (!u)
        return error_set(e, ERROR_USAGE, "%s: there is no user \"%s\"", setting, user);
    p->uid = u->pw_uid;
    p->gid = u->pw_gid;
    g = getgrnam(group[0] ? group : user);
    if (!g && group[0])
        return error_set(e, ERROR_USAGE, "%s: there is no group \"%s\"", setting, group);
    if (g)
        p->gid = g->gr_gid;
    p->is_dropped = true;
    return 0;
}

/* "user" or "user group". */
static int find_words(struct privilege *p, const char *setting, const char *words, struct error *e)
{
    char user[NAME_SIZE], group[NAME_SIZE] = "";
    struct str last, first = str_cut(str_from(words), ' ', &last);

    snprintf(user, sizeof(user), "%.*s", STR_ARG(first));
    if (last.ptr)
        snprintf(group, sizeof(group), "%.*s", STR_ARG(str_trim(last)));
    if (strcmp(user, "kong") == 0 && !getpwnam(user))
        return find_user(p, setting, FALLBACK_USER, FALLBACK_GROUP, e);
    return find_user(p, setting, user, group, e);
}

int privilege_find(struct privilege *p, const char *nginx_user, struct error *e)
{
    *p = (struct privilege){.uid = geteuid(), .gid = getegid()};
    return can_change_user() ? find_words(p, "nginx_user", nginx_user, e) : 0;
}

int privilege_find_own(struct privilege *p, const char *acme_user, struct error *e)
{
    *p = (struct privilege){.uid = geteuid(), .gid = getegid()};
    if (!can_change_user())
        return 0;
    if (acme_user)
        return find_words(p, "acme_user", acme_user, e);
    if (getpwnam(PRIVILEGE_OWN_USER))
        return find_user(p, "acme_user", PRIVILEGE_OWN_USER, "", e);
    p->is_shared = true;
    return find_user(p, "acme_user", FALLBACK_USER, FALLBACK_GROUP, e);
}

/* ---- the way to the prefix ---- */

/* Where we stand, and what of the path lies ahead. */
struct walk {
    const char *path; /* the whole one, for messages */
    int folder;       /* O_PATH */
    int steps;
    char rest[PATH_MAX];
};

static bool may_others_write(int folder)
{
    struct stat st;

    return fstat(folder, &st) || (st.st_uid != 0 && st.st_uid != geteuid()) ||
           st.st_mode & (S_IWGRP | S_IWOTH);
}

static int enter(struct walk *w, int folder)
{
    if (w->folder >= 0)
        close(w->folder);
    w->folder = folder;
    return folder < 0 ? -1 : 0;
}

static int start(struct walk *w, const char *from, struct error *e)
{
    if (enter(w, open(from[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC)))
        return error_errno(e, ERROR_IO, errno, "prefix: %s", w->path);
    return 0;
}

/* The link's text takes its name's place in front of what lies ahead. */
static int follow(struct walk *w, int link, const char *name, const char *rest, struct error *e)
{
    char text[PATH_MAX], whole[2 * PATH_MAX];
    ssize_t len;

    if (may_others_write(w->folder))
        return error_set(e, ERROR_USAGE,
                         "prefix: %s: %s is a link, and not root alone may write the folder that "
                         "it is in; name the place that it leads to",
                         w->path, name);
    len = readlinkat(link, "", text, sizeof(text) - 1);
    if (len < 0)
        return error_errno(e, ERROR_IO, errno, "prefix: %s", w->path);
    text[len] = '\0';
    if ((size_t)snprintf(whole, sizeof(whole), "%s/%s", text, rest) >= sizeof(w->rest))
        return error_set(e, ERROR_USAGE, "prefix: the path is too long");
    memcpy(w->rest, whole, strlen(whole) + 1);
    return text[0] == '/' ? start(w, text, e) : 0;
}

/* The folder's `name`, made where there is none. */
static int open_name(const struct walk *w, const char *name, mode_t mode)
{
    const int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(w->folder, name, flags);

    if (fd >= 0 || errno != ENOENT || (mkdirat(w->folder, name, mode) && errno != EEXIST))
        return fd;
    return openat(w->folder, name, flags);
}

/* One name on. */
static int step(struct walk *w, struct error *e)
{
    char name[NAME_MAX + 1];
    const char *from = w->rest + strspn(w->rest, "/"), *rest = from + strcspn(from, "/");
    struct stat st;
    int next, rc;

    if (++w->steps > PRIVILEGE_STEPS_MAX || rest - from > NAME_MAX)
        return error_set(e, ERROR_USAGE, "prefix: %s: a name is too long, or too many", w->path);
    snprintf(name, sizeof(name), "%.*s", (int)(rest - from), from);
    rest += strspn(rest, "/");
    next = open_name(w, name, *rest ? 0755 : 0700); /* the last one is for us alone */
    if (next < 0 || fstat(next, &st))
        return error_errno(e, ERROR_IO, errno, "prefix: cannot make %s of %s", name, w->path);
    if (S_ISDIR(st.st_mode)) {
        memmove(w->rest, rest, strlen(rest) + 1);
        return enter(w, next);
    }
    if (S_ISLNK(st.st_mode))
        rc = follow(w, next, name, rest, e);
    else
        rc = error_errno(e, ERROR_IO, ENOTDIR, "prefix: %s of %s", name, w->path);
    close(next);
    return rc;
}

/*
 * mkdir -p, name by name: who may write a folder on the way leads us nowhere by a link in it, nor
 * by what takes the folder's place later, for the descriptor is what counts from here on.
 */
static int open_folders(const char *path, struct error *e)
{
    struct walk w = {.path = path, .folder = -1};
    int fd = -1, rc;

    if (strlen(path) >= sizeof(w.rest))
        return error_set(e, ERROR_USAGE, "prefix: the path is too long");
    memcpy(w.rest, path, strlen(path) + 1);
    rc = start(&w, path, e);
    while (rc == 0 && w.rest[strspn(w.rest, "/")])
        rc = step(&w, e);
    if (rc == 0) {
        fd = openat(w.folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            error_errno(e, ERROR_IO, errno, "prefix: %s", path);
    }
    if (w.folder >= 0)
        close(w.folder);
    return fd;
}

/* ---- giving it away ---- */

static bool is_own_name(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(own_names); i++)
        if (strcmp(name, own_names[i]) == 0)
            return true;
    return false;
}

/* A walk that gives a tree away. */
struct handing {
    const struct privilege *privilege;
    const char *prefix;
    uid_t from;
    dev_t device;
    size_t files;
};

static int hand_tree(struct handing *h, int folder, int depth, struct error *e);

/* Of the very file that `fd` is, whatever its name has come to stand for. */
static int give(const struct handing *h, int fd)
{
    return fchownat(fd, "", h->privilege->uid, h->privilege->gid, AT_EMPTY_PATH);
}

/* Others, who could enter while it was another's, can no more. */
static int shut(const struct handing *h, int fd, const struct stat *st)
{
    return h->from != 0 && st->st_mode & 077 ? fchmod(fd, st->st_mode & 0700) : 0;
}

/* A folder that is given away already may hold what is not: a walk that was cut short. */
static int hand_folder(struct handing *h, int at, const char *name, int depth, struct error *e)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    int rc = 0;

    if (fd < 0 || fstat(fd, &st))
        rc = error_errno(e, ERROR_IO, errno, "prefix: %s in %s", name, h->prefix);
    else if (st.st_dev != h->device || (st.st_uid != h->from && st.st_uid != h->privilege->uid))
        rc = 0;
    else if (depth > PRIVILEGE_DEPTH_MAX)
        rc = error_set(e, ERROR_LIMIT, "prefix: %s is too deep", h->prefix);
    else if (give(h, fd) || shut(h, fd, &st))
        rc = error_errno(e, ERROR_IO, errno, "prefix: %s in %s", name, h->prefix);
    else
        rc = hand_tree(h, fd, depth, e);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int hand_file(const struct handing *h, int fd, const char *name, const struct stat *st,
                     struct error *e)
{
    if (st->st_uid != h->from || st->st_dev != h->device ||
        (!S_ISREG(st->st_mode) && !S_ISSOCK(st->st_mode)))
        return 0;
    if (st->st_nlink != 1)
        return h->from == 0 ? 0
                            : error_set(e, ERROR_USAGE,
                                        "prefix: %s in %s has another name elsewhere; look who "
                                        "made it, then take it away",
                                        name, h->prefix);
    return give(h, fd) ? error_errno(e, ERROR_IO, errno, "prefix: %s in %s", name, h->prefix) : 0;
}

static int hand_entry(struct handing *h, int at, const char *name, int depth, struct error *e)
{
    struct stat st;
    int fd, rc;

    if (++h->files > PRIVILEGE_FILES_MAX)
        return error_set(e, ERROR_LIMIT, "prefix: %s has too many files", h->prefix);
    fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st))
        rc = error_errno(e, ERROR_IO, errno, "prefix: %s in %s", name, h->prefix);
    else if (S_ISDIR(st.st_mode))
        rc = hand_folder(h, at, name, depth + 1, e);
    else
        rc = hand_file(h, fd, name, &st, e);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int refuse_foreign(const struct handing *h, struct error *e)
{
    return error_set(e, ERROR_USAGE,
                     "prefix: %s is %s and has other files than ours in it; "
                     "take an empty folder, or give it to acme_user yourself",
                     h->prefix, h->from == 0 ? "root's" : "another user's");
}

static int hand_tree(struct handing *h, int folder, int depth, struct error *e)
{
    int copy = fcntl(folder, F_DUPFD_CLOEXEC, 0);
    DIR *all = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;
    int rc = 0;

    if (!all) {
        rc = error_errno(e, ERROR_IO, errno, "prefix: %s", h->prefix);
        if (copy >= 0)
            close(copy);
        return rc;
    }
    while (rc == 0 && (entry = readdir(all))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (depth == 0 && strcmp(entry->d_name, mount_leftover) == 0)
            continue;
        if (depth == 0 && !is_own_name(entry->d_name))
            rc = refuse_foreign(h, e);
        else
            rc = hand_entry(h, folder, entry->d_name, depth, e);
    }
    closedir(all);
    return rc;
}

/* Root's, or of the user as whom control ran before it had its own. */
static bool may_change_hands(uid_t owner, uid_t former)
{
    const struct passwd *nobody = getpwnam(FALLBACK_USER);

    return owner == 0 || owner == former || (nobody && owner == nobody->pw_uid);
}

static int hand_over(struct handing *h, int fd, const struct stat *st, struct error *e)
{
    if (hand_tree(h, fd, 0, e))
        return -1;
    /* Last: a walk that is cut short is begun again. */
    if (give(h, fd) || shut(h, fd, st))
        return error_errno(e, ERROR_IO, errno, "prefix: cannot give %s away", h->prefix);
    if (h->from != 0)
        happening_tell(HAPPENING_PREFIX_TAKEN_OVER,
                       FIELDS(field_cstr("prefix", h->prefix), field_int("from", h->from),
                              field_int("to", h->privilege->uid)));
    return 0;
}

int privilege_own_folder(const struct privilege *p, uid_t former, const char *path, struct error *e)
{
    struct handing h = {.privilege = p, .prefix = path};
    struct stat st;
    int fd = open_folders(path, e), rc = -1;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st)) {
        error_errno(e, ERROR_IO, errno, "prefix: %s", path);
    } else if (!p->is_dropped || st.st_uid == p->uid) {
        rc = 0;
    } else if (!may_change_hands(st.st_uid, former)) {
        error_set(e, ERROR_USAGE, "prefix: %s belongs to user %u, not to acme_user (%u)", path,
                  (unsigned)st.st_uid, (unsigned)p->uid);
    } else {
        h.from = st.st_uid;
        h.device = st.st_dev;
        rc = hand_over(&h, fd, &st, e);
    }
    close(fd);
    return rc;
}

/* Needs CAP_SETPCAP; where that is missing, no_new_privs does the same for us. */
static void empty_bounding_set(uint64_t kept)
{
    for (unsigned long cap = 0; cap < 64; cap++)
        if (!(kept >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
            break;
}

int privilege_drop(const struct privilege *p, bool reads_all)
{
    uint64_t effective = 0, permitted = 0;
    uint64_t kept = reads_all ? UINT64_C(1) << CAP_DAC_READ_SEARCH : 0;

    if (!p->is_dropped)
        return 0;
    if (get_capabilities(&effective, &permitted))
        return -1;
    kept &= permitted;
    empty_bounding_set(kept);
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setgroups(0, NULL) ||
        setresgid(p->gid, p->gid, p->gid) || setresuid(p->uid, p->uid, p->uid) ||
        set_capabilities(kept))
        return -1;
    if (kept && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0))
        return -1;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
