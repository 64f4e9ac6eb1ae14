/* A generation that cannot be made is tried again soon, whatever else is due and when. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/fakes/controlled.h"
#include "tests/support/suite.h"

#define DAY_MS INT64_C(86400000)
#define VALID(name) "\"name\": \"" name "\",\n      \"state\": \"valid\""

static struct controlled c;
static atomic_bool is_out; /* of memory for segments */

/* In libc's place. */
__attribute__((visibility("default"))) int memfd_create(const char *name, unsigned flags)
{
    if (!atomic_load(&is_out))
        return (int)syscall(SYS_memfd_create, name, flags);
    errno = ENOMEM;
    return -1;
}

static bool has_orders(struct controlled *of, const char *count)
{
    return controlled_orders(of) >= (unsigned)(count[0] - '0');
}

/*
 * The challenge of a renewal cannot be published. When it can, that is seen at once, though the
 * next date of the plan is weeks away and nothing else happens.
 */
static void retried_soon(void)
{
    controlled_open(&c, "acme_poll_interval = 86400\n");
    controlled_write(&c, "domains: [a.test]");
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, VALID("a.test")));
    pthread_mutex_lock(&c.guard);
    fake_ca_options(c.ca)->not_before = c.began + 65 * DAY_MS / 1000;
    pthread_mutex_unlock(&c.guard);
    atomic_store(&is_out, true);
    controlled_pass(&c, 65 * DAY_MS);
    CU_ASSERT_TRUE(controlled_wait(&c, has_orders, "2"));
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says, "publish_failed"));
    CU_ASSERT_TRUE(controlled_says(&c, "segment"));
    atomic_store(&is_out, false);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says_not, "publish_failed"));
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, VALID("a.test")));
    CU_ASSERT_EQUAL(controlled_orders(&c), 2);
    controlled_close(&c);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"retried soon", retried_soon},
        CU_TEST_INFO_NULL,
    };

    return suite_run("announce", tests);
}
