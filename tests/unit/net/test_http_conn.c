#include "reconciler/net/http_conn.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/http_rig.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(fields) "POST /p HTTP/1.1\r\nHost: a\r\n" fields "\r\n"

/* ---- requests ---- */

static void test_response_bytes(void)
{
    struct http_rig *rig = http_rig_open(HTTP_RIG_ECHO, (struct http_limits){0});
    char *date;

    http_rig_say(rig, GET("/x"));
    date = strstr(rig->client.received.data, "Date: ");
    CU_ASSERT_PTR_NOT_NULL_FATAL(date);
    memset(date + 6, '*', 29);
    CU_ASSERT_STRING_EQUAL(rig->client.received.data,
                           "HTTP/1.1 200 OK\r\nDate: *****************************\r\n"
                           "Content-Type: text/plain\r\nConnection: keep-alive\r\n"
                           "Content-Length: 2\r\nX-A: b\r\nServer: test/1\r\n\r\n/x");
    CU_ASSERT_FALSE(rig->client.is_closed);
    http_rig_free(rig);
}

static void test_keep_alive(void)
{
    static const struct {
        const char *request;
        bool closes;
    } cases[] = {
        {GET("/"), false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct http_rig *rig = http_rig_open(HTTP_RIG_ECHO, (struct http_limits){0});
        http_rig_say(rig, cases[i].request);
        CU_ASSERT_EQUAL(rig->client.is_closed, cases[i].closes);
        CU_ASSERT_TRUE(
            http_rig_got(rig, cases[i].closes ? "Connection: close" : "Connection: keep-alive"));
        if (!cases[i].closes)
            http_rig_say(rig, cases[i].request);
        CU_ASSERT_EQUAL(rig->handled, cases[i].closes ? 1 : 2);
        http_rig_free(rig);
    }
}

static void test_head(void)
{
    struct http_rig *rig = http_rig_open(HTTP_RIG_ECHO, (struct http_limits){0});

    http_rig_say(rig, "HEAD /four HTTP/1.1\r\nHost: a\r\n\r\n" GET("/"));
    CU_ASSERT_TRUE(http_rig_got(rig, "Content-Length: 5\r\n"));
    CU_ASSERT_EQUAL(http_client_count(&rig->client, "/four"), 0);
    CU_ASSERT_EQUAL(rig->handled, 2);
    http_rig_free(rig);
}

/* More than HTTP_CONN_TURN_MAX at once; answered one by one, in order. */
static void test_pipelining(void)
{
    struct http_rig *rig = http_rig_open(HTTP_RIG_ECHO, (struct http_limits){0});
    struct buf all = BUF_INIT(1 << 20);
    const char *at;

    for (int i = 0; i < 5 * HTTP_CONN_TURN_MAX; i++)
        buf_printf(&all, "GET /n%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
    http_rig_say(rig, all.data);
    CU_ASSERT_EQUAL(rig->handled, 5 * HTTP_CONN_TURN_MAX);
    at = rig->client.received.data;
    for (int i = 0; at && i < 5 * HTTP_CONN_TURN_MAX; i++) {
        char body[32];
        snprintf(body, sizeof(body), "\r\n\r\n/n%d", i);
        at = strstr(at, body);
        CU_ASSERT_PTR_NOT_NULL(at);
    }
    buf_free(&all);
    http_rig_free(rig);
}

static void test_byte_by_byte(void)
{
    struct http_rig *rig = http_rig_open(HTTP_RIG_ECHO, (struct http_limits){0});
    const char *text = "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "3\r\nabc\r\n0\r\n\r\n" GET("/q");

    for (; *text; text++) {
        char one[2] = {*text, '\0'};
        http_rig_say(rig, one);
    }
    CU_ASSERT_EQUAL(rig->handled, 2);
    CU_ASSERT_TRUE(http_rig_got(rig, "\r\n\r\n/p"));
    CU_ASSERT_TRUE(http_rig_got(rig, "\r\n\r\n/q"));
    http_rig_free(rig);
}

static void test_later(void)
{
    struct http_rig *rig = http_rig_open(HTTP_RIG_LATER, (struct http_limits){0});

    http_rig_say(rig, GET("/1") GET("/2"));
    CU_ASSERT_EQUAL(rig->handled, 1);
    CU_ASSERT_EQUAL(rig->client.received.len, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig->waiting);
    rig->mode = HTTP_RIG_ECHO;
    http_rig_reply(rig->waiting, STR("late"));
    http_rig_pump(rig);
    CU_ASSERT_EQUAL(rig->handled, 2);
    CU_ASSERT_TRUE(http_rig_got(rig, "\r\n\r\nlate"));
    CU_ASSERT_TRUE(http_rig_got(rig, "\r\n\r\n/2"));
    http_rig_free(rig);
}

/* A handler that would answer later hears that it need not. */
static void test_later_is_closed(void)
{
    struct http_rig *rig = http_rig_open(HTTP_RIG_LATER, (struct http_limits){0});

    http_rig_say(rig, GET("/1"));
    CU_ASSERT_PTR_NOT_NULL(rig->waiting);
    http_server_free(rig->server);
    rig->server = NULL;
    CU_ASSERT_PTR_NULL(rig->waiting);
    CU_ASSERT_EQUAL(rig->closed, 1);
    http_rig_free(rig);
}

/* ---- bodies ---- */

static void test_bodies_are_dropped(void)
{
    struct http_rig *rig = http_rig_open(HTTP_RIG_ECHO, (struct http_limits){0});

    http_rig_say(rig, POST("Content-Length: 5\r\n") "GET /" GET("/next"));
    http_rig_say(rig,
                 POST("Transfer-Encoding: chunked\r\n") "5;x=y\r\nGET /\r\n0\r\nHost: b\r\n\r\n");
    CU_ASSERT_EQUAL(rig->handled, 3);
    CU_ASSERT_EQUAL(rig->bodies.len, 0);
    CU_ASSERT_FALSE(rig->client.is_closed);
    http_rig_free(rig);
}

static void test_bodies_are_kept(void)
{
    struct http_rig *rig = http_rig_open(HTTP_RIG_ECHO, (struct http_limits){.body_keep = 10});

    http_rig_say(rig, POST("Content-Length: 10\r\n") "0123456789");
    http_rig_say(rig, POST("Transfer-Encoding: chunked\r\n") "2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n");
    CU_ASSERT_TRUE(str_equal(buf_view(&rig->bodies), STR("0123456789abcd")));
    http_rig_say(rig, POST("Expect: 100-continue\r\nContent-Length: 2\r\n"));
    CU_ASSERT_TRUE(http_rig_got(rig, "HTTP/1.1 100 Continue\r\n\r\n"));
    http_rig_say(rig, "xy");
    CU_ASSERT_TRUE(str_equal(buf_view(&rig->bodies), STR("0123456789abcdxy")));
    http_rig_say(rig, POST("Content-Length: 11\r\n"));
    CU_ASSERT_TRUE(http_rig_got(rig, "HTTP/1.1 413 Payload Too Large\r\n"));
    CU_ASSERT_EQUAL(rig->handled, 3);
    http_rig_free(rig);
    rig = http_rig_open(HTTP_RIG_ECHO, (struct http_limits){.body_keep = 10});
    http_rig_say(rig, POST("Transfer-Encoding: chunked\r\n") "b\r\n01234567890\r\n0\r\n\r\n");
    CU_ASSERT_TRUE(http_rig_got(rig, "HTTP/1.1 413 "));
    CU_ASSERT_EQUAL(rig->handled, 0);
    http_rig_free(rig);
}

/* What is too much to read is answered all the same, and closed. */
static void test_body_discard_limit(void)
{
    static const char *const requests[] = {
        POST("Content-Length: 11\r\n"),
        POST("Transfer-Encoding: chunked\r\n") "b\r\n01234567890\r\n",
        POST("Expect: 100-continue\r\nContent-Length: 1\r\n")};

    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        struct http_rig *rig =
            http_rig_open(HTTP_RIG_ECHO, (struct http_limits){.body_discard = 10, .linger_ms = 40});
        http_rig_say(rig, requests[i]);
        CU_ASSERT_EQUAL(rig->handled, 1);
        CU_ASSERT_TRUE(http_rig_got(rig, "HTTP/1.1 200 OK\r\n"));
        /* Of chunks nobody knows it ahead. */
        CU_ASSERT_EQUAL(http_rig_got(rig, "Connection: close\r\n"), i != 1);
        http_client_pump_to_end(&rig->client);
        http_rig_free(rig);
    }
}

/* ---- refusals ---- */

static void test_refusals(void)
{
    static const struct {
        const char *request, *line;
        size_t handled; /* what of it was right */
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", 0},
        {"\x16\x03\x01", "HTTP/1.1 400 Bad Request\r\n", 0},
        {POST("Expect: x\r\n"), "HTTP/1.1 417 Expectation Failed\r\n", 0},
        {POST("Transfer-Encoding: chunked\r\n") "x\r\n", "HTTP/1.1 400 Bad Request\r\n", 1},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct http_rig *rig = http_rig_open(HTTP_RIG_ECHO, (struct http_limits){.linger_ms = 40});
        http_rig_say(rig, cases[i].request);
        CU_ASSERT_TRUE(http_rig_got(rig, cases[i].line));
        CU_ASSERT_TRUE(http_rig_got(rig, "Connection: close\r\n"));
        CU_ASSERT_EQUAL(rig->handled, cases[i].handled);
        http_rig_say(rig, GET("/smuggled"));
        CU_ASSERT_EQUAL(rig->handled, cases[i].handled);
        http_client_pump_to_end(&rig->client);
        http_rig_free(rig);
    }
}

int main(void)
{
    CU_TestInfo tests[] = {{"response bytes", test_response_bytes},
                           {"keep-alive", test_keep_alive},
                           {"HEAD", test_head},
                           {"pipelining", test_pipelining},
                           {"byte by byte", test_byte_by_byte},
                           {"later", test_later},
                           {"later is closed", test_later_is_closed},
                           {"bodies are dropped", test_bodies_are_dropped},
                           {"bodies are kept", test_bodies_are_kept},
                           {"body discard limit", test_body_discard_limit},
                           {"refusals", test_refusals},

                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "http_conn", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
