/* A prefix that fills up, vanishes, cannot be made again, and comes back. */
#include "reconciler/control/prefix.h"

#include <CUnit/Basic.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fakes/controlled.h"
#include "tests/support/suite.h"

#define IS(name, state) "\"name\": \"" name "\",\n      \"state\": \"" state "\""

static struct controlled c;

static void start(void)
{
    controlled_open(&c, NULL);
    controlled_write(&c, "domains: [a.test]");
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.test", "valid")));
}

/* No file grows any more: all that is written fails, as on a full disk. */
static void limit_files(rlim_t size)
{
    struct rlimit limit = {size, RLIM_INFINITY};

    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void fills_up(void)
{
    char path[CONTROLLED_PATH_MAX + 32];
    struct stat st;

    start();
    controlled_write(&c, "domains: [a.test, b.test, c.test]");
    snprintf(path, sizeof(path), "%.150s/storage/log", c.prefix);
    CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
    limit_files((rlim_t)st.st_size);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says, "storage_unusable"));
    CU_ASSERT_TRUE(controlled_lists(&c, IS("a.test", "valid")));
    limit_files(RLIM_INFINITY);
    c.turn_ms = CONTROLLED_LONG_TURN_MS; /* it is tried again every 30 s */
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("b.test", "valid")));
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("c.test", "valid")));
    CU_ASSERT_TRUE(controlled_says_not(&c, "storage_unusable"));
    controlled_close(&c);
}

/* Something else is in its place: it cannot be written anew until that has gone. */
static void cannot_be_made_again(void)
{
    char aside[CONTROLLED_PATH_MAX + 16];
    int fd;

    start();
    snprintf(aside, sizeof(aside), "%.150s.aside", c.prefix);
    CU_ASSERT_EQUAL_FATAL(rename(c.prefix, aside), 0);
    fd = open(c.prefix, O_WRONLY | O_CREAT, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    close(fd);
    controlled_write(&c, "domains: [a.test, b.test]");
    c.turn_ms = CONTROLLED_LONG_TURN_MS;
    for (int n = 0; n < CONTROLLED_PATIENCE && c.told[CHANNEL_PREFIX] < 8; n++)
        controlled_pass(&c, CONTROLLED_LONG_TURN_MS);
    CU_ASSERT(c.told[CHANNEL_PREFIX] >= 8); /* the supervisor is asked for it */
    CU_ASSERT_TRUE(controlled_lists(&c, IS("a.test", "valid")));
    unlink(c.prefix);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("b.test", "valid")));
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says_not, "storage_unusable"));
    CU_ASSERT_EQUAL(controlled_stop(&c), 0);
    c.turn_ms = CONTROLLED_TURN_MS;
    controlled_start(&c); /* all of it is there */
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.test", "valid")));
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("b.test", "valid")));
    CU_ASSERT_EQUAL(controlled_orders(&c), 2);
    controlled_close(&c);
}

/* Away, and back as it was. */
static void comes_back_by_itself(void)
{
    char aside[CONTROLLED_PATH_MAX + 16];

    start();
    snprintf(aside, sizeof(aside), "%.150s.aside", c.prefix);
    CU_ASSERT_EQUAL_FATAL(rename(c.prefix, aside), 0);
    CU_ASSERT_EQUAL_FATAL(symlink("/proc/none", c.prefix), 0);
    for (int n = 0; n < CONTROLLED_PATIENCE && !c.told[CHANNEL_PREFIX]; n++)
        controlled_pass(&c, CONTROLLED_LONG_TURN_MS);
    CU_ASSERT(c.told[CHANNEL_PREFIX] > 0);
    unlink(c.prefix);
    CU_ASSERT_EQUAL_FATAL(rename(aside, c.prefix), 0);
    c.turn_ms = CONTROLLED_LONG_TURN_MS;
    controlled_write(&c, "domains: [a.test, b.test]");
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("b.test", "valid")));
    controlled_close(&c);
}

static void open_to_others(void)
{
    start();
    CU_ASSERT_EQUAL(chmod(c.folder, 0777), 0);
    c.turn_ms = CONTROLLED_LONG_TURN_MS;
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says, "prefix_writable_by_others"));
    CU_ASSERT_EQUAL(chmod(c.folder, 0700), 0);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says_not, "prefix_writable_by_others"));
    controlled_close(&c);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"fills up", fills_up},
        {"cannot be made again", cannot_be_made_again},
        {"comes back by itself", comes_back_by_itself},
        {"open to others", open_to_others},
        CU_TEST_INFO_NULL,
    };

    return suite_run("prefix", tests);
}
