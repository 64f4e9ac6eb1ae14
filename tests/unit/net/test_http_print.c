#include "reconciler/net/http_print.h"

#include <CUnit/Basic.h>
#include <stdlib.h>

#include "reconciler/base/attr.h"
#include "reconciler/net/exchange.h"

static void test_date(void)
{
    static const struct {
        int64_t at;
        const char *text;
    } cases[] = {
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, /* RFC 9110's example */
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},          {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {1798761599, "Thu, 31 Dec 2026 23:59:59 GMT"}, {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
        {4102444800, "Fri, 01 Jan 2100 00:00:00 GMT"},
    };
    char text[HTTP_PRINT_DATE_SIZE];

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        http_print_date(cases[i].at, text);
        CU_ASSERT_STRING_EQUAL(text, cases[i].text);
    }
}

static void test_bodies(void)
{
    static const struct {
        unsigned status;
        bool is_head;
        const char *text;
    } cases[] = {
        {200, false,
         "HTTP/1.1 200 OK\r\nDate: d\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"},
        {200, true, "HTTP/1.1 200 OK\r\nDate: d\r\nConnection: close\r\nContent-Length: 2\r\n\r\n"},
        {204, false, "HTTP/1.1 204 No Content\r\nDate: d\r\nConnection: close\r\n\r\n"},
        {304, false, "HTTP/1.1 304 Not Modified\r\nDate: d\r\nConnection: close\r\n\r\n"},
        {499, true,
         "HTTP/1.1 499 Unknown\r\nDate: d\r\nConnection: close\r\nContent-Length: 2\r\n\r\n"},
    };
    struct buf out = BUF_INIT(1024);

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct http_response response = {.status = cases[i].status, .body = STR("hi")};
        struct http_print how = {.date = "d", .is_head = cases[i].is_head};
        buf_clear(&out);
        http_print(&out, &response, &how);
        CU_ASSERT_FALSE(out.failed);
        CU_ASSERT_STRING_EQUAL(out.data, cases[i].text);
    }
    buf_free(&out);
}

int main(void)
{
    CU_TestInfo tests[] = {{"date", test_date}, {"bodies", test_bodies}, CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "http_print", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
