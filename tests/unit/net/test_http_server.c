#include "reconciler/net/http_conn.h"

#include <CUnit/Basic.h>
#include <arpa/inet.h>
#include <event2/event.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/http_rig.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(fields) "POST /p HTTP/1.1\r\nHost: a\r\n" fields "\r\n"

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
        struct http_rig *rig = http_rig_open(HTTP_RIG_ECHO, cases[i].limits);
        http_rig_say(rig, cases[i].request);
        http_client_pump_to_end(&rig->client);
        if (cases[i].line)
            CU_ASSERT_TRUE(http_rig_got(rig, cases[i].line));
        if (!cases[i].line)
            CU_ASSERT_EQUAL(rig->client.received.len, 0);
        while (http_server_connections(rig->server)) /* lingering */
            event_base_loop(rig->base, EVLOOP_ONCE);
        CU_ASSERT_EQUAL(rig->closed, 1);
        http_rig_free(rig);
    }
}

/* A TLS handshake and a PROXY header have theirs; nothing is said when it passes. */
static void test_handshake_deadline(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    struct http_conn_options waiting[] = {{.ssl = SSL_new(context)}, {.proxy_protocol = true}};

    for (size_t i = 0; i < ARRAY_LENGTH(waiting); i++) {
        struct http_rig *rig =
            http_rig_new(HTTP_RIG_ECHO, (struct http_limits){.handshake_ms = 20});
        CU_ASSERT_EQUAL(http_rig_connect(rig, waiting[i], &rig->client), 0);
        http_client_pump_to_end(&rig->client);
        CU_ASSERT_EQUAL(rig->client.received.len, 0);
        CU_ASSERT_EQUAL(rig->closed, 1);
        http_rig_free(rig);
    }
    SSL_CTX_free(context);
}

static void drip(evutil_socket_t fd, short what, void *context)
{
    const struct http_rig *rig = context;

    (void)fd;
    (void)what;
    (void)!send(rig->client.fd, "X", 1, MSG_NOSIGNAL);
}

/* What is refused has a body, whatever was asked for before it. */
static void test_refused_after_head(void)
{
    static const char *const requests[] = {"HEAD /four HTTP/1.1\r\nHost: a\r\n\r\nGET / HT",
                                           "HEAD /four HTTP/1.1\r\nHost: a\r\n\r\nGET /\r\n\r\n"};
    static const char *const bodies[] = {"\r\n\r\nRequest timeout", "\r\n\r\nBad request"};

    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        const struct http_limits limits = {.head_ms = 20, .linger_ms = 20};
        struct http_rig *rig = http_rig_open(HTTP_RIG_ECHO, limits);

        http_rig_say(rig, requests[i]);
        http_client_pump_to_end(&rig->client);
        CU_ASSERT_TRUE(http_rig_got(rig, bodies[i]));
        http_rig_free(rig);
    }
}

/* One byte now and then holds neither a head open nor a body. */
static void test_slowloris(void)
{
    static const char *const begun[] = {"GET / HTTP/1.1\r\n", POST("Content-Length: 9000\r\n"),
                                        POST("Transfer-Encoding: chunked\r\n") "2000\r\n"};
    const struct http_limits limits = {.head_ms = 30, .body_ms = 30, .linger_ms = 10};
    const struct timeval often = {.tv_usec = 2000};

    for (size_t i = 0; i < ARRAY_LENGTH(begun); i++) {
        struct http_rig *rig = http_rig_open(HTTP_RIG_ECHO, limits);
        struct event *timer = event_new(rig->base, -1, EV_PERSIST, drip, rig);

        http_rig_say(rig, begun[i]);
        event_add(timer, &often);
        http_client_pump_to_end(&rig->client);
        event_free(timer);
        CU_ASSERT_TRUE(http_rig_got(rig, "HTTP/1.1 408 Request Timeout\r\n"));
        http_rig_free(rig);
    }
}

/* ---- back-pressure ---- */

static void test_back_pressure(void)
{
    struct http_rig *rig = http_rig_open(HTTP_RIG_BIG, (struct http_limits){0});
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
    http_rig_pump(rig);
    CU_ASSERT_EQUAL(rig->handled, 100);
    CU_ASSERT_TRUE(rig->client.received.len > 100 * HTTP_RIG_BIG_SIZE);
    buf_free(&all);
    http_rig_free(rig);
}

static void test_write_deadline(void)
{
    struct http_rig *rig = http_rig_open(HTTP_RIG_BIG, (struct http_limits){.write_ms = 30});

    for (int i = 0; i < 20; i++)
        CU_ASSERT_TRUE(send(rig->client.fd, GET("/"), strlen(GET("/")), MSG_NOSIGNAL) > 0);
    while (http_server_connections(rig->server))
        event_base_loop(rig->base, EVLOOP_ONCE);
    CU_ASSERT_TRUE(rig->handled < 20);
    http_rig_free(rig);
}

/* ---- limits ---- */

static int open_from(struct http_rig *rig, int family, const char *address,
                     struct http_client *client)
{
    struct sockaddr_storage peer = {.ss_family = (sa_family_t)family};
    struct http_conn_options options = {.peer = (struct sockaddr *)&peer, .peer_len = sizeof(peer)};

    if (family == AF_INET)
        inet_pton(AF_INET, address, &((struct sockaddr_in *)&peer)->sin_addr);
    else
        inet_pton(AF_INET6, address, &((struct sockaddr_in6 *)&peer)->sin6_addr);
    return http_rig_connect(rig, options, client);
}

/* All places are taken: the oldest idle connection goes, then who has kept us waiting longest. */
static void test_room(void)
{
    struct http_rig *rig = http_rig_new(HTTP_RIG_LATER, (struct http_limits){.connections = 3});
    static const char *const says[] = {"GET / HT", GET("/"), GET("/")};
    struct http_client old[3], more[3];

    for (size_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL_FATAL(http_rig_connect(rig, (struct http_conn_options){0}, &old[i]), 0);
        http_client_say(&old[i], says[i]);
        if (i == 1)
            http_rig_reply(rig->waiting, STR("idle from now on"));
    }
    for (size_t i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(http_rig_connect(rig, (struct http_conn_options){0}, &more[i]), 0);
        CU_ASSERT_EQUAL(http_server_connections(rig->server), 3);
        http_client_pump_to_end(&old[1 - i]);
        CU_ASSERT_TRUE(old[1 - i].is_closed);
        http_client_say(&more[i], GET("/"));
    }
    CU_ASSERT_EQUAL(rig->crowded, 1); /* said once a minute */
    /* the handler has all that are left */
    CU_ASSERT_EQUAL(http_rig_connect(rig, (struct http_conn_options){0}, &more[2]), -1);
    http_rig_reply(rig->waiting, STR("served"));
    http_client_pump(&more[1]);
    CU_ASSERT_TRUE(http_client_got(&more[1], "\r\n\r\nserved"));
    for (size_t i = 0; i < 3; i++)
        http_client_close(&old[i]);
    for (size_t i = 0; i < 2; i++)
        http_client_close(&more[i]);
    http_rig_free(rig);
}

static void sip(evutil_socket_t fd, short what, void *context)
{
    const struct http_rig *rig = context;
    char byte;

    (void)fd;
    (void)what;
    (void)!recv(rig->client.fd, &byte, 1, MSG_DONTWAIT);
}

/* Who takes a byte now and then is not waited for any longer than who takes none. */
static void test_crawling(void)
{
    const struct timeval often = {.tv_usec = 2000};
    struct http_rig *rig = http_rig_open(HTTP_RIG_BIG, (struct http_limits){.write_ms = 50});
    struct event *timer = event_new(rig->base, -1, EV_PERSIST, sip, rig);

    for (int i = 0; i < 20; i++)
        CU_ASSERT_TRUE(send(rig->client.fd, GET("/"), strlen(GET("/")), MSG_NOSIGNAL) > 0);
    event_add(timer, &often);
    while (http_server_connections(rig->server))
        event_base_loop(rig->base, EVLOOP_ONCE);
    CU_ASSERT_TRUE(rig->handled < 20);
    event_free(timer);
    http_rig_free(rig);
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
        {AF_INET6, "2001:db8:0:1::1", 0},
    };
    struct http_rig *rig = http_rig_new(HTTP_RIG_ECHO, (struct http_limits){.per_address = 2});
    struct http_client clients[ARRAY_LENGTH(opens)], again;

    for (size_t i = 0; i < ARRAY_LENGTH(opens); i++)
        CU_ASSERT_EQUAL(open_from(rig, opens[i].family, opens[i].address, &clients[i]),
                        opens[i].expected);
    CU_ASSERT_EQUAL(http_server_connections(rig->server), 6);
    http_client_close(&clients[0]);
    http_rig_pump(rig);
    CU_ASSERT_EQUAL(open_from(rig, AF_INET, "192.0.2.1", &again), 0);
    http_client_close(&again);
    for (size_t i = 1; i < ARRAY_LENGTH(opens); i++)
        http_client_close(&clients[i]);
    http_rig_pump(rig);
    CU_ASSERT_EQUAL(http_server_connections(rig->server), 0);
    http_rig_free(rig);
}

/* ---- draining ---- */

static void test_drain(void)
{
    struct http_rig *rig = http_rig_open(HTTP_RIG_LATER, (struct http_limits){.drain_ms = 20});

    http_rig_say(rig, GET("/1"));
    http_rig_drain(rig);
    http_rig_pump(rig);
    CU_ASSERT_EQUAL(rig->drained, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig->waiting);
    http_rig_reply(rig->waiting, STR("last"));
    http_rig_pump(rig);
    CU_ASSERT_TRUE(rig->client.is_closed);
    CU_ASSERT_TRUE(http_rig_got(rig, "Connection: close\r\n"));
    CU_ASSERT_EQUAL(rig->drained, 1);
    http_rig_free(rig);
}

/*
 * One that has been answered is closed at once, unless its next request lies there to be read; a
 * new one may still send its first, for a while.
 */
static void test_drain_idle(void)
{
    struct http_rig *rig = http_rig_open(HTTP_RIG_ECHO, (struct http_limits){.drain_ms = 10000});
    struct http_client fresh, hasty;

    CU_ASSERT_EQUAL(http_rig_connect(rig, (struct http_conn_options){0}, &fresh), 0);
    CU_ASSERT_EQUAL(http_rig_connect(rig, (struct http_conn_options){0}, &hasty), 0);
    http_rig_say(rig, GET("/1"));
    http_client_say(&hasty, GET("/2"));
    http_client_pump(&hasty);
    CU_ASSERT_EQUAL(send(hasty.fd, GET("/3"), strlen(GET("/3")), MSG_NOSIGNAL),
                    (ssize_t)strlen(GET("/3")));
    http_rig_drain(rig);
    http_rig_pump(rig);
    CU_ASSERT_TRUE(rig->client.is_closed);
    http_client_pump(&hasty);
    CU_ASSERT_TRUE(http_client_got(&hasty, "\r\n\r\n/3"));
    CU_ASSERT_TRUE(hasty.is_closed);
    CU_ASSERT_FALSE(fresh.is_closed);
    CU_ASSERT_EQUAL(rig->drained, 0);
    http_client_say(&fresh, GET("/4"));
    http_client_pump(&fresh);
    CU_ASSERT_TRUE(http_client_got(&fresh, "\r\n\r\n/4"));
    CU_ASSERT_TRUE(fresh.is_closed);
    http_rig_pump(rig);
    CU_ASSERT_EQUAL(rig->drained, 1);
    http_client_close(&fresh);
    http_client_close(&hasty);
    http_rig_free(rig);
    rig = http_rig_open(HTTP_RIG_ECHO, (struct http_limits){.drain_ms = 20});
    http_rig_drain(rig);
    http_client_pump_to_end(&rig->client);
    while (!rig->drained)
        event_base_loop(rig->base, EVLOOP_ONCE);
    CU_ASSERT_EQUAL(rig->drained, 1);
    http_rig_free(rig);
}

static void test_hurry(void)
{
    struct http_rig *rig = http_rig_open(HTTP_RIG_LATER, (struct http_limits){.drain_ms = 60000});
    struct http_client idle;

    CU_ASSERT_EQUAL(http_rig_connect(rig, (struct http_conn_options){0}, &idle), 0);
    http_rig_say(rig, GET("/1"));
    http_rig_drain(rig);
    http_server_hurry(rig->server);
    http_client_pump(&idle);
    CU_ASSERT_TRUE(idle.is_closed);
    CU_ASSERT_EQUAL(http_server_connections(rig->server), 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig->waiting); /* what runs is finished */
    http_rig_reply(rig->waiting, STR("last"));
    http_rig_pump(rig);
    CU_ASSERT_TRUE(http_rig_got(rig, "\r\n\r\nlast"));
    CU_ASSERT_EQUAL(rig->drained, 1);
    http_client_close(&idle);
    http_rig_free(rig);
}

static void test_drain_empty(void)
{
    struct http_rig *rig = http_rig_new(HTTP_RIG_ECHO, (struct http_limits){0});

    http_rig_drain(rig);
    CU_ASSERT_EQUAL(rig->drained, 0); /* not from within */
    http_rig_pump(rig);
    http_rig_pump(rig);
    CU_ASSERT_EQUAL(rig->drained, 1);
    http_rig_free(rig);
}

/* ---- PROXY ---- */

static void test_proxy_protocol(void)
{
    static const char v2[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\7\x7f\0\0\1\1\2\3\4";
    struct http_rig *rig = http_rig_new(HTTP_RIG_ECHO, (struct http_limits){0});
    struct http_conn_options options = {.proxy_protocol = true};

    CU_ASSERT_EQUAL(http_rig_connect(rig, options, &rig->client), 0);
    http_rig_say(rig, "PROXY TCP4 192.0.2.9 127.0.0.1 1000");
    CU_ASSERT_EQUAL(rig->handled, 0);
    http_rig_say(rig, " 80\r\n" GET("/1"));
    CU_ASSERT_EQUAL(rig->handled, 1);
    CU_ASSERT_STRING_EQUAL(rig->peer, "192.0.2.9");
    http_client_close(&rig->client);
    CU_ASSERT_EQUAL(http_rig_connect(rig, options, &rig->client), 0);
    CU_ASSERT_EQUAL(send(rig->client.fd, v2, sizeof(v2) - 1, 0), (ssize_t)sizeof(v2) - 1);
    http_rig_say(rig, GET("/2"));
    CU_ASSERT_EQUAL(rig->handled, 2);
    CU_ASSERT_STRING_EQUAL(rig->peer, "192.0.2.7");
    http_client_close(&rig->client);
    CU_ASSERT_EQUAL(http_rig_connect(rig, options, &rig->client), 0);
    http_rig_say(rig, GET("/3"));
    CU_ASSERT_TRUE(rig->client.is_closed);
    CU_ASSERT_EQUAL(rig->handled, 2);
    http_rig_free(rig);
}

static void test_peer_goes(void)
{
    struct http_rig *rig = http_rig_open(HTTP_RIG_ECHO, (struct http_limits){0});

    http_rig_say(rig, "GET / HT");
    http_client_close(&rig->client);
    rig->client = (struct http_client){.base = rig->base, .fd = -1};
    http_rig_pump(rig);
    CU_ASSERT_EQUAL(http_server_connections(rig->server), 0);
    http_rig_free(rig);
}

/* Half closed: what was asked is still answered. */
static void test_half_close(void)
{
    struct http_rig *rig = http_rig_open(HTTP_RIG_ECHO, (struct http_limits){0});

    CU_ASSERT_TRUE(send(rig->client.fd, GET("/1") GET("/2"), 2 * strlen(GET("/1")), 0) > 0);
    shutdown(rig->client.fd, SHUT_WR);
    http_rig_pump(rig);
    CU_ASSERT_EQUAL(rig->handled, 2);
    CU_ASSERT_TRUE(http_rig_got(rig, "\r\n\r\n/2"));
    CU_ASSERT_TRUE(rig->client.is_closed);
    http_rig_free(rig);
}

int main(void)
{
    CU_TestInfo tests[] = {{"deadlines", test_deadlines},
                           {"handshake deadline", test_handshake_deadline},
                           {"refused after HEAD", test_refused_after_head},
                           {"slowloris", test_slowloris},
                           {"back-pressure", test_back_pressure},
                           {"write deadline", test_write_deadline},
                           {"crawling", test_crawling},
                           {"room", test_room},
                           {"connection limits", test_connection_limits},
                           {"drain", test_drain},
                           {"drain idle", test_drain_idle},
                           {"hurry", test_hurry},
                           {"drain empty", test_drain_empty},
                           {"proxy protocol", test_proxy_protocol},
                           {"peer goes", test_peer_goes},
                           {"half close", test_half_close},

                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "http_server", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
