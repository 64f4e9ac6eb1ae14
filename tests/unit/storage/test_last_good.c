/* The last good file, kept beside the storage. */
#include "reconciler/storage/last_good.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/io/source.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

static char folder[SCRATCH_PATH_MAX];

static void write_it(const char *text, size_t len)
{
    char path[SCRATCH_PATH_MAX + 16];
    FILE *f;

    snprintf(path, sizeof(path), "%s/last_good", folder);
    f = fopen(path, "w");
    CU_ASSERT_FATAL(f && fwrite(text, 1, len, f) == len && fclose(f) == 0);
}

static void there_and_back(void)
{
    const struct source_text texts[] = {{STR("a.yaml"), STR("x: 1\n")},
                                        {STR("b.yaml"), STR("")},
                                        {STR("c.yaml"), STR("two\nlines\n")}};
    struct source_set *set, *again;
    struct error e;

    scratch_make(folder);
    CU_ASSERT_EQUAL_FATAL(source_copy(texts, 3, &set, &e), 0);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL_FATAL(last_good_write(folder, set, &e), 0);
        CU_ASSERT_EQUAL_FATAL(last_good_read(folder, &again, &e), 0);
        CU_ASSERT_EQUAL_FATAL(again->count, 3);
        CU_ASSERT_STRING_EQUAL(again->files[2].name, "c.yaml");
        CU_ASSERT_EQUAL(again->files[2].len, 10);
        CU_ASSERT_STRING_EQUAL(again->sha256, set->sha256);
        source_free(again);
    }
    source_free(set);
    scratch_remove(folder);
}

static void damaged(void)
{
    static const char *const texts[] = {"x",     "3\nabc",    "3 4",         "3 4\nabc",
                                        "9 0\n", "0 9\nabcd", "a b\nabcdef", "1 1\nab1 7\nz"};
    struct source_set *set;
    struct error e;

    scratch_make(folder);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        write_it(texts[i], strlen(texts[i]));
        CU_ASSERT_EQUAL(last_good_read(folder, &set, &e), -1);
        CU_ASSERT(e.kind == ERROR_STORAGE && strstr(e.message, "is damaged"));
    }
    scratch_remove(folder);
}

static void nowhere(void)
{
    const struct source_text text = {STR("a.yaml"), STR("x: 1\n")};
    char path[SCRATCH_PATH_MAX + 16];
    struct source_set *set, *none;
    struct error e;

    scratch_make(folder);
    CU_ASSERT_EQUAL_FATAL(source_copy(&text, 1, &set, &e), 0);
    CU_ASSERT_EQUAL(last_good_read(folder, &none, &e), -1); /* never written */
    snprintf(path, sizeof(path), "%s/last_good", folder);
    CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
    CU_ASSERT_EQUAL(last_good_write(folder, set, &e), -1); /* nothing is renamed over a folder */
    CU_ASSERT_EQUAL(e.kind, ERROR_STORAGE);
    snprintf(path, sizeof(path), "%s/last_good.new", folder);
    CU_ASSERT_EQUAL(access(path, F_OK), -1);
    CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
    CU_ASSERT_EQUAL(last_good_write(folder, set, &e), -1);
    CU_ASSERT_EQUAL(last_good_write("/proc/none", set, &e), -1);
    source_free(set);
    scratch_remove(folder);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"there and back", there_and_back},
        {"damaged", damaged},
        {"nowhere", nowhere},
        CU_TEST_INFO_NULL,
    };

    return suite_run("last good", tests);
}
