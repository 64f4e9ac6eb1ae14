#include "tests/fakes/fed.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <event2/event.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reconciler/base/log.h"
#include "reconciler/feed/feed.h"
#include "reconciler/feed/workers.h"
#include "tests/fakes/fake_time.h"

struct fed fed;

static void on_missed(void *context, size_t slot, struct str host, struct str token)
{
    (void)context;
    snprintf(fed.missed, sizeof(fed.missed), "%zu/%.*s/%.*s", slot, STR_ARG(host), STR_ARG(token));
}

static void on_seen(void *context, struct str name, const struct address_block *from)
{
    (void)context;
    fed.seen_count++;
    snprintf(fed.seen, sizeof(fed.seen), "%.*s", STR_ARG(name));
    fed.seen_from = *from;
}

static void on_acknowledged(void *context)
{
    (void)context;
    fed.acknowledged++;
}

void fed_turn(void)
{
    for (int i = 0; i < 8; i++)
        event_base_loop(fed.base, EVLOOP_NONBLOCK);
}

void fed_pass(int seconds)
{
    for (int i = 0; i < seconds; i++) {
        fake_time_pass(FED_SECOND);
        fed_turn();
    }
}

void fed_tell(uint32_t slot, int64_t pid, bool has_old, bool is_new)
{
    struct channel_message m = {.type = CHANNEL_SLOT, .u.slot = {slot, has_old, pid}};
    struct error e;

    if (is_new) {
        close(fed.channels[slot][1]);
        close(fed.channels[slot][0]);
        CU_ASSERT_EQUAL_FATAL(channel_pair(fed.channels[slot], &e), 0);
    }
    workers_told(fed.workers, &m, is_new ? dup(fed.channels[slot][0]) : -1);
    fed_turn();
}

void fed_begin_untold(void)
{
    int ends[FED_SLOTS];
    struct error e;

    for (size_t i = 0; i < FED_SLOTS; i++) {
        CU_ASSERT_EQUAL_FATAL(channel_pair(fed.channels[i], &e), 0);
        ends[i] = fed.channels[i][0];
    }
    CU_ASSERT_EQUAL_FATAL(channel_pair(fed.supervisor, &e), 0);
    fed.acknowledged = fed.seen_count = 0;
    fed.seen[0] = fed.missed[0] = '\0';
    fed.feed = feed_new(fed.base, -1, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(fed.feed);
    fed.workers = workers_new(&(struct workers_options){.base = fed.base,
                                                        .feed = fed.feed,
                                                        .channels = ends,
                                                        .count = FED_SLOTS,
                                                        .supervisor = fed.supervisor[0],
                                                        .token_missed = on_missed,
                                                        .sni_seen = on_seen},
                              &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(fed.workers);
}

void fed_begin(void)
{
    fed_begin_untold();
    fed_tell(0, 40, false, false);
    fed_tell(1, 41, false, false);
}

void fed_end(void)
{
    workers_free(fed.workers);
    feed_free(fed.feed);
    for (size_t i = 0; i < FED_SLOTS; i++) {
        close(fed.channels[i][0]);
        close(fed.channels[i][1]);
    }
    close(fed.supervisor[0]);
    close(fed.supervisor[1]);
}

struct channel_message fed_take_from(int channel)
{
    struct channel_message m;
    struct error e;
    int fd;

    fed_turn();
    if (channel_receive(channel, &m, &fd, &e) != 1)
        return (struct channel_message){0};
    if (fd >= 0)
        close(fd);
    return m;
}

struct channel_message fed_take(size_t slot)
{
    return fed_take_from(fed.channels[slot][1]);
}

struct channel_message fed_take_type(size_t slot, enum channel_type type)
{
    struct channel_message m;

    while ((m = fed_take(slot)).type && m.type != type)
        ;
    return m;
}

void fed_expect_told(enum channel_type type, uint32_t slot, int64_t pid)
{
    struct channel_message m = fed_take_from(fed.supervisor[1]);

    CU_ASSERT_EQUAL(m.type, type);
    CU_ASSERT_EQUAL(m.u.worker.slot, slot);
    CU_ASSERT_EQUAL(m.u.worker.pid, pid);
}

void fed_expect_nothing_told(void)
{
    CU_ASSERT_EQUAL(fed_take_from(fed.supervisor[1]).type, 0);
}

void fed_say(size_t slot, struct channel_message m, uint64_t session)
{
    struct error e;

    m.session = session;
    CU_ASSERT_EQUAL(channel_send(fed.channels[slot][1], &m, -1, &e), 0);
    fed_turn();
}

void fed_say_type(size_t slot, enum channel_type type, uint64_t session)
{
    fed_say(slot, (struct channel_message){.type = type}, session);
}

uint64_t fed_greet(size_t slot)
{
    uint64_t session = fed_take_type(slot, CHANNEL_RESET).session;

    CU_ASSERT_NOT_EQUAL(session, 0);
    fed_say_type(slot, CHANNEL_HELLO, session);
    return session;
}

uint64_t fed_arrive(uint32_t slot, int64_t pid)
{
    fed_tell(slot, pid, false, true);
    CU_ASSERT_EQUAL(fed_take(slot).type, 0);
    fed_say_type(slot, CHANNEL_HELLO, 0);
    return fed_greet(slot);
}

void fed_publish(uint64_t generation, const uint64_t *ids, size_t count)
{
    struct channel_segment segments[FED_LARGE] = {0};
    struct error e;

    for (size_t i = 0; i < count; i++) {
        segments[i] = (struct channel_segment){
            .id = ids[i], .size = 1, .fd = memfd_create("segment", MFD_CLOEXEC)};
        CU_ASSERT_FATAL(segments[i].fd >= 0);
    }
    CU_ASSERT_EQUAL(feed_publish(fed.feed, generation, segments, count, &e), 0);
    for (size_t i = 0; i < count; i++)
        close(segments[i].fd); /* the feed has its own */
}

void fed_publish_one(uint64_t generation, uint64_t id)
{
    fed_publish(generation, &id, 1);
}

void fed_publish_large(uint64_t generation)
{
    uint64_t ids[FED_LARGE];

    for (size_t i = 0; i < FED_LARGE; i++)
        ids[i] = generation * FED_LARGE + i;
    fed_publish(generation, ids, FED_LARGE);
}

void fed_acknowledge(size_t slot, uint64_t session, uint64_t generation)
{
    fed_say(slot,
            (struct channel_message){.type = CHANNEL_ACK, .u.ack = {.generation = generation}},
            session);
}

void fed_wait_for(uint64_t generation)
{
    CU_ASSERT_EQUAL(feed_when_acknowledged(fed.feed, generation, on_acknowledged, NULL), 0);
}

void fed_expect_manifest(size_t slot, uint64_t generation)
{
    struct channel_message m = fed_take(slot);

    CU_ASSERT_EQUAL(m.type, CHANNEL_MANIFEST);
    CU_ASSERT_EQUAL(m.u.manifest.generation, generation);
}

int fed_run(CU_SuiteInfo *suites)
{
    int failed;

    fed.base = event_base_new();
    log_open("test", LOG_CRIT, LOG_KEY_VALUE);
    if (!fed.base || CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    failed = CU_get_number_of_failures() != 0;
    CU_cleanup_registry();
    event_base_free(fed.base);
    return failed;
}
