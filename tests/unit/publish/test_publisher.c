/* What becomes of changes, challenges and rules on their way to receivers, and where that fails. */
#include "reconciler/publish/publisher.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <event2/event.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "reconciler/base/challenge.h"
#include "reconciler/base/channel.h"
#include "reconciler/io/job.h"
#include "reconciler/pki/chain.h"
#include "reconciler/pki/credential.h"
#include "reconciler/publish/challenge_board.h"
#include "reconciler/publish/index.h"
#include "tests/support/suite.h"

#define KINDS (1u << CHALLENGE_HTTP_01 | 1u << CHALLENGE_TLS_ALPN_01)

/* A publisher between an index and receivers that are played. */
static struct {
    struct event_base *base;
    struct job_thread *jobs;
    struct chain_pool *chains;
    struct credential *credential;
    struct index *index;
    struct challenge_board *board;
    struct publisher *publisher;
    /* receivers: */
    bool refuses_generation, refuses_waiter;
    uint64_t generation; /* the newest, and its segments */
    struct segment *segments[CHANNEL_SEGMENTS_MAX];
    size_t count;
    void (*done)(void *argument); /* who waits for it */
    void *argument;
    uint64_t told[8]; /* owners whose challenges are served */
    size_t told_count;
    bool is_ready; /* a merge is done */
} t;

static atomic_bool is_out; /* of memory for segments */

/* In libc's place. */
__attribute__((visibility("default"))) int memfd_create(const char *name, unsigned flags)
{
    if (!atomic_load(&is_out))
        return (int)syscall(SYS_memfd_create, name, flags);
    errno = ENOMEM;
    return -1;
}

/* ---- receivers ---- */

static void drop_segments(void)
{
    while (t.count)
        segment_unref(t.segments[--t.count]);
}

static int publish(void *context, uint64_t generation, const struct channel_segment *newest_first,
                   size_t count, struct error *e)
{
    CU_ASSERT_PTR_EQUAL(context, &t);
    if (t.refuses_generation)
        return error_set(e, ERROR_IO, "no descriptors");
    CU_ASSERT_TRUE(generation > t.generation);
    t.generation = generation;
    drop_segments();
    for (size_t i = 0; i < count; i++) {
        t.segments[t.count++] = segment_map(newest_first[i].fd, NULL, e);
        CU_ASSERT_PTR_NOT_NULL_FATAL(t.segments[i]);
    }
    return 0;
}

static int when_acknowledged(void *context, uint64_t generation, void (*done)(void *argument),
                             void *argument)
{
    CU_ASSERT_PTR_EQUAL(context, &t);
    CU_ASSERT_EQUAL(generation, t.generation);
    if (t.refuses_waiter)
        return -1;
    CU_ASSERT_PTR_NULL(t.done);
    t.done = done;
    t.argument = argument;
    return 0;
}

static void acknowledge(void)
{
    void (*done)(void *argument) = t.done;

    CU_ASSERT_PTR_NOT_NULL_FATAL(done);
    t.done = NULL;
    done(t.argument);
}

static const struct segment *newest_of(enum segment_kind kind)
{
    const struct segment *found = NULL;

    for (size_t i = 0; i < t.count; i++)
        if (segment_kind_of(t.segments[i]) == kind) {
            CU_ASSERT_TRUE(!found || segment_is_stacked(kind));
            found = found ? found : t.segments[i];
        }
    return found;
}

/* How many credentials the newest segment that knows the name has for it; -1 = none knows it. */
static int served(const char *name)
{
    struct segment_name found;

    for (size_t i = 0; i < t.count; i++)
        if (segment_find_name(t.segments[i], str_from(name), &found) == 1)
            return found.count;
    return -1;
}

static bool has_challenge(enum challenge_kind kind, const char *key)
{
    const struct segment *s = newest_of(SEGMENT_CHALLENGES);
    struct str payload;

    return s && segment_find_challenge(s, kind, str_from(key), &payload) == 1;
}

/* ---- the rest of the bench ---- */

static void on_served(void *context, uint64_t owner)
{
    CU_ASSERT_PTR_EQUAL(context, &t);
    CU_ASSERT_TRUE_FATAL(t.told_count < ARRAY_LENGTH(t.told));
    t.told[t.told_count++] = owner;
}

static void on_ready(void *context)
{
    (void)context;
    t.is_ready = true;
}

static void begin(void)
{
    static const struct credential_raw raw = {.facts = {.key_type = KEY_P256},
                                              .leaf = STR_INIT("leaf"),
                                              .key = STR_INIT("key"),
                                              .chain = STR_INIT("\x30\x03\x02\x01\x05")};
    struct publisher_options o = {
        .receivers = {&t, publish, when_acknowledged}, .ready = on_ready, .context = &t};
    struct error e;

    memset(&t, 0, sizeof(t));
    t.base = event_base_new();
    o.jobs = t.jobs = job_start(t.base, &e);
    t.chains = chain_pool_new();
    t.credential = credential_new_raw(t.chains, &raw, &e);
    o.index = t.index = index_new();
    o.board = t.board = challenge_board_new(KINDS, on_served, &t);
    t.publisher = publisher_new(&o, &e);
    CU_ASSERT_TRUE_FATAL(t.jobs && t.credential && t.index && t.board && t.publisher);
}

static void end(void)
{
    job_stop(t.jobs);
    publisher_free(t.publisher);
    drop_segments();
    challenge_board_free(t.board);
    index_free(t.index);
    credential_unref(t.credential);
    chain_pool_free(t.chains);
    event_base_free(t.base);
}

static void manage(const char *name, bool is_managed)
{
    struct error e;

    CU_ASSERT_EQUAL_FATAL(index_set_managed(t.index, subject_first(str_from(name)),
                                            is_managed ? t.credential : NULL, &e),
                          0);
}

static void put(uint64_t owner, enum challenge_kind kind, const char *token)
{
    const struct challenge c = {kind, STR("a.test"), str_from(token), STR("payload")};
    struct error e;

    CU_ASSERT_EQUAL_FATAL(challenge_board_put(t.board, owner, &c, &e), 0);
}

static uint64_t announce(void)
{
    struct error e = {0};
    uint64_t generation = publisher_announce(t.publisher, &e);

    CU_ASSERT_EQUAL(generation == 0, e.kind != ERROR_NONE);
    return generation;
}

/* ---- tests ---- */

static void changes(void)
{
    uint64_t first;

    begin();
    first = announce();
    CU_ASSERT_EQUAL(t.generation, 0); /* there is nothing to tell */
    manage("a.test", true);
    manage("b.test", true);
    CU_ASSERT_EQUAL(announce(), first + 1);
    CU_ASSERT_EQUAL(served("a.test"), 1);
    CU_ASSERT_EQUAL(served("b.test"), 1);
    CU_ASSERT_EQUAL(announce(), first + 1);
    CU_ASSERT_EQUAL(publisher_count(t.publisher), 1);
    manage("a.test", false);
    CU_ASSERT_EQUAL(announce(), first + 2);
    CU_ASSERT_TRUE(served("a.test") <= 0);
    CU_ASSERT_EQUAL(served("b.test"), 1);
    end();
}

/* What was to be told is told when there is memory again: names, challenges and rules. */
static void out_of_memory(void)
{
    const struct publisher_rules rules = {.gate.is_open = true, .routes.any_host = true};
    struct error e = {0};

    begin();
    manage("a.test", true);
    atomic_store(&is_out, true);
    CU_ASSERT_EQUAL(announce(), 0);
    CU_ASSERT_EQUAL(announce(), 0);
    CU_ASSERT_EQUAL(publisher_build(t.publisher, &rules, &e), -1);
    atomic_store(&is_out, false);
    CU_ASSERT_EQUAL(publisher_build(t.publisher, &rules, &e), 0);
    put(1, CHALLENGE_HTTP_01, "token");
    atomic_store(&is_out, true);
    CU_ASSERT_EQUAL(announce(), 0);
    CU_ASSERT_EQUAL(t.generation, 0);
    atomic_store(&is_out, false);
    CU_ASSERT_NOT_EQUAL(announce(), 0);
    CU_ASSERT_EQUAL(served("a.test"), 1);
    CU_ASSERT_TRUE(has_challenge(CHALLENGE_HTTP_01, "token"));
    CU_ASSERT_EQUAL(segment_flags(newest_of(SEGMENT_GATE)), SEGMENT_GATE_OPEN);
    CU_ASSERT_EQUAL(segment_flags(newest_of(SEGMENT_ROUTES)), SEGMENT_ANY_HOST);
    acknowledge();
    CU_ASSERT_EQUAL(t.told_count, 1);
    end();
}

/* Receivers cannot be given it now, or it cannot be waited for: the same again. */
static void refused(void)
{
    uint64_t generation;

    begin();
    manage("a.test", true);
    put(7, CHALLENGE_HTTP_01, "token");
    t.refuses_generation = true;
    CU_ASSERT_EQUAL(announce(), 0);
    t.refuses_generation = false;
    t.refuses_waiter = true;
    CU_ASSERT_EQUAL(announce(), 0);
    generation = t.generation;
    CU_ASSERT_NOT_EQUAL(generation, 0);
    t.refuses_waiter = false;
    CU_ASSERT_EQUAL(announce(), generation);
    CU_ASSERT_EQUAL(served("a.test"), 1);
    acknowledge();
    CU_ASSERT_EQUAL_FATAL(t.told_count, 1);
    CU_ASSERT_EQUAL(t.told[0], 7);
    end();
}

/* Each kind is found by what its validator comes with, and gone when it is withdrawn. */
static void challenges(void)
{
    begin();
    put(1, CHALLENGE_HTTP_01, "token");
    put(2, CHALLENGE_TLS_ALPN_01, "other");
    CU_ASSERT_NOT_EQUAL(announce(), 0);
    CU_ASSERT_TRUE(has_challenge(CHALLENGE_HTTP_01, "token"));
    CU_ASSERT_FALSE(has_challenge(CHALLENGE_HTTP_01, "other"));
    CU_ASSERT_TRUE(has_challenge(CHALLENGE_TLS_ALPN_01, "a.test"));
    acknowledge();
    CU_ASSERT_EQUAL(t.told_count, 2);
    CU_ASSERT_TRUE(challenge_board_withdraw(t.board, 1));
    CU_ASSERT_NOT_EQUAL(announce(), 0);
    CU_ASSERT_PTR_NULL(t.done); /* nobody waits for what is gone */
    CU_ASSERT_FALSE(has_challenge(CHALLENGE_HTTP_01, "token"));
    CU_ASSERT_TRUE(has_challenge(CHALLENGE_TLS_ALPN_01, "a.test"));
    end();
}

static void rules(void)
{
    struct publisher_rules r = {.gate.is_open = true};
    struct error e;

    begin();
    CU_ASSERT_EQUAL(publisher_build(t.publisher, &r, &e), 0);
    r.gate.allow_ipv4 = true;
    CU_ASSERT_EQUAL(publisher_build(t.publisher, &r, &e), 0);
    CU_ASSERT_EQUAL(publisher_build(t.publisher, NULL, &e), 0);
    CU_ASSERT_NOT_EQUAL(announce(), 0);
    CU_ASSERT_EQUAL(t.count, 2); /* the newest of each */
    CU_ASSERT_EQUAL(segment_flags(newest_of(SEGMENT_GATE)), SEGMENT_GATE_OPEN | SEGMENT_IPV4);
    end();
}

/* Segments are merged beside the loop, and nothing is lost; a tombstone at the bottom goes. */
static void merged(void)
{
    begin();
    manage("a.test", true);
    manage("b.test", true);
    CU_ASSERT_NOT_EQUAL(announce(), 0);
    manage("a.test", false);
    CU_ASSERT_NOT_EQUAL(announce(), 0);
    CU_ASSERT_EQUAL(t.count, 2);
    CU_ASSERT_EQUAL(served("a.test"), 0);
    while (!t.is_ready)
        event_base_loop(t.base, EVLOOP_ONCE);
    publisher_deliver(t.publisher);
    CU_ASSERT_NOT_EQUAL(announce(), 0);
    CU_ASSERT_EQUAL(t.count, 1);
    CU_ASSERT_EQUAL(served("a.test"), -1);
    CU_ASSERT_EQUAL(served("b.test"), 1);
    end();
}

/* While nobody takes a merge's result the stack fills; then all goes on. */
static void full(void)
{
    unsigned made = 0;
    char name[32];

    begin();
    do {
        snprintf(name, sizeof(name), "n%u.test", made++);
        manage(name, true);
        CU_ASSERT_TRUE_FATAL(made <= CHANNEL_SEGMENTS_MAX);
    } while (announce());
    while (!t.is_ready)
        event_base_loop(t.base, EVLOOP_ONCE);
    publisher_deliver(t.publisher);
    CU_ASSERT_NOT_EQUAL(announce(), 0);
    for (unsigned i = 0; i < made; i++) {
        snprintf(name, sizeof(name), "n%u.test", i);
        CU_ASSERT_EQUAL(served(name), 1);
    }
    end();
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"changes", changes},
        {"out of memory", out_of_memory},
        {"refused", refused},
        {"challenges", challenges},
        {"rules", rules},
        {"merged", merged},
        {"full", full},
        CU_TEST_INFO_NULL,
    };

    return suite_run("publisher", tests);
}
