#include "reconciler/control/errand.h"

#include <CUnit/Basic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TEXT_MAX 4096

static int make_fd(struct str text)
{
    int fd = memfd_create("errand", MFD_CLOEXEC);

    CU_ASSERT_EQUAL_FATAL(write(fd, text.ptr, text.len), (ssize_t)text.len);
    return fd;
}

static struct action make_action(enum plan_action action, const char *name, bool overrides)
{
    return (struct action){
        .action = action, .wanted = action, .subject.name = str_from(name), .overrides = overrides};
}

static void test_round_trip(void)
{
    const struct action items[] = {
        make_action(PLAN_ADOPT, "a.test", false),  make_action(PLAN_BLOCK, "b.test", false),
        make_action(PLAN_ISSUE, "c.test", true),   make_action(PLAN_ISSUE, "d.test", false),
        make_action(PLAN_KEEP, "e.test", false),   make_action(PLAN_RENEW, "f.test", false),
        make_action(PLAN_RETIRE, "g.test", false), make_action(PLAN_WAIT, "h.test", false),
    };
    const struct plan plan = {.items = items, .count = ARRAY_LENGTH(items)};
    const struct action others[] = {
        make_action(PLAN_ISSUE, "a.test", false),  make_action(PLAN_ISSUE, "b.test", false),
        make_action(PLAN_ISSUE, "d.test", true),   make_action(PLAN_RENEW, "e.test", false),
        make_action(PLAN_ISSUE, "h.test", false),  make_action(PLAN_RETIRE, "", false),
        make_action(PLAN_RETIRE, "z.test", false),
    };
    const struct action milder = make_action(PLAN_ISSUE, "c.test", false);
    struct buf text = BUF_INIT(TEXT_MAX);
    struct errand *errand;
    struct error e;
    int fd;

    CU_ASSERT_EQUAL(errand_print(&plan, &text), 5);
    CU_ASSERT_STRING_EQUAL(text.data, "adopt a.test\nissue+ c.test\nissue d.test\nrenew f.test\n"
                                      "retire g.test\n");
    fd = make_fd(buf_view(&text));
    errand = errand_read(fd, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(errand);
    for (size_t i = 0; i < plan.count; i++)
        CU_ASSERT_TRUE(errand_allows(errand, &items[i]));
    CU_ASSERT_TRUE(errand_allows(errand, &milder));
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        CU_ASSERT_FALSE(errand_allows(errand, &others[i]));
    errand_free(errand);
    close(fd);
    buf_free(&text);
}

static void test_texts(void)
{
    static const struct {
        const char *text;
        bool is_fine;
    } rows[] = {
        {"", true},
        {"issue a.test\n", true},
        {"issue a.test", false}, /* cut off */
        {"issue\n", false},
        {"issue \n", false},
        {"\n", false},
        {" a.test\n", false},
        {"keep a.test\n", false},
        {"wait a.test\n", false},
        {"eat a.test\n", false},
        {"issue++ a.test\n", false},
        {"+ a.test\n", false},
        {"issue b.test\nissue a.test\n", false},
        {"issue a.test\nretire a.test\n", false},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        int fd = make_fd(str_from(rows[i].text));
        struct error e = {0};
        struct errand *errand = errand_read(fd, &e);

        if ((errand != NULL) != rows[i].is_fine)
            CU_FAIL(rows[i].text);
        CU_ASSERT_EQUAL(e.kind, rows[i].is_fine ? ERROR_NONE : ERROR_SYNTAX);
        errand_free(errand);
        close(fd);
    }
    errand_free(NULL);
}

static void test_unreadable(void)
{
    struct error e;

    CU_ASSERT_PTR_NULL(errand_read(-1, &e));
    CU_ASSERT_EQUAL(e.kind, ERROR_IO);
}

int main(void)
{
    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("errand", NULL, NULL);
    CU_ADD_TEST(suite, test_round_trip);
    CU_ADD_TEST(suite, test_texts);
    CU_ADD_TEST(suite, test_unreadable);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
