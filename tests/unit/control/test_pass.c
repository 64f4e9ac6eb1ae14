/* What the pass carries out: within limits, beside declared certificates, against the storage. */
#include "reconciler/control/pass.h"

#include <CUnit/Basic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/control/load.h"
#include "reconciler/control/observe.h"
#include "reconciler/pki/credential.h"
#include "reconciler/store/store.h"
#include "tests/fakes/controlled.h"
#include "tests/support/suite.h"

#define DAY_MS INT64_C(86400000)
#define TEXT_MAX ((size_t)1 << 16)
#define IS(name, state) "\"name\": \"" name "\",\n      \"state\": \"" state "\""
#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

static struct controlled c;

static void start(const char *config, const char *settings)
{
    controlled_open(&c, settings);
    controlled_write(&c, config);
    controlled_start(&c);
}

static void certify_from(int64_t seconds)
{
    pthread_mutex_lock(&c.guard);
    fake_ca_options(c.ca)->not_before = c.began + seconds;
    pthread_mutex_unlock(&c.guard);
}

static bool has_orders(struct controlled *of, const char *count)
{
    return controlled_orders(of) >= (unsigned)atoi(count);
}

static bool was_asked_for_validation(struct controlled *of, const char *word)
{
    bool was_asked;

    (void)word;
    pthread_mutex_lock(&of->guard);
    was_asked = strstr(fake_ca_log(of->ca), "POST /chall") != NULL;
    pthread_mutex_unlock(&of->guard);
    return was_asked;
}

/* As many as the CA takes an hour; the others come when there is room, through a restart too. */
static void within_limits(void)
{
    start("domains: [a.test, b.test, c.test, d.test]",
          "acme_limits = " FAKE_CA_DIRECTORY " orders=2/1h\n");
    CU_ASSERT_TRUE(controlled_wait(&c, has_orders, "2"));
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "\"budget\""));
    controlled_write(&c, "domains: [a.test, b.test, c.test, d.test, e.test]");
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "\"e.test\""));
    CU_ASSERT_EQUAL(controlled_orders(&c), 2);
    CU_ASSERT_EQUAL(controlled_stop(&c), 0);
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "\"budget\""));
    CU_ASSERT_EQUAL(controlled_orders(&c), 2);
    controlled_pass(&c, 61 * 60 * 1000);
    CU_ASSERT_TRUE(controlled_wait(&c, has_orders, "3"));
    controlled_pass(&c, 61 * 60 * 1000);
    CU_ASSERT_TRUE(controlled_wait(&c, has_orders, "5"));
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("e.test", "valid")));
    controlled_close(&c);
}

/* The managed certificate takes the place of the declared one; it stays when the disk is full. */
static void beside_declared_ones(void)
{
    const struct credential_self_signed options = {
        .key_type = KEY_P256, .name = "d.test", .not_before = 1700000000, .not_after = 2000000000};
    struct buf pem[2] = {BUF_INIT(TEXT_MAX), BUF_SECRET(TEXT_MAX)};
    struct error e;
    struct credential *declared = credential_make_self_signed(&options, &e);

    CU_ASSERT_FATAL(declared && credential_to_pem(declared, &pem[0], &pem[1], &e) == 0);
    controlled_open(&c, NULL);
    controlled_declare(&c, "d.test", buf_view(&pem[0]), buf_view(&pem[1]));
    controlled_write(&c, "domains: [d.test]");
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("d.test", "valid")));
    CU_ASSERT_EQUAL(controlled_orders(&c), 1);
    controlled_close(&c);
    credential_unref(declared);
    buf_free(&pem[0]);
    buf_free(&pem[1]);
}

/* One that begins later than the good one that is there is kept until then. */
static void begins_later(void)
{
    start("domains: [a.test]", NULL);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.test", "valid")));
    certify_from(70 * 86400);
    controlled_pass(&c, 62 * DAY_MS);
    CU_ASSERT_TRUE(controlled_wait(&c, has_orders, "2"));
    controlled_pass(&c, 1000);
    CU_ASSERT_EQUAL(controlled_stop(&c), 0);
    controlled_start(&c); /* without another order */
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "\"a.test\""));
    controlled_pass(&c, 9 * DAY_MS);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.test", "valid")));
    CU_ASSERT_EQUAL(controlled_orders(&c), 2);
    controlled_close(&c);
}

static void another_chain_than_preferred(void)
{
    controlled_open(&c, NULL);
    fake_ca_options(c.ca)->has_alternates = true;
    controlled_write(&c, "preferred_chain: Nobody's, domains: [a.test]");
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says, "preferred_chain_missing"));
    controlled_write(&c, "domains: [a.test]");
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says_not, "preferred_chain_missing"));
    controlled_close(&c);
}

/* The disk is full when the certificate comes: nobody is told of it before it is written. */
static void full_when_it_comes(void)
{
    struct rlimit limit = {0, RLIM_INFINITY};
    char path[CONTROLLED_PATH_MAX + 32];
    struct stat st;

    controlled_open(&c, NULL);
    fake_ca_options(c.ca)->polls_pending = 2;
    controlled_write(&c, "domains: [a.test]");
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, has_orders, "1"));
    CU_ASSERT_TRUE(controlled_wait(&c, was_asked_for_validation, NULL));
    snprintf(path, sizeof(path), "%.150s/storage/log", c.prefix);
    CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
    limit.rlim_cur = (rlim_t)st.st_size;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says, "storage_unusable"));
    CU_ASSERT_TRUE(controlled_lists_not(&c, IS("a.test", "valid")));
    limit.rlim_cur = RLIM_INFINITY;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
    c.turn_ms = CONTROLLED_LONG_TURN_MS;
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.test", "valid")));
    controlled_close(&c);
}

/* ---- looking on ---- */

/* What diff sees of a prefix, whoever has it. */
static void observed_from_outside(void)
{
    struct observation o;
    struct error e;

    start("domains: [a.test]", NULL);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.test", "valid")));
    CU_ASSERT_EQUAL_FATAL(observation_open(&c.settings, &o, &e), 0);
    CU_ASSERT_PTR_NOT_NULL(store_find(o.store, subject_first(STR("a.test"))));
    CU_ASSERT_EQUAL(o.damaged, 0);
    observation_close(&o);
    controlled_close(&c);
}

static void loaded_from_outside(void)
{
    struct loaded *loaded = NULL;
    struct error e;

    controlled_open(&c, NULL);
    CU_ASSERT_EQUAL(
        load_files(&(struct load_options){.settings = &c.settings, .now = c.began}, &loaded, &e),
        -1);
    controlled_write_text(&c, "_format_version: \"3.0\"\nservices: [{name: a, url: \"{vault://env/"
                              "none}\"}]\nca_certificates: [{cert: x}]\n");
    CU_ASSERT_EQUAL_FATAL(
        load_files(&(struct load_options){.settings = &c.settings, .now = c.began}, &loaded, &e),
        0);
    CU_ASSERT_PTR_NULL(loaded->model); /* that is no certificate */
    load_free(loaded);
    controlled_close(&c);
}

static void ready_when_workers_are(void)
{
    controlled_open(&c, NULL);
    atomic_store(&c.is_unheard, true);
    controlled_write(&c, "domains: [a.test]");
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "\"a.test\""));
    controlled_ask(&c, false, GET("/status/ready"));
    CU_ASSERT_PTR_NOT_NULL(memmem(c.page.data, c.page.len, "0 of 1 workers", 14));
    CU_ASSERT_EQUAL(controlled_stop(&c), 0);
    atomic_store(&c.is_unheard, false);
    controlled_write_text(&c, "_format_version: \"3.0\"\n");
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "200 OK"));
    controlled_ask(&c, false, GET("/status/ready"));
    CU_ASSERT_PTR_NOT_NULL(memmem(c.page.data, c.page.len, "empty configuration", 19));
    controlled_close(&c);
}

/* ---- the end ---- */

static void told_by_a_signal(void)
{
    start("domains: [a.test]", NULL);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.test", "valid")));
    kill(getpid(), SIGTERM);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_has_ended, NULL));
    CU_ASSERT_EQUAL(controlled_stop(&c), 0);
    controlled_close(&c);
}

/* Stopped while it plans: nothing of what the other thread looks at goes. */
static void stopped_while_it_plans(void)
{
    struct buf config = BUF_INIT(TEXT_MAX);

    buf_cstr(&config, "domains: [a0.test");
    for (int n = 1; n < 400; n++)
        buf_printf(&config, ", a%d.test", n);
    buf_cstr(&config, "]");
    buf_char(&config, '\0');
    for (int n = 0; n < 6; n++) {
        controlled_open(&c, NULL);
        atomic_store(&c.is_cut, true);
        controlled_write(&c, config.data);
        controlled_start(&c);
        CU_ASSERT_TRUE(controlled_wait(&c, controlled_is_ready, NULL));
        kill(getpid(), SIGHUP);
        for (int turns = 0; turns < n; turns++)
            controlled_pass(&c, 1);
        CU_ASSERT_EQUAL(controlled_stop(&c), 0);
        controlled_close(&c);
    }
    buf_free(&config);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"within limits", within_limits},
        {"beside declared ones", beside_declared_ones},
        {"begins later", begins_later},
        {"another chain than preferred", another_chain_than_preferred},
        {"full when it comes", full_when_it_comes},
        {"observed from outside", observed_from_outside},
        {"loaded from outside", loaded_from_outside},
        {"ready when workers are", ready_when_workers_are},
        {"told by a signal", told_by_a_signal},
        {"stopped while it plans", stopped_while_it_plans},
        CU_TEST_INFO_NULL,
    };

    return suite_run("pass", tests);
}
