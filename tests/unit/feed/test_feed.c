/* Control's side of the channels: sessions, generations, acknowledgements. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <event2/event.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reconciler/base/channel.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/log.h"
#include "reconciler/feed/feed.h"

static struct event_base *base;
static struct feed *feed;
static int channels[2][2]; /* slot, end: 0 control's, 1 the worker's */
static int supervisor[2];
static char seen[64], missed[64];
static struct address_block seen_from;
static int acknowledged;

static void on_missed(void *context, size_t slot, struct str host, struct str token)
{
    (void)context;
    (void)slot;
    snprintf(missed, sizeof(missed), "%.*s/%.*s", STR_ARG(host), STR_ARG(token));
}

static void on_seen(void *context, struct str name, const struct address_block *from)
{
    (void)context;
    snprintf(seen, sizeof(seen), "%.*s", STR_ARG(name));
    seen_from = *from;
}

static void on_acknowledged(void *context)
{
    (void)context;
    acknowledged++;
}

static void turn(void)
{
    event_base_loop(base, EVLOOP_NONBLOCK);
}

static void begin(void)
{
    int ends[2];
    struct error e;

    for (size_t i = 0; i < 2; i++)
        CU_ASSERT_EQUAL_FATAL(channel_pair(channels[i], &e), 0);
    CU_ASSERT_EQUAL_FATAL(channel_pair(supervisor, &e), 0);
    ends[0] = channels[0][0];
    ends[1] = channels[1][0];
    acknowledged = 0;
    feed = feed_new(&(struct feed_options){.base = base,
                                           .channels = ends,
                                           .count = 2,
                                           .supervisor = supervisor[0],
                                           .token_missed = on_missed,
                                           .sni_seen = on_seen},
                    &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(feed);
}

static void end(void)
{
    feed_free(feed);
    for (size_t i = 0; i < 2; i++) {
        close(channels[i][0]);
        close(channels[i][1]);
    }
    close(supervisor[0]);
    close(supervisor[1]);
}

/* The next message at the worker's end; type 0 when there is none. */
static struct channel_message take(size_t slot)
{
    struct channel_message m;
    struct error e;
    int fd;

    if (channel_receive(channels[slot][1], &m, &fd, &e) != 1)
        return (struct channel_message){0};
    if (fd >= 0)
        close(fd);
    return m;
}

static struct channel_message take_type(size_t slot, enum channel_type type)
{
    struct channel_message m;

    while ((m = take(slot)).type && m.type != type)
        ;
    return m;
}

static void say(size_t slot, struct channel_message m, uint64_t session)
{
    struct error e;

    m.session = session;
    CU_ASSERT_EQUAL(channel_send(channels[slot][1], &m, -1, &e), 0);
    turn();
}

static uint64_t greet(size_t slot, int64_t pid)
{
    struct channel_message hello = {.type = CHANNEL_HELLO, .u.hello = {.pid = pid}};
    uint64_t session = take_type(slot, CHANNEL_RESET).session;

    CU_ASSERT_NOT_EQUAL(session, 0);
    say(slot, hello, session);
    return session;
}

static void publish(uint64_t generation, const uint64_t *ids, size_t count)
{
    struct feed_segment segments[8];
    struct error e;

    for (size_t i = 0; i < count; i++) {
        segments[i] = (struct feed_segment){
            .id = ids[i], .size = 1, .fd = memfd_create("segment", MFD_CLOEXEC)};
        CU_ASSERT_FATAL(segments[i].fd >= 0);
    }
    CU_ASSERT_EQUAL(feed_publish(feed, generation, segments, count, &e), 0);
    for (size_t i = 0; i < count; i++)
        close(segments[i].fd); /* the feed has its own */
}

static void acknowledge(size_t slot, uint64_t session, uint64_t generation)
{
    say(slot, (struct channel_message){.type = CHANNEL_ACK, .u.ack = {.generation = generation}},
        session);
}

static void test_session(void)
{
    struct channel_message m;
    uint64_t session;

    begin();
    publish(1, (const uint64_t[]){7, 5}, 2);
    session = greet(0, 42);
    CU_ASSERT_EQUAL(take(0).type, CHANNEL_TICKET_KEYS_SET);
    CU_ASSERT_EQUAL((m = take(0)).type, CHANNEL_SEGMENT);
    CU_ASSERT_EQUAL(m.u.segment.id, 7);
    CU_ASSERT_EQUAL(m.session, session);
    CU_ASSERT_EQUAL((m = take(0)).type, CHANNEL_SEGMENT);
    CU_ASSERT_EQUAL(m.u.segment.id, 5);
    CU_ASSERT_EQUAL((m = take(0)).type, CHANNEL_MANIFEST);
    CU_ASSERT_EQUAL(m.u.manifest.generation, 1);
    CU_ASSERT_EQUAL(m.u.manifest.count, 2);
    CU_ASSERT_EQUAL(m.u.manifest.ids[0], 7);
    CU_ASSERT_EQUAL(take(0).type, 0);
    /* the next generation brings only what is new */
    publish(2, (const uint64_t[]){9, 5}, 2);
    CU_ASSERT_EQUAL((m = take(0)).u.segment.id, 9);
    CU_ASSERT_EQUAL((m = take(0)).type, CHANNEL_MANIFEST);
    CU_ASSERT_EQUAL(m.u.manifest.generation, 2);
    /* a dropped one that comes back is sent again */
    publish(3, (const uint64_t[]){7, 9}, 2);
    CU_ASSERT_EQUAL((m = take(0)).u.segment.id, 7);
    CU_ASSERT_EQUAL(take(0).type, CHANNEL_MANIFEST);
    end();
}

/* A worker that starts anew in the slot gets everything, and nothing of the old one counts. */
static void test_replacement(void)
{
    struct channel_message m;
    uint64_t before, session;

    begin();
    publish(1, (const uint64_t[]){3}, 1);
    before = greet(0, 42);
    take_type(0, CHANNEL_MANIFEST);
    say(0, (struct channel_message){.type = CHANNEL_HELLO, .u.hello = {.pid = 43}}, 0);
    CU_ASSERT_EQUAL(feed_live(feed), 0);
    m = take_type(0, CHANNEL_RESET);
    session = m.session;
    CU_ASSERT(session > before);
    acknowledge(0, before, 1); /* of the dead one */
    CU_ASSERT_EQUAL(feed_current(feed), 0);
    say(0, (struct channel_message){.type = CHANNEL_HELLO, .u.hello = {.pid = 43}}, session);
    CU_ASSERT_EQUAL(feed_live(feed), 1);
    CU_ASSERT_EQUAL(take_type(0, CHANNEL_SEGMENT).u.segment.id, 3);
    acknowledge(0, session, 1);
    CU_ASSERT_EQUAL(feed_current(feed), 1);
    end();
}

/* A worker that greets before it has read anything: one exchange settles it. */
static void test_crossed_greetings(void)
{
    const struct channel_message hello = {.type = CHANNEL_HELLO, .u.hello = {.pid = 42}};
    struct channel_message m;
    uint64_t first, second;

    begin();
    first = take_type(0, CHANNEL_RESET).session;
    say(0, hello, 0);
    say(0, hello, first);
    m = take_type(0, CHANNEL_RESET);
    second = m.session;
    CU_ASSERT(second > first);
    say(0, hello, second);
    CU_ASSERT_EQUAL(feed_live(feed), 1);
    CU_ASSERT_EQUAL(take_type(0, CHANNEL_RESET).type, 0);
    end();
}

/* Done when every live worker has acknowledged, and none is awaited from before our start. */
static void test_acknowledgement(void)
{
    struct channel_message m;
    struct error e;
    uint64_t first, second;
    int fd;

    begin();
    publish(1, (const uint64_t[]){3}, 1);
    CU_ASSERT_EQUAL(feed_when_acknowledged(feed, 1, on_acknowledged, NULL), 0);
    CU_ASSERT_EQUAL(acknowledged, 0); /* there is nobody yet */
    first = greet(0, 42);
    acknowledge(0, first, 1);
    CU_ASSERT_EQUAL(acknowledged, 0); /* the other slot may serve a predecessor's generation */
    second = greet(1, 43);
    CU_ASSERT_EQUAL(acknowledged, 0);
    acknowledge(1, second, 1);
    CU_ASSERT_EQUAL(acknowledged, 1);
    publish(2, (const uint64_t[]){4}, 1);
    CU_ASSERT_EQUAL(feed_when_acknowledged(feed, 2, on_acknowledged, NULL), 0);
    acknowledge(0, first, 2);
    CU_ASSERT_EQUAL(acknowledged, 1);
    CU_ASSERT_EQUAL(channel_receive(supervisor[1], &m, &fd, &e), 1);
    CU_ASSERT_EQUAL(m.type, CHANNEL_WORKER_READY);
    CU_ASSERT_EQUAL(m.u.worker.pid, 42);
    acknowledge(1, second, 1); /* an older one */
    CU_ASSERT_EQUAL(acknowledged, 1);
    publish(3, (const uint64_t[]){5}, 1);
    acknowledge(1, second, 3); /* a later one will do */
    CU_ASSERT_EQUAL(acknowledged, 2);
    end();
}

static void test_worker_dies_while_waited_for(void)
{
    uint64_t other;

    begin();
    greet(0, 42);
    other = greet(1, 43);
    publish(1, (const uint64_t[]){3}, 1);
    CU_ASSERT_EQUAL(feed_when_acknowledged(feed, 1, on_acknowledged, NULL), 0);
    acknowledge(1, other, 1);
    CU_ASSERT_EQUAL(acknowledged, 0);
    say(0, (struct channel_message){.type = CHANNEL_HELLO, .u.hello = {.pid = 44}}, 0);
    CU_ASSERT_EQUAL(acknowledged, 1);
    end();
}

/* A slot that stays silent is killed, whoever is in it, and then holds nobody up. */
static void test_silent_slot(void)
{
    struct channel_message m = {0};
    struct error e;
    int fd;

    begin();
    publish(1, (const uint64_t[]){3}, 1);
    acknowledge(0, greet(0, 42), 1);
    CU_ASSERT_EQUAL(channel_receive(supervisor[1], &m, &fd, &e), 1);
    CU_ASSERT_EQUAL(m.type, CHANNEL_WORKER_READY);
    CU_ASSERT_EQUAL(feed_when_acknowledged(feed, 1, on_acknowledged, NULL), 0);
    CU_ASSERT_EQUAL(acknowledged, 0);
    for (int64_t start = clock_steady_ms();
         !acknowledged && clock_steady_ms() - start < 3 * FEED_ACK_TIMEOUT_MS;)
        event_base_loop(base, EVLOOP_ONCE);
    CU_ASSERT_EQUAL(acknowledged, 1);
    CU_ASSERT_EQUAL(channel_receive(supervisor[1], &m, &fd, &e), 1);
    CU_ASSERT_EQUAL(m.type, CHANNEL_WORKER_KILL);
    CU_ASSERT_EQUAL(m.u.worker.slot, 1);
    CU_ASSERT_EQUAL(m.u.worker.pid, 0);
    end();
}

/* Generation after generation: a worker that acknowledges the one before the last is alive. */
static void test_slot_that_lags(void)
{
    struct channel_message m;
    struct error e;
    uint64_t session, generation = 1;
    int fd;

    begin();
    session = greet(0, 42);
    say(1, (struct channel_message){.type = CHANNEL_HELLO, .u.hello = {.pid = 43}},
        take_type(1, CHANNEL_RESET).session);
    publish(generation, (const uint64_t[]){3}, 1);
    for (int64_t start = clock_steady_ms();
         clock_steady_ms() - start < FEED_ACK_TIMEOUT_MS + 2000;) {
        publish(generation + 1, (const uint64_t[]){3 + generation}, 1);
        acknowledge(0, session, generation++);
        event_base_loop(base, EVLOOP_ONCE);
    }
    CU_ASSERT_EQUAL(channel_receive(supervisor[1], &m, &fd, &e), 1);
    CU_ASSERT_EQUAL(m.type, CHANNEL_WORKER_KILL);
    CU_ASSERT_EQUAL(m.u.worker.slot, 1); /* the silent one */
    CU_ASSERT_EQUAL(channel_receive(supervisor[1], &m, &fd, &e), 0);
    end();
}

static void test_messages(void)
{
    struct channel_message m = {
        .type = CHANNEL_SNI_SEEN,
        .u.sni = {.name = "a.example", .from = {.family = 2, .bytes = {192, 0, 2, 1}}}};
    uint64_t session;

    begin();
    session = greet(0, 42);
    say(0, m, session + 1);
    CU_ASSERT_STRING_EQUAL(seen, "");
    say(0, m, session);
    CU_ASSERT_STRING_EQUAL(seen, "a.example");
    CU_ASSERT_TRUE(address_block_equal(&seen_from, &m.u.sni.from));
    m = (struct channel_message){.type = CHANNEL_TOKEN_MISS,
                                 .u.token = {.name = "a.example", .token = "tok"}};
    say(0, m, session);
    CU_ASSERT_STRING_EQUAL(missed, "a.example/tok");
    feed_answer_token(feed, 0, STR("a.example"), STR("tok"), STR("tok.thumb"));
    m = take_type(0, CHANNEL_TOKEN_ANSWER);
    CU_ASSERT_STRING_EQUAL(m.u.token.answer, "tok.thumb");
    CU_ASSERT_STRING_EQUAL(m.u.token.token, "tok");
    end();
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    base = event_base_new();
    log_open("test", LOG_CRIT, LOG_KEY_VALUE);
    if (!base || CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("feed", NULL, NULL);
    CU_add_test(suite, "session", test_session);
    CU_add_test(suite, "replacement", test_replacement);
    CU_add_test(suite, "crossed greetings", test_crossed_greetings);
    CU_add_test(suite, "acknowledgement", test_acknowledgement);
    CU_add_test(suite, "a worker dies while waited for", test_worker_dies_while_waited_for);
    CU_add_test(suite, "a silent slot", test_silent_slot);
    CU_add_test(suite, "a slot that lags", test_slot_that_lags);
    CU_add_test(suite, "messages", test_messages);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    event_base_free(base);
    return rc;
}
