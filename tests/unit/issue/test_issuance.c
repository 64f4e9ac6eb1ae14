/* Orders on their way, between ends that are slow, refuse, fail and come back. */
#include "reconciler/issue/issuance.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/publish/challenge_board.h"
#include "tests/fakes/fake_time.h"
#include "tests/fakes/issuing.h"
#include "tests/support/suite.h"

#define MINUTE 60000
#define SUBJECT(text) ((struct subject){.name = STR(text)})

static struct issuing *started(const struct fake_ca_options *ca)
{
    static struct issuing i;

    issuing_start(&i, ca);
    issuing_use(&i);
    return &i;
}

/* With an account that is in use: one order is over. */
static struct issuing *with_account(const struct fake_ca_options *ca)
{
    struct issuing *i = started(ca);

    issuing_want(i, "first.test", URGENCY_DECLARED);
    CU_ASSERT_TRUE(issuing_run(i, "issued first.test\n", MINUTE));
    fake_ca_log_clear(i->ca);
    return i;
}

static bool was_asked(struct issuing *i, const char *what)
{
    return strstr(fake_ca_log(i->ca), what) != NULL;
}

/* ---- as it should go ---- */

static void one(void)
{
    struct issuing *i = started(NULL);

    issuing_want(i, "a.test", URGENCY_DECLARED);
    CU_ASSERT_TRUE(issuance_has(i->issuance, SUBJECT("a.test")));
    CU_ASSERT_EQUAL(issuance_since(i->issuance, SUBJECT("a.test")), ISSUING_BEGAN);
    CU_ASSERT_EQUAL(issuance_since(i->issuance, SUBJECT("b.test")), 0);
    CU_ASSERT_TRUE(issuing_run(i, "issued a.test\n", MINUTE));
    CU_ASSERT_FALSE(issuance_has(i->issuance, SUBJECT("a.test")));
    CU_ASSERT_EQUAL(issuance_running(i->issuance) + issuance_queued(i->issuance), 0);
    CU_ASSERT_EQUAL(fake_ca_orders(i->ca), 1);
    CU_ASSERT_PTR_NULL(issuance_account_error(i->issuance));
    /* The account before it is used, the order as it is counted, then with its URL. */
    CU_ASSERT_STRING_EQUAL(
        (buf_char(&i->written, '\0'), i->written.data),
        "account \naccount https://ca.test/account/1\norder a.test \nsent a.test 1\n"
        "order a.test https://ca.test/orders/0\n");
    issuing_stop(i);
}

static void tokens_outlive_their_order(void)
{
    struct issuing *i = started(NULL);

    issuing_want(i, "a.test", URGENCY_DECLARED);
    CU_ASSERT_TRUE(issuing_run(i, "issued a.test\n", MINUTE));
    CU_ASSERT_EQUAL(issuing_count(&i->tokens, "+token_0-0\n"), 1);
    issuing_run(i, NULL, ISSUANCE_GRACE_MS - 5000);
    CU_ASSERT_EQUAL(issuing_count(&i->tokens, "-token_0-0\n"), 0);
    issuing_run(i, NULL, 10000);
    CU_ASSERT_EQUAL(issuing_count(&i->tokens, "-token_0-0\n"), 1);
    issuing_stop(i);
}

static void a_batch(void)
{
    struct issuing *i = started(NULL);
    char name[32];

    for (int n = 0; n < 40; n++) {
        snprintf(name, sizeof(name), "n%02d.test", n);
        issuing_want(i, name, URGENCY_DECLARED);
    }
    CU_ASSERT_EQUAL(issuance_queued(i->issuance), 40);
    CU_ASSERT_FALSE(issuing_run(i, "failed", 5 * MINUTE));
    CU_ASSERT_EQUAL(issuing_count(&i->told, "issued "), 40);
    CU_ASSERT_EQUAL(fake_ca_orders(i->ca), 40);
    CU_ASSERT(i->announced < 40); /* of all challenges of a step together */
    CU_ASSERT(i->most_requests <= ISSUANCE_IN_FLIGHT_MAX);
    CU_ASSERT_EQUAL(i->probes, 1);
    issuing_stop(i);
}

static void rsa_keys_one_at_a_time(void)
{
    struct issuing *i = started(NULL);

    i->jobs = ISSUING_IS_SLOW;
    issuing_want_key(i, "a.test", KEY_RSA_2048);
    issuing_want_key(i, "b.test", KEY_RSA_2048);
    issuing_want_key(i, "c.test", KEY_P256);
    issuing_run(i, NULL, 100);
    CU_ASSERT_EQUAL(i->job_count, 2); /* the quick one's, and one of the slow */
    i->jobs = ISSUING_WORKS;
    CU_ASSERT_TRUE(issuing_run(i, "issued b.test\n", MINUTE));
    CU_ASSERT_EQUAL(issuing_count(&i->told, "issued "), 3);
    issuing_stop(i);
}

static void another_chain(void)
{
    struct issuing *i = started(&(struct fake_ca_options){.has_alternates = true});

    i->at.preferred_chain = STR("Alternate 2");
    issuing_use(i);
    issuing_want(i, "a.test", URGENCY_DECLARED);
    CU_ASSERT_TRUE(issuing_run(i, "issued a.test\n", MINUTE));
    i->at.preferred_chain = STR("Nobody's");
    issuing_use(i);
    issuing_want(i, "b.test", URGENCY_DECLARED);
    CU_ASSERT_TRUE(issuing_run(i, "issued b.test by another chain\n", MINUTE));
    i->at.preferred_chain = STR_NONE;
    issuing_use(i);
    issuing_want(i, "c.test", URGENCY_DECLARED);
    CU_ASSERT_TRUE(issuing_run(i, "issued c.test\n", MINUTE));
    issuing_stop(i);
}

/* ---- the queue ---- */

static void wanted_and_not(void)
{
    struct issuing *i = started(NULL);

    issuing_want(i, "a.test", URGENCY_DEMANDED);
    issuing_want(i, "a.test", URGENCY_DEMANDED);
    issuing_want(i, "a.test", URGENCY_RENEWAL); /* more urgent by now */
    issuing_want(i, "b.test", URGENCY_DECLARED);
    CU_ASSERT_EQUAL(issuance_queued(i->issuance), 2);
    issuance_unwant(i->issuance, SUBJECT("b.test"));
    issuance_unwant(i->issuance, SUBJECT("b.test"));
    issuance_close(i->issuance, SUBJECT("b.test"));
    CU_ASSERT_FALSE(issuance_has(i->issuance, SUBJECT("b.test")));
    issuing_run(i, NULL, 0);
    issuance_unwant(i->issuance, SUBJECT("a.test")); /* it has begun */
    issuing_want(i, "a.test", URGENCY_DECLARED);
    CU_ASSERT_TRUE(issuing_run(i, "issued a.test\n", MINUTE));
    CU_ASSERT_EQUAL(fake_ca_orders(i->ca), 1);
    issuing_stop(i);
}

/* Visitors' names leave room, and hold up nobody who is more urgent. */
static void strangers_wait(void)
{
    struct issuing *i = started(NULL);
    char name[32];

    i->is_unheard = true; /* nothing comes to its end */
    for (int n = 0; n < ISSUANCE_DEMANDED_MAX + 8; n++) {
        snprintf(name, sizeof(name), "n%02d.test", n);
        issuing_want(i, name, URGENCY_DEMANDED);
    }
    issuing_run(i, NULL, 3 * ISSUANCE_STALL_MS);
    CU_ASSERT_EQUAL(issuance_running(i->issuance), ISSUANCE_DEMANDED_MAX);
    CU_ASSERT_EQUAL(issuance_queued(i->issuance), 8);
    issuing_want(i, "file.test", URGENCY_DECLARED);
    issuing_run(i, NULL, 100);
    CU_ASSERT_EQUAL(issuance_running(i->issuance), ISSUANCE_DEMANDED_MAX + 1);
    CU_ASSERT_EQUAL(issuance_queued(i->issuance), 8);
    i->is_unheard = false;
    CU_ASSERT_TRUE(issuing_run(i, "issued n39.test\n", 5 * MINUTE));
    CU_ASSERT_EQUAL(issuing_count(&i->told, "issued "), ISSUANCE_DEMANDED_MAX + 9);
    issuing_stop(i);
}

/* A second batch waits for the first, but not when that stands still. */
static void a_stall(void)
{
    struct issuing *i = started(NULL);

    i->is_unheard = true;
    issuing_want(i, "a.test", URGENCY_DECLARED);
    issuing_run(i, NULL, 200);
    issuing_want(i, "b.test", URGENCY_DECLARED);
    issuing_turn(i);
    CU_ASSERT_EQUAL(issuance_running(i->issuance), 1);
    issuing_run(i, NULL, 2 * ISSUANCE_STALL_MS);
    CU_ASSERT_EQUAL(issuance_running(i->issuance), 2);
    i->is_unheard = false;
    CU_ASSERT_TRUE(issuing_run(i, "issued b.test\n", MINUTE));
    CU_ASSERT_EQUAL(issuing_count(&i->told, "issued a.test\n"), 1);
    issuing_stop(i);
}

/* ---- the storage ---- */

static void slow_storage(void)
{
    struct issuing *i = with_account(NULL);

    i->journal = ISSUING_IS_SLOW;
    issuing_want(i, "a.test", URGENCY_DECLARED);
    issuing_run(i, NULL, 10 * MINUTE);
    CU_ASSERT_FALSE(was_asked(i, "POST /order"));
    issuing_want(i, "b.test", URGENCY_DECLARED);
    issuance_unwant(i->issuance, SUBJECT("b.test"));
    CU_ASSERT_EQUAL(issuing_count(&i->told, "a.test"), 0);
    i->journal = ISSUING_WORKS;
    CU_ASSERT_TRUE(issuing_run(i, "issued a.test\n", MINUTE));
    CU_ASSERT_EQUAL(fake_ca_orders(i->ca), 2);
    issuing_stop(i);
}

/* At each of the steps that an order writes down, and it comes back: no order is lost. */
static void failing_storage(void)
{
    static const struct {
        enum issuing_end end;
        int spared; /* steps that are written: the newOrder's count, its URL */
        const char *said;
    } cases[] = {
        {ISSUING_FAILS, 0, "failed a.test: the disk is full"},
        {ISSUING_FAILS, 1, "failed a.test: the disk is full"},
        {ISSUING_REFUSES, 0, "failed a.test: out of memory"},
        {ISSUING_REFUSES, 1, "failed a.test: out of memory"},
    };

    for (size_t n = 0; n < ARRAY_LENGTH(cases); n++) {
        struct issuing *i = with_account(NULL);

        i->journal_spares = cases[n].spared;
        i->journal = cases[n].end;
        issuing_want(i, "a.test", URGENCY_DECLARED);
        CU_ASSERT_TRUE(issuing_run(i, cases[n].said, MINUTE));
        CU_ASSERT_EQUAL(fake_ca_orders(i->ca), 1 + (unsigned)cases[n].spared);
        i->journal = ISSUING_WORKS;
        issuing_want(i, "a.test", URGENCY_DECLARED);
        CU_ASSERT_TRUE(issuing_run(i, "issued a.test\n", MINUTE));
        CU_ASSERT_EQUAL(issuance_running(i->issuance), 0);
        issuing_stop(i);
    }
}

static void probed_first(void)
{
    struct issuing *i = started(NULL);

    i->probe = ISSUING_FAILS;
    issuing_want(i, "a.test", URGENCY_DECLARED);
    issuing_want(i, "b.test", URGENCY_DECLARED);
    CU_ASSERT_TRUE(issuing_run(i, "storage failed: the disk is full\n", MINUTE));
    CU_ASSERT_EQUAL(issuance_queued(i->issuance), 0);
    CU_ASSERT_FALSE(was_asked(i, "POST /order"));
    i->probe = ISSUING_REFUSES;
    issuing_want(i, "a.test", URGENCY_DECLARED);
    issuing_turn(i);
    CU_ASSERT_EQUAL(issuance_queued(i->issuance), 1);
    i->probe = ISSUING_WORKS;
    issuing_want(i, "b.test", URGENCY_DECLARED);
    CU_ASSERT_TRUE(issuing_run(i, "issued b.test\n", MINUTE));
    CU_ASSERT_EQUAL(issuing_count(&i->told, "issued a.test\n"), 1);
    issuing_stop(i);
}

/* ---- crashes ---- */

/* Whatever has been written when it ends: the same order goes on, or one more is counted. */
static void restarted(void)
{
    for (int turns = 0; turns < 12; turns++) {
        struct issuing *i = started(&(struct fake_ca_options){.polls_pending = 3});
        unsigned before;

        issuing_want(i, "a.test", URGENCY_DECLARED);
        issuing_run(i, NULL, turns * 30);
        before = fake_ca_orders(i->ca);
        if (issuing_count(&i->told, "issued")) {
            issuing_stop(i);
            break;
        }
        issuing_restart(i);
        issuing_use(i);
        issuing_want(i, "a.test", URGENCY_DECLARED);
        CU_ASSERT_TRUE(issuing_run(i, "issued a.test\n", MINUTE));
        CU_ASSERT_EQUAL(fake_ca_orders(i->ca), before ? before : 1);
        CU_ASSERT_EQUAL(issuing_count(&i->written, "account https://ca.test/account/1"), 1);
        issuing_stop(i);
    }
}

/* ---- workers ---- */

static void told_when_all_have_it(void)
{
    struct issuing *i = started(NULL);

    i->is_unheard = true;
    issuing_want(i, "a.test", URGENCY_DECLARED);
    issuing_run(i, NULL, 5 * MINUTE);
    CU_ASSERT_EQUAL(i->announced, 1);
    CU_ASSERT_FALSE(was_asked(i, "POST /chall"));
    challenge_board_acknowledged(i->board, 0); /* an older one */
    issuing_run(i, NULL, 100);
    CU_ASSERT_FALSE(was_asked(i, "POST /chall"));
    i->is_unheard = false;
    CU_ASSERT_TRUE(issuing_run(i, "issued a.test\n", MINUTE));
    issuing_stop(i);
}

static void no_room_for_tokens(void)
{
    struct issuing *i = started(NULL);

    i->refuses_tokens = true;
    issuing_want(i, "a.test", URGENCY_DECLARED);
    CU_ASSERT_TRUE(issuing_run(i, "failed a.test: out of memory", MINUTE));
    CU_ASSERT_FALSE(was_asked(i, "POST /chall"));
    issuing_stop(i);
}

/* ---- the CA ---- */

static void cut_lines(void)
{
    struct issuing *i = started(NULL);

    i->requests = ISSUING_IS_SLOW;
    issuing_want(i, "a.test", URGENCY_DECLARED);
    issuing_run(i, NULL, MINUTE);
    i->requests = ISSUING_FAILS;
    CU_ASSERT_TRUE(issuing_run(i, "failed a.test: ", 10 * MINUTE));
    CU_ASSERT_PTR_NOT_NULL(issuance_account_error(i->issuance));
    i->requests = ISSUING_WORKS;
    issuance_retry(i->issuance);
    issuing_want(i, "a.test", URGENCY_DECLARED);
    CU_ASSERT_TRUE(issuing_run(i, "issued a.test\n", 10 * MINUTE));
    i->requests = ISSUING_REFUSES;
    issuing_want(i, "b.test", URGENCY_DECLARED);
    CU_ASSERT_TRUE(issuing_run(i, "failed b.test: ", 10 * MINUTE));
    CU_ASSERT_EQUAL(i->sent_count, 0);
    issuing_stop(i);
}

static void refused(void)
{
    static const struct fake_answer answers[] = {
        {.path = "/order",
         .nth = 1,
         .status = 400,
         .content_type = "application/problem+json",
         .body = "{\"type\":\"urn:ietf:params:acme:error:rejectedIdentifier\",\"detail\":\"no\"}"},
    };
    struct issuing *i = started(NULL);

    fake_ca_script(i->ca, answers, 1);
    issuing_want(i, "a.test", URGENCY_DECLARED);
    CU_ASSERT_TRUE(issuing_run(i, "failed a.test: ", MINUTE));
    CU_ASSERT_EQUAL(fake_ca_orders(i->ca), 0);
    issuing_stop(i);
}

/* What the CA says of a try that it goes on with is kept as long as it says so. */
static void trouble(void)
{
    struct issuing *i = started(&(struct fake_ca_options){.answers_needed = 2});
    struct str said;

    issuing_want(i, "a.test", URGENCY_DECLARED);
    issuing_run(i, NULL, 1500);
    said = issuance_trouble(i->issuance, SUBJECT("a.test"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(said.ptr);
    CU_ASSERT_PTR_NOT_NULL(memmem(said.ptr, said.len, "nobody there", 12));
    CU_ASSERT_PTR_NULL(issuance_trouble(i->issuance, SUBJECT("b.test")).ptr);
    CU_ASSERT_TRUE(issuing_run(i, "a.test", 20 * MINUTE));
    issuing_stop(i);
}

/* It has forgotten the order: another newOrder, where the limits let one. */
static void forgotten(void)
{
    for (int limited = 0; limited < 2; limited++) {
        struct issuing *i = started(NULL);

        i->is_unheard = true;
        issuing_want(i, "a.test", URGENCY_DECLARED);
        issuing_run(i, NULL, 1000);
        issuing_restart(i);
        fake_ca_forget(i->ca);
        fake_ca_options(i->ca)->knows_account = true;
        i->is_unheard = false;
        i->is_limited = limited;
        issuing_use(i);
        issuing_want(i, "a.test", URGENCY_DECLARED);
        CU_ASSERT_TRUE(issuing_run(
            i, limited ? "failed a.test: a.test: no more" : "issued a.test\n", 20 * MINUTE));
        CU_ASSERT(i->draws > 0);
        issuing_stop(i);
    }
}

/* ---- clocks ---- */

/* Somebody sets the clock, on or back, in the midst of polls: they go on as they were. */
static void the_clock_jumps(void)
{
    static const int64_t jumps[] = {-400 * INT64_C(86400), 3 * INT64_C(86400)};

    for (size_t n = 0; n < 2; n++) {
        struct issuing *i = started(&(struct fake_ca_options){.polls_pending = 4});

        issuing_want(i, "a.test", URGENCY_DECLARED);
        issuing_run(i, NULL, 300);
        CU_ASSERT_EQUAL(i->told.len, 0);
        fake_time_set(ISSUING_BEGAN + jumps[n]);
        CU_ASSERT_TRUE(issuing_run(i, "issued a.test\n", 30000));
        CU_ASSERT_EQUAL(fake_ca_orders(i->ca), 1);
        issuing_stop(i);
    }
}

/* ---- the end ---- */

static void drained(void)
{
    struct issuing *i = started(&(struct fake_ca_options){.polls_pending = 6});

    issuing_want(i, "a.test", URGENCY_DECLARED);
    for (int n = 0; n < 1000 && !was_asked(i, "POST /chall"); n++)
        issuing_run(i, NULL, 1);
    issuing_want(i, "b.test", URGENCY_DECLARED);
    issuance_drain(i->issuance);
    /* Whoever looks names up on another thread meanwhile still finds them. */
    CU_ASSERT_EQUAL(issuance_queued(i->issuance), 1);
    CU_ASSERT_FALSE(issuance_is_drained(i->issuance)); /* the CA is looking */
    issuing_run(i, NULL, 5 * MINUTE);
    CU_ASSERT_TRUE(issuance_is_drained(i->issuance));
    CU_ASSERT_EQUAL(fake_ca_orders(i->ca), 1);
    issuing_stop(i);
}

/* Counted, but not sent: it is taken back, and nothing of it is left. */
static void drained_before_it_is_sent(void)
{
    struct issuing *i = started(NULL);

    issuing_run(i, NULL, 1000);
    i->journal = ISSUING_IS_SLOW;
    issuing_want(i, "a.test", URGENCY_DECLARED);
    issuing_run(i, NULL, 1000);
    issuance_drain(i->issuance);
    i->journal = ISSUING_WORKS;
    issuing_run(i, NULL, MINUTE);
    CU_ASSERT_TRUE(issuance_is_drained(i->issuance));
    CU_ASSERT_EQUAL(fake_ca_orders(i->ca), 0);
    issuing_stop(i);
}

static void no_jobs(void)
{
    struct issuing *i = started(NULL);

    i->jobs = ISSUING_REFUSES;
    issuing_want(i, "a.test", URGENCY_DECLARED);
    issuing_want_key(i, "r.test", KEY_RSA_2048);
    CU_ASSERT_TRUE(issuing_run(i, "failed a.test: out of memory\n", MINUTE));
    CU_ASSERT_TRUE(issuing_run(i, "failed r.test: out of memory\n", MINUTE));
    issuing_stop(i);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"one", one},
        {"tokens outlive their order", tokens_outlive_their_order},
        {"a batch", a_batch},
        {"RSA keys one at a time", rsa_keys_one_at_a_time},
        {"another chain", another_chain},
        {"wanted and not", wanted_and_not},
        {"strangers wait", strangers_wait},
        {"a stall", a_stall},
        {"slow storage", slow_storage},
        {"failing storage", failing_storage},
        {"probed first", probed_first},
        {"restarted", restarted},
        {"told when all have it", told_when_all_have_it},
        {"no room for tokens", no_room_for_tokens},
        {"cut lines", cut_lines},
        {"refused", refused},
        {"trouble", trouble},
        {"forgotten", forgotten},
        {"the clock jumps", the_clock_jumps},
        {"drained", drained},
        {"drained before it is sent", drained_before_it_is_sent},
        {"no jobs", no_jobs},
        CU_TEST_INFO_NULL,
    };

    return suite_run("issuance", tests);
}
