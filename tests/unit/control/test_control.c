/* All of control, as the supervisor starts it, between fake ends. */
#include "reconciler/control/control.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fakes/controlled.h"
#include "tests/support/suite.h"

#define DAY_MS INT64_C(86400000)
#define IS(name, state) "\"name\": \"" name "\",\n      \"state\": \"" state "\""
#define VALID(name) IS(name, "valid")

static struct controlled *started(const char *config, const char *settings)
{
    static struct controlled c;

    controlled_open(&c, settings);
    controlled_write(&c, config);
    controlled_start(&c);
    return &c;
}

static void issues(void)
{
    struct controlled *c = started("domains: [a.test, b.test]", NULL);

    CU_ASSERT_TRUE(controlled_wait(c, controlled_is_ready, NULL));
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("a.test")));
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("b.test")));
    CU_ASSERT_EQUAL(controlled_orders(c), 2);
    CU_ASSERT_EQUAL(controlled_stop(c), 0);
    controlled_start(c); /* again, on what it has */
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("a.test")));
    CU_ASSERT_EQUAL(controlled_orders(c), 2);
    controlled_close(c);
}

/* ---- the file ---- */

static void follows_the_file(void)
{
    struct controlled *c = started("domains: [a.test]", NULL);

    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("a.test")));
    controlled_write(c, "domains: [b.test]");
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("b.test")));
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists_not, "\"a.test\""));
    controlled_write(c, "domains: [a.test, b.test]"); /* it is there still */
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("a.test")));
    CU_ASSERT_EQUAL(controlled_orders(c), 2);
    controlled_write(c, "domains: 7");
    CU_ASSERT_TRUE(controlled_wait(c, controlled_says, "config.domains"));
    CU_ASSERT_TRUE(controlled_lists(c, VALID("a.test")));
    unlink(c->file);
    CU_ASSERT_EQUAL(write(c->watch[1], "gone\n", 5), 5);
    CU_ASSERT_TRUE(controlled_wait(c, controlled_says, "\"condition\""));
    controlled_write(c, "domains: [a.test]");
    CU_ASSERT_TRUE(controlled_wait(c, controlled_says_not, "\"condition\""));
    controlled_write_text(c, "_format_version: \"3.0\"\n"); /* no plugin at all */
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists_not, "\"a.test\""));
    CU_ASSERT_EQUAL(controlled_orders(c), 2);
    controlled_close(c);
}

/* No line of the watcher's: the poll finds it, and so does SIGHUP. */
static void looks_by_itself(void)
{
    struct controlled *c = started("domains: [a.test]", NULL);
    char byte[64];

    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("a.test")));
    controlled_write(c, "domains: [a.test, b.test]");
    CU_ASSERT(read(c->watch[0], byte, sizeof(byte)) != 0); /* whoever is first */
    controlled_pass(c, 1000 * c->settings.acme_poll_interval);
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("b.test")));
    kill(getpid(), SIGHUP);
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("b.test")));
    controlled_pass(c, 3600 * 1000); /* the hourly sweep */
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("a.test")));
    CU_ASSERT_EQUAL(controlled_orders(c), 2);
    controlled_close(c);
}

/* ---- failures ---- */

static void fails_and_is_retried(void)
{
    struct controlled *c = started("domains: [a.test]", NULL);

    atomic_store(&c->is_cut, true);
    c->turn_ms = CONTROLLED_LONG_TURN_MS;
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, IS("a.test", "failing")));
    CU_ASSERT_TRUE(controlled_lists(c, "the line is cut"));
    atomic_store(&c->is_cut, false);
    c->turn_ms = CONTROLLED_TURN_MS;
    controlled_ask(c, true,
                   "POST /retry HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n"
                   "Connection: close\r\n\r\na.test");
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("a.test")));
    controlled_ask(c, true,
                   "POST /retry HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                   "Connection: close\r\n\r\n");
    CU_ASSERT_EQUAL(controlled_orders(c), 1);
    controlled_close(c);
}

/* It fails again and again, waits longer each time, and comes back by itself. */
static void comes_back(void)
{
    struct controlled *c = started("domains: [a.test]", NULL);

    atomic_store(&c->is_cut, true);
    c->turn_ms = CONTROLLED_LONG_TURN_MS;
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, "\"failures\": 1"));
    controlled_pass(c, 2 * 60 * 1000);
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, "\"failures\": 2"));
    atomic_store(&c->is_cut, false);
    c->turn_ms = CONTROLLED_TURN_MS;
    controlled_pass(c, 15 * 60 * 1000);
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("a.test")));
    controlled_close(c);
}

static const struct fake_answer refusals[] = {
    {.path = "/order",
     .nth = 1,
     .status = 429,
     .retry_after = "7200",
     .content_type = "application/problem+json",
     .body = "{\"type\":\"urn:ietf:params:acme:error:rateLimited\",\"detail\":\"too many\"}"},
    {.path = "/order",
     .nth = 1,
     .status = 400,
     .content_type = "application/problem+json",
     .body = "{\"type\":\"urn:ietf:params:acme:error:rejectedIdentifier\",\"detail\":\"no\"}"},
};

static void is_refused(void)
{
    static struct controlled c;

    controlled_open(&c, NULL);
    fake_ca_script(c.ca, refusals, 2);
    controlled_write(&c, "domains: [a.test]");
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "too many"));
    controlled_pass(&c, 8100 * 1000);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "\"failures\": 2"));
    CU_ASSERT_EQUAL(controlled_orders(&c), 0);
    controlled_close(&c);
}

static void has_no_account(void)
{
    static const struct fake_answer answers[] = {
        {.path = "/account",
         .status = 403,
         .content_type = "application/problem+json",
         .body = "{\"type\":\"urn:ietf:params:acme:error:unauthorized\",\"detail\":\"go away\"}"}};
    static struct controlled c;

    controlled_open(&c, NULL);
    fake_ca_script(c.ca, answers, 1);
    controlled_write(&c, "domains: [a.test]");
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says, "go away"));
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says, "\"condition\""));
    controlled_close(&c);
}

/* ---- dates ---- */

static void certify_from_now(struct controlled *c, int64_t passed_ms)
{
    pthread_mutex_lock(&c->guard);
    fake_ca_options(c->ca)->not_before = c->began + passed_ms / 1000 - 3600;
    pthread_mutex_unlock(&c->guard);
}

static void renews(void)
{
    struct controlled *c = started("domains: [a.test]", NULL);

    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("a.test")));
    certify_from_now(c, 62 * DAY_MS);
    controlled_pass(c, 62 * DAY_MS);
    for (int n = 0; n < CONTROLLED_PATIENCE && controlled_orders(c) < 2; n++)
        controlled_pass(c, 100);
    CU_ASSERT_EQUAL(controlled_orders(c), 2);
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("a.test")));
    atomic_store(&c->is_cut, true);
    controlled_pass(c, 95 * DAY_MS);
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, IS("a.test", "expired")));
    controlled_close(c);
}

/* The clock is set back before this program was built, and right again: nothing is done by it. */
static void the_clock_jumps(void)
{
    struct controlled *c = started("domains: [a.test]", NULL);

    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("a.test")));
    fake_time_set(86400);
    c->turn_ms = CONTROLLED_LONG_TURN_MS;
    controlled_write(c, "domains: [a.test, b.test]");
    CU_ASSERT_TRUE(controlled_wait(c, controlled_says, "\"condition\""));
    CU_ASSERT_EQUAL(controlled_orders(c), 1);
    fake_time_set(c->began + 60);
    c->turn_ms = CONTROLLED_TURN_MS;
    controlled_pass(c, 11000);
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("b.test")));
    controlled_close(c);
}

/* ---- workers ---- */

static void hears_of_names(void)
{
    struct controlled *c = started("domains: [\"*.wild.test\"]", NULL);
    struct channel_message seen = {.type = CHANNEL_SNI_SEEN, .u.sni.name = "v.wild.test"};
    struct channel_message other = {.type = CHANNEL_SNI_SEEN, .u.sni.name = "v.other.test"};
    struct channel_message missed = {.type = CHANNEL_TOKEN_MISS,
                                     .u.token = {.name = "v.wild.test", .token = "unknown"}};

    CU_ASSERT_TRUE(controlled_wait(c, controlled_is_ready, NULL));
    for (int n = 0; n < CONTROLLED_PATIENCE && !atomic_load(&c->generation); n++)
        controlled_pass(c, 10);
    controlled_tell(c, other);
    controlled_tell(c, missed);
    controlled_tell(c, seen);
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("v.wild.test")));
    CU_ASSERT_TRUE(controlled_lists_not(c, "v.other.test"));
    CU_ASSERT_EQUAL(controlled_stop(c), 0);
    controlled_start(c);
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("v.wild.test")));
    CU_ASSERT_EQUAL(controlled_orders(c), 1);
    controlled_close(c);
}

static void a_worker_hangs(void)
{
    struct controlled *c = started("domains: [a.test]", NULL);

    CU_ASSERT_TRUE(controlled_wait(c, controlled_is_ready, NULL));
    atomic_store(&c->is_unheard, true);
    controlled_write(c, "domains: [a.test, b.test]");
    for (int n = 0; n < CONTROLLED_PATIENCE && !c->told[CHANNEL_WORKER_KILL]; n++)
        controlled_pass(c, 100);
    CU_ASSERT(c->told[CHANNEL_WORKER_KILL] > 0);
    atomic_store(&c->is_unheard, false);
    controlled_tell(c, (struct channel_message){.type = CHANNEL_HELLO});
    controlled_close(c);
}

/* ---- the prefix ---- */

static void the_storage_vanishes(void)
{
    struct controlled *c = started("domains: [a.test]", NULL);
    char path[CONTROLLED_PATH_MAX + 16];

    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("a.test")));
    snprintf(path, sizeof(path), "%.150s/storage", c->prefix);
    scratch_remove(path);
    controlled_pass(c, 3000);
    for (int n = 0; n < CONTROLLED_PATIENCE && access(path, F_OK); n++)
        controlled_pass(c, 100);
    CU_ASSERT_EQUAL(access(path, F_OK), 0); /* written anew, from memory */
    CU_ASSERT_TRUE(controlled_wait(c, controlled_says_not, "\"condition\""));
    CU_ASSERT_EQUAL(controlled_stop(c), 0);
    controlled_start(c);
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("a.test")));
    CU_ASSERT_EQUAL(controlled_orders(c), 1);
    controlled_close(c);
}

/* ---- pages ---- */

static bool answers(struct controlled *c, const char *request, const char *word)
{
    controlled_ask(c, false, request);
    return memmem(c->page.data, c->page.len, word, strlen(word)) != NULL;
}

/* When the workers have it all. */
static bool is_ready(struct controlled *c, const char *unused)
{
    (void)unused;
    return answers(c, "HEAD /status/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                   "200 OK");
}

static void pages(void)
{
    struct controlled *c = started("domains: [a.test]", NULL);

    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("a.test")));
#define END " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    CU_ASSERT_TRUE(answers(c, "GET /status" END "\r\n", "200 OK"));
    CU_ASSERT_TRUE(controlled_wait(c, is_ready, NULL));
    CU_ASSERT_TRUE(answers(c, "GET /other" END "\r\n", "404"));
    CU_ASSERT_TRUE(answers(c, "PUT /status" END "Content-Length: 0\r\n\r\n", "405"));
    CU_ASSERT_TRUE(answers(c, "POST /retry" END "Content-Length: 0\r\n\r\n", "404"));
    CU_ASSERT_TRUE(answers(c, "POST /status/ready" END "Content-Length: 4\r\n\r\nwhat", "400"));
    CU_ASSERT_TRUE(
        answers(c, "POST /status/ready" END "Content-Length: 15\r\n\r\nstatus=draining", "204"));
    CU_ASSERT_TRUE(answers(c, "GET /status/ready" END "\r\n", "503"));
#undef END
    controlled_close(c);
}

/* ---- begin and end ---- */

static void begins_badly(void)
{
    static struct controlled c;

    controlled_open(&c, NULL);
    controlled_start(&c); /* there is no file */
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_has_ended, NULL));
    CU_ASSERT_EQUAL(controlled_stop(&c), 1);
    controlled_write(&c, "domains: 7");
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_has_ended, NULL));
    CU_ASSERT_EQUAL(controlled_stop(&c), 1);
    c.settings.acme_log_format = LOG_JSON;
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_has_ended, NULL));
    CU_ASSERT_EQUAL(controlled_stop(&c), 1);
    controlled_close(&c);
}

static void begins_with_the_last_good_file(void)
{
    struct controlled *c = started("domains: [a.test]", NULL);

    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("a.test")));
    CU_ASSERT_EQUAL(controlled_stop(c), 0);
    controlled_write(c, "domains: 7");
    c->options.is_restart = true;
    controlled_start(c);
    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, VALID("a.test")));
    CU_ASSERT_TRUE(controlled_says(c, "last good"));
    CU_ASSERT_EQUAL(controlled_orders(c), 1);
    controlled_close(c);
}

static void waits_for_approval(void)
{
    struct controlled *c = started("domains: [a.test]", "acme_approve = on\n");

    CU_ASSERT_TRUE(controlled_wait(c, controlled_lists, "\"approval\""));
    CU_ASSERT_TRUE(controlled_lists(c, IS("a.test", "pending")));
    CU_ASSERT_EQUAL(controlled_orders(c), 0);
    controlled_close(c);
}

static void ends_with_the_supervisor(void)
{
    struct controlled *c = started("domains: [a.test]", NULL);

    CU_ASSERT_TRUE(controlled_wait(c, controlled_is_ready, NULL));
    close(c->lifeline[1]);
    CU_ASSERT_TRUE(controlled_wait(c, controlled_has_ended, NULL));
    CU_ASSERT_EQUAL(controlled_stop(c), 0);
    c->lifeline[1] = dup(c->lifeline[0]);
    controlled_close(c);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"issues", issues},
        {"follows the file", follows_the_file},
        {"looks by itself", looks_by_itself},
        {"fails and is retried", fails_and_is_retried},
        {"comes back", comes_back},
        {"is refused", is_refused},
        {"has no account", has_no_account},
        {"renews", renews},
        {"the clock jumps", the_clock_jumps},
        {"hears of names", hears_of_names},
        {"a worker hangs", a_worker_hangs},
        {"the storage vanishes", the_storage_vanishes},
        {"pages", pages},
        {"begins badly", begins_badly},
        {"begins with the last good file", begins_with_the_last_good_file},
        {"waits for approval", waits_for_approval},
        {"ends with the supervisor", ends_with_the_supervisor},
        CU_TEST_INFO_NULL,
    };

    return suite_run("control", tests);
}
