/* Plans on disk: what is taken for one, and what is not. */
#include "reconciler/control/plan_file.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/base/attr.h"
#include "reconciler/core/desired.h"
#include "reconciler/core/observed.h"
#include "reconciler/pki/digest.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

#define PATH_MAX_HERE (SCRATCH_PATH_MAX + 32)
#define TEXT_MAX ((size_t)1 << 16)
#define NOW INT64_C(1800000000)

#define RETIRED(host)                                                                 \
    {                                                                                 \
        .subject.name = STR_INIT(host), .action = PLAN_RETIRE, .wanted = PLAN_RETIRE, \
        .observed = &known                                                            \
    }

static const struct observed_name known;
static const struct action items[] = {RETIRED("a.test"), RETIRED("b.test")};
static const struct plan two = {.items = items, .count = 2};

static int write_plan(const char *path, const struct plan *plan, struct error *e)
{
    static const struct desired desired;
    char hash[PLAN_FILE_HASH_SIZE];
    const struct render_options options = {.desired = &desired,
                                           .files = &(struct render_file){"kong.yaml", "00"},
                                           .file_count = 1,
                                           .sha256 = "00",
                                           .against = STR("storage"),
                                           .now = NOW,
                                           .made_at = NOW,
                                           .hash = hash};

    CU_ASSERT_EQUAL(plan_file_hash(plan, hash, e), 0);
    return plan_file_write(path, plan, &options, e);
}

static void there_and_back(void)
{
    char folder[SCRATCH_PATH_MAX], path[PATH_MAX_HERE];
    struct arena *arena = arena_new(NULL);
    struct saved_plan saved;
    struct source_set *set;
    struct error e;

    scratch_make(folder);
    snprintf(path, sizeof(path), "%s/plan.json", folder);
    for (int i = 0; i < 2; i++) { /* over an earlier one, too */
        CU_ASSERT_EQUAL_FATAL(write_plan(path, &two, &e), 0);
        CU_ASSERT_EQUAL_FATAL(plan_file_read(path, arena, &saved, &set, &e), 0);
        source_free(set);
    }
    CU_ASSERT_EQUAL(saved.made_at, NOW);
    CU_ASSERT_EQUAL_FATAL(saved.count, 2);
    CU_ASSERT(str_equal(saved.items[1].name, STR("b.test")));
    CU_ASSERT_EQUAL(saved.items[1].action, PLAN_RETIRE);
    CU_ASSERT_EQUAL_FATAL(saved.file_count, 1);
    CU_ASSERT_STRING_EQUAL(saved.files[0], "kong.yaml");
    arena_free(arena);
    scratch_remove(folder);
}

/* Of one name several: by their keys, and where a key has changed, by what becomes of them. */
static void families(void)
{
    static const struct observed_name ecdsa = {.facts.key_type = KEY_P256},
                                      rsa = {.facts.key_type = KEY_RSA_2048};
    static const struct ca ca = {.directory = STR_INIT("https://ca.test/")};
    static const struct desired_name asked = {.ca = &ca};
    static const struct action of_a[] = {
        {.subject.name = STR_INIT("a.test"),
         .action = PLAN_KEEP,
         .desired = &asked,
         .observed = &rsa},
        {.subject = {STR_INIT("a.test"), FAMILY_ECDSA},
         .action = PLAN_RETIRE,
         .wanted = PLAN_RETIRE,
         .observed = &ecdsa},
        {.subject = {STR_INIT("a.test"), FAMILY_RSA},
         .action = PLAN_RETIRE,
         .wanted = PLAN_RETIRE,
         .observed = &rsa},
    };
    const struct plan plan = {.items = of_a, .count = ARRAY_LENGTH(of_a)};
    char folder[SCRATCH_PATH_MAX], path[PATH_MAX_HERE];
    struct arena *arena = arena_new(NULL);
    struct saved_plan saved;
    struct source_set *set;
    struct error e;

    scratch_make(folder);
    snprintf(path, sizeof(path), "%s/plan.json", folder);
    CU_ASSERT_EQUAL_FATAL(write_plan(path, &plan, &e), 0);
    CU_ASSERT_EQUAL(plan_file_read(path, arena, &saved, &set, &e), 0);
    source_free(set);
    CU_ASSERT_EQUAL_FATAL(saved.count, 3);
    CU_ASSERT_PTR_EQUAL(saved_find(&saved.items[0], &plan), &of_a[1]);
    CU_ASSERT_PTR_EQUAL(saved_find(&saved.items[1], &plan), &of_a[0]);
    CU_ASSERT_PTR_EQUAL(saved_find(&saved.items[2], &plan), &of_a[2]);
    arena_free(arena);
    scratch_remove(folder);
}

static void cannot_be_written_or_read(void)
{
    char folder[SCRATCH_PATH_MAX], path[PATH_MAX_HERE];
    struct arena *arena = arena_new(NULL);
    struct saved_plan saved;
    struct source_set *set;
    struct error e;

    scratch_make(folder);
    snprintf(path, sizeof(path), "%s/none/plan.json", folder);
    CU_ASSERT_EQUAL(write_plan(path, &two, &e), -1);
    CU_ASSERT(e.kind == ERROR_IO && strcmp(e.file, path) == 0);
    CU_ASSERT_EQUAL(plan_file_read(path, arena, &saved, &set, &e), -1);
    snprintf(path, sizeof(path), "%s/folder", folder);
    CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
    CU_ASSERT_EQUAL(write_plan(path, &two, &e), -1); /* nothing is renamed over a folder */
    CU_ASSERT_EQUAL(e.kind, ERROR_IO);
    CU_ASSERT_EQUAL(plan_file_read(path, arena, &saved, &set, &e), -1);
    arena_free(arena);
    scratch_remove(folder);
}

/* A plan of these actions, with the hash of these lines. */
static void compose(struct buf *text, const char *actions, const char *lines, const char *files)
{
    char hash[PLAN_FILE_HASH_SIZE];

    CU_ASSERT_EQUAL_FATAL(digest_sha256_hex(str_from(lines), hash), 0);
    buf_printf(text,
               "{\"format\":1,\"made_at\":\"2027-01-15T08:00:00Z\",\"hash\":\"%s\","
               "\"config\":{\"files\":[%s]},\"actions\":[%s]}",
               hash, files, actions);
}

#define ACTION(action, name, overrides) \
    "{\"action\":\"" action "\",\"name\":\"" name "\",\"overrides\":" overrides "}"

static void what_it_says(void)
{
    static const struct {
        const char *actions, *lines, *files, *said; /* NULL: it is taken */
    } cases[] = {
        {"", "", "", NULL},
        {ACTION("issue", "a.test", "null"), "issue a.test\n", "", NULL},
        {ACTION("issue", "a.test", "{}"), "issue+ a.test\n", "{\"file\":\"x\"}", NULL},
        {ACTION("keep", "b.test", "null") "," ACTION("renew", "a.test", "null"),
         "renew a.test\nkeep b.test\n", "", NULL},
        {ACTION("issue", "a.test", "null"), "issue b.test\n", "", "changed after it was made"},
        {ACTION("issue", "a.test", "{}"), "issue a.test\n", "", "changed after it was made"},
        {ACTION("dance", "a.test", "null"), "dance a.test\n", "", "not understood"},
        {ACTION("issue", "", "null"), "issue \n", "", "not understood"},
        {"{\"action\":\"issue\"}", "", "", "not understood"},
        {"7", "", "", "not understood"},
        {ACTION("issue", "a.test", "null") "," ACTION("issue", "a.test", "null"),
         "issue a.test\nissue a.test\n", "", "twice"},
        {"", "", "{\"file\":7}", "a file in it"},
        {"", "", "{\"file\":\"a\\u0000b\"}", "it is no plan"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buf text = BUF_INIT(TEXT_MAX);
        struct arena *arena = arena_new(NULL);
        struct saved_plan saved;
        struct error e;
        int rc;

        compose(&text, cases[i].actions, cases[i].lines, cases[i].files);
        rc = plan_file_parse(buf_view(&text), arena, &saved, &e);
        CU_ASSERT_EQUAL(rc, cases[i].said ? -1 : 0);
        if (rc && cases[i].said)
            CU_ASSERT(e.kind == ERROR_INVALID && strstr(e.message, cases[i].said));
        arena_free(arena);
        buf_free(&text);
    }
}

static void no_plan_at_all(void)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{",
        "{}",
        "{\"format\":2,\"made_at\":\"2027-01-15T08:00:00Z\",\"actions\":[]}",
        "{\"format\":1,\"actions\":[]}",
        "{\"format\":1,\"made_at\":\"soon\",\"actions\":[]}",
        "{\"format\":1,\"made_at\":\"2027-01-15T08:00:00Z\"}",
        "{\"format\":\"1\",\"made_at\":7,\"actions\":{}}"};

    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct arena *arena = arena_new(NULL);
        struct saved_plan saved;
        struct error e;

        CU_ASSERT_EQUAL(plan_file_parse(str_from(texts[i]), arena, &saved, &e), -1);
        CU_ASSERT_EQUAL(e.kind, ERROR_INVALID);
        arena_free(arena);
    }
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"there and back", there_and_back},
        {"families", families},
        {"cannot be written or read", cannot_be_written_or_read},
        {"what it says", what_it_says},
        {"no plan at all", no_plan_at_all},
        CU_TEST_INFO_NULL,
    };

    return suite_run("plan file", tests);
}
