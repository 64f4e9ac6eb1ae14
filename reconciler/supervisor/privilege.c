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

static int find_user(struct privilege *p, const char *user, const char *group, struct error *e)
{
    const struct passwd *u = getpwnam(user);
    const struct group *g;

    if (!u)
        return error_set(e, ERROR_USAGE, "nginx_user: there is no user \"%s\"", user);
    p->uid = u->pw_uid;
    p->gid = u->pw_gid;
    g = getgrnam(group[0] ? group : user);
    if (!g && group[0])
        return error_set(e, ERROR_USAGE, "nginx_user: there is no group \"%s\"", group);
    if (g)
        p->gid = g->gr_gid;
    p->is_dropped = true;
    return 0;
}

int privilege_find(struct privilege *p, const char *nginx_user, struct error *e)
{
    char user[NAME_SIZE], group[NAME_SIZE] = "";
    struct str last, first = str_cut(str_from(nginx_user), ' ', &last);

    *p = (struct privilege){.uid = geteuid(), .gid = getegid()};
    if (!can_change_user())
        return 0;
    snprintf(user, sizeof(user), "%.*s", STR_ARG(first));
    if (last.ptr)
        snprintf(group, sizeof(group), "%.*s", STR_ARG(str_trim(last)));
    if (strcmp(user, "kong") == 0 && !getpwnam(user))
        return find_user(p, FALLBACK_USER, FALLBACK_GROUP, e);
    return find_user(p, user, group, e);
}

/* mkdir -p; the last one is for us alone. */
static int make_folders(const char *path, struct error *e)
{
    char part[PATH_MAX];
    size_t len = strlen(path);

    if (len >= sizeof(part))
        return error_set(e, ERROR_USAGE, "prefix: the path is too long");
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, i == len ? 0700 : 0755) && errno != EEXIST)
            return error_errno(e, ERROR_IO, errno, "prefix: cannot make %s", part);
        part[i] = path[i];
    }
    return 0;
}

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
    dev_t device;
    size_t files;
};

static int hand_tree(struct handing *h, int folder, int depth, struct error *e);

static int hand_folder(struct handing *h, int at, const char *name, int depth, struct error *e)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int rc = -1;

    if (fd < 0)
        return error_errno(e, ERROR_IO, errno, "prefix: %s in %s", name, h->prefix);
    rc = depth > PRIVILEGE_DEPTH_MAX
             ? error_set(e, ERROR_LIMIT, "prefix: %s is too deep", h->prefix)
             : hand_tree(h, fd, depth, e);
    /* After what lies in it: a walk that is cut short is begun again. */
    if (rc == 0 && fchown(fd, h->privilege->uid, h->privilege->gid))
        rc = error_errno(e, ERROR_IO, errno, "prefix: %s in %s", name, h->prefix);
    close(fd);
    return rc;
}

static int hand_entry(struct handing *h, int at, const char *name, int depth, struct error *e)
{
    struct stat st;

    if (++h->files > PRIVILEGE_FILES_MAX)
        return error_set(e, ERROR_LIMIT, "prefix: %s has too many files", h->prefix);
    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW))
        return error_errno(e, ERROR_IO, errno, "prefix: %s in %s", name, h->prefix);
    if (st.st_uid != 0 || st.st_dev != h->device)
        return 0;
    if (S_ISDIR(st.st_mode))
        return hand_folder(h, at, name, depth + 1, e);
    if ((!S_ISREG(st.st_mode) && !S_ISSOCK(st.st_mode)) || st.st_nlink != 1)
        return 0;
    if (fchownat(at, name, h->privilege->uid, h->privilege->gid, AT_SYMLINK_NOFOLLOW))
        return error_errno(e, ERROR_IO, errno, "prefix: %s in %s", name, h->prefix);
    return 0;
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
            rc = error_set(e, ERROR_USAGE,
                           "prefix: %s is root's and has other files than ours in it; "
                           "take an empty folder, or give it to nginx_user yourself",
                           h->prefix);
        else
            rc = hand_entry(h, folder, entry->d_name, depth, e);
    }
    closedir(all);
    return rc;
}

int privilege_own_folder(const struct privilege *p, const char *path, struct error *e)
{
    struct handing h = {.privilege = p, .prefix = path};
    struct stat st;
    int fd = -1, rc = -1;

    if (make_folders(path, e))
        return -1;
    if (!p->is_dropped)
        return 0;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        error_errno(e, ERROR_IO, errno, "prefix: %s", path);
        goto out;
    }
    if (st.st_uid == p->uid) {
        rc = 0;
        goto out;
    }
    if (st.st_uid != 0) {
        error_set(e, ERROR_USAGE, "prefix: %s belongs to user %u, not to nginx_user (%u)", path,
                  (unsigned)st.st_uid, (unsigned)p->uid);
        goto out;
    }
    h.device = st.st_dev;
    if (hand_tree(&h, fd, 0, e))
        goto out;
    if (fchown(fd, p->uid, p->gid)) {
        error_errno(e, ERROR_IO, errno, "prefix: cannot give %s away", path);
        goto out;
    }
    rc = 0;
out:
    if (fd >= 0)
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
