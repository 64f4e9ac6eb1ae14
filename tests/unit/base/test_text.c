/* Texts: UTF-8, escaping, JSON, times, Retry-After, strings. */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <string.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/http.h"
#include "reconciler/base/json_out.h"
#include "reconciler/base/utf8.h"

static const struct {
    const char *bytes;
    size_t len; /* of the sequence; 0: none */
    unsigned code;
} sequences[] = {
    {"a", 1, 'a'},
    {"\x7f", 1, 0x7f},
    {"\xc3\xa9", 2, 0xe9},
    {"\xc2\x80", 2, 0x80},
    {"\xc1\xbf", 0, 0},
    {"\xc0\x80", 0, 0},
    {"\x80", 0, 0},
    {"\xe2\x82\xac", 3, 0x20ac},
    {"\xe0\x9f\xbf", 0, 0},
    {"\xed\x9f\xbf", 3, 0xd7ff},
    {"\xed\xa0\x80", 0, 0},
    {"\xee\x80\x80", 3, 0xe000},
    {"\xf0\x9f\x98\x80", 4, 0x1f600},
    {"\xf0\x8f\xbf\xbf", 0, 0},
    {"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
    {"\xf4\x90\x80\x80", 0, 0},
    {"\xff", 0, 0},
    {"\xc3", 0, 0},
    {"\xc3(", 0, 0},
    {"\xe2\x82", 0, 0},
};

static void test_utf8(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(sequences); i++) {
        unsigned code = 0;
        size_t len = utf8_sequence((const unsigned char *)sequences[i].bytes,
                                   strlen(sequences[i].bytes), &code);
        CU_ASSERT_EQUAL(len, sequences[i].len);
        if (len)
            CU_ASSERT_EQUAL(code, sequences[i].code);
    }
}

static const struct {
    const char *text, *escaped, *json;
} texts[] = {
    {"plain", "plain", "\"plain\""},
    {"a\nb", "a\\x0ab", "\"a\\nb\""},
    {"\x1b[31m", "\\x1b[31m", "\"\\u001b[31m\""},
    {"q\"\\", "q\\\"\\\\", "\"q\\\"\\\\\""},
    {"\xff\xfe", "\\xff\\xfe", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    {"\xc3\xa9/x", "\xc3\xa9/x", "\"\xc3\xa9/x\""},
    {"\xe2\x80\xae", "\\xe2\\x80\\xae", "\"\xe2\x80\xae\""}, /* right-to-left override */
    {"", "", "\"\""},
};

static void test_outside_text(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct buf b = BUF_INIT(1000), j = BUF_INIT(1000);
        struct json_out out = json_out_compact(&j);
        buf_escaped(&b, str_from(texts[i].text));
        json_out_cstr(&out, texts[i].text);
        CU_ASSERT_STRING_EQUAL(buf_view(&b).ptr, texts[i].escaped);
        CU_ASSERT_STRING_EQUAL(buf_view(&j).ptr, texts[i].json);
        buf_free(&b);
        buf_free(&j);
    }
}

static void test_json_shape(void)
{
    struct buf b = BUF_INIT(1000);
    struct json_out j = json_out_pretty(&b);

    json_out_object(&j);
    json_out_key(&j, "a");
    json_out_array(&j);
    json_out_int(&j, -1);
    json_out_double(&j, 0.1);
    json_out_bool(&j, true);
    json_out_end(&j);
    json_out_key(&j, "b");
    json_out_object(&j);
    json_out_end(&j);
    json_out_member_time(&j, "t", 0);
    json_out_member_time(&j, "u", 1);
    json_out_end(&j);
    CU_ASSERT_STRING_EQUAL(b.data,
                           "{\n  \"a\": [\n    -1,\n    0.1,\n    true\n  ],\n  \"b\": {},\n"
                           "  \"t\": null,\n  \"u\": \"1970-01-01T00:00:01Z\"\n}");
    buf_free(&b);
}

static void test_buf_limit(void)
{
    struct buf b = BUF_INIT(4);

    CU_ASSERT_EQUAL(buf_cstr(&b, "abcd"), 0);
    CU_ASSERT_EQUAL(buf_char(&b, 'e'), -1);
    CU_ASSERT(b.failed);
    CU_ASSERT_STRING_EQUAL(b.data, "abcd");
    buf_consume(&b, 3);
    CU_ASSERT_STRING_EQUAL(b.data, "d");
    buf_clear(&b);
    /* Text from outside is cut where the room ends. */
    CU_ASSERT_EQUAL(buf_escaped(&b, STR("abcdef")), -1);
    CU_ASSERT_STRING_EQUAL(b.data, "abcd");
    buf_free(&b);
}

static void test_decimal(void)
{
    const int64_t numbers[] = {0, 7, -7, 10, 1234567890, INT64_MAX, INT64_MIN};
    struct buf b = BUF_INIT(4096), wanted = BUF_INIT(4096);

    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        buf_decimal(&b, numbers[i]);
        buf_char(&b, ' ');
        buf_printf(&wanted, "%lld ", (long long)numbers[i]);
    }
    CU_ASSERT_STRING_EQUAL(b.data, wanted.data);
    buf_free(&b);
    buf_free(&wanted);
}

static const struct {
    const char *text;
    int64_t seconds; /* -1: refused */
} times[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"2026-11-24T02:57:00Z", 1795489020},
    {"2026-11-24t02:57:00z", 1795489020},
    {"2026-11-24T03:57:00.25+01:00", 1795489020},
    {"2026-11-23T21:27:00-05:30", 1795489020},
    {"2000-02-29T00:00:00Z", 951782400},
    {"9999-12-31T23:59:59Z", 253402300799},
    {"2026-02-29T00:00:00Z", -1},
    {"2026-13-01T00:00:00Z", -1},
    {"2026-11-24T24:00:00Z", -1},
    {"2026-11-24T02:57:00", -1},
    {"2026-11-24", -1},
    {"2026-11-24T02:57:00Zx", -1},
    {"2026-11-24T02:57:00+1:00", -1},
    {"2026-11-24T02:57:00.Z", -1},
    {"", -1},
};

static void test_times(void)
{

    for (size_t i = 0; i < ARRAY_LENGTH(times); i++) {
        int64_t got = -1;
        if (clock_parse(str_from(times[i].text), &got))
            got = -1;
        if (got != times[i].seconds)
            CU_FAIL(times[i].text);
    }
    CU_ASSERT_STRING_EQUAL(clock_text(1795489020).text, "2026-11-24T02:57:00Z");
    CU_ASSERT_STRING_EQUAL(clock_text(INT64_MAX).text, "9999-12-31T23:59:59Z");
    CU_ASSERT_STRING_EQUAL(clock_text(INT64_MIN).text, "0000-01-01T00:00:00Z");
}

static const struct {
    const char *value;
    int64_t at; /* from now = 784111700 */
} retry_afters[] = {
    {"60", 784111760},
    {" 0 ", 784111700},
    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"Sun, 06 Nov 1994 08:00:00 GMT", 784111700}, /* past: now */
    {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
    {"Sun Nov  6 08:49:37 1994", 784111777},
    {"Sunday, 06-Nov-94 08:49:37", 0},
    {"Sun Nov  6 08:49:37 1994 GMT", 0},
    {"1000000000000", 784111700 + (int64_t)100 * 365 * 86400},
    {"99999999999999999999999", 0},
    {"-5", 0},
    {"soon", 0},
    {"", 0},
    {"Sun, 06 Abc 1994 08:49:37 GMT", 0},
};

static void test_retry_after(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(retry_afters); i++)
        if (http_retry_after(str_from(retry_afters[i].value), 784111700) != retry_afters[i].at)
            CU_FAIL(retry_afters[i].value);
    CU_ASSERT_EQUAL(http_retry_after(STR_NONE, 5), 0);
}

static void test_strings(void)
{
    struct str rest;
    uint64_t n = 7;

    CU_ASSERT(str_equal(str_cut(STR("a=b=c"), '=', &rest), STR("a")));
    CU_ASSERT(str_equal(rest, STR("b=c")));
    CU_ASSERT(str_equal(str_cut(STR("abc"), '=', &rest), STR("abc")));
    CU_ASSERT_PTR_NULL(rest.ptr);
    CU_ASSERT_EQUAL(str_compare(STR("a"), STR("ab")) < 0, 1);
    CU_ASSERT(str_to_u64(STR("18446744073709551615"), &n));
    CU_ASSERT_EQUAL(n, UINT64_MAX);
    CU_ASSERT_FALSE(str_to_u64(STR("18446744073709551616"), &n));
    CU_ASSERT_FALSE(str_to_u64(STR("1x"), &n));
    CU_ASSERT_FALSE(str_to_u64(STR(""), &n));
    CU_ASSERT(str_equal(str_trim(STR(" \ta b\r\n")), STR("a b")));
    CU_ASSERT(str_equal_nocase(STR("AbC"), STR("aBc")));
    CU_ASSERT_FALSE(str_equal_nocase(STR("[a"), STR("{a"))); /* bytes that differ by 0x20 only */
}

int main(void)
{
    CU_pSuite suite;
    int rc;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("text", NULL, NULL);
    CU_add_test(suite, "UTF-8", test_utf8);
    CU_add_test(suite, "text from outside", test_outside_text);
    CU_add_test(suite, "shape of JSON", test_json_shape);
    CU_add_test(suite, "a buffer's limit", test_buf_limit);
    CU_add_test(suite, "decimal numbers", test_decimal);
    CU_add_test(suite, "times", test_times);
    CU_add_test(suite, "Retry-After", test_retry_after);
    CU_add_test(suite, "strings", test_strings);
    CU_basic_run_tests();
    rc = CU_get_number_of_failures() ? 1 : 0;
    CU_cleanup_registry();
    return rc;
}
