/* The client, against a server that the test plays. */
#include "reconciler/net/client.h"

#include <CUnit/CUnit.h>
#include <event2/event.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include "reconciler/net/http_conn.h"
#include "reconciler/net/stream.h"
#include "tests/support/client_rig.h"
#include "tests/support/suite.h"
#include "tests/support/test_issuer.h"

/* ---- answers ---- */

static void test_get(void)
{
    static const struct http_field fields[] = {{STR_INIT("X-A"), STR_INIT("b")},
                                               {STR_INIT("host"), STR_INIT("c")},
                                               {STR_INIT("Transfer-Encoding"), STR_INIT("d")},
                                               {STR_INIT("Connection"), STR_INIT("e")}};
    struct client_rig *rig = client_rig_new((struct client_options){0});
    const struct client_destination to = client_rig_place(rig);
    struct client_told *t = client_rig_ask_at(
        rig, &to, (struct http_head){.method = STR("GET"), .fields = fields, .field_count = 4});

    CLIENT_UNTIL(rig, client_rig_is_met(rig));
    CLIENT_UNTIL(rig, client_rig_hears(rig, "\r\n\r\n"));
    CU_ASSERT_STRING_EQUAL(rig->heard.data,
                           "GET /x?y HTTP/1.1\r\nHost: a.example:80\r\nX-A: b\r\n\r\n");
    client_rig_answer(rig, CLIENT_OK);
    CLIENT_UNTIL(rig, t->ends);
    CU_ASSERT_EQUAL(t->statuses[0], 200);
    CU_ASSERT_TRUE(str_equal(buf_view(&t->body), STR("abc")));
    CU_ASSERT_EQUAL(client_kept(rig->client), 1);
    client_rig_get_again(rig); /* on the same connection */
    CU_ASSERT_EQUAL(client_connections(rig->client), 1);
    CU_ASSERT_FALSE(client_rig_is_met(rig));
    client_rig_forget(t);
    client_rig_free(rig);
}

/* How an answer ends, and what becomes of the connection. */
static void test_answers(void)
{
    static const struct {
        const char *method, *answer;
        size_t heads, body;
        bool hangs_up, is_kept, is_aborted;
    } cases[] = {
        {"GET", "HTTP/1.1 200 OK\r\n\r\nuntil the end", 1, 13, true, false, false},
        {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 1, 3,
         false, true, false},
        {"GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", 1, 1, false,
         false, false},
        {"GET", "HTTP/1.1 204 x\r\n\r\n", 1, 0, false, true, false},
        {"GET", "HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n", 1, 0, false, true, false},
        {"HEAD", "HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\n", 1, 0, false, true, false},
        {"GET", "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 103 x\r\n\r\n" CLIENT_OK, 3, 3, false, true, false},
        {"GET", CLIENT_OK "HTTP/1.1 200 not asked for\r\n\r\n", 1, 3, false, false, false},
        {"GET", "HTTP/1.1 101 x\r\n\r\n", 1, 0, false, false, true},
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", 1, 3, true, false, true},
        {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 1, 0, false, false,
         true},
        {"GET", "HTTP/1.1 200 O", 0, 0, true, false, true},
        {"GET", "", 0, 0, true, false, true},
        {"GET", "SSH-2.0-x\r\n", 0, 0, true, false, true},
        {"GET", "\r\n\r\n\r\n", 0, 0, false, false, true},
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 0, 0, false,
         false, true},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client_rig *rig = client_rig_new((struct client_options){0});
        struct client_told *t = client_rig_ask(rig, cases[i].method);
        CLIENT_UNTIL(rig, client_rig_is_met(rig));
        CLIENT_UNTIL(rig, client_rig_hears(rig, "\r\n\r\n"));
        client_rig_answer(rig, cases[i].answer);
        if (cases[i].hangs_up)
            client_rig_hang_up(rig);
        CLIENT_UNTIL(rig, t->ends + t->aborts);
        CU_ASSERT_EQUAL(t->aborts, cases[i].is_aborted);
        if (cases[i].is_aborted)
            CU_ASSERT_EQUAL(t->why, EXCHANGE_BROKEN);
        CU_ASSERT_EQUAL(t->heads, cases[i].heads);
        CU_ASSERT_EQUAL(t->body.len, cases[i].body);
        CU_ASSERT_EQUAL(client_kept(rig->client), cases[i].is_kept);
        CLIENT_UNTIL(rig, client_connections(rig->client) == cases[i].is_kept);
        client_rig_forget(t);
        client_rig_free(rig);
    }
}

static void test_interim_answers_are_bounded(void)
{
    for (size_t over = 0; over < 2; over++) {
        struct client_rig *rig = client_rig_new((struct client_options){0});
        struct client_told *t = client_rig_ask(rig, "GET");
        CLIENT_UNTIL(rig, client_rig_is_met(rig));
        for (size_t i = 0; i < CLIENT_INTERIM_MAX + over; i++)
            client_rig_answer(rig, "HTTP/1.1 103 x\r\n\r\n");
        client_rig_answer(rig, CLIENT_OK);
        CLIENT_UNTIL(rig, t->ends + t->aborts);
        CU_ASSERT_EQUAL(t->aborts, over);
        CU_ASSERT_EQUAL(t->heads, CLIENT_INTERIM_MAX + 1 - over);
        client_rig_forget(t);
        client_rig_free(rig);
    }
}

static void test_take_stream(void)
{
    struct client_rig *rig = client_rig_new((struct client_options){0});
    struct client_told *t = client_rig_ask(rig, "GET");
    struct stream stream;
    bool moved;

    t->takes = &stream;
    CLIENT_UNTIL(rig, client_rig_is_met(rig));
    client_rig_answer(rig, "HTTP/1.1 101 x\r\nUpgrade: y\r\n\r\nfirst");
    CLIENT_UNTIL(rig, t->heads);
    CLIENT_UNTIL(rig, !client_connections(rig->client));
    CU_ASSERT_EQUAL(t->ends + t->aborts, 0);
    CU_ASSERT_TRUE(str_equal(buf_view(&t->unread), STR("first")));
    CU_ASSERT_EQUAL(stream_write(&stream, "then", 4), 0);
    CU_ASSERT_EQUAL(stream_flush(&stream, &moved), 1);
    CLIENT_UNTIL(rig, client_rig_hears(rig, "then"));
    stream_fini(&stream);
    client_rig_forget(t);
    client_rig_free(rig);
}

/* ---- bodies of requests ---- */

static void test_upload(void)
{
    struct client_rig *rig = client_rig_new((struct client_options){0});
    const struct client_destination to = client_rig_place(rig);
    struct client_told *t =
        client_rig_ask_at(rig, &to, (struct http_head){.method = STR("POST"), .content_length = 5});

    CU_ASSERT_EQUAL(exchange_send_body(t->exchange, STR("ab")), 0); /* not connected yet */
    CLIENT_UNTIL(rig, t->writables);
    CU_ASSERT_EQUAL(exchange_send_body(t->exchange, STR("ab")), 2);
    CLIENT_UNTIL(rig, client_rig_is_met(rig));
    CLIENT_UNTIL(rig, client_rig_hears(rig, "\r\nContent-Length: 5\r\n\r\nab"));
    CU_ASSERT_EQUAL(exchange_send_body(t->exchange, STR("cde")), 3);
    exchange_send_end(t->exchange);
    CLIENT_UNTIL(rig, client_rig_hears(rig, "\r\n\r\nabcde"));
    client_rig_answer(rig, CLIENT_OK);
    CLIENT_UNTIL(rig, t->ends);
    CU_ASSERT_EQUAL(client_kept(rig->client), 1);
    client_rig_forget(t);

    t = client_rig_ask_at(rig, &to, (struct http_head){.method = STR("POST"), .is_chunked = true});
    CU_ASSERT_EQUAL(exchange_send_body(t->exchange, STR("abc")), 3);
    exchange_send_end(t->exchange);
    CLIENT_UNTIL(
        rig, client_rig_hears(rig, "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
    client_rig_answer(rig, CLIENT_OK);
    CLIENT_UNTIL(rig, t->ends);
    client_rig_forget(t);
    client_rig_hang_up(rig);
    CLIENT_UNTIL(rig, !client_kept(rig->client));

    /* Ended before it is connected. */
    t = client_rig_ask_at(rig, &to, (struct http_head){.method = STR("POST"), .is_chunked = true});
    exchange_send_end(t->exchange);
    CLIENT_UNTIL(rig, client_rig_is_met(rig));
    CLIENT_UNTIL(rig, client_rig_hears(rig, "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
    client_rig_forget((exchange_abort(t->exchange), t));
    client_rig_free(rig);
}

/* What was announced and does not come, or comes twice, is no request. */
static void test_wrong_length(void)
{
    for (int over = 0; over < 2; over++) {
        struct client_rig *rig = client_rig_new((struct client_options){0});
        const struct client_destination to = client_rig_place(rig);
        struct client_told *t = client_rig_ask_at(
            rig, &to, (struct http_head){.method = STR("PUT"), .content_length = 3});
        if (over) {
            (void)!exchange_send_body(t->exchange, STR("a"));
            CLIENT_UNTIL(rig, t->writables);
            CU_ASSERT_EQUAL(exchange_send_body(t->exchange, STR("abcd")), 0);
        } else {
            exchange_send_end(t->exchange);
        }
        CLIENT_UNTIL(rig, t->aborts);
        CU_ASSERT_EQUAL(t->why, EXCHANGE_BROKEN);
        client_rig_forget(t);
        client_rig_free(rig);
    }
}

/* An answer that does not wait for the whole request ends both. */
static void test_answered_early(void)
{
    struct client_rig *rig = client_rig_new((struct client_options){0});
    const struct client_destination to = client_rig_place(rig);
    struct client_told *t =
        client_rig_ask_at(rig, &to, (struct http_head){.method = STR("POST"), .content_length = 5});

    CLIENT_UNTIL(rig, client_rig_is_met(rig));
    CLIENT_UNTIL(rig, client_rig_hears(rig, "\r\n\r\n"));
    client_rig_answer(rig, CLIENT_OK);
    CLIENT_UNTIL(rig, t->ends);
    CLIENT_UNTIL(rig, !client_connections(rig->client));
    client_rig_forget(t);
    client_rig_free(rig);
}

/* ---- deadlines and ends ---- */

static void test_unreachable(void)
{
    struct client_rig *rig = client_rig_new((struct client_options){0});
    struct client_told *t;

    close(rig->listener);
    rig->listener = -1;
    t = client_rig_ask(rig, "GET");
    CLIENT_UNTIL(rig, t->aborts);
    CU_ASSERT_EQUAL(t->why, EXCHANGE_UNREACHABLE);
    CLIENT_UNTIL(rig, !client_connections(rig->client));
    client_rig_forget(t);
    client_rig_free(rig);
}

static void test_deadlines(void)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    static char big[EXCHANGE_WINDOW];
    const struct {
        struct client_destination to;
        struct http_head request;
        enum exchange_failure why;
    } cases[] = {
        {{.connect_ms = 20, .tls = tls}, {.method = STR("GET")}, EXCHANGE_UNREACHABLE_LATE},
        {{.read_ms = 20}, {.method = STR("GET")}, EXCHANGE_LATE},
        {{.write_ms = 20}, {.method = STR("PUT"), .is_chunked = true}, EXCHANGE_LATE},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client_rig *rig = client_rig_new((struct client_options){0});
        struct client_destination to = cases[i].to;
        struct client_told *t;
        to.address = (const struct sockaddr *)&rig->address;
        to.address_len = sizeof(rig->address);
        t = client_rig_ask_at(rig, &to, cases[i].request);
        CLIENT_UNTIL(rig, client_rig_is_met(rig));
        while (cases[i].request.is_chunked && !t->aborts) {
            (void)!exchange_send_body(t->exchange, (struct str){big, sizeof(big)});
            event_base_loop(rig->base, EVLOOP_NONBLOCK);
        }
        CLIENT_UNTIL(rig, t->aborts);
        CU_ASSERT_EQUAL(t->why, cases[i].why);
        client_rig_forget(t);
        client_rig_free(rig);
    }
    SSL_CTX_free(tls);
}

static void test_abort(void)
{
    struct client_rig *rig = client_rig_new((struct client_options){0});
    struct client_told *t[2] = {client_rig_ask(rig, "GET"), client_rig_ask(rig, "GET")};

    CLIENT_UNTIL(rig, client_rig_is_met(rig));
    exchange_abort(t[0]->exchange);
    CLIENT_UNTIL(rig, client_connections(rig->client) == 1);
    client_free(rig->client);
    rig->client = NULL;
    for (size_t i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(t[i]->aborts, i); /* what goes on is told */
        client_rig_forget(t[i]);
    }
    client_rig_free(rig);
}

/* ---- TLS ---- */

static void answer_request(void *context, struct exchange *x, const struct http_head *request)
{
    (void)context;
    exchange_reply(x, &(struct http_response){.status = 200, .body = request->path});
}

static SSL_CTX *server_tls(struct test_issuer *root)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct test_leaf leaf = {.key = key,
                             .names = "DNS:right.example,IP:127.0.0.1",
                             .not_before = clock_now() - 60,
                             .not_after = clock_now() + 3600};
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    struct buf der = BUF_INIT(1 << 16);

    test_issuer_sign(root, &leaf, &der);
    if (SSL_CTX_use_certificate_ASN1(tls, (int)der.len, (unsigned char *)der.data) != 1 ||
        SSL_CTX_use_PrivateKey(tls, key) != 1)
        abort();
    buf_free(&der);
    EVP_PKEY_free(key);
    return tls;
}

static SSL_CTX *client_tls(struct test_issuer *root)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    struct buf der = BUF_INIT(1 << 16);
    const unsigned char *at;
    X509 *x;

    test_issuer_der(root, &der);
    at = (const unsigned char *)der.data;
    x = d2i_X509(NULL, &at, (long)der.len);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(tls), x) != 1)
        abort();
    X509_free(x);
    buf_free(&der);
    return tls;
}

static void test_tls(void)
{
    static const struct {
        const char *name;
        bool is_right;
    } cases[] = {{"right.example", true}, {"127.0.0.1", true}, {"wrong.example", false}};
    struct test_issuer *root = test_issuer_new("root", NULL);
    SSL_CTX *server = server_tls(root), *client = client_tls(root);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client_rig *rig = client_rig_new((struct client_options){0});
        struct http_server *s = http_server_new(
            &(struct http_server_options){.base = rig->base, .handle = answer_request});
        struct client_destination to = client_rig_place(rig);
        to.tls = client;
        to.server_name = str_from(cases[i].name);
        for (int again = 0; again < (cases[i].is_right ? 2 : 1); again++) {
            struct client_told *t =
                client_rig_ask_at(rig, &to, (struct http_head){.method = STR("GET")});
            struct http_conn_options conn = {0};
            if (!again) {
                CLIENT_UNTIL(rig, client_rig_is_met(rig));
                conn.fd = rig->peer;
                conn.ssl = SSL_new(server);
                rig->peer = -1;
                CU_ASSERT_EQUAL(http_conn_open(s, &conn), 0);
            }
            CLIENT_UNTIL(rig, t->ends + t->aborts);
            CU_ASSERT_EQUAL(t->ends, cases[i].is_right);
            CU_ASSERT_TRUE(str_equal(buf_view(&t->body), cases[i].is_right ? STR("/x") : STR("")));
            CU_ASSERT_EQUAL(t->why, cases[i].is_right ? 0 : EXCHANGE_UNREACHABLE);
            client_rig_forget(t);
        }
        CU_ASSERT_EQUAL(client_kept(rig->client), cases[i].is_right);
        http_server_free(s);
        client_rig_free(rig);
    }
    SSL_CTX_free(server);
    SSL_CTX_free(client);
    test_issuer_free(root);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"get", test_get},
        {"answers", test_answers},
        {"interim answers are bounded", test_interim_answers_are_bounded},
        {"take stream", test_take_stream},
        {"upload", test_upload},
        {"wrong length", test_wrong_length},
        {"answered early", test_answered_early},
        {"unreachable", test_unreachable},
        {"deadlines", test_deadlines},
        {"abort", test_abort},
        {"TLS", test_tls},
        CU_TEST_INFO_NULL};

    return suite_run("net/client", tests);
}
