#include "reconciler/base/descriptor.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int open_null(void)
{
    return open("/dev/null", O_RDONLY);
}

static void test_round_trip(void)
{
    struct descriptor_list list = {0}, read = {0};
    struct buf text = BUF_INIT(1024);
    struct error e = {0};
    int fds[4] = {open_null(), open_null(), open_null(), open_null()};

    CU_ASSERT_FALSE(descriptor_add(&list, DESCRIPTOR_LIFELINE, DESCRIPTOR_ONLY, fds[0]));
    CU_ASSERT_FALSE(descriptor_add(&list, DESCRIPTOR_LISTEN, 0, fds[1]));
    CU_ASSERT_FALSE(descriptor_add(&list, DESCRIPTOR_LISTEN, 1, fds[2]));
    CU_ASSERT_FALSE(descriptor_add(&list, DESCRIPTOR_CHANNEL, DESCRIPTOR_ONLY, fds[3]));
    buf_cstr(&text, DESCRIPTOR_ARGUMENT);
    descriptor_print(&list, &text);
    CU_ASSERT_EQUAL(descriptor_parse(&read, text.data, &e), 0);
    CU_ASSERT_EQUAL(read.len, 4);
    CU_ASSERT_EQUAL(descriptor_get(&read, DESCRIPTOR_LIFELINE, DESCRIPTOR_ONLY), fds[0]);
    CU_ASSERT_EQUAL(descriptor_get(&read, DESCRIPTOR_LISTEN, 1), fds[2]);
    CU_ASSERT_EQUAL(descriptor_get(&read, DESCRIPTOR_LISTEN, 2), -1);
    CU_ASSERT_EQUAL(descriptor_count(&read, DESCRIPTOR_LISTEN), 2);
    CU_ASSERT_EQUAL(descriptor_count(&read, DESCRIPTOR_CHANNEL), 0);
    CU_ASSERT_EQUAL(descriptor_get(&read, DESCRIPTOR_CHANNEL, DESCRIPTOR_ONLY), fds[3]);
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_TRUE(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        close(fds[i]);
    }
    descriptor_list_free(&list);
    descriptor_list_free(&read);
    buf_free(&text);
}

/* %d stands for a descriptor that is open. */
static const struct {
    const char *text, *why;
} refused[] = {
    {"", "has no name"},
    {"channel", "has no number"},
    {"channel=", "has no number"},
    {"chanel=%d", "has no name"},
    {"=%d", "has no name"},
    {"channel=2", "has no number"},
    {"channel=-1", "has no number"},
    {"channel=1048577", "has no number"},
    {"channel=99999999999999999999", "has no number"},
    {"channel=9999", "is not open"},
    {"channel=%d,channel=%d", "is repeated"},
    {"listen=%d", "has no name"},
    {"lifeline.0=%d", "has no name"},
    {"listen.1=%d", "out of order"},
    {"listen.0=%d,listen.2=%d", "out of order"},
    {"listen.0=%d,listen.0=%d", "is repeated"},
    {"listen.x=%d", "has no name"},
    {"listen.65536=%d", "has no name"},
    {"channel=%d,", "has no name"},
    {"channel=%d \033[31m", "has no number"},
};

static void test_refused(void)
{
    int fd = open_null();

    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
        struct descriptor_list list = {0};
        struct error e = {0};
        struct buf text = BUF_INIT(1024);
        const char *rest = refused[i].text, *hole;
        while ((hole = strstr(rest, "%d"))) {
            buf_append(&text, rest, (size_t)(hole - rest));
            buf_printf(&text, "%d", fd);
            rest = hole + 2;
        }
        buf_cstr(&text, rest);
        buf_append(&text, "", 0);
        CU_ASSERT_EQUAL(descriptor_parse(&list, text.data ? text.data : "", &e), -1);
        CU_ASSERT_EQUAL(e.kind, ERROR_USAGE);
        if (!strstr(e.message, refused[i].why)) {
            printf("%s: %s\n", refused[i].text, e.message);
            CU_FAIL("another reason");
        }
        CU_ASSERT_EQUAL(list.len, 0);
        CU_ASSERT_PTR_NULL(list.items);
        buf_free(&text);
    }
    close(fd);
}

static void test_limit(void)
{
    struct descriptor_list list = {0};

    for (int i = 0; i < DESCRIPTOR_COUNT_MAX; i++)
        if (descriptor_add(&list, DESCRIPTOR_LISTEN, i, 5))
            CU_FAIL("refused below the limit");
    CU_ASSERT_EQUAL(descriptor_add(&list, DESCRIPTOR_LIFELINE, DESCRIPTOR_ONLY, 5), -1);
    descriptor_list_free(&list);
}

int main(void)
{
    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("descriptor", NULL, NULL);
    CU_add_test(suite, "round trip", test_round_trip);
    CU_add_test(suite, "refused", test_refused);
    CU_add_test(suite, "limit", test_limit);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures ? 1 : 0;
}
