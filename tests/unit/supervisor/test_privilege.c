#include "reconciler/supervisor/privilege.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/base/attr.h"
#include "tests/support/scratch.h"
#include "tests/support/supervised.h"

#define NOBODY 65534
#define DAEMON 1

extern char **environ;

/* The line of /proc/PID/status that begins with `key`, without it and its blanks. */
static bool status_line(pid_t pid, const char *key, char *value, size_t size)
{
    char path[64], line[512];
    bool found = false;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    f = fopen(path, "re");
    while (f && !found && fgets(line, sizeof(line), f))
        if (strncmp(line, key, strlen(key)) == 0) {
            const char *text = line + strlen(key) + strspn(line + strlen(key), ":\t ");
            snprintf(value, size, "%.*s", (int)strcspn(text, "\n"), text);
            found = true;
        }
    if (f)
        fclose(f);
    return found;
}

static bool reads_all(void)
{
    char value[64] = "";

    return status_line(getpid(), "CapPrm", value, sizeof(value)) &&
           (strtoull(value, NULL, 16) >> CAP_DAC_READ_SEARCH & 1);
}

static void assert_status(pid_t pid, const char *key, const char *expected)
{
    char value[256] = "";

    CU_ASSERT_TRUE(status_line(pid, key, value, sizeof(value)));
    if (strcmp(value, expected) != 0) {
        printf("\n%s of %d: \"%s\", not \"%s\"\n", key, (int)pid, value, expected);
        CU_FAIL("another privilege");
    }
}

static void write_secret(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    CU_ASSERT(fd >= 0 && write(fd, "x", 1) == 1);
    close(fd);
}

static uid_t owner_of(const char *path)
{
    struct stat st;

    return lstat(path, &st) ? (uid_t)-1 : st.st_uid;
}

/* Started as root: workers are nobody, control another, and only that reads what is root's alone.
 */
static void test_children_of_root(void)
{
    /* CAP_DAC_READ_SEARCH, if we have it to give: a container may have taken it from root. */
    const char *capabilities[] = {"0000000000000000",
                                  reads_all() ? "0000000000000004" : "0000000000000000"};
    static const char *const uids[] = {"65534\t65534\t65534\t65534", "1\t1\t1\t1"};
    static const char *const settings[] = {"acme_user=daemon", NULL};
    struct supervised s;
    char secret[128], command[160], line[64], prefix[128];
    pid_t all[2];

    if (geteuid() != 0)
        return;
    CU_ASSERT_EQUAL_FATAL(supervised_open(&s), 0);
    snprintf(secret, sizeof(secret), "%s/secret", s.folder);
    snprintf(prefix, sizeof(prefix), "%s/state", s.folder);
    write_secret(secret);
    CU_ASSERT_EQUAL_FATAL(supervised_start_ready(&s, settings, NULL), 0);
    all[0] = supervised_who(s.proxy_port, "x");
    all[1] = supervised_who(s.status_port, "info\n");
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        assert_status(all[i], "Uid", uids[i]);
        assert_status(all[i], "Gid", uids[i]);
        assert_status(all[i], "Groups", "");
        assert_status(all[i], "CapEff", capabilities[i]);
        assert_status(all[i], "CapPrm", capabilities[i]);
        assert_status(all[i], "CapBnd", capabilities[i]);
        assert_status(all[i], "CapAmb", capabilities[i]);
        assert_status(all[i], "NoNewPrivs", "1");
    }
    snprintf(command, sizeof(command), "read %s\n", secret);
    CU_ASSERT_TRUE(supervised_ask(s.status_port, command, line, sizeof(line)));
    CU_ASSERT_STRING_EQUAL(line, reads_all() ? "readable" : "denied");
    CU_ASSERT_EQUAL(owner_of(prefix), DAEMON);
    CU_ASSERT_EQUAL(owner_of(secret), 0);
    kill(s.pid, SIGTERM);
    CU_ASSERT_EQUAL(supervised_wait(&s, 20000), 0);
    supervised_close(&s);
}

static void test_find(void)
{
    static const struct {
        const char *setting;
        uid_t uid;
        gid_t gid;
    } cases[] = {
        {"nobody nogroup", NOBODY, NOBODY},
        {"nobody", NOBODY, NOBODY}, /* no group of that name: its own */
        {"root", 0, 0},
        {"daemon nogroup", 1, NOBODY},
        {"daemon", 1, 1},
        {"kong kong", NOBODY, NOBODY},
    };
    struct privilege p;
    struct error e;

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CU_ASSERT_EQUAL(privilege_find(&p, cases[i].setting, &e), 0);
        CU_ASSERT_EQUAL(p.is_dropped, geteuid() == 0);
        CU_ASSERT_EQUAL(p.uid, geteuid() == 0 ? cases[i].uid : geteuid());
        CU_ASSERT_EQUAL(p.gid, geteuid() == 0 ? cases[i].gid : getegid());
    }
    if (geteuid() != 0)
        return;
    CU_ASSERT_EQUAL(privilege_find(&p, "no-such-user", &e), -1);
    CU_ASSERT_EQUAL(privilege_find(&p, "nobody no-such-group", &e), -1);
}

static void test_find_own(void)
{
    struct privilege p;
    struct error e;

    CU_ASSERT_EQUAL(privilege_find_own(&p, NULL, &e), 0);
    if (geteuid() != 0) {
        CU_ASSERT(!p.is_dropped && p.uid == geteuid());
        return;
    }
    CU_ASSERT_TRUE(p.is_dropped);
    CU_ASSERT_EQUAL(p.uid, getpwnam(PRIVILEGE_OWN_USER) ? getpwnam(PRIVILEGE_OWN_USER)->pw_uid
                                                        : (uid_t)NOBODY);
    CU_ASSERT_EQUAL(privilege_find_own(&p, "daemon nogroup", &e), 0);
    CU_ASSERT(p.uid == DAEMON && p.gid == NOBODY);
    CU_ASSERT_EQUAL(privilege_find_own(&p, "no-such-user", &e), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "acme_user: there is no user"));
}

/* Who shares nobody with others is told, once. */
static void test_shared_user(void)
{
    struct supervised s;

    if (geteuid() != 0 || getpwnam(PRIVILEGE_OWN_USER))
        return;
    CU_ASSERT_EQUAL_FATAL(supervised_open(&s), 0);
    CU_ASSERT_EQUAL_FATAL(supervised_start(&s, NULL, NULL), 0);
    CU_ASSERT_TRUE(supervised_logs(&s, "warn user_shared process=supervisor"));
    kill(s.pid, SIGTERM);
    CU_ASSERT_EQUAL(supervised_wait(&s, 20000), 0);
    supervised_close(&s);
}

/* Paths below the test's folder; each owned by root to begin with. */
struct tree {
    char top[SCRATCH_PATH_MAX], prefix[SCRATCH_PATH_MAX + 64];
};

static void make_tree(struct tree *t)
{
    scratch_make(t->top);
    snprintf(t->prefix, sizeof(t->prefix), "%s/a/b/state", t->top);
}

static const char *below(const struct tree *t, const char *name)
{
    static char path[8][512];
    static unsigned next;
    char *p = path[next++ % 8];

    snprintf(p, sizeof(path[0]), "%s/%s", t->prefix, name);
    return p;
}

static void touch(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    CU_ASSERT(fd >= 0);
    close(fd);
}

static const struct privilege nobody = {.is_dropped = true, .uid = NOBODY, .gid = NOBODY};

static void test_new_folder(void)
{
    struct tree t;
    struct error e;
    struct stat st;

    make_tree(&t);
    CU_ASSERT_EQUAL(privilege_own_folder(&(struct privilege){0}, NOBODY, t.prefix, &e), 0);
    CU_ASSERT_EQUAL(stat(t.prefix, &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 07777, 0700);
    CU_ASSERT_EQUAL(st.st_uid, geteuid());
    if (geteuid() == 0) {
        CU_ASSERT_EQUAL(privilege_own_folder(&nobody, NOBODY, t.prefix, &e), 0);
        CU_ASSERT_EQUAL(owner_of(t.prefix), NOBODY);
        CU_ASSERT_EQUAL(privilege_own_folder(&nobody, NOBODY, t.prefix, &e), 0);
    }
    scratch_remove(t.top);
}

/* What root's verbs left there changes hands; what does not belong to that does not. */
static void test_handing_over(void)
{
    struct tree t;
    struct error e;
    char outside[SCRATCH_PATH_MAX + 16];

    if (geteuid() != 0)
        return;
    make_tree(&t);
    CU_ASSERT_EQUAL(privilege_own_folder(&(struct privilege){0}, NOBODY, t.prefix, &e), 0);
    snprintf(outside, sizeof(outside), "%s/outside", t.top);
    touch(outside);
    CU_ASSERT_EQUAL(mkdir(below(&t, "storage"), 0700), 0);
    CU_ASSERT_EQUAL(mkdir(below(&t, "storage/deep"), 0700), 0);
    CU_ASSERT_EQUAL(mkdir(below(&t, "lost+found"), 0700), 0);
    touch(below(&t, "lock"));
    touch(below(&t, "storage/deep/log"));
    touch(below(&t, "storage/other"));
    CU_ASSERT_EQUAL(chown(below(&t, "storage/other"), 1, 1), 0);
    CU_ASSERT_EQUAL(link(outside, below(&t, "storage/hard")), 0);
    CU_ASSERT_EQUAL(symlink(outside, below(&t, "storage/soft")), 0);
    CU_ASSERT_EQUAL(symlink(t.top, below(&t, "ssl")), 0);
    CU_ASSERT_EQUAL(privilege_own_folder(&nobody, NOBODY, t.prefix, &e), 0);
    CU_ASSERT_EQUAL(owner_of(t.prefix), NOBODY);
    CU_ASSERT_EQUAL(owner_of(below(&t, "lock")), NOBODY);
    CU_ASSERT_EQUAL(owner_of(below(&t, "storage")), NOBODY);
    CU_ASSERT_EQUAL(owner_of(below(&t, "storage/deep/log")), NOBODY);
    CU_ASSERT_EQUAL(owner_of(below(&t, "storage/other")), 1);
    CU_ASSERT_EQUAL(owner_of(below(&t, "storage/hard")), 0);
    CU_ASSERT_EQUAL(owner_of(below(&t, "storage/soft")), 0);
    CU_ASSERT_EQUAL(owner_of(below(&t, "lost+found")), 0);
    CU_ASSERT_EQUAL(owner_of(outside), 0);
    CU_ASSERT_EQUAL(owner_of(t.top), 0);
    /* Once: what root puts there later stays root's. */
    touch(below(&t, "last_good"));
    CU_ASSERT_EQUAL(privilege_own_folder(&nobody, NOBODY, t.prefix, &e), 0);
    CU_ASSERT_EQUAL(owner_of(below(&t, "last_good")), 0);
    scratch_remove(t.top);
}

static const struct privilege daemon_user = {.is_dropped = true, .uid = DAEMON, .gid = DAEMON};

static mode_t mode_of(const char *path)
{
    struct stat st;

    return lstat(path, &st) ? 0 : st.st_mode & 07777;
}

/* What control kept as nobody becomes its own user's, and no path in it leads elsewhere. */
static void test_taking_over(void)
{
    struct tree t;
    struct error e;
    char outside[SCRATCH_PATH_MAX + 16];

    if (geteuid() != 0)
        return;
    make_tree(&t);
    CU_ASSERT_EQUAL(privilege_own_folder(&nobody, NOBODY, t.prefix, &e), 0);
    snprintf(outside, sizeof(outside), "%s/outside", t.top);
    touch(outside);
    CU_ASSERT_EQUAL(mkdir(below(&t, "storage"), 0777), 0);
    touch(below(&t, "storage/log"));
    touch(below(&t, "storage/roots"));
    CU_ASSERT_EQUAL(symlink(outside, below(&t, "lock")), 0);
    CU_ASSERT_EQUAL(symlink(t.top, below(&t, "ssl")), 0);
    CU_ASSERT_EQUAL(link(outside, below(&t, "last_good")), 0);
    CU_ASSERT_EQUAL(chown(below(&t, "storage"), NOBODY, NOBODY), 0);
    CU_ASSERT_EQUAL(chown(below(&t, "storage/log"), NOBODY, NOBODY), 0);
    CU_ASSERT_EQUAL(chmod(t.prefix, 0777) | chmod(below(&t, "storage"), 0777), 0);
    /* Another's file by another name: nothing of it is believed. */
    CU_ASSERT_EQUAL(chown(outside, NOBODY, NOBODY), 0);
    CU_ASSERT_EQUAL(privilege_own_folder(&daemon_user, NOBODY, t.prefix, &e), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "last_good"));
    CU_ASSERT_EQUAL(owner_of(t.prefix), NOBODY);
    CU_ASSERT_EQUAL(owner_of(outside), NOBODY);
    CU_ASSERT_EQUAL(chown(outside, 0, 0), 0);
    /* The walk that was cut short is begun again. */
    touch(below(&t, "storage/late"));
    CU_ASSERT_EQUAL(chown(below(&t, "storage/late"), NOBODY, NOBODY), 0);
    CU_ASSERT_EQUAL(privilege_own_folder(&daemon_user, NOBODY, t.prefix, &e), 0);
    CU_ASSERT_EQUAL(owner_of(t.prefix), DAEMON);
    CU_ASSERT_EQUAL(mode_of(t.prefix), 0700);
    CU_ASSERT_EQUAL(owner_of(below(&t, "storage")), DAEMON);
    CU_ASSERT_EQUAL(mode_of(below(&t, "storage")), 0700);
    CU_ASSERT_EQUAL(owner_of(below(&t, "storage/log")), DAEMON);
    CU_ASSERT_EQUAL(owner_of(below(&t, "storage/late")), DAEMON);
    CU_ASSERT_EQUAL(owner_of(below(&t, "storage/roots")), 0);
    CU_ASSERT_EQUAL(owner_of(below(&t, "lock")), 0);
    CU_ASSERT_EQUAL(owner_of(outside), 0);
    CU_ASSERT_EQUAL(owner_of(t.top), 0);
    /* Once. */
    touch(below(&t, "control.sock"));
    CU_ASSERT_EQUAL(chown(below(&t, "control.sock"), NOBODY, NOBODY), 0);
    CU_ASSERT_EQUAL(privilege_own_folder(&daemon_user, NOBODY, t.prefix, &e), 0);
    CU_ASSERT_EQUAL(owner_of(below(&t, "control.sock")), NOBODY);
    /* Of whom control never was, nothing is taken. */
    CU_ASSERT_EQUAL(chown(t.prefix, 3, 3), 0);
    CU_ASSERT_EQUAL(privilege_own_folder(&daemon_user, NOBODY, t.prefix, &e), -1);
    CU_ASSERT_EQUAL(privilege_own_folder(&daemon_user, 3, t.prefix, &e), 0);
    scratch_remove(t.top);
}

/* Who may write the folder in which the prefix lies could lead us anywhere by a link. */
static void test_links(void)
{
    struct tree t;
    struct error e;
    char elsewhere[SCRATCH_PATH_MAX + 16], parent[SCRATCH_PATH_MAX + 16];

    if (geteuid() != 0)
        return;
    make_tree(&t);
    snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", t.top);
    snprintf(parent, sizeof(parent), "%s/a/b", t.top);
    CU_ASSERT_EQUAL(mkdir(elsewhere, 0755), 0);
    CU_ASSERT_EQUAL(privilege_own_folder(&(struct privilege){0}, NOBODY, t.prefix, &e), 0);
    CU_ASSERT_EQUAL(rmdir(t.prefix), 0);
    CU_ASSERT_EQUAL(symlink(elsewhere, t.prefix), 0);
    /* The last name, and one on the way; a folder's owner may write it, whatever its mode. */
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(chmod(parent, i % 2 ? 01777 : 0755), 0);
        CU_ASSERT_EQUAL(chown(parent, i % 2 ? 0 : DAEMON, 0), 0);
        CU_ASSERT_EQUAL(
            privilege_own_folder(&nobody, NOBODY, i < 2 ? t.prefix : below(&t, "deep"), &e), -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "state is a link"));
        CU_ASSERT_EQUAL(owner_of(elsewhere), 0);
    }
    CU_ASSERT_EQUAL(rmdir(elsewhere), 0); /* nothing was made there */
    /* A link that root alone can have made leads on, to what is not there yet, too. */
    CU_ASSERT_EQUAL(chmod(parent, 0755), 0);
    CU_ASSERT_EQUAL(privilege_own_folder(&nobody, NOBODY, below(&t, "deep"), &e), 0);
    CU_ASSERT_EQUAL(owner_of(elsewhere), 0);
    CU_ASSERT_EQUAL(owner_of(below(&t, "deep")), NOBODY);
    CU_ASSERT_EQUAL(unlink(t.prefix), 0);
    CU_ASSERT_EQUAL(symlink("state", t.prefix), 0);
    CU_ASSERT_EQUAL(privilege_own_folder(&nobody, NOBODY, t.prefix, &e), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "too many"));
    scratch_remove(t.top);
}

static void test_refused_folders(void)
{
    struct tree t;
    struct error e;
    char deep[2048];
    size_t len;

    if (geteuid() != 0)
        return;
    make_tree(&t);
    CU_ASSERT_EQUAL(privilege_own_folder(&(struct privilege){0}, NOBODY, t.prefix, &e), 0);
    touch(below(&t, "passwd"));
    CU_ASSERT_EQUAL(privilege_own_folder(&nobody, NOBODY, t.prefix, &e), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "other files than ours"));
    CU_ASSERT_EQUAL(owner_of(t.prefix), 0);
    CU_ASSERT_EQUAL(owner_of(below(&t, "passwd")), 0);
    CU_ASSERT_EQUAL(unlink(below(&t, "passwd")), 0);

    len = (size_t)snprintf(deep, sizeof(deep), "%s", below(&t, "storage"));
    for (int i = 0; i <= PRIVILEGE_DEPTH_MAX; i++) {
        CU_ASSERT_EQUAL(mkdir(deep, 0700), 0);
        len += (size_t)snprintf(deep + len, sizeof(deep) - len, "/d");
    }
    CU_ASSERT_EQUAL(privilege_own_folder(&nobody, NOBODY, t.prefix, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_LIMIT);
    CU_ASSERT_EQUAL(owner_of(t.prefix), 0);

    scratch_remove(below(&t, "storage"));

    CU_ASSERT_EQUAL(mkdir(below(&t, "storage"), 0700), 0);
    for (int i = 0; i < PRIVILEGE_FILES_MAX; i++) { /* with their folder, one too many */
        snprintf(deep, sizeof(deep), "%s/%d", below(&t, "storage"), i);
        touch(deep);
    }
    CU_ASSERT_EQUAL(privilege_own_folder(&nobody, NOBODY, t.prefix, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_LIMIT);
    CU_ASSERT_EQUAL(unlink(deep), 0);
    CU_ASSERT_EQUAL(privilege_own_folder(&nobody, NOBODY, t.prefix, &e), 0);

    CU_ASSERT_EQUAL(chown(t.prefix, 1, 1), 0);
    CU_ASSERT_EQUAL(privilege_own_folder(&nobody, NOBODY, t.prefix, &e), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "belongs to user 1"));
    CU_ASSERT_EQUAL(privilege_own_folder(&nobody, NOBODY, "/dev/null/x", &e), -1);
    scratch_remove(t.top);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
        {"children of root", test_children_of_root},
        {"find", test_find},
        {"find control's own", test_find_own},
        {"shared user", test_shared_user},
        {"new folder", test_new_folder},
        {"handing over", test_handing_over},
        {"taking over", test_taking_over},
        {"links", test_links},
        {"refused folders", test_refused_folders},
    };
    int code;

    if (supervised_play(argc, argv, environ, &code))
        return code;
    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("privilege", NULL, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(tests); i++)
        CU_add_test(suite, tests[i].name, tests[i].run);
    CU_basic_set_mode(argc > 1 ? CU_BRM_VERBOSE : CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures ? 1 : 0;
}
