/* The workers of this machine as receivers: what they are sent, and what they acknowledge. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reconciler/base/channel.h"
#include "reconciler/feed/feed.h"
#include "reconciler/feed/workers.h"
#include "tests/fakes/fed.h"

/* ---- what a worker is sent ---- */

static void test_generations(void)
{
    struct channel_message m;
    uint64_t session;

    fed_begin();
    fed_publish(1, (const uint64_t[]){7, 5}, 2);
    session = fed_greet(0);
    CU_ASSERT_EQUAL(fed_take(0).type, CHANNEL_TICKET_KEYS_SET);
    CU_ASSERT_EQUAL((m = fed_take(0)).type, CHANNEL_SEGMENT);
    CU_ASSERT_EQUAL(m.u.segment.id, 7);
    CU_ASSERT_EQUAL(m.session, session);
    CU_ASSERT_EQUAL(fed_take(0).u.segment.id, 5);
    fed_expect_manifest(0, 1);
    CU_ASSERT_EQUAL(fed_take(0).type, 0);
    fed_acknowledge(0, session, 1);
    /* The next generation brings only what is new, and one that comes back is sent again. */
    fed_publish(2, (const uint64_t[]){9, 5}, 2);
    CU_ASSERT_EQUAL(fed_take(0).u.segment.id, 9);
    fed_expect_manifest(0, 2);
    fed_acknowledge(0, session, 2);
    fed_publish(3, (const uint64_t[]){7, 9}, 2);
    CU_ASSERT_EQUAL(fed_take(0).u.segment.id, 7);
    fed_expect_manifest(0, 3);
    fed_end();
}

/* While one is under way, those that follow wait; then it gets the newest, and no other. */
static void test_one_at_a_time(void)
{
    uint64_t session;

    fed_begin();
    session = fed_arrive(0, 50);
    for (uint64_t generation = 1; generation <= 400; generation++)
        fed_publish_large(generation);
    CU_ASSERT_EQUAL(fed_take_type(0, CHANNEL_MANIFEST).u.manifest.generation, 1);
    CU_ASSERT_EQUAL(fed_take(0).type, 0);
    fed_acknowledge(0, session, 399); /* was never sent */
    CU_ASSERT_EQUAL(fed_take(0).type, 0);
    CU_ASSERT_EQUAL(feed_current(fed.feed), 0);
    fed_acknowledge(0, session, 1);
    CU_ASSERT_EQUAL(fed_take_type(0, CHANNEL_MANIFEST).u.manifest.generation, 400);
    fed_acknowledge(0, session, 400);
    CU_ASSERT_EQUAL(fed_take(0).type, 0);
    CU_ASSERT_EQUAL(feed_current(fed.feed), 1);
    fed_end();
}

/* Generation after generation: who is behind, because there are so many, is not late. */
static void test_always_behind(void)
{
    uint64_t session;

    fed_begin();
    session = fed_arrive(0, 50);
    for (uint64_t generation = 1; generation < 20; generation++) {
        fed_publish_one(generation, generation);
        fed_pass(1);
        fed_acknowledge(0, session, generation);
        fed_say_type(0, CHANNEL_BEAT, session);
    }
    fed_expect_told(CHANNEL_WORKER_READY, 0, 50);
    fed_expect_told(CHANNEL_WORKER_KILL, 1, 41); /* which was there, and never greeted us */
    fed_expect_nothing_told();
    fed_end();
}

static void test_tickets(void)
{
    struct channel_message first, second;
    uint64_t session;

    fed_begin();
    session = fed_arrive(0, 50);
    first = fed_take_type(0, CHANNEL_TICKET_KEYS_SET);
    CU_ASSERT_EQUAL(first.u.tickets.count, 1);
    for (int i = 0; i < 3600; i++) {
        fed_say_type(0, CHANNEL_BEAT, session);
        fed_pass(1);
    }
    second = fed_take_type(0, CHANNEL_TICKET_KEYS_SET);
    CU_ASSERT_EQUAL(second.u.tickets.count, 2);
    CU_ASSERT_EQUAL(
        memcmp(second.u.tickets.keys[1], first.u.tickets.keys[0], CHANNEL_TICKET_KEY_SIZE), 0);
    fed_end();
}

/* Where descriptors are out, the generation before stays: nobody gets half a one. */
static void test_no_descriptors(void)
{
    struct channel_segment segments[3] = {{.id = 1}, {.id = 2}, {.id = 3}};
    struct error e;
    uint64_t session;
    int before, fd = memfd_create("segment", MFD_CLOEXEC);

    fed_begin();
    session = fed_arrive(0, 50);
    segments[0].fd = segments[1].fd = fd;
    segments[2].fd = -1;
    CU_ASSERT_EQUAL(feed_publish(fed.feed, 1, segments, 1, &e), 0);
    before = dup(fd);
    close(before);
    CU_ASSERT_EQUAL(feed_publish(fed.feed, 2, segments, 3, &e), -1);
    CU_ASSERT_EQUAL(fcntl(before, F_GETFD), -1); /* nothing is left open */
    fed_take_type(0, CHANNEL_MANIFEST);
    fed_acknowledge(0, session, 1);
    CU_ASSERT_EQUAL(feed_current(fed.feed), 1);
    CU_ASSERT_EQUAL(fed_take(0).type, 0);
    fed_tell(1, 51, false, true);
    fed_say_type(1, CHANNEL_HELLO, 0);
    fed_greet(1);
    CU_ASSERT_EQUAL(fed_take_type(1, CHANNEL_MANIFEST).u.manifest.generation, 1);
    close(fd);
    fed_end();
}

/* ---- sessions ---- */

/* A worker that begins anew gets everything, and nothing of before counts. */
static void test_new_session(void)
{
    uint64_t before, session;

    fed_begin();
    fed_publish_one(1, 3);
    before = fed_greet(0);
    fed_take_type(0, CHANNEL_MANIFEST);
    fed_say_type(0, CHANNEL_HELLO, 0);
    session = fed_take_type(0, CHANNEL_RESET).session;
    CU_ASSERT(session > before);
    fed_acknowledge(0, before, 1);
    CU_ASSERT_EQUAL(feed_current(fed.feed), 0);
    fed_say_type(0, CHANNEL_HELLO, session);
    CU_ASSERT_EQUAL(fed_take_type(0, CHANNEL_SEGMENT).u.segment.id, 3);
    fed_acknowledge(0, session, 1);
    CU_ASSERT_EQUAL(feed_current(fed.feed), 1);
    fed_end();
}

/* One that greets before it has read anything: one exchange settles it. */
static void test_crossed_greetings(void)
{
    uint64_t first, second;

    fed_begin();
    first = fed_take_type(0, CHANNEL_RESET).session;
    fed_say_type(0, CHANNEL_HELLO, 0);
    fed_say_type(0, CHANNEL_HELLO, first);
    second = fed_take_type(0, CHANNEL_RESET).session;
    CU_ASSERT(second > first);
    fed_publish_one(1, 3);
    CU_ASSERT_EQUAL(fed_take(0).type, 0);
    fed_say_type(0, CHANNEL_HELLO, second);
    CU_ASSERT_EQUAL(fed_take_type(0, CHANNEL_MANIFEST).u.manifest.generation, 1);
    CU_ASSERT_EQUAL(fed_take(0).type, 0);
    fed_end();
}

/* A RESET that finds no room is owed, and comes first when there is some. */
static void test_reset_into_a_full_channel(void)
{
    const struct channel_message filler = {.type = CHANNEL_TOKEN_ANSWER};
    struct channel_message m;
    struct error e;
    uint64_t session;
    int passed = 0;

    fed_begin();
    fed_publish_one(1, 3);
    session = fed_greet(0);
    fed_acknowledge(0, session, 1);
    while (channel_send(fed.channels[0][0], &filler, -1, &e) == 0)
        ;
    fed_say_type(0, CHANNEL_HELLO, 0); /* it begins anew, and has read nothing */
    fed_pass(2);
    while ((m = fed_take(0)).type && m.session <= session)
        passed++;
    CU_ASSERT(passed > 100);
    CU_ASSERT_EQUAL(m.type, CHANNEL_RESET);
    fed_say_type(0, CHANNEL_HELLO, m.session);
    fed_take_type(0, CHANNEL_MANIFEST);
    fed_acknowledge(0, m.session, 1);
    CU_ASSERT_EQUAL(feed_current(fed.feed), 1);
    fed_end();
}

/* A generation for which there is no room goes out as there is. */
static void test_generation_into_a_full_channel(void)
{
    const struct channel_message filler = {.type = CHANNEL_TOKEN_ANSWER};
    struct channel_message m;
    struct error e;
    uint64_t session;
    size_t segments = 0;

    fed_begin();
    session = fed_arrive(0, 50);
    fed_take_type(0, CHANNEL_TICKET_KEYS_SET);
    while (channel_send(fed.channels[0][0], &filler, -1, &e) == 0)
        ;
    fed_publish_large(1);
    while ((m = fed_take(0)).type && m.type != CHANNEL_MANIFEST)
        segments += m.type == CHANNEL_SEGMENT;
    CU_ASSERT_EQUAL(m.type, CHANNEL_MANIFEST);
    CU_ASSERT_EQUAL(segments, FED_LARGE);
    fed_acknowledge(0, session, 1);
    CU_ASSERT_EQUAL(feed_current(fed.feed), 1);
    fed_end();
}

/* ---- acknowledgements ---- */

/* Done when all who live have acknowledged, and none is awaited from before our start. */
static void test_acknowledgement(void)
{
    uint64_t first, second;

    fed_begin();
    fed_publish_one(1, 3);
    fed_wait_for(1);
    CU_ASSERT_EQUAL(fed.acknowledged, 0); /* nobody has said a word */
    first = fed_greet(0);
    fed_acknowledge(0, first, 1);
    CU_ASSERT_EQUAL(fed.acknowledged, 0); /* the other slot may serve a predecessor's generation */
    second = fed_greet(1);
    CU_ASSERT_EQUAL(fed.acknowledged, 0);
    fed_acknowledge(1, second, 1);
    CU_ASSERT_EQUAL(fed.acknowledged, 1);
    fed_publish_one(2, 4);
    fed_wait_for(2);
    fed_acknowledge(0, first, 2);
    CU_ASSERT_EQUAL(fed.acknowledged, 1);
    fed_acknowledge(1, second, 1); /* an older one */
    CU_ASSERT_EQUAL(fed.acknowledged, 1);
    fed_publish_one(3, 5);
    fed_acknowledge(0, first, 3);
    fed_acknowledge(1, second, 2);
    fed_acknowledge(1, second, 3); /* a later one will do */
    CU_ASSERT_EQUAL(fed.acknowledged, 2);
    fed_wait_for(3);
    CU_ASSERT_EQUAL(fed.acknowledged, 3); /* at once */
    fed_expect_told(CHANNEL_WORKER_READY, 0, 40);
    fed_expect_told(CHANNEL_WORKER_READY, 1, 41);
    fed_expect_nothing_told();
    fed_end();
}

/* Who dies, or accepts no more, is not waited for; with nobody left, nothing is acknowledged. */
static void test_leaving(void)
{
    uint64_t first, second;

    fed_begin();
    first = fed_arrive(0, 50);
    second = fed_arrive(1, 51);
    fed_publish_one(1, 3);
    fed_wait_for(1);
    fed_acknowledge(1, second, 1);
    CU_ASSERT_EQUAL(fed.acknowledged, 0);
    fed_tell(0, 0, false, false);
    CU_ASSERT_EQUAL(fed.acknowledged, 1);
    first = fed_arrive(0, 52);
    fed_publish_one(2, 4);
    fed_wait_for(2);
    fed_acknowledge(1, second, 2);
    CU_ASSERT_EQUAL(fed.acknowledged, 1);
    fed_say_type(0, CHANNEL_DRAINS, first);
    CU_ASSERT_EQUAL(fed.acknowledged, 2);
    fed_tell(0, 0, false, false);
    fed_tell(1, 0, false, false);
    fed_wait_for(2);
    CU_ASSERT_EQUAL(fed.acknowledged, 2);
    fed_end();
}

/* After an upgrade: as long as an old worker accepts, who cannot be told of anything. */
static void test_old_workers(void)
{
    uint64_t first, second;

    fed_begin_untold();
    fed_tell(0, 0, true, false);
    fed_tell(1, 0, true, false);
    fed_publish_one(1, 3);
    fed_wait_for(1);
    fed_pass(WORKERS_START_TIMEOUT_MS / FED_SECOND + 1);
    fed_expect_nothing_told(); /* nobody else is there to be killed */
    fed_tell(0, 50, true, true);
    fed_say_type(0, CHANNEL_HELLO, 0);
    first = fed_greet(0);
    fed_acknowledge(0, first, 1);
    fed_tell(1, 51, true, true);
    fed_say_type(1, CHANNEL_HELLO, 0);
    second = fed_greet(1);
    fed_acknowledge(1, second, 1);
    fed_expect_told(CHANNEL_WORKER_READY, 0, 50);
    fed_expect_told(CHANNEL_WORKER_READY, 1, 51);
    CU_ASSERT_EQUAL(fed.acknowledged, 0);
    fed_tell(1, 51, false, false);
    CU_ASSERT_EQUAL(fed.acknowledged, 0);
    fed_tell(0, 50, false, false);
    CU_ASSERT_EQUAL(fed.acknowledged, 1);
    fed_end();
}

int main(void)
{
    CU_TestInfo sent[] = {
        {"generations", test_generations},       {"one at a time", test_one_at_a_time},
        {"always behind", test_always_behind},   {"ticket keys", test_tickets},
        {"no descriptors", test_no_descriptors}, CU_TEST_INFO_NULL};
    CU_TestInfo sessions[] = {
        {"a new session", test_new_session},
        {"crossed greetings", test_crossed_greetings},
        {"a reset into a full channel", test_reset_into_a_full_channel},
        {"a generation into a full channel", test_generation_into_a_full_channel},
        CU_TEST_INFO_NULL};
    CU_TestInfo acknowledgements[] = {{"acknowledgement", test_acknowledgement},
                                      {"leaving", test_leaving},
                                      {"old workers", test_old_workers},
                                      CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{"sent", NULL, NULL, NULL, NULL, sent},
                             {"sessions", NULL, NULL, NULL, NULL, sessions},
                             {"acknowledgements", NULL, NULL, NULL, NULL, acknowledgements},
                             CU_SUITE_INFO_NULL};

    return fed_run(suites);
}
