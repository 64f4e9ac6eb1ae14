#include "reconciler/serve/seen.h"
#include "reconciler/serve/worker.h"

#include <CUnit/Basic.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/worker_names.h"

#define PREFIX "/.well-known/acme-challenge/"
#define REQUEST(path, host) "GET " path " HTTP/1.1\r\nHost: " host "\r\nConnection: close\r\n\r\n"
#define KEPT(path, host) "GET " path " HTTP/1.1\r\nHost: " host "\r\n\r\n"

static struct worker_names *names;
static const struct worker_rig_tls any = {.min_version = TLS1_2_VERSION,
                                          .max_version = TLS1_3_VERSION};

/* ---- sessions ---- */

static void test_session(void)
{
    struct segment_name name = segment_maker_name(names->maker, "a.test", "a.test", KEY_P256);
    struct worker_rig *w = worker_rig_new(NULL);
    struct channel_message m, foreign = {.type = CHANNEL_MANIFEST, .session = 999};
    const uint64_t ids[] = {5}, missing[] = {6};

    worker_rig_expect(w, CHANNEL_HELLO, &m);
    CU_ASSERT_EQUAL(m.session, 0);
    CU_ASSERT_EQUAL(m.u.hello.pid, w->pid);
    /* nothing is listened to before a RESET, and nothing of another session after it */
    worker_rig_send(w, &foreign, -1);
    w->session = 1;
    worker_rig_greet(w);
    worker_rig_send(w, &foreign, -1);
    worker_names_send(w, 5, &name, 1);
    worker_rig_manifest(w, 10, ids, 1);
    worker_rig_acknowledged(w, 10);
    CU_ASSERT_EQUAL(counters_get(&w->counters->generation), 10);
    CU_ASSERT_TRUE(worker_names_serves(w, "a.test", "a.test"));
    /* an unknown segment: HELLO anew, and what was served is served on */
    worker_rig_manifest(w, 11, missing, 1);
    worker_rig_expect(w, CHANNEL_HELLO, &m);
    CU_ASSERT_EQUAL(m.session, 0);
    CU_ASSERT_TRUE(worker_names_serves(w, "a.test", "a.test"));
    /* a RESET forgets segments, not what is mapped */
    worker_rig_greet(w);
    CU_ASSERT_TRUE(worker_names_serves(w, "a.test", "a.test"));
    worker_rig_manifest(w, 12, ids, 1);
    worker_rig_expect(w, CHANNEL_HELLO, &m);
    CU_ASSERT_EQUAL(m.session, 0);
    CU_ASSERT_EQUAL(counters_get(&w->counters->generation), 10);
    worker_rig_free(w);
}

static void send_cover(struct worker_rig *w, enum channel_type type, uint32_t address, int64_t pid,
                       int fd)
{
    struct channel_message m = {.type = type, .u.cover = {7, address, pid}};

    worker_rig_send(w, &m, fd);
}

/* What comes to a slot without a worker comes to this one, as to its own sockets, while told so. */
static void test_cover(void)
{
    struct worker_rig *gone = worker_rig_new(NULL), *w = worker_names_start(names, NULL);
    uint64_t accepted;
    char *answer;
    SSL *ssl;
    int fd;

    kill(gone->pid, SIGKILL);
    worker_rig_wait(gone);
    send_cover(w, CHANNEL_COVER, 0, w->pid + 1, gone->listeners[2]); /* its predecessor's */
    send_cover(w, CHANNEL_COVER, 64, w->pid, gone->listeners[2]);    /* of no address */
    send_cover(w, CHANNEL_COVER, 0, w->pid, -1);
    send_cover(w, CHANNEL_COVER, 0, w->pid, gone->listeners[0]);
    send_cover(w, CHANNEL_COVER, 1, w->pid, gone->listeners[1]);
    answer = worker_rig_ask(gone->plain_port, AF_INET, REQUEST("/", "a"));
    CU_ASSERT_TRUE(worker_names_begins(answer, "HTTP/1.1 404 Not Found\r\n"));
    free(answer);
    ssl = worker_rig_handshake(gone->tls_port, &any);
    CU_ASSERT_PTR_NOT_NULL(ssl);
    send_cover(w, CHANNEL_UNCOVER, 0, w->pid, -1);
    worker_rig_greet(w); /* a round trip */
    accepted = counters_get(&w->counters->connections_accepted);
    fd = worker_rig_connect(gone->plain_port, AF_INET);
    worker_rig_greet(w);
    CU_ASSERT_EQUAL(counters_get(&w->counters->connections_accepted), accepted);
    /* What it has taken in goes on. */
    answer = ssl ? worker_rig_exchange(ssl, REQUEST("/", "a")) : NULL;
    CU_ASSERT_PTR_NOT_NULL(answer);
    free(answer);
    worker_rig_hang_up(ssl);
    close(fd);
    /* However many slots have nobody. */
    for (size_t i = 0; i < 200; i++)
        send_cover(w, CHANNEL_COVER, 0, w->pid, gone->listeners[2]);
    send_cover(w, CHANNEL_COVER, 0, w->pid, gone->listeners[0]);
    answer = worker_rig_ask(gone->plain_port, AF_INET, REQUEST("/", "a"));
    CU_ASSERT_TRUE(worker_names_begins(answer, "HTTP/1.1 404 Not Found\r\n"));
    free(answer);
    worker_rig_free(gone);
    worker_rig_free(w);
}

/* Connections wait in the queue until the first manifest is there. */
static void test_accepts_late(void)
{
    struct segment_name name = segment_maker_name(names->maker, "", "localhost", KEY_P256);
    struct worker_rig *w = worker_rig_new(NULL);
    const uint64_t ids[] = {1};
    char answer[64] = "";
    int fd;

    worker_rig_greet(w);
    fd = worker_rig_connect(w->plain_port, AF_INET);
    CU_ASSERT_TRUE(send(fd, REQUEST("/", "a"), strlen(REQUEST("/", "a")), 0) > 0);
    worker_names_send(w, 1, &name, 1);
    worker_rig_greet(w); /* a round trip later it has still accepted nothing */
    CU_ASSERT_EQUAL(counters_get(&w->counters->connections_accepted), 0);
    worker_names_send(w, 1, &name, 1);
    worker_rig_manifest(w, 1, ids, 1);
    CU_ASSERT_TRUE(recv(fd, answer, sizeof(answer) - 1, 0) > 0);
    CU_ASSERT_TRUE(worker_names_begins(answer, "HTTP/1.1 404 Not Found\r\n"));
    close(fd);
    worker_rig_free(w);
}

/* A segment that cannot be mapped is refused like one that never came. */
static void test_bad_segment(void)
{
    struct worker_rig *w = worker_names_start(names, NULL);
    const uint64_t ids[] = {9, 1};
    struct channel_message m;
    int pipes[2];

    CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
    worker_rig_segment(w, 9, pipes[0]);
    worker_rig_manifest(w, 2, ids, 2);
    worker_rig_expect(w, CHANNEL_HELLO, &m);
    CU_ASSERT_EQUAL(m.session, 0);
    CU_ASSERT_TRUE(worker_names_serves(w, "a.test", "a.test"));
    close(pipes[0]);
    close(pipes[1]);
    worker_rig_free(w);
}

/* ---- what control is told ---- */

static void test_sni_seen(void)
{
    struct worker_rig *w = worker_names_start(names, NULL);
    struct channel_message m;

    CU_ASSERT_TRUE(worker_names_serves(w, "x.other.test", "localhost")); /* not gated */
    CU_ASSERT_TRUE(worker_names_serves(w, "a.test", "a.test"));          /* covered */
    CU_ASSERT_TRUE(worker_names_serves(w, NULL, "localhost"));
    CU_ASSERT_TRUE(worker_names_serves(w, "First.Gate.Test", "localhost"));
    CU_ASSERT_TRUE(worker_names_serves(w, "first.gate.test", "localhost")); /* told already */
    CU_ASSERT_TRUE(worker_names_serves(w, "gate.test", "localhost"));
    worker_rig_expect(w, CHANNEL_SNI_SEEN, &m);
    CU_ASSERT_STRING_EQUAL(m.u.sni.name, "first.gate.test");
    CU_ASSERT_TRUE(address_block_meets(&m.u.sni.from, "127.0.0.1"));
    CU_ASSERT_EQUAL(m.session, w->session);
    worker_rig_expect(w, CHANNEL_SNI_SEEN, &m);
    CU_ASSERT_STRING_EQUAL(m.u.sni.name, "gate.test");
    /* Its certificate is there, and its visitors keep it. */
    CU_ASSERT_TRUE(worker_names_serves(w, "kept.gate.test", "kept.gate.test"));
    CU_ASSERT_TRUE(worker_names_serves(w, "kept.gate.test", "kept.gate.test")); /* told already */
    CU_ASSERT_TRUE(worker_names_serves(w, "last.gate.test", "localhost"));
    worker_rig_expect(w, CHANNEL_SNI_SEEN, &m);
    CU_ASSERT_STRING_EQUAL(m.u.sni.name, "kept.gate.test");
    worker_rig_expect(w, CHANNEL_SNI_SEEN, &m);
    CU_ASSERT_STRING_EQUAL(m.u.sni.name, "last.gate.test");
    worker_rig_free(w);
}

/* More names a second than control is told of are counted. */
static void test_sni_flood(void)
{
    struct worker_rig *w = worker_names_start(names, NULL);
    char name[32];
    uint64_t dropped = 0;

    for (int i = 0; i < 20 * SEEN_PER_ADDRESS && !dropped; i++) {
        snprintf(name, sizeof(name), "n%d.gate.test", i);
        CU_ASSERT_TRUE(worker_names_serves(w, name, "localhost"));
        dropped = counters_get(&w->counters->demands_dropped);
    }
    CU_ASSERT_TRUE(dropped > 0);
    worker_rig_free(w);
}

static void test_challenges(void)
{
    struct worker_rig *w = worker_names_start(names, NULL);
    char *answer = worker_rig_ask(w->plain_port, AF_INET, REQUEST(PREFIX "ours", "any.test"));
    struct worker_rig_tls how = any;
    SSL *ssl;

    CU_ASSERT_TRUE(worker_names_begins(answer, "HTTP/1.1 200 OK\r\n"));
    CU_ASSERT_STRING_EQUAL(worker_names_body(answer), "ours.thumb");
    free(answer);
    if (w->plain6_port) {
        answer = worker_rig_ask(w->plain6_port, AF_INET6, REQUEST(PREFIX "ours", "any.test"));
        CU_ASSERT_STRING_EQUAL(worker_names_body(answer), "ours.thumb");
        free(answer);
    }
    answer = worker_rig_ask(w->plain_port, AF_INET, REQUEST(PREFIX "x", "gate.test"));
    CU_ASSERT_TRUE(worker_names_begins(answer, "HTTP/1.1 404 Not Found\r\n"));
    CU_ASSERT_STRING_EQUAL(worker_names_body(answer), "Not found\n");
    free(answer);
    /* not over TLS, where no CA asks */
    ssl = worker_rig_handshake(w->tls_port, &how);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ssl);
    answer = worker_rig_exchange(ssl, KEPT(PREFIX "ours", "any.test"));
    CU_ASSERT_TRUE(worker_names_begins(answer, "HTTP/1.1 404 Not Found\r\n"));
    CU_ASSERT_PTR_NULL(strstr(answer, "ours.thumb"));
    free(answer);
    worker_rig_hang_up(ssl);
    CU_ASSERT_TRUE(counters_get(&w->counters->challenges_answered) >= 1);
    worker_rig_free(w);
}

static int ask_and_wait(struct worker_rig *w, const char *text)
{
    int fd = worker_rig_connect(w->plain_port, AF_INET);

    if (send(fd, text, strlen(text), 0) != (ssize_t)strlen(text))
        abort();
    return fd;
}

static void check_answer(int fd, const char *line, const char *body)
{
    char answer[2048] = "";
    size_t len = 0;
    ssize_t got;

    while ((got = recv(fd, answer + len, sizeof(answer) - 1 - len, 0)) > 0)
        len += (size_t)got;
    CU_ASSERT_TRUE(worker_names_begins(answer, line));
    CU_ASSERT_TRUE(worker_names_begins(worker_names_body(answer), body));
    close(fd);
}

static void test_token_miss(void)
{
    struct worker_rig *w = worker_names_start(names, NULL);
    struct channel_message m, reply = {.type = CHANNEL_TOKEN_ANSWER};
    const uint64_t ids[] = {1, 8, 3};
    int fd = ask_and_wait(w, REQUEST(PREFIX "elsewhere", "X.Gate.test:80"));

    worker_rig_expect(w, CHANNEL_TOKEN_MISS, &m);
    CU_ASSERT_STRING_EQUAL(m.u.token.name, "x.gate.test");
    CU_ASSERT_STRING_EQUAL(m.u.token.token, "elsewhere");
    reply.u.token = m.u.token;
    snprintf(reply.u.token.answer, sizeof(reply.u.token.answer), "elsewhere.thumb");
    worker_rig_send(w, &reply, -1);
    check_answer(fd, "HTTP/1.1 200 OK\r\n", "elsewhere.thumb");
    /* there is none */
    fd = ask_and_wait(w, REQUEST(PREFIX "nowhere", "gate.test"));
    worker_rig_expect(w, CHANNEL_TOKEN_MISS, &m);
    reply.u.token = m.u.token;
    reply.u.token.answer[0] = '\0';
    worker_rig_send(w, &reply, -1);
    check_answer(fd, "HTTP/1.1 404 Not Found\r\n", "{\n  \"message\":\"Not found\",");
    /* a manifest brings it */
    fd = ask_and_wait(w, REQUEST(PREFIX "soon", "gate.test"));
    worker_rig_expect(w, CHANNEL_TOKEN_MISS, &m);
    worker_names_send_token(w, 8, "soon", "soon.thumb");
    worker_rig_manifest(w, 2, ids, 3);
    check_answer(fd, "HTTP/1.1 200 OK\r\n", "soon.thumb");
    worker_rig_free(w);
}

/* ---- Kong's answers ---- */

static void test_answers(void)
{
    struct worker_rig *w = worker_names_start(names, NULL);
    char *answer = worker_rig_ask(w->plain_port, AF_INET, REQUEST("/", "nobody.test"));

    CU_ASSERT_TRUE(worker_names_begins(answer, "HTTP/1.1 404 Not Found\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\r\nContent-Type: application/json; charset=utf-8\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\r\nServer: reconcert/test\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\r\nX-Kong-Response-Latency: "));
    CU_ASSERT_TRUE(worker_names_begins(worker_names_body(answer),
                                       "{\n  \"message\":\"no Route matched with those values\","
                                       "\n  \"request_id\":\""));
    CU_ASSERT_EQUAL(strlen(worker_names_body(answer)), 103);
    free(answer);
    answer = worker_rig_ask(w->plain_port, AF_INET,
                            "GET / HTTP/1.0\r\nHost: ROUTE.test:8000\r\nAccept: text/html\r\n\r\n");
    CU_ASSERT_TRUE(worker_names_begins(answer, "HTTP/1.1 503 Service Unavailable\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(answer, "<p>no Service found with those values.</p>"));
    free(answer);
    answer = worker_rig_ask(w->plain_port, AF_INET, "GET / HTTP/1.1\r\n\r\n");
    CU_ASSERT_TRUE(worker_names_begins(answer, "HTTP/1.1 400 Bad Request\r\n"));
    CU_ASSERT_TRUE(worker_names_begins(worker_names_body(answer), "Bad request\nrequest_id: "));
    free(answer);
    CU_ASSERT_EQUAL(counters_get(&w->counters->requests), 2);
    CU_ASSERT_EQUAL(counters_get(&w->counters->bad_requests), 1);
    worker_rig_free(w);
}

static void test_proxy_listener(void)
{
    struct worker_rig *w = worker_names_start(names, NULL);
    char *answer =
        worker_rig_ask(w->proxy_port, AF_INET,
                       "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" REQUEST("/", "route.test"));

    CU_ASSERT_TRUE(worker_names_begins(answer, "HTTP/1.1 503 Service Unavailable\r\n"));
    free(answer);
    answer = worker_rig_ask(w->proxy_port, AF_INET, REQUEST("/", "route.test"));
    CU_ASSERT_STRING_EQUAL(answer, "");
    free(answer);
    worker_rig_free(w);
}

/* ---- leaving ---- */

static void test_drain(void)
{
    static const int ways[] = {SIGQUIT, SIGTERM, SIGALRM};

    for (size_t i = 0; i < ARRAY_LENGTH(ways); i++) {
        struct worker_rig *w = worker_names_start(names, NULL);
        struct channel_message m, reply = {.type = CHANNEL_TOKEN_ANSWER};
        int fd = ask_and_wait(w, KEPT(PREFIX "slow", "gate.test"));
        worker_rig_expect(w, CHANNEL_TOKEN_MISS, &m);
        kill(w->pid, ways[i]);
        reply.u.token = m.u.token;
        snprintf(reply.u.token.answer, sizeof(reply.u.token.answer), "slow.thumb");
        worker_rig_send(w, &reply, -1);
        check_answer(fd, "HTTP/1.1 200 OK\r\n", "slow.thumb");
        CU_ASSERT_EQUAL(worker_rig_wait(w), 0);
        worker_rig_free(w);
    }
}

static void test_interrupt_is_ignored(void)
{
    struct worker_rig *w = worker_names_start(names, NULL);

    kill(w->pid, SIGINT);
    CU_ASSERT_TRUE(worker_names_serves(w, "a.test", "a.test"));
    worker_rig_free(w);
}

static void test_lifeline(void)
{
    struct worker_rig *w = worker_names_start(names, NULL);
    int fd = worker_rig_connect(w->plain_port, AF_INET);

    close(w->lifeline);
    w->lifeline = -1;
    CU_ASSERT_EQUAL(worker_rig_wait(w), 0);
    close(fd);
    worker_rig_free(w);
}

/* Control's end is gone: the last generation is served on. */
static void test_control_is_away(void)
{
    struct worker_rig *w = worker_names_start(names, NULL);

    close(w->channel);
    w->channel = -1;
    CU_ASSERT_TRUE(worker_names_serves(w, "a.test", "a.test"));
    CU_ASSERT_TRUE(worker_names_serves(w, "first.gate.test", "localhost"));
    check_answer(ask_and_wait(w, REQUEST(PREFIX "token", "gate.test")),
                 "HTTP/1.1 404 Not Found\r\n", "{\n  \"message\":\"Not found\",");
    CU_ASSERT_EQUAL(counters_get(&w->counters->messages_dropped), 2);
    worker_rig_free(w);
}

static void test_cannot_start(void)
{
    struct worker_options options = {
        .channel = -1, .lifeline = -1, .counters = -1, .listener_count = WORKER_LISTENERS_MAX + 1};

    fflush(stderr);
    CU_ASSERT_EQUAL(worker_run(&options), 1);
}

int main(void)
{
    CU_TestInfo tests[] = {{"session", test_session},
                           {"covers", test_cover},
                           {"accepts late", test_accepts_late},
                           {"bad segment", test_bad_segment},
                           {"SNI seen", test_sni_seen},
                           {"SNI flood", test_sni_flood},
                           {"challenges", test_challenges},
                           {"token miss", test_token_miss},
                           {"answers", test_answers},
                           {"proxy listener", test_proxy_listener},
                           {"drain", test_drain},
                           {"interrupt is ignored", test_interrupt_is_ignored},
                           {"lifeline", test_lifeline},
                           {"control is away", test_control_is_away},
                           {"cannot start", test_cannot_start},

                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "worker", .pTests = tests}, CU_SUITE_INFO_NULL};

    names = worker_names_new();
    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    worker_names_free(names);
    return CU_get_number_of_failures() ? 1 : 0;
}
