/* What a reload needs of the state, and when. */
#include "reconciler/control/reload.h"

#include <CUnit/Basic.h>
#include <stdio.h>

#include "reconciler/settings/settings.h"
#include "tests/support/scratch.h"
#include "tests/support/settings_text.h"
#include "tests/support/suite.h"

#define GOOD "_format_version: \"3.0\"\n"
#define BAD "_format_version: 3.0.0.0\nservices: 7\n"

static char folder[SCRATCH_PATH_MAX];
static struct settings settings;

static void write_file(const char *text)
{
    char path[SCRATCH_PATH_MAX + 16];
    FILE *f;

    snprintf(path, sizeof(path), "%s/kong.yaml", folder);
    f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_TRUE(fputs(text, f) >= 0 && fclose(f) == 0);
}

static void open_settings(void)
{
    char text[2 * SCRATCH_PATH_MAX + 64];
    struct error e;

    scratch_make(folder);
    snprintf(text, sizeof(text), "prefix = %s\ndeclarative_config = %s/kong.yaml\n", folder,
             folder);
    CU_ASSERT_EQUAL_FATAL(settings_text_read(&settings, text, &e), 0);
}

static void close_settings(void)
{
    settings_fini(&settings);
    scratch_remove(folder);
}

/* Reading has no store, no index and no publisher here: it would not survive to look at one. */
static struct reload read_alone(const struct configuration_state *state)
{
    struct reload r = {.state = state, .now = 1800000000};

    reload_read(&r);
    return r;
}

static void borrows_nothing(void)
{
    struct configuration_state state = {.settings = &settings, .environment = settings_text_home()};
    struct reload r, again;

    open_settings();
    write_file(GOOD);
    r = read_alone(&state);
    CU_ASSERT_TRUE(r.goes_on);
    CU_ASSERT_PTR_NOT_NULL_FATAL(r.next);
    CU_ASSERT_PTR_NOT_NULL(r.set);
    CU_ASSERT_PTR_NULL(r.next->desired); /* that takes the store to know */
    again = (struct reload){.state = &state, .current = r.next, .now = r.now};
    reload_read(&again);
    CU_ASSERT_FALSE(again.goes_on);
    CU_ASSERT_EQUAL(again.outcome, RELOAD_UNCHANGED);
    reload_fini(&again);
    reload_fini(&r);
    close_settings();
}

static void ends_without_the_state(void)
{
    struct configuration_state state = {.settings = &settings, .environment = settings_text_home()};
    struct reload r;

    open_settings();
    r = read_alone(&state); /* there is no file */
    CU_ASSERT_FALSE(r.goes_on);
    CU_ASSERT_EQUAL(r.outcome, RELOAD_UNREADABLE);
    reload_fini(&r);
    write_file(BAD);
    r = read_alone(&state);
    CU_ASSERT_FALSE(r.goes_on);
    CU_ASSERT_EQUAL(r.outcome, RELOAD_REFUSED);
    CU_ASSERT_PTR_NOT_NULL(r.new_refused);
    CU_ASSERT_PTR_NULL(r.set);
    reload_fini(&r);
    close_settings();
}

int main(void)
{
    static const CU_TestInfo tests[] = {{"borrows nothing", borrows_nothing},
                                        {"ends without the state", ends_without_the_state},
                                        CU_TEST_INFO_NULL};

    return suite_run("control/reload", tests);
}
