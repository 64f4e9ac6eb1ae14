#include "reconciler/control/heart.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <unistd.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/channel.h"

static size_t count_beats(int channel)
{
    struct channel_message m;
    struct error e;
    size_t count = 0;
    int fd;

    while (channel_receive(channel, &m, &fd, &e) == 1)
        count += m.type == CHANNEL_BEAT;
    return count;
}

/* However often there is progress, it is told once a second. */
static void test_beats(void)
{
    struct heart h = {0};
    struct error e;
    int ends[2];

    CU_ASSERT_EQUAL_FATAL(channel_pair(ends, &e), 0);
    h.channel = ends[0];
    for (int i = 0; i < 100000; i++)
        heart_beat(&h);
    CU_ASSERT(count_beats(ends[1]) <= 3); /* one, but on a machine that stands still */
    h.beaten_ms -= HEART_BEAT_MS;
    heart_beat(&h);
    CU_ASSERT_EQUAL(count_beats(ends[1]), 1);
    close(ends[0]);
    close(ends[1]);
}

static void test_nobody_listens(void)
{
    struct heart h = {.channel = -1};
    struct error e;
    int ends[2];

    heart_beat(&h);
    CU_ASSERT_EQUAL_FATAL(channel_pair(ends, &e), 0);
    h.channel = ends[0];
    for (int i = 0; i < 10000; i++) { /* full: nothing is waited for */
        h.beaten_ms = 0;
        heart_beat(&h);
    }
    CU_ASSERT_EQUAL(h.channel, ends[0]);
    close(ends[1]);
    h.beaten_ms = 0;
    heart_beat(&h);
    CU_ASSERT_EQUAL(h.channel, -1);
    close(ends[0]);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
        {"beats", test_beats},
        {"nobody listens", test_nobody_listens},
    };

    (void)argv;
    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("heart", NULL, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(tests); i++)
        CU_add_test(suite, tests[i].name, tests[i].run);
    CU_basic_set_mode(argc > 1 ? CU_BRM_VERBOSE : CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures ? 1 : 0;
}
