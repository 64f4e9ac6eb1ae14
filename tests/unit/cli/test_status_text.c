#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/cli/status_text.h"
#include "tests/support/golden.h"

#define TEXT_MAX ((size_t)1 << 20)

static const struct status_text_options plain = {0}, verbose = {.verbose = true},
                                        coloured = {.colour = true};

/* Every state, a name that is wider than its column, text that tries to move the cursor. */
static const char full[] =
    "{\"format\":1,\"generation\":12,\"config\":{\"files\":[],\"sha256\":\"ab\"},\"problems\":["
    "{\"severity\":\"error\",\"file\":\"kong.yaml\",\"line\":14,\"column\":9,"
    "\"path\":\"certificates[1].snis[2].name\",\"message\":\"must not be an IP\"},"
    "{\"severity\":\"warning\",\"file\":\"kong.yaml\",\"line\":null,\"column\":null,"
    "\"path\":\"\",\"message\":\"never \\u001b[2J matches\"}],"
    "\"conditions\":[{\"condition\":\"file_refused\",\"since\":\"2026-11-24T02:57:00Z\","
    "\"text\":\"1 error\"}],\"certificates\":["
    "{\"name\":\"a.example\",\"state\":\"valid\",\"issuer\":\"Pebble Intermediate CA\","
    "\"not_after\":\"2027-02-22T02:56:59Z\",\"declared_at\":[\"kong.yaml:3:5\",\"kong.yaml:9:1\"],"
    "\"next\":{\"action\":\"renew\",\"at\":\"2027-01-23T02:56:59Z\",\"because\":{\"reason\":"
    "\"not_due\",\"text\":\"not due\"}},\"last_error\":null,\"ca\":\"https://ca/dir\","
    "\"key_type\":\"ecdsa-p256\",\"failures\":0},"
    "{\"name\":\"b.example\",\"state\":\"failing\",\"issuer\":null,\"not_after\":null,"
    "\"declared_at\":[],\"next\":{\"action\":\"issue\",\"at\":\"2026-11-24T03:00:00Z\","
    "\"because\":{\"reason\":\"backoff\",\"text\":\"failed before\"}},"
    "\"last_error\":\"DNS problem:\\r\\nNXDOMAIN\",\"ca\":\"https://ca/dir\","
    "\"key_type\":\"ecdsa-p256\",\"failures\":3},"
    "{\"name\":\"a-name-that-is-a-good-deal-longer-than-the-others.example\","
    "\"state\":\"expired\",\"issuer\":\"\xc3\x9cmlaut CA\",\"not_after\":\"2026-11-01T00:00:00Z\","
    "\"next\":{\"action\":\"renew\",\"at\":null,\"because\":{\"text\":\"expired\"}}},"
    "{\"name\":\"c\",\"state\":\"blocked\",\"next\":{\"action\":\"block\",\"at\":null,"
    "\"because\":{\"reason\":\"not_public\",\"text\":\"it has only one label\"}}},"
    "{\"name\":\"d.example\",\"state\":\"something new\"}]}";

static void golden(void)
{
    static const struct {
        const struct status_text_options *options;
        const char *path;
    } rows[] = {
        {&plain, "tests/golden/cli/status.txt"},
        {&verbose, "tests/golden/cli/status-verbose.txt"},
        {&coloured, "tests/golden/cli/status-coloured.txt"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = BUF_INIT(TEXT_MAX);
        struct error e;
        CU_ASSERT_EQUAL(status_text_print(STR(full), rows[i].options, &out, &e), 0);
        CU_ASSERT(golden_matches(rows[i].path, buf_view(&out)));
        buf_free(&out);
    }
}

static void shapes(void)
{
    static const struct {
        const char *body, *printed; /* NULL: refused */
    } rows[] = {
        {"{}", "No certificates.\n"},
        {"{\"certificates\":{}}", "No certificates.\n"},
        {"{\"certificates\":[7]}", "NAME  STATE  ISSUER  EXPIRES  NEXT\n"
                                   "-     -      -       -        -\n"},
        {"{\"certificates\":[{\"name\":[],\"next\":\"soon\"}]}",
         "NAME  STATE  ISSUER  EXPIRES  NEXT\n-     -      -       -        -\n"},
        {"{\"conditions\":[[]]}", "No certificates.\n\nConditions:\n   since : \n"},
        {"", NULL},
        {"[]", NULL},
        {"null", NULL},
        {"{\"certificates\":[", NULL},
        {"{} trailing", NULL},
        {"<html>", NULL},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = BUF_INIT(TEXT_MAX);
        struct error e;
        int rc = status_text_print(str_from(rows[i].body), &plain, &out, &e);
        CU_ASSERT_EQUAL(rc, rows[i].printed ? 0 : -1);
        if (rows[i].printed)
            CU_ASSERT(str_equal_cstr(buf_view(&out), rows[i].printed))
        else
            CU_ASSERT_STRING_EQUAL(e.message, "the server's answer is not a status");
        buf_free(&out);
    }
}

/* A cell of STATUS_TEXT_CELL_MAX sets its column out, a longer one does not. */
static void wide_cells(void)
{
    for (size_t over = 0; over < 2; over++) {
        struct buf body = BUF_INIT(TEXT_MAX), out = BUF_INIT(TEXT_MAX);
        struct error e;
        size_t title;

        buf_cstr(&body, "{\"certificates\":[{\"name\":\"");
        for (size_t i = 0; i < STATUS_TEXT_CELL_MAX + over; i++)
            buf_char(&body, 'a');
        buf_cstr(&body, "\"}]}");
        CU_ASSERT_EQUAL(status_text_print(buf_view(&body), &plain, &out, &e), 0);
        title = str_find(buf_view(&out), 'S', 0); /* of STATE */
        CU_ASSERT_EQUAL(title, over ? strlen("NAME  ") : STATUS_TEXT_CELL_MAX + 2);
        buf_free(&out);
        buf_free(&body);
    }
}

static void full_buffer(void)
{
    struct buf out = BUF_INIT(100);
    struct error e;

    CU_ASSERT_EQUAL(status_text_print(STR(full), &plain, &out, &e), -1);
    buf_free(&out);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"golden", golden},           {"shapes", shapes}, {"wide cells", wide_cells},
        {"full buffer", full_buffer}, CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"status text", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
