/* Names that visitors ask for: taken, bounded, remembered, forgotten. */
#include "reconciler/control/visit.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "tests/fakes/controlled.h"
#include "tests/support/suite.h"

#define HOUR_MS (INT64_C(3600) * 1000)
#define IS(name, state) "\"name\": \"" name "\",\n      \"state\": \"" state "\""

static struct controlled c;

static void start(const char *config, const char *settings)
{
    controlled_open(&c, settings);
    controlled_write(&c, config);
    controlled_start(&c);
    for (int n = 0; n < CONTROLLED_PATIENCE && !atomic_load(&c.generation); n++)
        controlled_pass(&c, 10);
}

static void visit(const char *name)
{
    struct channel_message m = {.type = CHANNEL_SNI_SEEN};

    snprintf(m.u.sni.name, sizeof(m.u.sni.name), "%s", name);
    controlled_tell(&c, m);
}

static void taken(void)
{
    start("domains: [\"*.wild.test\"]", NULL);
    visit("a.wild.test");
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.wild.test", "valid")));
    visit("a.wild.test"); /* a worker that has it not yet */
    visit("b.wild.test");
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("b.wild.test", "valid")));
    CU_ASSERT_EQUAL(controlled_orders(&c), 2);
    controlled_write(&c, "domains: [other.test]"); /* the gate closes */
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists_not, "wild.test"));
    visit("c.wild.test");
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("other.test", "valid")));
    CU_ASSERT_TRUE(controlled_lists_not(&c, "c.wild.test"));
    controlled_write_text(&c, "_format_version: \"3.0\"\n"); /* not even a plugin */
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists_not, "other.test"));
    visit("d.wild.test");
    controlled_pass(&c, 100);
    CU_ASSERT_EQUAL(controlled_orders(&c), 3);
    controlled_close(&c);
}

/* More than is let in: dropped, counted, and said. */
static void bounded(void)
{
    char name[64];

    start("domains: [\"*.wild.test\"]", "acme_demand_total = 2\nacme_demand_per_domain = 2\n");
    atomic_store(&c.is_cut, true);
    for (int n = 0; n < 20; n++) {
        snprintf(name, sizeof(name), "n%d.wild.test", n);
        visit(name);
    }
    c.turn_ms = CONTROLLED_LONG_TURN_MS;
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says, "demands_dropped"));
    CU_ASSERT_TRUE(controlled_lists(&c, "n0.wild.test"));
    CU_ASSERT_TRUE(controlled_lists_not(&c, "n7.wild.test"));
    controlled_close(&c);
}

/* What nobody asks for any more, and never got a certificate, is forgotten an hour later. */
static void forgotten(void)
{
    start("domains: [\"*.wild.test\"]", NULL);
    atomic_store(&c.is_cut, true);
    c.turn_ms = CONTROLLED_LONG_TURN_MS;
    visit("a.wild.test");
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.wild.test", "failing")));
    CU_ASSERT_EQUAL(controlled_stop(&c), 0);
    controlled_start(&c); /* that is remembered */
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.wild.test", "failing")));
    for (int n = 0; n < 8; n++)
        controlled_pass(&c, HOUR_MS);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists_not, "a.wild.test"));
    CU_ASSERT_EQUAL(controlled_stop(&c), 0);
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists_not, "a.wild.test"));
    controlled_close(&c);
}

/* Waiting for its certificate when all ends: it gets it in the next life. */
static void waits_through_a_restart(void)
{
    start("domains: [\"*.wild.test\"]", NULL);
    atomic_store(&c.is_unheard, true);
    visit("a.wild.test");
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, "\"a.wild.test\""));
    CU_ASSERT_TRUE(controlled_lists(&c, IS("a.wild.test", "pending")));
    CU_ASSERT_EQUAL(controlled_stop(&c), 0);
    atomic_store(&c.is_unheard, false);
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.wild.test", "valid")));
    CU_ASSERT_EQUAL(controlled_orders(&c), 1);
    controlled_close(&c);
}

/* Who is visited stays, however long ago the first visit was; and with no more of them, goes. */
static void kept(void)
{
    start("domains: [\"*.wild.test\"]", NULL);
    visit("a.wild.test");
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.wild.test", "valid")));
    for (int day = 0; day < 300; day += 5) {
        pthread_mutex_lock(&c.guard);
        fake_ca_options(c.ca)->not_before = c.began + (day + 5) * INT64_C(86400) - 3600;
        pthread_mutex_unlock(&c.guard);
        controlled_pass(&c, 5 * 24 * HOUR_MS);
        visit("a.wild.test"); /* as workers tell of what is on demand */
        CU_ASSERT_TRUE_FATAL(controlled_wait(&c, controlled_lists, IS("a.wild.test", "valid")));
    }
    CU_ASSERT_TRUE(controlled_orders(&c) >= 4);
    for (int n = 0; n < 100; n++)
        controlled_pass(&c, 24 * HOUR_MS);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists_not, IS("a.wild.test", "valid")));
    controlled_close(&c);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"taken", taken},         {"bounded", bounded},
        {"forgotten", forgotten}, {"waits through a restart", waits_through_a_restart},
        {"kept", kept},           CU_TEST_INFO_NULL,
    };

    return suite_run("visit", tests);
}
