#include "reconciler/serve/http_conn.h"

#include <CUnit/Basic.h>
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reconciler/base/buf.h"
#include "reconciler/serve/http1.h"
#include "tests/support/http_client.h"

/* ---- a server whose one client is this test ---- */

enum mode { ECHO, LATER, BIG };

struct rig {
    struct event_base *base;
    struct http_server *server;
    struct http_client client;
    enum mode mode;
    struct http_conn *waiting; /* mode LATER */
    size_t handled, closed, drained;
    struct buf bodies; /* of all requests */
    char peer[INET6_ADDRSTRLEN];
};

static char big[100000];

static void reply(struct http_conn *conn, struct str body)
{
    struct http_response response = {
        .status = 200, .content_type = STR("text/plain"), .body = body};

    response.fields[response.field_count++] = (struct http_response_field){"X-A", STR("b")};
    http_conn_reply(conn, &response);
}

static void handle(void *context, struct http_conn *conn, const struct http1_request *request)
{
    struct rig *rig = context;
    const struct sockaddr *peer = http_conn_peer(conn);

    rig->handled++;
    buf_str(&rig->bodies, request->body);
    if (peer->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, rig->peer,
                  sizeof(rig->peer));
    if (rig->mode == LATER)
        rig->waiting = conn;
    else
        reply(conn, rig->mode == BIG ? (struct str){big, sizeof(big)} : request->path);
}

static void closed(void *context, struct http_conn *conn)
{
    struct rig *rig = context;

    rig->closed++;
    if (rig->waiting == conn)
        rig->waiting = NULL;
}

static void drained(void *context)
{
    struct rig *rig = context;

    rig->drained++;
}

static struct rig *rig_new(enum mode mode, struct http_limits limits)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct http_server_options options = {
        .limits = limits, .product = "test/1", .context = rig, .handle = handle, .closed = closed};

    rig->base = options.base = event_base_new();
    rig->server = http_server_new(&options);
    rig->bodies = BUF_INIT(1 << 20);
    rig->client = (struct http_client){.base = rig->base, .fd = -1};
    rig->mode = mode;
    if (!rig->base || !rig->server)
        abort();
    return rig;
}

static void rig_free(struct rig *rig)
{
    http_client_close(&rig->client);
    http_server_free(rig->server);
    event_base_free(rig->base);
    buf_free(&rig->bodies);
    free(rig);
}

static int open_with(struct rig *rig, struct http_conn_options options, struct http_client *client)
{
    options.fd = http_client_open(client, rig->base);
    return http_conn_open(rig->server, &options);
}

static void connect_plain(struct rig *rig)
{
    CU_ASSERT_EQUAL_FATAL(open_with(rig, (struct http_conn_options){0}, &rig->client), 0);
}

static struct rig *rig_open(enum mode mode, struct http_limits limits)
{
    struct rig *rig = rig_new(mode, limits);

    connect_plain(rig);
    return rig;
}

static void say(struct rig *rig, const char *text)
{
    http_client_say(&rig->client, text);
}

static void pump(struct rig *rig)
{
    http_client_pump(&rig->client);
}

static bool got(struct rig *rig, const char *text)
{
    return http_client_got(&rig->client, text);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

/* ---- requests ---- */

static void test_response_bytes(void)
{
    struct rig *rig = rig_open(ECHO, (struct http_limits){0});
    char *date;

    say(rig, GET("/x"));
    date = strstr(rig->client.received.data, "Date: ");
    CU_ASSERT_PTR_NOT_NULL_FATAL(date);
    memset(date + 6, '*', 29);
    CU_ASSERT_STRING_EQUAL(rig->client.received.data,
                           "HTTP/1.1 200 OK\r\nDate: *****************************\r\n"
                           "Content-Type: text/plain\r\nConnection: keep-alive\r\n"
                           "Content-Length: 2\r\nX-A: b\r\nServer: test/1\r\n\r\n/x");
    CU_ASSERT_FALSE(rig->client.is_closed);
    rig_free(rig);
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
        struct rig *rig = rig_open(ECHO, (struct http_limits){0});
        say(rig, cases[i].request);
        CU_ASSERT_EQUAL(rig->client.is_closed, cases[i].closes);
        CU_ASSERT_TRUE(got(rig, cases[i].closes ? "Connection: close" : "Connection: keep-alive"));
        if (!cases[i].closes)
            say(rig, cases[i].request);
        CU_ASSERT_EQUAL(rig->handled, cases[i].closes ? 1 : 2);
        rig_free(rig);
    }
}

static void test_head(void)
{
    struct rig *rig = rig_open(ECHO, (struct http_limits){0});

    say(rig, "HEAD /four HTTP/1.1\r\nHost: a\r\n\r\n" GET("/"));
    CU_ASSERT_TRUE(got(rig, "Content-Length: 5\r\n"));
    CU_ASSERT_EQUAL(http_client_count(&rig->client, "/four"), 0);
    CU_ASSERT_EQUAL(rig->handled, 2);
    rig_free(rig);
}

/* More than HTTP_CONN_TURN_MAX at once; answered one by one, in order. */
static void test_pipelining(void)
{
    struct rig *rig = rig_open(ECHO, (struct http_limits){0});
    struct buf all = BUF_INIT(1 << 20);
    const char *at;

    for (int i = 0; i < 5 * HTTP_CONN_TURN_MAX; i++)
        buf_printf(&all, "GET /n%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
    say(rig, all.data);
    CU_ASSERT_EQUAL(rig->handled, 5 * HTTP_CONN_TURN_MAX);
    at = rig->client.received.data;
    for (int i = 0; at && i < 5 * HTTP_CONN_TURN_MAX; i++) {
        char body[32];
        snprintf(body, sizeof(body), "\r\n\r\n/n%d", i);
        at = strstr(at, body);
        CU_ASSERT_PTR_NOT_NULL(at);
    }
    buf_free(&all);
    rig_free(rig);
}

static void test_byte_by_byte(void)
{
    struct rig *rig = rig_open(ECHO, (struct http_limits){0});
    const char *text = "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "3\r\nabc\r\n0\r\n\r\n" GET("/q");

    for (; *text; text++) {
        char one[2] = {*text, '\0'};
        say(rig, one);
    }
    CU_ASSERT_EQUAL(rig->handled, 2);
    CU_ASSERT_TRUE(got(rig, "\r\n\r\n/p"));
    CU_ASSERT_TRUE(got(rig, "\r\n\r\n/q"));
    rig_free(rig);
}

static void test_later(void)
{
    struct rig *rig = rig_open(LATER, (struct http_limits){0});

    say(rig, GET("/1") GET("/2"));
    CU_ASSERT_EQUAL(rig->handled, 1);
    CU_ASSERT_EQUAL(rig->client.received.len, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig->waiting);
    rig->mode = ECHO;
    reply(rig->waiting, STR("late"));
    pump(rig);
    CU_ASSERT_EQUAL(rig->handled, 2);
    CU_ASSERT_TRUE(got(rig, "\r\n\r\nlate"));
    CU_ASSERT_TRUE(got(rig, "\r\n\r\n/2"));
    rig_free(rig);
}

/* A handler that would answer later hears that it need not. */
static void test_later_is_closed(void)
{
    struct rig *rig = rig_open(LATER, (struct http_limits){0});

    say(rig, GET("/1"));
    CU_ASSERT_PTR_NOT_NULL(rig->waiting);
    http_server_free(rig->server);
    rig->server = NULL;
    CU_ASSERT_PTR_NULL(rig->waiting);
    CU_ASSERT_EQUAL(rig->closed, 1);
    rig_free(rig);
}

/* ---- bodies ---- */

#define POST(fields) "POST /p HTTP/1.1\r\nHost: a\r\n" fields "\r\n"

static void test_bodies_are_dropped(void)
{
    struct rig *rig = rig_open(ECHO, (struct http_limits){0});

    say(rig, POST("Content-Length: 5\r\n") "GET /" GET("/next"));
    say(rig, POST("Transfer-Encoding: chunked\r\n") "5;x=y\r\nGET /\r\n0\r\nHost: b\r\n\r\n");
    CU_ASSERT_EQUAL(rig->handled, 3);
    CU_ASSERT_EQUAL(rig->bodies.len, 0);
    CU_ASSERT_FALSE(rig->client.is_closed);
    rig_free(rig);
}

static void test_bodies_are_kept(void)
{
    struct rig *rig = rig_open(ECHO, (struct http_limits){.body_keep = 10});

    say(rig, POST("Content-Length: 10\r\n") "0123456789");
    say(rig, POST("Transfer-Encoding: chunked\r\n") "2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n");
    CU_ASSERT_TRUE(str_equal(buf_view(&rig->bodies), STR("0123456789abcd")));
    say(rig, POST("Expect: 100-continue\r\nContent-Length: 2\r\n"));
    CU_ASSERT_TRUE(got(rig, "HTTP/1.1 100 Continue\r\n\r\n"));
    say(rig, "xy");
    CU_ASSERT_TRUE(str_equal(buf_view(&rig->bodies), STR("0123456789abcdxy")));
    say(rig, POST("Content-Length: 11\r\n"));
    CU_ASSERT_TRUE(got(rig, "HTTP/1.1 413 Payload Too Large\r\n"));
    CU_ASSERT_EQUAL(rig->handled, 3);
    rig_free(rig);
    rig = rig_open(ECHO, (struct http_limits){.body_keep = 10});
    say(rig, POST("Transfer-Encoding: chunked\r\n") "b\r\n01234567890\r\n0\r\n\r\n");
    CU_ASSERT_TRUE(got(rig, "HTTP/1.1 413 "));
    CU_ASSERT_EQUAL(rig->handled, 0);
    rig_free(rig);
}

/* What is too much to read is answered all the same, and closed. */
static void test_body_discard_limit(void)
{
    static const char *const requests[] = {
        POST("Content-Length: 11\r\n"),
        POST("Transfer-Encoding: chunked\r\n") "b\r\n01234567890\r\n",
        POST("Expect: 100-continue\r\nContent-Length: 1\r\n")};

    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        struct rig *rig = rig_open(ECHO, (struct http_limits){.body_discard = 10, .linger_ms = 40});
        say(rig, requests[i]);
        CU_ASSERT_EQUAL(rig->handled, 1);
        CU_ASSERT_TRUE(got(rig, "HTTP/1.1 200 OK\r\n"));
        CU_ASSERT_TRUE(got(rig, "Connection: close\r\n"));
        http_client_pump_to_end(&rig->client);
        rig_free(rig);
    }
}

/* ---- refusals ---- */

static void test_refusals(void)
{
    static const struct {
        const char *request, *line;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
        {"\x16\x03\x01", "HTTP/1.1 400 Bad Request\r\n"},
        {POST("Expect: x\r\n"), "HTTP/1.1 417 Expectation Failed\r\n"},
        {POST("Transfer-Encoding: chunked\r\n") "x\r\n", "HTTP/1.1 400 Bad Request\r\n"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct rig *rig = rig_open(ECHO, (struct http_limits){.linger_ms = 40});
        say(rig, cases[i].request);
        CU_ASSERT_TRUE(got(rig, cases[i].line));
        CU_ASSERT_TRUE(got(rig, "Connection: close\r\n"));
        CU_ASSERT_EQUAL(rig->handled, 0);
        say(rig, GET("/smuggled"));
        CU_ASSERT_EQUAL(rig->handled, 0);
        http_client_pump_to_end(&rig->client);
        rig_free(rig);
    }
}

/* ---- deadlines ---- */

static void test_deadlines(void)
{
    static const struct {
        const char *request;
        struct http_limits limits;
        const char *line; /* NULL = closed without a word */
    } cases[] = {
        {"", {.head_ms = 20}, NULL},
        {"GET / HT", {.head_ms = 20, .linger_ms = 20}, "HTTP/1.1 408 Request Timeout\r\n"},
        {GET("/"), {.idle_ms = 20}, "HTTP/1.1 200 OK\r\n"},
        {GET("/") "GET", {.head_ms = 20, .linger_ms = 20}, "HTTP/1.1 408 Request Timeout\r\n"},
        {POST("Content-Length: 3\r\n") "ab",
         {.body_ms = 20, .linger_ms = 20},
         "HTTP/1.1 408 Request Timeout\r\n"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct rig *rig = rig_open(ECHO, cases[i].limits);
        say(rig, cases[i].request);
        http_client_pump_to_end(&rig->client);
        if (cases[i].line)
            CU_ASSERT_TRUE(got(rig, cases[i].line));
        if (!cases[i].line)
            CU_ASSERT_EQUAL(rig->client.received.len, 0);
        while (http_server_connections(rig->server)) /* lingering */
            event_base_loop(rig->base, EVLOOP_ONCE);
        CU_ASSERT_EQUAL(rig->closed, 1);
        rig_free(rig);
    }
}

/* One byte now and then does not hold a head open. */
static void test_slowloris(void)
{
    struct rig *rig = rig_open(ECHO, (struct http_limits){.head_ms = 30, .linger_ms = 10});

    say(rig, "GET / HTTP/1.1\r\n");
    while (!rig->client.is_closed) {
        (void)!send(rig->client.fd, "X", 1, MSG_NOSIGNAL);
        event_base_loop(rig->base, EVLOOP_ONCE);
        http_client_take(&rig->client);
    }
    CU_ASSERT_TRUE(got(rig, "HTTP/1.1 408 Request Timeout\r\n"));
    rig_free(rig);
}

/* ---- back-pressure ---- */

static void test_back_pressure(void)
{
    struct rig *rig = rig_open(BIG, (struct http_limits){0});
    struct buf all = BUF_INIT(1 << 20);
    size_t before;

    for (int i = 0; i < 100; i++)
        buf_cstr(&all, GET("/"));
    CU_ASSERT_EQUAL(send(rig->client.fd, all.data, all.len, MSG_NOSIGNAL), (ssize_t)all.len);
    for (int i = 0; i < 20; i++)
        event_base_loop(rig->base, EVLOOP_NONBLOCK);
    /* what the socket holds, and one response above HTTP_CONN_OUTPUT_MAX */
    before = rig->handled;
    CU_ASSERT_TRUE(before < 10);
    pump(rig);
    CU_ASSERT_EQUAL(rig->handled, 100);
    CU_ASSERT_TRUE(rig->client.received.len > 100 * sizeof(big));
    buf_free(&all);
    rig_free(rig);
}

static void test_write_deadline(void)
{
    struct rig *rig = rig_open(BIG, (struct http_limits){.write_ms = 30});

    for (int i = 0; i < 20; i++)
        CU_ASSERT_TRUE(send(rig->client.fd, GET("/"), strlen(GET("/")), MSG_NOSIGNAL) > 0);
    while (http_server_connections(rig->server))
        event_base_loop(rig->base, EVLOOP_ONCE);
    CU_ASSERT_TRUE(rig->handled < 20);
    rig_free(rig);
}

/* ---- limits ---- */

static int open_from(struct rig *rig, int family, const char *address, struct http_client *client)
{
    struct sockaddr_storage peer = {.ss_family = (sa_family_t)family};
    struct http_conn_options options = {.peer = (struct sockaddr *)&peer, .peer_len = sizeof(peer)};

    if (family == AF_INET)
        inet_pton(AF_INET, address, &((struct sockaddr_in *)&peer)->sin_addr);
    else
        inet_pton(AF_INET6, address, &((struct sockaddr_in6 *)&peer)->sin6_addr);
    return open_with(rig, options, client);
}

static void test_connection_limits(void)
{
    static const struct {
        int family;
        const char *address;
        int expected;
    } opens[] = {
        {AF_INET, "192.0.2.1", 0},         {AF_INET, "192.0.2.1", 0},
        {AF_INET, "192.0.2.1", -1},        {AF_INET6, "::ffff:192.0.2.1", -1},
        {AF_INET, "192.0.2.2", 0},         {AF_INET6, "2001:db8::1", 0},
        {AF_INET6, "2001:db8::ffff:2", 0}, {AF_INET6, "2001:db8::3", -1},
        {AF_INET6, "2001:db8:0:1::1", 0},  {AF_INET, "192.0.2.3", -1}, /* six are open */
    };
    struct rig *rig = rig_new(ECHO, (struct http_limits){.per_address = 2, .connections = 6});
    struct http_client clients[ARRAY_LENGTH(opens)], again;

    for (size_t i = 0; i < ARRAY_LENGTH(opens); i++)
        CU_ASSERT_EQUAL(open_from(rig, opens[i].family, opens[i].address, &clients[i]),
                        opens[i].expected);
    CU_ASSERT_EQUAL(http_server_connections(rig->server), 6);
    http_client_close(&clients[0]);
    pump(rig);
    CU_ASSERT_EQUAL(open_from(rig, AF_INET, "192.0.2.1", &again), 0);
    http_client_close(&again);
    for (size_t i = 1; i < ARRAY_LENGTH(opens); i++)
        http_client_close(&clients[i]);
    pump(rig);
    CU_ASSERT_EQUAL(http_server_connections(rig->server), 0);
    rig_free(rig);
}

/* ---- draining ---- */

static void test_drain(void)
{
    struct rig *rig = rig_open(LATER, (struct http_limits){.drain_ms = 20});

    say(rig, GET("/1"));
    http_server_drain(rig->server, drained);
    pump(rig);
    CU_ASSERT_EQUAL(rig->drained, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig->waiting);
    reply(rig->waiting, STR("last"));
    pump(rig);
    CU_ASSERT_TRUE(rig->client.is_closed);
    CU_ASSERT_TRUE(got(rig, "Connection: close\r\n"));
    CU_ASSERT_EQUAL(rig->drained, 1);
    rig_free(rig);
}

/* A request that comes to an idle connection in time is answered; then it is closed. */
static void test_drain_idle(void)
{
    struct rig *rig = rig_open(ECHO, (struct http_limits){.drain_ms = 10000});

    say(rig, GET("/1"));
    http_server_drain(rig->server, drained);
    pump(rig);
    CU_ASSERT_FALSE(rig->client.is_closed);
    say(rig, GET("/2"));
    CU_ASSERT_TRUE(rig->client.is_closed);
    CU_ASSERT_TRUE(got(rig, "\r\n\r\n/2"));
    rig_free(rig);
    rig = rig_open(ECHO, (struct http_limits){.drain_ms = 20});
    say(rig, GET("/1"));
    http_server_drain(rig->server, drained);
    http_client_pump_to_end(&rig->client);
    while (!rig->drained)
        event_base_loop(rig->base, EVLOOP_ONCE);
    CU_ASSERT_EQUAL(rig->drained, 1);
    rig_free(rig);
}

static void test_drain_empty(void)
{
    struct rig *rig = rig_new(ECHO, (struct http_limits){0});

    http_server_drain(rig->server, drained);
    CU_ASSERT_EQUAL(rig->drained, 0); /* not from within */
    pump(rig);
    pump(rig);
    CU_ASSERT_EQUAL(rig->drained, 1);
    rig_free(rig);
}

/* ---- PROXY ---- */

static void test_proxy_protocol(void)
{
    static const char v2[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\7\x7f\0\0\1\1\2\3\4";
    struct rig *rig = rig_new(ECHO, (struct http_limits){0});
    struct http_conn_options options = {.proxy_protocol = true};

    CU_ASSERT_EQUAL(open_with(rig, options, &rig->client), 0);
    say(rig, "PROXY TCP4 192.0.2.9 127.0.0.1 1000");
    CU_ASSERT_EQUAL(rig->handled, 0);
    say(rig, " 80\r\n" GET("/1"));
    CU_ASSERT_EQUAL(rig->handled, 1);
    CU_ASSERT_STRING_EQUAL(rig->peer, "192.0.2.9");
    http_client_close(&rig->client);
    CU_ASSERT_EQUAL(open_with(rig, options, &rig->client), 0);
    CU_ASSERT_EQUAL(send(rig->client.fd, v2, sizeof(v2) - 1, 0), (ssize_t)sizeof(v2) - 1);
    say(rig, GET("/2"));
    CU_ASSERT_EQUAL(rig->handled, 2);
    CU_ASSERT_STRING_EQUAL(rig->peer, "192.0.2.7");
    http_client_close(&rig->client);
    CU_ASSERT_EQUAL(open_with(rig, options, &rig->client), 0);
    say(rig, GET("/3"));
    CU_ASSERT_TRUE(rig->client.is_closed);
    CU_ASSERT_EQUAL(rig->handled, 2);
    rig_free(rig);
}

static void test_peer_goes(void)
{
    struct rig *rig = rig_open(ECHO, (struct http_limits){0});

    say(rig, "GET / HT");
    http_client_close(&rig->client);
    rig->client = (struct http_client){.base = rig->base, .fd = -1};
    pump(rig);
    CU_ASSERT_EQUAL(http_server_connections(rig->server), 0);
    rig_free(rig);
}

/* Half closed: what was asked is still answered. */
static void test_half_close(void)
{
    struct rig *rig = rig_open(ECHO, (struct http_limits){0});

    CU_ASSERT_TRUE(send(rig->client.fd, GET("/1") GET("/2"), 2 * strlen(GET("/1")), 0) > 0);
    shutdown(rig->client.fd, SHUT_WR);
    pump(rig);
    CU_ASSERT_EQUAL(rig->handled, 2);
    CU_ASSERT_TRUE(got(rig, "\r\n\r\n/2"));
    CU_ASSERT_TRUE(rig->client.is_closed);
    rig_free(rig);
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
                           {"deadlines", test_deadlines},
                           {"slowloris", test_slowloris},
                           {"back-pressure", test_back_pressure},
                           {"write deadline", test_write_deadline},
                           {"connection limits", test_connection_limits},
                           {"drain", test_drain},
                           {"drain idle", test_drain_idle},
                           {"drain empty", test_drain_empty},
                           {"proxy protocol", test_proxy_protocol},
                           {"peer goes", test_peer_goes},
                           {"half close", test_half_close},
                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "http_conn", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
