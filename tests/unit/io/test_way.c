/* Which files the right to read all files opens, for those who may write a folder on the way. */

#include "reconciler/io/way.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reconciler/base/attr.h"

#define NOBODY 65534
#define CHILD_CANNOT 100 /* this machine does not let us try */

static char folder[] = "/tmp/reconcert-way-XXXXXX";

/* What stands in the folder; those of owner 0 are 0400 or 0700 where no mode is given. */
static const struct {
    const char *path, *link; /* link NULL: a folder where the path ends with a slash, else a file */
    uid_t owner;
    mode_t mode;
} things[] = {
    {"secret", NULL, 0, 0400},
    {"good/", NULL, 0, 0700},
    {"good/kong.yaml", NULL, 0, 0400},
    {"good/link", "../secret", 0, 0},
    {"good/long", "/../../../..//etc/../etc/passwd", 0, 0},
    {"good/loop", "loop", 0, 0},
    {"good/through", "../theirs/own", 0, 0},
    {"good/nothing", "none", 0, 0},
    {"theirs/", NULL, NOBODY, 0755},
    {"theirs/own", NULL, NOBODY, 0400},
    {"theirs/root", NULL, 0, 0400},
    {"theirs/link", "../secret", NOBODY, 0},
    {"theirs/folder", "../good", NOBODY, 0},
    {"open/", NULL, 0, 0777},
    {"open/root", NULL, 0, 0400},
    {"open/link", "../secret", 0, 0},
    {"open/below/", NULL, 0, 0755},
    {"open/below/root", NULL, 0, 0400},
    {"group/", NULL, 0, 0770},
    {"group/root", NULL, 0, 0400},
    {"sticky/", NULL, 0, 01777},
    {"sticky/root", NULL, 0, 0400},
    {"sticky/link", "../secret", 0, 0},
    {"sticky/below/", NULL, 0, 0700},
    {"sticky/below/root", NULL, 0, 0400},
    {"map/", NULL, 0, 0777}, /* as the kubelet mounts a ConfigMap */
    {"map/..one/", NULL, 0, 0755},
    {"map/..one/kong.yaml", NULL, 0, 0400},
    {"map/..data", "..one", 0, 0},
    {"map/kong.yaml", "..data/kong.yaml", 0, 0},
    {"map/out", "../secret", 0, 0},
    {"map/far", "/etc/shadow", 0, 0},
    {"map/back", "/../etc/../etc/shadow", 0, 0},
};

static const struct {
    const char *path;
    bool opens;
} ways[] = {
    {"secret", true},
    {"good/kong.yaml", true},
    {"good//./../good/kong.yaml", true},
    {"good/", true},
    {"good", true},
    {"good/link", true},
    {"good/long", true},
    {"good/loop", false},
    {"good/nothing", false},
    {"good/through", false}, /* nor do its own rights lead through good/ */
    {"theirs/own", true},
    {"theirs/root", false},
    {"theirs/link", false},
    {"theirs/folder/kong.yaml", false},
    {"theirs/../secret", false},
    {"open/root", false},
    {"open/link", false},
    {"open/below/root", false},
    {"group/root", false},
    {"sticky/root", false},
    {"sticky/link", false},
    {"sticky/below/root", true},
    {"map/kong.yaml", false},
};

static void path_in(char out[256], const char *path)
{
    snprintf(out, 256, "%s/%s", folder, path);
}

static void make_things(void)
{
    umask(0);
    for (size_t i = 0; i < ARRAY_LENGTH(things); i++) {
        size_t len = strlen(things[i].path);
        char path[256];
        int fd = -1, rc;

        path_in(path, things[i].path);
        if (things[i].link)
            rc = symlink(things[i].link, path);
        else if (things[i].path[len - 1] == '/')
            rc = mkdir(path, things[i].mode);
        else
            rc = (fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, things[i].mode)) < 0;
        if (fd >= 0)
            close(fd);
        CU_ASSERT_EQUAL_FATAL(rc, 0);
        CU_ASSERT_EQUAL_FATAL(lchown(path, things[i].owner, things[i].owner), 0);
        CU_ASSERT_TRUE(things[i].link || chmod(path, things[i].mode) == 0);
    }
    umask(022);
}

/* As control of a server that root started: nobody, who may read everything. */
static int become_control(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};

    data[0].permitted = data[0].effective = 1U << CAP_DAC_READ_SEARCH;
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setgroups(0, NULL) || setgid(NOBODY) ||
        setuid(NOBODY) || syscall(SYS_capset, &header, data))
        return -1;
    return 0;
}

static bool can_open(const char *path)
{
    int fd = way_open(path);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int try_ways(void)
{
    int wrong = 0;
    char path[256];

    if (become_control())
        return CHILD_CANNOT;
    for (size_t i = 0; i < ARRAY_LENGTH(ways); i++) {
        path_in(path, ways[i].path);
        if (can_open(path) == ways[i].opens)
            continue;
        fprintf(stderr, "%s: %s\n", ways[i].path, ways[i].opens ? "not opened" : "opened");
        wrong++;
    }
    /* From the working directory on, and the right is there again. */
    if (chdir(folder) || !can_open("good/kong.yaml") || can_open("open/root") ||
        !can_open("./secret") || can_open("") || open("open/root", O_RDONLY | O_CLOEXEC) < 0)
        wrong++;
    return wrong;
}

static int try_map(void)
{
    /* Who fills the map elsewhere may not lead us out of it. */
    static const char *const closed[] = {"open/root", "map/out", "map/far", "map/back"};
    char path[256];
    int wrong = 0;

    path_in(path, "map");
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount(path, path, NULL, MS_BIND, NULL) ||
        mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) || become_control())
        return CHILD_CANNOT;
    path_in(path, "map/kong.yaml");
    if (!can_open(path))
        wrong++;
    for (size_t i = 0; i < ARRAY_LENGTH(closed); i++) {
        path_in(path, closed[i]);
        wrong += can_open(path);
    }
    return wrong;
}

static void in_child(int (*run)(void))
{
    int status;
    pid_t pid;

    if (geteuid() != 0)
        return;
    fflush(stdout);
    pid = fork();
    if (pid == 0)
        _exit(run());
    CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
    CU_ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == CHILD_CANNOT)
        printf("(not tried: capabilities are missing) ");
    else
        CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
}

static void test_ways(void)
{
    in_child(try_ways);
}

static void test_read_only_mount(void)
{
    in_child(try_map);
}

/* Without the right it is open(2). */
static void test_own_rights(void)
{
    char path[256];

    path_in(path, "theirs/own");
    CU_ASSERT_TRUE(can_open(path));
    path_in(path, "none");
    CU_ASSERT_EQUAL(way_open(path), -1);
    CU_ASSERT_EQUAL(errno, ENOENT);
}

static int set_up(void)
{
    if (!mkdtemp(folder) || chmod(folder, 0755))
        return -1;
    return 0;
}

static int tear_down(void)
{
    for (size_t i = ARRAY_LENGTH(things); i-- > 0;) {
        char path[256];
        path_in(path, things[i].path);
        remove(path);
    }
    return rmdir(folder);
}

static void test_make(void)
{
    if (geteuid() == 0)
        make_things();
}

int main(void)
{
    CU_pSuite suite;
    unsigned failed = 1;

    if (CU_initialize_registry())
        return 2;
    suite = CU_add_suite("way", set_up, tear_down);
    if (suite && CU_add_test(suite, "make", test_make) && CU_add_test(suite, "ways", test_ways) &&
        CU_add_test(suite, "read-only mount", test_read_only_mount) &&
        (geteuid() != 0 || CU_add_test(suite, "own rights", test_own_rights))) {
        CU_basic_run_tests();
        failed = CU_get_number_of_failures() + CU_get_number_of_suites_failed();
    }
    CU_cleanup_registry();
    return failed != 0;
}
