/* A server's exchanges over HTTP/1: bodies both ways, bit by bit. */
#include "reconciler/net/exchange.h"

#include <CUnit/CUnit.h>
#include <event2/event.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "reconciler/net/http_conn.h"
#include "reconciler/net/http_head.h"
#include "reconciler/net/stream.h"
#include "tests/support/http_client.h"
#include "tests/support/suite.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(fields) "POST /p HTTP/1.1\r\nHost: a\r\n" fields "\r\n"
#define CHUNKED POST("Transfer-Encoding: chunked\r\n")

#define SOCKET_SIZE 8192 /* less than a window: it is never empty for who reads slowly */

/* A handler that does what the test says, and notes what it is told. */
struct rig {
    struct event_base *base;
    struct http_server *server;
    struct http_client client;
    struct exchange *exchange; /* NULL = none is going on */
    bool is_deaf;              /* it does not listen by itself */
    size_t takes;              /* bytes of a body that it will take */
    struct buf body;
    size_t handled, heads, ends, aborts, writables, left;
    enum exchange_failure why;
    bool is_echo;  /* what comes goes back */
    bool is_flood; /* `left` bytes are sent as far as they are accepted */
};

static size_t on_body(void *context, struct exchange *x, struct str bytes)
{
    struct rig *rig = context;
    struct str taken = str_slice(bytes, 0, rig->takes);

    if (rig->is_echo)
        taken.len = exchange_send_body(x, bytes);
    else
        buf_str(&rig->body, taken);
    rig->takes -= taken.len;
    return taken.len;
}

static void on_end(void *context, struct exchange *x)
{
    struct rig *rig = context;

    rig->ends++;
    if (rig->is_echo) {
        rig->exchange = NULL;
        exchange_send_end(x);
    }
}

static void on_abort(void *context, struct exchange *x, enum exchange_failure why)
{
    struct rig *rig = context;

    (void)x;
    rig->aborts++;
    rig->why = why;
    rig->exchange = NULL;
}

static void flood(struct rig *rig, struct exchange *x)
{
    static const char piece[100000];
    size_t put = 1;

    while (rig->left && put) {
        put = exchange_send_body(x, str_slice((struct str){piece, sizeof(piece)}, 0, rig->left));
        rig->left -= put;
    }
    if (rig->left)
        return;
    rig->exchange = NULL;
    exchange_send_end(x);
}

static void on_writable(void *context, struct exchange *x)
{
    struct rig *rig = context;

    rig->writables++;
    if (rig->is_flood)
        flood(rig, x);
    else
        exchange_resume(x);
}

static const struct exchange_events events = {
    .on_body = on_body, .on_end = on_end, .on_abort = on_abort, .on_writable = on_writable};
static const struct exchange_events only_abort = {.on_abort = on_abort};

static void handle(void *context, struct exchange *x, const struct http_head *request)
{
    struct rig *rig = context;
    const struct http_head head = {.status = 200, .is_chunked = true};

    (void)request;
    rig->handled++;
    rig->exchange = x;
    exchange_listen(x, rig->is_deaf ? &only_abort : &events, rig);
    if (rig->is_echo || rig->is_flood)
        exchange_send_head(x, &head);
    if (rig->is_flood)
        flood(rig, x);
}

static struct rig *rig_new(struct http_limits limits)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct http_server_options options = {.limits = limits, .context = rig, .handle = handle};
    struct http_conn_options conn = {0};

    rig->base = options.base = event_base_new();
    rig->server = http_server_new(&options);
    rig->body = BUF_INIT(1 << 20);
    rig->takes = SIZE_MAX;
    conn.fd = http_client_open(&rig->client, rig->base);
    if (setsockopt(conn.fd, SOL_SOCKET, SO_SNDBUF, &(int){SOCKET_SIZE}, sizeof(int)))
        abort();
    if (http_conn_open(rig->server, &conn))
        abort();
    return rig;
}

static void rig_free(struct rig *rig)
{
    http_client_close(&rig->client);
    http_server_free(rig->server);
    event_base_free(rig->base);
    buf_free(&rig->body);
    free(rig);
}

static void reply(struct rig *rig, const char *text)
{
    const struct http_response response = {.status = 200, .body = str_from(text)};
    struct exchange *x = rig->exchange;

    rig->exchange = NULL;
    exchange_reply(x, &response);
    http_client_pump(&rig->client);
}

static void send_head(struct rig *rig, struct http_head head)
{
    exchange_send_head(rig->exchange, &head);
}

static void end(struct rig *rig)
{
    struct exchange *x = rig->exchange;

    rig->exchange = NULL;
    exchange_send_end(x);
    http_client_pump(&rig->client);
}

static bool ends_with(const struct rig *rig, const char *text)
{
    return str_ends(buf_view(&rig->client.received), str_from(text));
}

/* ---- requests ---- */

static void test_body_comes_bit_by_bit(void)
{
    struct rig *rig = rig_new((struct http_limits){0});

    http_client_say(&rig->client, CHUNKED "3\r\nabc\r\n");
    CU_ASSERT_EQUAL(rig->handled, 1); /* the head is enough */
    CU_ASSERT_TRUE(str_equal(buf_view(&rig->body), STR("abc")));
    CU_ASSERT_EQUAL(rig->ends, 0);
    http_client_say(&rig->client, "2\r\nde\r\n0\r\n\r\n" GET);
    CU_ASSERT_TRUE(str_equal(buf_view(&rig->body), STR("abcde")));
    CU_ASSERT_EQUAL(rig->ends, 1);
    CU_ASSERT_EQUAL(rig->handled, 1); /* the next waits for the answer */
    reply(rig, "one");
    CU_ASSERT_EQUAL(rig->handled, 2);
    CU_ASSERT_EQUAL(rig->ends, 2);
    reply(rig, "two");
    CU_ASSERT_TRUE(ends_with(rig, "two"));
    CU_ASSERT_EQUAL(rig->aborts, 0);
    rig_free(rig);
}

/* What is not taken comes again, and meanwhile no more is read than one read brings. */
static void test_body_is_held_back(void)
{
    static char big[4 << 20];
    struct rig *rig = rig_new((struct http_limits){0});
    size_t sent = 0;
    ssize_t put;

    memset(big, 'x', sizeof(big));
    rig->takes = 5;
    http_client_say(&rig->client, POST("Content-Length: 4194304\r\n"));
    while ((put = send(rig->client.fd, big, sizeof(big) - sent, MSG_NOSIGNAL)) > 0) {
        sent += (size_t)put;
        http_client_pump(&rig->client);
    }
    CU_ASSERT_TRUE(sent < sizeof(big)); /* the socket is full, since nobody reads it */
    CU_ASSERT_EQUAL(rig->body.len, 5);
    rig->takes = 4;
    exchange_resume(rig->exchange);
    http_client_pump(&rig->client);
    CU_ASSERT_EQUAL(rig->body.len, 9);
    rig->body.max = sizeof(big);
    rig->takes = SIZE_MAX;
    exchange_resume(rig->exchange);
    while (!rig->ends) {
        put = send(rig->client.fd, big, sizeof(big) - sent, MSG_NOSIGNAL);
        sent += put > 0 ? (size_t)put : 0;
        event_base_loop(rig->base, EVLOOP_NONBLOCK);
    }
    CU_ASSERT_EQUAL(rig->body.len, sizeof(big));
    reply(rig, "done");
    CU_ASSERT_TRUE(ends_with(rig, "done"));
    rig_free(rig);
}

/* Who listens asks for the body; who does not, and answers, cannot know whether it will come. */
static void test_continue(void)
{
    for (int deaf = 0; deaf < 2; deaf++) {
        struct rig *rig = rig_new((struct http_limits){.linger_ms = 40});
        rig->is_deaf = deaf;
        http_client_say(&rig->client, POST("Expect: 100-continue\r\nContent-Length: 3\r\n"));
        CU_ASSERT_EQUAL(rig->handled, 1);
        CU_ASSERT_EQUAL(http_client_got(&rig->client, "HTTP/1.1 100 Continue\r\n\r\n"), !deaf);
        if (!deaf)
            http_client_say(&rig->client, "abc");
        reply(rig, "yes");
        CU_ASSERT_EQUAL(http_client_got(&rig->client, "Connection: close"), deaf);
        CU_ASSERT_TRUE(ends_with(rig, "yes"));
        rig_free(rig);
    }
}

/* An early answer: the rest is dropped, within bounds, and the connection goes on. */
static void test_answered_early(void)
{
    struct rig *rig = rig_new((struct http_limits){.body_discard = 100, .linger_ms = 40});

    http_client_say(&rig->client, POST("Content-Length: 6\r\n") "abc");
    reply(rig, "early");
    http_client_say(&rig->client, "def" GET);
    CU_ASSERT_EQUAL(rig->handled, 2);
    CU_ASSERT_TRUE(str_equal(buf_view(&rig->body), STR("abc")));
    reply(rig, "next");
    CU_ASSERT_TRUE(ends_with(rig, "next"));
    http_client_say(&rig->client, POST("Content-Length: 1000\r\n") "abc");
    reply(rig, "too much");
    CU_ASSERT_TRUE(ends_with(rig, "too much"));
    http_client_pump_to_end(&rig->client);
    CU_ASSERT_EQUAL(rig->aborts, 0);
    rig_free(rig);
}

static void test_broken_body(void)
{
    struct rig *rig = rig_new((struct http_limits){.linger_ms = 40});

    http_client_say(&rig->client, CHUNKED "3\r\nabcd\r\n");
    CU_ASSERT_EQUAL(rig->aborts, 1);
    CU_ASSERT_EQUAL(rig->why, EXCHANGE_BROKEN);
    CU_ASSERT_TRUE(http_client_got(&rig->client, "HTTP/1.1 400 Bad Request\r\n"));
    http_client_pump_to_end(&rig->client);
    rig_free(rig);

    /* An answer that has begun cannot be taken back. */
    rig = rig_new((struct http_limits){0});
    rig->is_echo = true;
    http_client_say(&rig->client, CHUNKED "3\r\nabcd\r\n");
    CU_ASSERT_EQUAL(rig->aborts, 1);
    CU_ASSERT_TRUE(rig->client.is_closed);
    CU_ASSERT_FALSE(ends_with(rig, "0\r\n\r\n"));
    rig_free(rig);

    /* Nor is one that has ended followed by another. */
    rig = rig_new((struct http_limits){0});
    http_client_say(&rig->client, CHUNKED "3\r\nabc\r\n");
    reply(rig, "early");
    http_client_say(&rig->client, "x\r\n" GET);
    CU_ASSERT_TRUE(rig->client.is_closed);
    CU_ASSERT_EQUAL(rig->handled, 1);
    CU_ASSERT_EQUAL(rig->aborts, 0);
    rig_free(rig);
}

static void test_late_body(void)
{
    for (int answered = 0; answered < 2; answered++) {
        struct rig *rig = rig_new((struct http_limits){.body_ms = 20, .linger_ms = 20});
        http_client_say(&rig->client, POST("Content-Length: 6\r\n") "abc");
        if (answered)
            reply(rig, "early");
        http_client_pump_to_end(&rig->client);
        CU_ASSERT_EQUAL(http_client_got(&rig->client, "HTTP/1.1 408 "), !answered);
        CU_ASSERT_EQUAL(rig->aborts, !answered);
        CU_ASSERT_EQUAL(rig->why, answered ? 0 : EXCHANGE_LATE);
        rig_free(rig);
    }
}

static void test_client_goes(void)
{
    struct rig *rig = rig_new((struct http_limits){0});

    http_client_say(&rig->client, POST("Content-Length: 6\r\n") "abc");
    http_client_close(&rig->client);
    while (http_server_connections(rig->server))
        event_base_loop(rig->base, EVLOOP_ONCE);
    CU_ASSERT_EQUAL(rig->aborts, 1);
    CU_ASSERT_EQUAL(rig->ends, 0);
    rig_free(rig);
}

/* ---- responses ---- */

static void test_framing(void)
{
    static const struct {
        const char *request, *wanted;
        struct http_head head;
        bool closes;
    } cases[] = {
        {GET,
         "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
         {.status = 200, .content_length = 3},
         false},
        {GET,
         "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
         "3\r\nabc\r\n0\r\n\r\n",
         {.status = 200, .is_chunked = true},
         false},
        {GET,
         "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
         "3\r\nabc\r\n0\r\n\r\n",
         {.status = 200, .is_open = true},
         false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
         "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc",
         {.status = 200, .is_chunked = true},
         true},
        {GET,
         "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n",
         {.status = 204, .content_length = 3},
         false},
        {GET,
         "HTTP/1.1 304 Not Modified\r\nConnection: keep-alive\r\n\r\n",
         {.status = 304, .is_chunked = true},
         false},
        {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
         "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n",
         {.status = 200, .is_chunked = true},
         false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rig *rig = rig_new((struct http_limits){0});
        http_client_say(&rig->client, cases[i].request);
        send_head(rig, cases[i].head);
        CU_ASSERT_EQUAL(exchange_send_body(rig->exchange, STR("abc")), 3);
        end(rig);
        CU_ASSERT_STRING_EQUAL(rig->client.received.data, cases[i].wanted);
        CU_ASSERT_EQUAL(rig->client.is_closed, cases[i].closes);
        if (!cases[i].closes)
            http_client_say(&rig->client, GET);
        CU_ASSERT_EQUAL(rig->handled, cases[i].closes ? 1 : 2);
        rig_free(rig);
    }
}

/* Fields pass, but for those that frame the message or name the connection. */
static void test_fields(void)
{
    static const struct http_field fields[] = {{STR_INIT("X-A"), STR_INIT("b")},
                                               {STR_INIT("connection"), STR_INIT("x")},
                                               {STR_INIT("content-length"), STR_INIT("7")},
                                               {STR_INIT("transfer-encoding"), STR_INIT("y")}};

    for (int is_head = 0; is_head < 2; is_head++) {
        struct rig *rig = rig_new((struct http_limits){0});
        http_client_say(&rig->client, is_head ? "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" : GET);
        send_head(rig, (struct http_head){.status = 103, .fields = fields, .field_count = 1});
        send_head(rig, (struct http_head){.status = 200, .fields = fields, .field_count = 4});
        end(rig);
        CU_ASSERT_STRING_EQUAL(rig->client.received.data,
                               is_head ? "HTTP/1.1 103 Early Hints\r\nX-A: b\r\n\r\n"
                                         "HTTP/1.1 200 OK\r\nX-A: b\r\ncontent-length: 7\r\n"
                                         "Connection: keep-alive\r\n\r\n"
                                       : "HTTP/1.1 103 Early Hints\r\nX-A: b\r\n\r\n"
                                         "HTTP/1.1 200 OK\r\nX-A: b\r\n"
                                         "Connection: keep-alive\r\nContent-Length: 0\r\n\r\n");
        rig_free(rig);
    }
}

/* Whose body is longer or shorter than its head said is cut off, and the client gets to see that. */
static void test_wrong_length(void)
{
    for (int over = 0; over < 2; over++) {
        struct rig *rig = rig_new((struct http_limits){0});
        http_client_say(&rig->client, GET);
        send_head(rig, (struct http_head){.status = 200, .content_length = 3});
        CU_ASSERT_EQUAL(exchange_send_body(rig->exchange, over ? STR("abcd") : STR("ab")),
                        over ? 0 : 2);
        end(rig);
        CU_ASSERT_TRUE(rig->client.is_closed);
        CU_ASSERT_EQUAL(http_server_connections(rig->server), 0);
        rig_free(rig);
    }
}

static void test_abort(void)
{
    struct rig *rig = rig_new((struct http_limits){0});
    struct exchange *x;

    http_client_say(&rig->client, POST("Content-Length: 6\r\n") "abc");
    send_head(rig, (struct http_head){.status = 200, .content_length = 3});
    x = rig->exchange;
    exchange_abort(x);
    CU_ASSERT_EQUAL(exchange_send_body(x, STR("abc")), 0);
    http_client_pump(&rig->client);
    CU_ASSERT_TRUE(rig->client.is_closed);
    CU_ASSERT_EQUAL(rig->aborts, 0);
    rig_free(rig);
}

/* ---- streams ---- */

static void test_take_stream(void)
{
    static const struct http_field fields[] = {{STR_INIT("Connection"), STR_INIT("Upgrade")},
                                               {STR_INIT("Upgrade"), STR_INIT("x")}};
    struct rig *rig = rig_new((struct http_limits){0});
    struct buf unread = BUF_INIT(1000);
    struct stream stream;
    char bytes[10];
    bool moved;

    http_client_say(&rig->client, GET "first");
    CU_ASSERT_EQUAL(exchange_take_stream(rig->exchange, &stream, &unread), -1);
    send_head(rig, (struct http_head){.status = 101, .fields = fields, .field_count = 2});
    CU_ASSERT_EQUAL_FATAL(exchange_take_stream(rig->exchange, &stream, &unread), 0);
    http_client_pump(&rig->client);
    CU_ASSERT_EQUAL(http_server_connections(rig->server), 0);
    CU_ASSERT_EQUAL(rig->aborts, 0);
    CU_ASSERT_TRUE(str_equal(buf_view(&unread), STR("first")));
    CU_ASSERT_EQUAL(stream_write(&stream, "!", 1), 0);
    CU_ASSERT_EQUAL(stream_flush(&stream, &moved), 1);
    http_client_say(&rig->client, "then");
    CU_ASSERT_STRING_EQUAL(rig->client.received.data,
                           "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                           "Upgrade: x\r\n\r\n!");
    stream_wake(&stream);
    CU_ASSERT_EQUAL(stream_read(&stream, bytes, sizeof(bytes)), 4);
    CU_ASSERT_EQUAL(memcmp(bytes, "then", 4), 0);
    stream_fini(&stream);
    buf_free(&unread);
    rig_free(rig);
}

/* ---- back-pressure ---- */

#define BIG ((size_t)50 << 20)
#define HELD_MAX (1 << 20)

/* Bytes that are held more than at `before`. */
static size_t held_since(size_t before)
{
    size_t now = mallinfo2().uordblks;

    return now > before ? now - before : 0;
}

/* Who takes a little at a time, and never all, costs a window however long the body is. */
static void test_slow_reader(void)
{
    static char bytes[30000];
    struct rig *rig = rig_new((struct http_limits){0});
    size_t before, most = 0, got = 0;

    rig->is_flood = true;
    rig->left = BIG;
    before = mallinfo2().uordblks;
    CU_ASSERT_TRUE(send(rig->client.fd, GET, strlen(GET), 0) > 0);
    while (!rig->handled || rig->left) {
        ssize_t n = recv(rig->client.fd, bytes, sizeof(bytes), 0);
        size_t held = held_since(before);
        got += n > 0 ? (size_t)n : 0;
        most = held > most ? held : most;
        event_base_loop(rig->base, EVLOOP_NONBLOCK);
    }
    CU_ASSERT_TRUE(got > BIG - (2 << 20));
    CU_ASSERT_TRUE(rig->writables > 100);
    CU_ASSERT_TRUE(most < HELD_MAX);
    rig_free(rig);
}

/* One who sends and does not read: an echo holds no more than its windows. */
static void test_echo_to_who_does_not_read(void)
{
    static const char head[] = POST("Content-Length: 52428800\r\n");
    static char bytes[65536];
    struct rig *rig = rig_new((struct http_limits){0});
    size_t before = mallinfo2().uordblks, sent = 0, quiet = 0;

    rig->is_echo = true;
    CU_ASSERT_TRUE(send(rig->client.fd, head, strlen(head), 0) > 0);
    while (quiet < 100) {
        ssize_t put = send(rig->client.fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
        sent += put > 0 ? (size_t)put : 0;
        quiet = put > 0 ? 0 : quiet + 1;
        event_base_loop(rig->base, EVLOOP_NONBLOCK);
    }
    CU_ASSERT_TRUE(sent > EXCHANGE_WINDOW && sent < BIG / 10);
    CU_ASSERT_TRUE(held_since(before) < HELD_MAX);
    rig_free(rig);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"body comes bit by bit", test_body_comes_bit_by_bit},
        {"body is held back", test_body_is_held_back},
        {"continue", test_continue},
        {"answered early", test_answered_early},
        {"broken body", test_broken_body},
        {"late body", test_late_body},
        {"client goes", test_client_goes},
        {"framing", test_framing},
        {"fields", test_fields},
        {"wrong length", test_wrong_length},
        {"abort", test_abort},
        {"take stream", test_take_stream},
        {"slow reader", test_slow_reader},
        {"echo to who does not read", test_echo_to_who_does_not_read},
        CU_TEST_INFO_NULL};

    return suite_run("net/exchange", tests);
}
