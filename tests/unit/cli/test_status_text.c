#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/cli/text/status_text.h"
#include "tests/support/golden.h"

#define TEXT_MAX ((size_t)1 << 20)

/* 2026-11-24T04:00:00Z */
#define NOW ((int64_t)1795492800)

static const struct status_text_options plain = {.width = STATUS_TEXT_WIDTH, .now = NOW},
                                        verbose = {.verbose = true,
                                                   .width = STATUS_TEXT_WIDTH,
                                                   .now = NOW},
                                        coloured = {.colour = true, .width = 200, .now = NOW};

/* Every state, a name that is wider than its column, text that tries to move the cursor. */
static const char full[] =
    "{\"format\":1,\"generation\":12,\"config\":{\"files\":[],\"sha256\":\"ab\"},\"problems\":["
    "{\"severity\":\"error\",\"file\":\"kong.yaml\",\"line\":14,\"column\":9,"
    "\"path\":\"certificates[1].snis[2].name\",\"message\":\"must not be an IP\"},"
    "{\"severity\":\"warning\",\"file\":\"kong.yaml\",\"line\":null,\"column\":null,"
    "\"path\":\"\",\"message\":\"never \\u001b[2J matches\"}],"
    "\"conditions\":[{\"condition\":\"file_refused\",\"level\":\"fault\",\"since\":\"2026-11-24T02:"
    "57:00Z\","
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
        bool is_fault = false;
        struct error e;
        CU_ASSERT_EQUAL(status_text_print(STR(full), rows[i].options, &out, &is_fault, &e), 0);
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
        {"{\"conditions\":[[]]}", "No certificates.\n\nConditions:\n  fault:  since : \n"},
        {"", NULL},
        {"[]", NULL},
        {"null", NULL},
        {"{\"certificates\":[", NULL},
        {"{} trailing", NULL},
        {"<html>", NULL},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = BUF_INIT(TEXT_MAX);
        bool is_fault;
        struct error e;
        int rc = status_text_print(str_from(rows[i].body), &plain, &out, &is_fault, &e);
        CU_ASSERT_EQUAL(rc, rows[i].printed ? 0 : -1);
        if (rows[i].printed)
            CU_ASSERT(str_equal_cstr(buf_view(&out), rows[i].printed))
        else
            CU_ASSERT_STRING_EQUAL(e.message, "the server's answer is not a status");
        buf_free(&out);
    }
}

/* The longest line, in characters. */
static size_t longest(struct str text)
{
    size_t most = 0, width = 0;

    for (size_t i = 0; i < text.len; i++) {
        width = text.ptr[i] == '\n' ? 0 : width + (((unsigned char)text.ptr[i] & 0xc0) != 0x80);
        most = width > most ? width : most;
    }
    return most;
}

/* Whatever a server says fits the screen, and a name is never cut. */
static void widths(void)
{
    static const char *const members[] = {"name", "state", "issuer", "not_after", "last_error"};

    for (size_t m = 0; m < ARRAY_LENGTH(members); m++)
        for (size_t len = 1; len < 300; len += 7) {
            struct buf body = BUF_INIT(TEXT_MAX), out = BUF_INIT(TEXT_MAX);
            bool is_fault;
            struct error e;

            buf_cstr(&body, "{\"certificates\":[{\"name\":\"www.shop.example\",\"state\":"
                            "\"failing\",\"issuer\":\"A CA\",\"not_after\":"
                            "\"2027-02-22T00:00:00Z\",\"next\":{\"action\":\"renew\",\"at\":"
                            "\"2027-02-22T00:00:00Z\"}},{\"state\":\"failing\",");
            buf_printf(&body, "\"%s\":\"", members[m]);
            for (size_t i = 0; i < len; i++)
                buf_cstr(&body, m == 2 ? "\xc3\x9c" : "a");
            buf_cstr(&body, "\"}]}");
            CU_ASSERT_EQUAL(status_text_print(buf_view(&body), &plain, &out, &is_fault, &e), 0);
            CU_ASSERT(longest(buf_view(&out)) <= STATUS_TEXT_WIDTH);
            CU_ASSERT(is_fault);
            buf_free(&out);
            buf_free(&body);
        }
}

/* A failure is told once: within the reason, and of several names in a row. */
static void failure_once(void)
{
    static const char body[] =
        "{\"certificates\":["
        "{\"name\":\"a\",\"state\":\"failing\",\"last_error\":\"no route\",\"failures\":1,"
        "\"next\":{\"because\":{\"text\":\"the try at T failed: no route; next try at U\"}}},"
        "{\"name\":\"b\",\"state\":\"failing\",\"last_error\":\"no route\",\"failures\":2,"
        "\"next\":{\"because\":{\"text\":\"the try at V failed: no route; next try at W\"}}},"
        "{\"name\":\"c\",\"state\":\"failing\",\"last_error\":\"no route\",\"failures\":2,"
        "\"next\":{\"action\":\"block\",\"at\":\"2026-11-25T04:00:00Z\","
        "\"because\":{\"text\":\"an order is under way\"}}}]}";
    struct buf out = BUF_INIT(TEXT_MAX);
    bool is_fault;
    struct error e;

    CU_ASSERT_EQUAL(status_text_print(STR(body), &plain, &out, &is_fault, &e), 0);
    CU_ASSERT(str_equal_cstr(buf_view(&out), "NAME  STATE    ISSUER  EXPIRES  NEXT\n"
                                             "a     failing  -       -        -\n"
                                             "    the try at T failed: no route; next try at U\n"
                                             "b     failing  -       -        -\n"
                                             "    the try at V failed: as above; next try at W\n"
                                             "c     failing  -       -        try 04:00Z in 24h\n"
                                             "    an order is under way\n"
                                             "    failed 2 times, last: as above\n"));
    buf_free(&out);
}

/* What --exit-code tells. */
static void faults(void)
{
    static const struct {
        const char *body;
        bool is_fault;
    } rows[] = {
        {"{\"certificates\":[{\"state\":\"valid\"},{\"state\":\"pending\"}]}", false},
        {"{\"certificates\":[{\"state\":\"due\"},{\"state\":\"retired\"}]}", false},
        {"{\"certificates\":[{\"state\":\"valid\"},{\"state\":\"failing\"}]}", true},
        {"{\"certificates\":[{\"state\":\"blocked\"}]}", true},
        {"{\"certificates\":[{\"state\":\"expired\"}]}", true},
        {"{\"certificates\":[{\"state\":\"revoked\"}]}", true},
        {"{\"conditions\":[{\"level\":\"note\"}]}", false},
        {"{\"conditions\":[{\"level\":\"note\"},{\"level\":\"fault\"}]}", true},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = BUF_INIT(TEXT_MAX);
        bool is_fault = !rows[i].is_fault;
        struct error e;

        CU_ASSERT_EQUAL(status_text_print(str_from(rows[i].body), &plain, &out, &is_fault, &e), 0);
        CU_ASSERT_EQUAL(is_fault, rows[i].is_fault);
        buf_free(&out);
    }
}

static void full_buffer(void)
{
    struct buf out = BUF_INIT(100);
    bool is_fault;
    struct error e;

    CU_ASSERT_EQUAL(status_text_print(STR(full), &plain, &out, &is_fault, &e), -1);
    buf_free(&out);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"golden", golden}, {"shapes", shapes},
        {"widths", widths}, {"failure once", failure_once},
        {"faults", faults}, {"full buffer", full_buffer},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"status text", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
