/* Workers that hang, crash, come late, or mean ill. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reconciler/base/channel.h"
#include "reconciler/feed/feed.h"
#include "reconciler/feed/receiver.h"
#include "reconciler/feed/workers.h"
#include "tests/fakes/fed.h"

/* ---- deadlines ---- */

/* One that ran before our start and stays silent is killed, and then holds nobody up. */
static void test_silent_from_before(void)
{
    fed_begin_untold();
    fed_publish_one(1, 3);
    fed_wait_for(1);
    fed_pass(2 * WORKERS_HELLO_TIMEOUT_MS / FED_SECOND);
    fed_expect_nothing_told(); /* nor has anybody told us who is there */
    fed_tell(0, 40, false, false);
    fed_tell(1, 41, false, false);
    fed_acknowledge(0, fed_greet(0), 1);
    fed_expect_told(CHANNEL_WORKER_READY, 0, 40);
    fed_pass(WORKERS_HELLO_TIMEOUT_MS / FED_SECOND);
    fed_expect_told(CHANNEL_WORKER_KILL, 1, 41);
    CU_ASSERT_EQUAL(fed.acknowledged, 1);
    fed_end();
}

/* One that starts and does not say a word; nor does its successor. */
static void test_never_greets(void)
{
    fed_begin();
    fed_arrive(1, 51);
    fed_tell(0, 50, false, true);
    for (int i = 0; i < WORKERS_START_TIMEOUT_MS / FED_SECOND - 1; i++)
        fed_pass(1);
    fed_expect_nothing_told();
    fed_pass(1);
    fed_expect_told(CHANNEL_WORKER_KILL, 0, 50);
    fed_pass(WORKERS_START_TIMEOUT_MS / FED_SECOND); /* and once more, where that came to nothing */
    fed_expect_told(CHANNEL_WORKER_KILL, 1, 51);     /* which does not beat */
    fed_expect_told(CHANNEL_WORKER_KILL, 0, 50);
    fed_tell(0, 0, false, false);
    fed_tell(1, 0, false, false);
    fed_pass(2 * WORKERS_START_TIMEOUT_MS / FED_SECOND);
    fed_expect_nothing_told();
    fed_end();
}

/* One that greets again and again puts nothing off. */
static void test_greets_without_end(void)
{
    fed_begin();
    fed_tell(1, 0, false, false);
    fed_tell(0, 50, false, true);
    for (int i = 0; i < WORKERS_HELLO_TIMEOUT_MS / FED_SECOND; i++) {
        fed_say_type(0, CHANNEL_HELLO, 0);
        fed_pass(1);
    }
    fed_say_type(0, CHANNEL_HELLO, 0);
    fed_expect_told(CHANNEL_WORKER_KILL, 0, 50);
    fed_end();
}

static void test_does_not_acknowledge(void)
{
    uint64_t first, second;

    fed_begin();
    first = fed_arrive(0, 50);
    second = fed_arrive(1, 51);
    fed_publish_one(1, 3);
    fed_wait_for(1);
    fed_acknowledge(0, first, 1);
    fed_expect_told(CHANNEL_WORKER_READY, 0, 50);
    for (int i = 0; i <= RECEIVER_ACK_TIMEOUT_MS / FED_SECOND; i++) {
        fed_say_type(0, CHANNEL_BEAT, first);
        fed_say_type(1, CHANNEL_BEAT, second); /* it lives, and that is not enough */
        fed_pass(1);
    }
    fed_expect_told(CHANNEL_WORKER_KILL, 1, 51);
    fed_expect_nothing_told();
    CU_ASSERT_EQUAL(fed.acknowledged, 1);
    fed_end();
}

/* One that reads nothing, and whose channel was full already. */
static void test_takes_nothing(void)
{
    const struct channel_message filler = {.type = CHANNEL_TOKEN_ANSWER};
    struct error e;
    uint64_t session;

    fed_begin();
    fed_tell(1, 0, false, false);
    session = fed_arrive(0, 50);
    while (channel_send(fed.channels[0][0], &filler, -1, &e) == 0)
        ;
    fed_publish_one(1, 3);
    for (int i = 0; i < RECEIVER_ACK_TIMEOUT_MS / FED_SECOND; i++) {
        fed_expect_nothing_told();
        fed_say_type(0, CHANNEL_BEAT, session);
        fed_pass(1);
    }
    fed_expect_told(CHANNEL_WORKER_KILL, 0, 50);
    fed_end();
}

static void test_stops_beating(void)
{
    uint64_t first;

    fed_begin();
    first = fed_arrive(0, 50);
    fed_arrive(1, 51);
    for (int i = 0; i <= WORKERS_SILENT_SECONDS; i++) {
        fed_say_type(0, CHANNEL_BEAT, first);
        fed_pass(1);
    }
    fed_expect_told(CHANNEL_WORKER_KILL, 1, 51);
    fed_expect_nothing_told();
    fed_end();
}

/* What the supervisor cannot be told now it is told when there is room. */
static void test_full_supervisor(void)
{
    const struct channel_message beat = {.type = CHANNEL_SNI_SEEN};
    struct channel_message m;
    struct error e;
    uint64_t session;

    fed_begin();
    session = fed_arrive(0, 50);
    fed_tell(1, 51, false, true);
    while (channel_send(fed.supervisor[0], &beat, -1, &e) == 0)
        ;
    fed_publish_one(1, 3);
    fed_acknowledge(0, session, 1);
    fed_pass(WORKERS_START_TIMEOUT_MS / FED_SECOND - 1);
    while ((m = fed_take_from(fed.supervisor[1])).type == CHANNEL_SNI_SEEN)
        ;
    CU_ASSERT_EQUAL(m.type, 0);
    fed_say_type(0, CHANNEL_BEAT, session);
    fed_pass(1);
    fed_expect_told(CHANNEL_WORKER_READY, 0, 50);
    fed_expect_told(CHANNEL_WORKER_KILL, 1, 51);
    fed_end();
}

static size_t count_descriptors(void)
{
    DIR *all = opendir("/proc/self/fd");
    size_t count = 0;

    while (all && readdir(all))
        count++;
    CU_ASSERT_PTR_NOT_NULL_FATAL(all);
    closedir(all);
    return count;
}

/* Its successors die again and again, some with a greeting or a whole generation unread. */
static void test_crash_loop(void)
{
    uint64_t session, generation = 1;
    size_t before;

    fed_begin();
    fed_tell(1, 0, false, false);
    fed_publish_large(generation);
    fed_arrive(0, 50);
    before = count_descriptors();
    for (int64_t pid = 51; pid < 231; pid++) {
        fed_tell(0, 0, false, false);
        fed_tell(0, pid, false, true);
        if (pid % 3)
            fed_say_type(0, CHANNEL_HELLO, 0);
        if (pid % 3 == 2)
            fed_greet(0);
        generation++;
        fed_publish_large(generation);
    }
    fed_tell(0, 0, false, false);
    session = fed_arrive(0, 300);
    CU_ASSERT_EQUAL(count_descriptors(), before);
    CU_ASSERT_EQUAL(fed_take_type(0, CHANNEL_MANIFEST).u.manifest.generation, generation);
    fed_acknowledge(0, session, generation);
    CU_ASSERT_EQUAL(feed_current(fed.feed), 1);
    fed_expect_told(CHANNEL_WORKER_READY, 0, 300);
    fed_expect_nothing_told();
    fed_end();
}

/* ---- what workers may do to their channels ---- */

#define ATTACHED 6 /* more than are taken at a time */

/* An empty message, one with descriptors, garbage: the slot goes on, and nothing leaks. */
static void test_garbage(void)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(ATTACHED * sizeof(int))];
    } control = {0};
    struct msghdr header = {.msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);
    uint64_t session;
    size_t before;

    fed_begin();
    session = fed_arrive(0, 50);
    fed_publish_one(1, 3);
    before = count_descriptors();
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(ATTACHED * sizeof(int));
    for (size_t i = 0; i < ATTACHED; i++)
        memcpy(CMSG_DATA(c) + i * sizeof(int), &fed.channels[0][1], sizeof(int));
    for (int i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL(sendmsg(fed.channels[0][1], &header, MSG_NOSIGNAL), 0);
        CU_ASSERT_EQUAL(send(fed.channels[0][1], "", 0, MSG_NOSIGNAL), 0);
        CU_ASSERT_EQUAL(send(fed.channels[0][1], "garbage", 7, MSG_NOSIGNAL), 7);
    }
    for (int i = 0; i < 10; i++)
        fed_turn();
    CU_ASSERT_EQUAL(count_descriptors(), before);
    fed_say_type(0, CHANNEL_STOP, session); /* sound, but not a worker's to say */
    fed_acknowledge(0, session, 1);
    CU_ASSERT_EQUAL(feed_current(fed.feed), 1);
    fed_end();
}

/* One that shuts its end, either way, is replaced, and its successor is heard. */
static void test_shut(void)
{
    static const int ways[] = {SHUT_WR, SHUT_RD, SHUT_RDWR};
    uint64_t session, generation = 1;

    fed_begin();
    fed_tell(1, 0, false, false);
    fed_publish_one(generation, generation);
    for (size_t i = 0; i < 3; i++) {
        session = fed_arrive(0, 50);
        fed_acknowledge(0, session, generation);
        fed_expect_told(CHANNEL_WORKER_READY, 0, 50);
        CU_ASSERT_EQUAL(shutdown(fed.channels[0][1], ways[i]), 0);
        generation++;
        fed_publish_one(generation, generation);
        fed_wait_for(generation);
        fed_pass(2 * WORKERS_END_MS / FED_SECOND);
        fed_expect_told(CHANNEL_WORKER_KILL, 0, 50);
        fed_tell(0, 0, false, false);
        session = fed_arrive(0, 60);
        fed_acknowledge(0, session, generation);
        CU_ASSERT_EQUAL(feed_current(fed.feed), 1);
        CU_ASSERT_EQUAL(fed.acknowledged, (int)i + 1);
        fed_expect_told(CHANNEL_WORKER_READY, 0, 60);
        fed_expect_nothing_told();
    }
    fed_end();
}

/* Of one that has died the supervisor tells, maybe a little later: it was not silent. */
static void test_death(void)
{
    uint64_t session;

    fed_begin();
    fed_tell(1, 0, false, false);
    fed_publish_one(1, 1);
    session = fed_arrive(0, 50);
    fed_acknowledge(0, session, 1);
    fed_expect_told(CHANNEL_WORKER_READY, 0, 50);
    shutdown(fed.channels[0][1], SHUT_RDWR);
    fed_turn();
    fed_wait_for(1);
    CU_ASSERT_EQUAL(fed.acknowledged, 0); /* it may serve, and cannot be told */
    fed_tell(0, 0, false, false);
    fed_tell(0, 51, false, true);
    shutdown(fed.channels[0][1], SHUT_RDWR); /* and its successor at once */
    fed_turn();
    fed_tell(0, 0, false, false);
    fed_pass(WORKERS_START_TIMEOUT_MS / FED_SECOND);
    fed_acknowledge(0, fed_arrive(0, 52), 1);
    fed_expect_told(CHANNEL_WORKER_READY, 0, 52);
    fed_expect_nothing_told();
    CU_ASSERT_EQUAL(fed.acknowledged, 1);
    fed_end();
}

/* One that talks without end leaves others their turn. */
static void test_flood(void)
{
    struct channel_message m = {.type = CHANNEL_SNI_SEEN, .u.sni = {.name = "a.example"}};
    struct error e;

    fed_begin();
    m.session = fed_arrive(0, 50);
    for (int i = 0; i < 4 * WORKERS_BATCH; i++)
        CU_ASSERT_EQUAL(channel_send(fed.channels[0][1], &m, -1, &e), 0);
    event_base_loop(fed.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    CU_ASSERT_EQUAL(fed.seen_count, WORKERS_BATCH);
    fed_end();
}

/* ---- the other messages ---- */

static void test_messages(void)
{
    struct channel_message m = {
        .type = CHANNEL_SNI_SEEN,
        .u.sni = {.name = "a.example", .from = {.family = 2, .bytes = {192, 0, 2, 1}}}};
    uint64_t session;

    fed_begin();
    session = fed_greet(0);
    fed_say(0, m, session + 1);
    CU_ASSERT_STRING_EQUAL(fed.seen, "");
    fed_say(0, m, session);
    CU_ASSERT_STRING_EQUAL(fed.seen, "a.example");
    CU_ASSERT_TRUE(address_block_equal(&fed.seen_from, &m.u.sni.from));
    m = (struct channel_message){.type = CHANNEL_TOKEN_MISS,
                                 .u.token = {.name = "a.example", .token = "tok"}};
    fed_say(0, m, session);
    CU_ASSERT_STRING_EQUAL(fed.missed, "0/a.example/tok");
    workers_answer_token(fed.workers, 0, STR("a.example"), STR("tok"), STR("tok.thumb"));
    m = fed_take_type(0, CHANNEL_TOKEN_ANSWER);
    CU_ASSERT_STRING_EQUAL(m.u.token.answer, "tok.thumb");
    CU_ASSERT_STRING_EQUAL(m.u.token.token, "tok");
    fed_end();
}

int main(void)
{
    CU_TestInfo deadlines[] = {{"silent from before", test_silent_from_before},
                               {"never greets", test_never_greets},
                               {"greets without end", test_greets_without_end},
                               {"does not acknowledge", test_does_not_acknowledge},
                               {"takes nothing", test_takes_nothing},
                               {"stops beating", test_stops_beating},
                               {"a full supervisor", test_full_supervisor},
                               {"a crash loop", test_crash_loop},
                               CU_TEST_INFO_NULL};
    CU_TestInfo harm[] = {{"garbage", test_garbage},         {"a shut channel", test_shut},
                          {"a death", test_death},           {"a flood", test_flood},
                          {"other messages", test_messages}, CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{"deadlines", NULL, NULL, NULL, NULL, deadlines},
                             {"harm", NULL, NULL, NULL, NULL, harm},
                             CU_SUITE_INFO_NULL};

    return fed_run(suites);
}
