/* One channel: what is no message, what is attached to it, and what its end looks like. */

#include "reconciler/base/channel.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ATTACHED_MAX 8

static int ends[2];

static void begin(void)
{
    struct error e;

    CU_ASSERT_EQUAL_FATAL(channel_pair(ends, &e), 0);
}

static void end(void)
{
    close(ends[0]);
    close(ends[1]);
}

/* The lowest number that is free: where it stays the same, nothing has leaked. */
static int lowest_free(void)
{
    int fd = dup(ends[0]);

    close(fd);
    return fd;
}

/* As someone would who means ill: any bytes, any number of descriptors. */
static void send_raw(const void *bytes, size_t size, size_t count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(ATTACHED_MAX * sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

    if (count) {
        struct cmsghdr *c;
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(count * sizeof(int));
        c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        for (size_t i = 0; i < count; i++)
            memcpy(CMSG_DATA(c) + i * sizeof(int), &ends[1], sizeof(int));
    }
    CU_ASSERT_EQUAL(sendmsg(ends[1], &header, MSG_NOSIGNAL), (ssize_t)size);
}

static int receive(struct channel_message *m, int *fd, enum error_kind *kind)
{
    struct error e = {0};
    int rc = channel_receive(ends[0], m, fd, &e);

    *kind = e.kind;
    return rc;
}

static void expect_broken(void)
{
    struct channel_message m;
    enum error_kind kind;
    int fd = 0;

    CU_ASSERT_EQUAL(receive(&m, &fd, &kind), -1);
    CU_ASSERT_EQUAL(kind, ERROR_PROTOCOL);
    CU_ASSERT_EQUAL(fd, -1);
}

/* Whatever is no message is passed over, with what is attached, and the next one comes. */
static void test_broken(void)
{
    struct channel_message good = {.type = CHANNEL_BEAT}, m;
    static char large[2 * sizeof(struct channel_message)];
    const struct channel_message manifest = {
        .type = CHANNEL_MANIFEST,
        .format = CHANNEL_FORMAT,
        .u.manifest = {.count = CHANNEL_SEGMENTS_MAX + 1}};
    struct channel_message endless = {.type = CHANNEL_TOKEN_MISS, .format = CHANNEL_FORMAT};
    const uint32_t head[2] = {CHANNEL_BEAT, CHANNEL_FORMAT};
    const struct channel_message unknown = {.type = 999, .format = CHANNEL_FORMAT};
    enum error_kind kind;
    struct error e;
    int fd, before;

    memset(endless.u.token.name, 'a', sizeof(endless.u.token.name));
    memcpy(large, &endless, sizeof(endless));
    begin();
    before = lowest_free();
    for (size_t attached = 0; attached <= ATTACHED_MAX; attached += 4) {
        send_raw("", 0, attached);
        expect_broken();
        send_raw(head, sizeof(head), attached);
        expect_broken();
        send_raw(large, sizeof(large), attached);
        expect_broken();
        send_raw(&unknown, sizeof(unknown), attached);
        expect_broken();
        send_raw(&manifest, offsetof(struct channel_message, u) + sizeof(manifest.u.manifest), 0);
        expect_broken();
        send_raw(&endless, offsetof(struct channel_message, u) + sizeof(endless.u.token), 0);
        expect_broken();
        CU_ASSERT_EQUAL(lowest_free(), before);
        CU_ASSERT_EQUAL(channel_send(ends[1], &good, -1, &e), 0);
        CU_ASSERT_EQUAL(receive(&m, &fd, &kind), 1);
        CU_ASSERT_EQUAL(m.type, CHANNEL_BEAT);
        CU_ASSERT_EQUAL(receive(&m, &fd, &kind), 0);
    }
    end();
}

/* Of several descriptors one is handed out; of another build's message, none is understood. */
static void test_attached(void)
{
    struct channel_message m = {.type = CHANNEL_SEGMENT, .u.segment = {.id = 7}};
    enum error_kind kind;
    struct error e;
    int fd, before;

    begin();
    before = lowest_free();
    CU_ASSERT_EQUAL(channel_send(ends[1], &m, ends[0], &e), 0);
    CU_ASSERT_EQUAL(receive(&m, &fd, &kind), 1);
    CU_ASSERT_EQUAL(m.u.segment.id, 7);
    CU_ASSERT(fd >= 0 && fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    m.format = CHANNEL_FORMAT + 1;
    send_raw(&m, offsetof(struct channel_message, u) + sizeof(m.u.segment), 3);
    CU_ASSERT_EQUAL(receive(&m, &fd, &kind), 1);
    CU_ASSERT_EQUAL(m.type, 0);
    CU_ASSERT(fd >= 0);
    close(fd);
    CU_ASSERT_EQUAL(lowest_free(), before);
    end();
}

static void test_end(void)
{
    const struct channel_message beat = {.type = CHANNEL_BEAT};
    struct channel_message m;
    enum error_kind kind;
    struct error e;
    int fd;

    begin();
    CU_ASSERT_EQUAL(channel_send(ends[1], &beat, -1, &e), 0);
    CU_ASSERT_EQUAL(shutdown(ends[1], SHUT_WR), 0);
    CU_ASSERT_EQUAL(receive(&m, &fd, &kind), 1);
    CU_ASSERT_EQUAL(receive(&m, &fd, &kind), -1);
    CU_ASSERT_EQUAL(kind, ERROR_IO);
    close(ends[1]);
    CU_ASSERT_EQUAL(channel_send(ends[0], &beat, -1, &e), -1);
    close(ends[0]);
}

static void test_full(void)
{
    const struct channel_message seen = {.type = CHANNEL_SNI_SEEN};
    struct channel_message m;
    enum error_kind kind;
    struct error e;
    int fd, rc, sent = 0;

    begin();
    while ((rc = channel_send(ends[1], &seen, -1, &e)) == 0)
        sent++;
    CU_ASSERT_EQUAL(rc, 1);
    CU_ASSERT(sent > 100);
    CU_ASSERT_EQUAL(receive(&m, &fd, &kind), 1);
    while (receive(&m, &fd, &kind) == 1)
        ;
    CU_ASSERT_EQUAL(channel_send(ends[1], &seen, -1, &e), 0);
    end();
}

int main(void)
{
    CU_TestInfo tests[] = {{"what is no message", test_broken},
                           {"attached descriptors", test_attached},
                           {"the end", test_end},
                           {"a full one", test_full},
                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{"channel", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};
    int failed;

    if (CU_initialize_registry() || CU_register_suites(suites))
        return CU_get_error();
    CU_basic_run_tests();
    failed = CU_get_number_of_failures() != 0;
    CU_cleanup_registry();
    return failed;
}
