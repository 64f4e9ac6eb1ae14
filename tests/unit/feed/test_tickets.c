/* Keys of session tickets: hourly, three kept, and found again by a control that starts. */

#include "reconciler/feed/tickets.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reconciler/base/channel.h"
#include "reconciler/base/descriptor.h"
#include "tests/fakes/fake_time.h"

static int page;

static void begin(void)
{
    page = memfd_create("tickets", MFD_CLOEXEC);
    CU_ASSERT_EQUAL_FATAL(ftruncate(page, DESCRIPTOR_TICKETS_SIZE), 0);
}

static struct tickets *start(int fd)
{
    struct error e;
    struct tickets *t = tickets_new(fd, &e);

    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    return t;
}

static struct channel_message keys_of(const struct tickets *t)
{
    struct channel_message m;

    tickets_print(t, &m);
    CU_ASSERT_EQUAL(m.type, CHANNEL_TICKET_KEYS_SET);
    return m;
}

static bool is_key(const struct channel_message *a, size_t i, const struct channel_message *b,
                   size_t k)
{
    return memcmp(a->u.tickets.keys[i], b->u.tickets.keys[k], CHANNEL_TICKET_KEY_SIZE) == 0;
}

static void test_rotation(void)
{
    struct tickets *t = start(-1);
    struct channel_message first = keys_of(t), next;

    CU_ASSERT_EQUAL(first.u.tickets.count, 1);
    CU_ASSERT_EQUAL(tickets_rotate(t), TICKETS_ROTATION_MS);
    fake_time_pass(TICKETS_ROTATION_MS - 1);
    CU_ASSERT_EQUAL(tickets_rotate(t), 1);
    next = keys_of(t);
    CU_ASSERT_EQUAL(next.u.tickets.count, 1);
    fake_time_pass(1);
    CU_ASSERT_EQUAL(tickets_rotate(t), TICKETS_ROTATION_MS);
    next = keys_of(t);
    CU_ASSERT_EQUAL(next.u.tickets.count, 2);
    CU_ASSERT_TRUE(is_key(&next, 1, &first, 0));
    CU_ASSERT_FALSE(is_key(&next, 0, &first, 0));
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(keys_of(t).u.tickets.count, 2 + (uint32_t)i);
        fake_time_pass(TICKETS_ROTATION_MS);
        tickets_rotate(t);
    }
    next = keys_of(t);
    CU_ASSERT_EQUAL(next.u.tickets.count, CHANNEL_TICKET_KEYS);
    for (size_t i = 0; i < CHANNEL_TICKET_KEYS; i++)
        CU_ASSERT_FALSE(is_key(&next, i, &first, 0));
    tickets_free(t);
}

/* Who starts has what its predecessor had; hours in which nobody was there count. */
static void test_restart(void)
{
    struct channel_message before, after;
    struct tickets *t;

    begin();
    t = start(page);
    before = keys_of(t);
    tickets_free(t);
    fake_time_pass(TICKETS_ROTATION_MS / 2);
    t = start(page);
    after = keys_of(t);
    CU_ASSERT_EQUAL(memcmp(&before, &after, sizeof(after)), 0);
    CU_ASSERT_EQUAL(tickets_rotate(t), TICKETS_ROTATION_MS / 2);
    tickets_free(t);
    fake_time_pass(2 * TICKETS_ROTATION_MS);
    t = start(page);
    after = keys_of(t);
    CU_ASSERT_EQUAL(after.u.tickets.count, 3);
    CU_ASSERT_TRUE(is_key(&after, 2, &before, 0));
    CU_ASSERT_EQUAL(tickets_rotate(t), TICKETS_ROTATION_MS / 2);
    tickets_free(t);
    fake_time_pass(TICKETS_ROTATION_MS * CHANNEL_TICKET_KEYS);
    before = after;
    t = start(page);
    after = keys_of(t);
    CU_ASSERT_EQUAL(after.u.tickets.count, 1);
    CU_ASSERT_FALSE(is_key(&after, 0, &before, 0));
    tickets_free(t);
    close(page);
}

/* What another build, or nobody whom we know, has written there is not taken up. */
static void test_foreign_page(void)
{
    unsigned char bytes[DESCRIPTOR_TICKETS_SIZE];

    begin();
    for (int value = 1; value < 256; value *= 2) {
        struct channel_message m;
        struct tickets *t;
        memset(bytes, value, sizeof(bytes));
        CU_ASSERT_EQUAL(pwrite(page, bytes, sizeof(bytes), 0), sizeof(bytes));
        t = start(page);
        m = keys_of(t);
        CU_ASSERT_EQUAL(m.u.tickets.count, 1);
        CU_ASSERT_NOT_EQUAL(memcmp(m.u.tickets.keys[0], bytes, CHANNEL_TICKET_KEY_SIZE), 0);
        tickets_free(t);
    }
    close(page);
}

/* Each word of a page that was good, spoilt: no crash, and no more keys than there are. */
static void test_spoilt_page(void)
{
    unsigned char good[DESCRIPTOR_TICKETS_SIZE];

    begin();
    tickets_free(start(page));
    CU_ASSERT_EQUAL(pread(page, good, sizeof(good), 0), sizeof(good));
    for (size_t at = 0; at < 64; at++) {
        static const unsigned char bad = 0xff;
        struct tickets *t;
        CU_ASSERT_EQUAL(pwrite(page, good, sizeof(good), 0), sizeof(good));
        CU_ASSERT_EQUAL(pwrite(page, &bad, 1, (off_t)at), 1);
        t = start(page);
        CU_ASSERT_EQUAL(keys_of(t).u.tickets.count, 1);
        CU_ASSERT(tickets_rotate(t) > 0);
        tickets_free(t);
    }
    close(page);
}

static void test_no_page(void)
{
    struct error e = {0};
    int ends[2];

    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    CU_ASSERT_PTR_NULL(tickets_new(ends[0], &e));
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "ticket keys"));
    close(ends[0]);
    close(ends[1]);
    tickets_free(NULL);
}

int main(void)
{
    CU_TestInfo tests[] = {{"rotation", test_rotation},
                           {"restart", test_restart},
                           {"a foreign page", test_foreign_page},
                           {"a spoilt page", test_spoilt_page},
                           {"no page", test_no_page},
                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{"tickets", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};
    int failed;

    if (CU_initialize_registry() || CU_register_suites(suites))
        return CU_get_error();
    CU_basic_run_tests();
    failed = CU_get_number_of_failures() != 0;
    CU_cleanup_registry();
    return failed;
}
