#include "reconciler/serve/answer.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char id[] = "0123456789abcdef0123456789abcdef";

/* Exact bytes: what clients of Kong compare against. */
static void test_bodies(void)
{
    static const struct {
        enum answer_type type;
        const char *content_type, *body;
    } cases[] = {
        {ANSWER_JSON, "application/json; charset=utf-8",
         "{\n  \"message\":\"no Route matched with those values\",\n"
         "  \"request_id\":\"0123456789abcdef0123456789abcdef\"\n}"},
        {ANSWER_PLAIN, "text/plain; charset=utf-8",
         "no Route matched with those values\nrequest_id: 0123456789abcdef0123456789abcdef\n"},
        {ANSWER_HTML, "text/html; charset=utf-8",
         "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n"
         "    <title>Error</title>\n  </head>\n  <body>\n    <h1>Error</h1>\n"
         "    <p>no Route matched with those values.</p>\n"
         "    <p>request_id: 0123456789abcdef0123456789abcdef</p>\n  </body>\n</html>\n"},
        {ANSWER_XML, "application/xml; charset=utf-8",
         "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n"
         "  <message>no Route matched with those values</message>\n"
         "  <requestid>0123456789abcdef0123456789abcdef</requestid>\n</error>\n"},
    };
    struct buf out = BUF_INIT(4096);

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        buf_clear(&out);
        answer_body(&out, cases[i].type, "no Route matched with those values", id);
        CU_ASSERT_FALSE(out.failed);
        CU_ASSERT_STRING_EQUAL(out.data, cases[i].body);
        CU_ASSERT_TRUE(str_equal_cstr(answer_content_type(cases[i].type), cases[i].content_type));
    }
    buf_clear(&out);
    answer_body(&out, ANSWER_GRPC, "x", id);
    CU_ASSERT_EQUAL(out.len, 0);
    CU_ASSERT_PTR_NULL(answer_content_type(ANSWER_GRPC).ptr);
    buf_free(&out);
    out = BUF_INIT(10);
    answer_body(&out, ANSWER_JSON, "too long for it", id);
    CU_ASSERT_TRUE(out.failed);
    buf_free(&out);
}

static void test_negotiate(void)
{
    static const struct {
        const char *accept;
        enum answer_type type;
    } cases[] = {
        {"*/*", ANSWER_JSON},
        {"text/html", ANSWER_HTML},
        {"application/json", ANSWER_JSON},
        {"application/xml", ANSWER_XML},
        {"text/plain", ANSWER_PLAIN},
        {"text/*", ANSWER_PLAIN},
        {"application/*", ANSWER_JSON},
        {"application/grpc", ANSWER_GRPC},
        {"image/png", ANSWER_JSON},
        {"", ANSWER_JSON},
        {"nonsense", ANSWER_JSON},
        {"text/html, application/xml", ANSWER_HTML},
        {"text/html;q=0.1, application/xml", ANSWER_XML},
        {"text/html;q=0.5,text/plain;q=0.9,application/xml;q=0.9", ANSWER_PLAIN},
        {"text/html; q=0.999, text/plain", ANSWER_PLAIN},
        {"text/html;q=0", ANSWER_JSON},
        {"text/html;q=0.000, text/plain;q=0.001", ANSWER_PLAIN},
        {"text/html;level=1;q=0.2, text/plain;q=0.3", ANSWER_PLAIN},
        {"text/html;q=0.2;level=1, text/plain;q=0.1", ANSWER_HTML},
        {"text/html;q=2, text/plain", ANSWER_HTML}, /* no q: 1, and the first of equals */
        {"text/plain;q=1.000, text/html;q=1.1", ANSWER_PLAIN},
        {"image/png, text/html;q=0.9", ANSWER_JSON}, /* the winner has no template */
        {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", ANSWER_HTML},
        {"  text/plain  ", ANSWER_PLAIN},
        {"TEXT/HTML", ANSWER_JSON}, /* Kong compares the bytes */
        {",,text/plain", ANSWER_PLAIN},
        {"x/html, text/plain", ANSWER_PLAIN}, /* a type has two characters or more */
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct str accept = str_from(cases[i].accept);
        enum answer_type got = answer_negotiate(&accept, 1, ANSWER_PLAIN);
        if (got != cases[i].type)
            fprintf(stderr, "%s: %d\n", cases[i].accept, got);
        CU_ASSERT_EQUAL(got, cases[i].type);
    }
}

static void test_several_fields(void)
{
    const struct str accepts[] = {STR("text/html;q=0.5"), STR("application/xml;q=0.6")};

    CU_ASSERT_EQUAL(answer_negotiate(accepts, 2, ANSWER_JSON), ANSWER_XML);
    CU_ASSERT_EQUAL(answer_negotiate(NULL, 0, ANSWER_JSON), ANSWER_JSON);
    CU_ASSERT_EQUAL(answer_negotiate(NULL, 0, ANSWER_PLAIN), ANSWER_PLAIN);
}

static void test_range_limit(void)
{
    char accept[ANSWER_RANGES_MAX * 8 + 32] = "";
    struct str all;

    for (int i = 0; i < ANSWER_RANGES_MAX - 1; i++)
        memcpy(accept + strlen(accept), "a1/b2,", 7);
    memcpy(accept + strlen(accept), "text/html;q=0", 14);
    all = str_from(accept);
    CU_ASSERT_EQUAL(answer_negotiate(&all, 1, ANSWER_PLAIN), ANSWER_JSON);
    /* the last one that is looked at, and the first that is not */
    for (int over = 0; over < 2; over++) {
        accept[0] = '\0';
        for (int i = 0; i < ANSWER_RANGES_MAX - 1 + over; i++)
            memcpy(accept + strlen(accept), ",", 2);
        memcpy(accept + strlen(accept), "text/html", 10);
        all = str_from(accept);
        CU_ASSERT_EQUAL(answer_negotiate(&all, 1, ANSWER_PLAIN), over ? ANSWER_JSON : ANSWER_HTML);
    }
}

static void test_id(void)
{
    static const unsigned char bytes[16] = {0x00, 0x01, 0xfe, 0xff, 0x10, 0x9a};
    char text[ANSWER_ID_SIZE];

    answer_id(bytes, text);
    CU_ASSERT_STRING_EQUAL(text, "0001feff109a00000000000000000000");
}

int main(void)
{
    CU_TestInfo tests[] = {{"bodies", test_bodies},
                           {"negotiate", test_negotiate},
                           {"several fields", test_several_fields},
                           {"range limit", test_range_limit},
                           {"id", test_id},
                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "answer", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
