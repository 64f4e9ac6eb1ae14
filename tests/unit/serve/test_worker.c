#include "reconciler/serve/worker.h"

#include <CUnit/Basic.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/segment_maker.h"
#include "tests/support/worker_rig.h"

#define PREFIX "/.well-known/acme-challenge/"
#define REQUEST(path, host) "GET " path " HTTP/1.1\r\nHost: " host "\r\nConnection: close\r\n\r\n"
#define KEPT(path, host) "GET " path " HTTP/1.1\r\nHost: " host "\r\n\r\n"

static struct segment_maker *maker;
static struct segment_name served[3]; /* a.test, *.b.test, the default in RSA and ECDSA */
static const struct worker_rig_tls any = {.min_version = TLS1_2_VERSION,
                                          .max_version = TLS1_3_VERSION};

/* ---- control's part ---- */

static int write_names(const struct segment_name *names, size_t count)
{
    struct error e = {0};
    int fd = segment_write_credentials(names, count, NULL, &e);

    if (fd < 0)
        abort();
    return fd;
}

static void send_names(struct worker_rig *w, uint64_t id, const struct segment_name *names,
                       size_t count)
{
    int fd = write_names(names, count);

    worker_rig_segment(w, id, fd);
    close(fd);
}

static void send_tokens(struct worker_rig *w, uint64_t id, const char *token, const char *answer)
{
    struct segment_token t = {str_from(token), str_from(answer)};
    struct error e = {0};
    int fd = segment_write_tokens(&t, 1, NULL, &e);

    if (fd < 0)
        abort();
    worker_rig_segment(w, id, fd);
    close(fd);
}

/* The gate lets gate.test and *.gate.test through; routes claim route.test. */
static void send_routes(struct worker_rig *w, uint64_t id)
{
    static const struct str domains[] = {STR_INIT("gate.test"), STR_INIT("*.gate.test")};
    static const struct str hosts[] = {STR_INIT("route.test")};
    struct segment_routes routes = {
        .gate_open = true, .domains = domains, .domain_count = 2, .hosts = hosts, .host_count = 1};
    struct error e = {0};
    int fd = segment_write_routes(&routes, NULL, &e);

    if (fd < 0)
        abort();
    worker_rig_segment(w, id, fd);
    close(fd);
}

static void make_names(void)
{
    served[0] = segment_maker_name(maker, "a.test", "a.test", KEY_P256);
    served[1] = segment_maker_name(maker, "*.b.test", "wild.b.test", KEY_P256);
    served[2] = segment_maker_name(maker, "", "localhost", KEY_RSA_2048);
    served[2].credentials[1] = segment_maker_credential(maker, "localhost", KEY_P256);
    served[2].count = 2;
}

/* A worker that serves: segment 1 = names, 2 = tokens, 3 = routes. */
static struct worker_rig *serving(const struct worker_rig_options *options)
{
    static const uint64_t ids[] = {1, 2, 3};
    struct worker_rig *w = worker_rig_new(options);

    worker_rig_greet(w);
    send_names(w, 1, served, ARRAY_LENGTH(served));
    send_tokens(w, 2, "ours", "ours.thumb");
    send_routes(w, 3);
    worker_rig_manifest(w, 1, ids, 3);
    worker_rig_acknowledged(w, 1);
    return w;
}

static void check_name(struct worker_rig *w, const struct worker_rig_tls *how, const char *expected)
{
    SSL *ssl = worker_rig_handshake(w->tls_port, how);
    char name[100] = "no handshake";

    if (ssl) {
        worker_rig_name(ssl, name, sizeof(name));
        worker_rig_hang_up(ssl);
    }
    CU_ASSERT_STRING_EQUAL(name, expected);
}

static void check_sni(struct worker_rig *w, const char *sni, const char *expected)
{
    struct worker_rig_tls how = any;

    how.sni = sni;
    check_name(w, &how, expected);
}

static bool begins(const char *text, const char *start)
{
    return text && strncmp(text, start, strlen(start)) == 0;
}

static const char *body_of(const char *answer)
{
    const char *body = answer ? strstr(answer, "\r\n\r\n") : NULL;

    return body ? body + 4 : "";
}

/* ---- sessions ---- */

static void test_session(void)
{
    struct segment_name name = segment_maker_name(maker, "a.test", "a.test", KEY_P256);
    struct worker_rig *w = worker_rig_new(NULL);
    struct channel_message m, foreign = {.type = CHANNEL_DRAIN, .session = 999};
    const uint64_t ids[] = {5}, missing[] = {6};

    worker_rig_expect(w, CHANNEL_HELLO, &m);
    CU_ASSERT_EQUAL(m.session, 0);
    CU_ASSERT_EQUAL(m.u.hello.pid, w->pid);
    /* nothing is listened to before a RESET: this drain would end it */
    worker_rig_send(w, &foreign, -1);
    w->session = 1;
    worker_rig_greet(w);
    worker_rig_send(w, &foreign, -1);
    send_names(w, 5, &name, 1);
    worker_rig_manifest(w, 10, ids, 1);
    worker_rig_acknowledged(w, 10);
    CU_ASSERT_EQUAL(counters_get(&w->counters->generation), 10);
    check_sni(w, "a.test", "a.test");
    /* an unknown segment: HELLO anew, and what was served is served on */
    worker_rig_manifest(w, 11, missing, 1);
    worker_rig_expect(w, CHANNEL_HELLO, &m);
    CU_ASSERT_EQUAL(m.session, 0);
    check_sni(w, "a.test", "a.test");
    /* a RESET forgets segments, not what is mapped */
    worker_rig_greet(w);
    check_sni(w, "a.test", "a.test");
    worker_rig_manifest(w, 12, ids, 1);
    worker_rig_expect(w, CHANNEL_HELLO, &m);
    CU_ASSERT_EQUAL(m.session, 0);
    CU_ASSERT_EQUAL(counters_get(&w->counters->generation), 10);
    worker_rig_free(w);
}

/* Connections wait in the queue until the first manifest is there. */
static void test_accepts_late(void)
{
    struct segment_name name = segment_maker_name(maker, "", "localhost", KEY_P256);
    struct worker_rig *w = worker_rig_new(NULL);
    const uint64_t ids[] = {1};
    char answer[64] = "";
    int fd;

    worker_rig_greet(w);
    fd = worker_rig_connect(w->plain_port, AF_INET);
    CU_ASSERT_TRUE(send(fd, REQUEST("/", "a"), strlen(REQUEST("/", "a")), 0) > 0);
    send_names(w, 1, &name, 1);
    worker_rig_greet(w); /* a round trip later it has still accepted nothing */
    CU_ASSERT_EQUAL(counters_get(&w->counters->connections_accepted), 0);
    send_names(w, 1, &name, 1);
    worker_rig_manifest(w, 1, ids, 1);
    CU_ASSERT_TRUE(recv(fd, answer, sizeof(answer) - 1, 0) > 0);
    CU_ASSERT_TRUE(begins(answer, "HTTP/1.1 404 Not Found\r\n"));
    close(fd);
    worker_rig_free(w);
}

/* A segment that cannot be mapped is refused like one that never came. */
static void test_bad_segment(void)
{
    struct worker_rig *w = serving(NULL);
    const uint64_t ids[] = {9, 1};
    struct channel_message m;
    int pipes[2];

    CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
    worker_rig_segment(w, 9, pipes[0]);
    worker_rig_manifest(w, 2, ids, 2);
    worker_rig_expect(w, CHANNEL_HELLO, &m);
    CU_ASSERT_EQUAL(m.session, 0);
    check_sni(w, "a.test", "a.test");
    close(pipes[0]);
    close(pipes[1]);
    worker_rig_free(w);
}

/* ---- TLS ---- */

static void test_certificates(void)
{
    struct worker_rig *w = serving(NULL);
    struct worker_rig_tls how = any;

    check_sni(w, "a.test", "a.test");
    check_sni(w, "A.Test", "a.test");
    check_sni(w, "x.b.test", "wild.b.test");
    check_sni(w, "b.test", "localhost");
    check_sni(w, NULL, "localhost");
    how.sni = "a.test";
    how.max_version = TLS1_2_VERSION;
    check_name(w, &how, "a.test");
    how.min_version = how.max_version = TLS1_3_VERSION;
    check_name(w, &how, "a.test");
    /* the default has both kinds of key */
    how.sni = NULL;
    how.sigalgs = "rsa_pss_rsae_sha256";
    check_name(w, &how, "localhost");
    how.sigalgs = "ecdsa_secp256r1_sha256";
    check_name(w, &how, "localhost");
    how.sni = "a.test";
    how.sigalgs = "rsa_pss_rsae_sha256";
    check_name(w, &how, "no handshake");
    CU_ASSERT_EQUAL(counters_get(&w->counters->handshakes), 9);
    CU_ASSERT_EQUAL(counters_get(&w->counters->handshakes_failed), 1);
    CU_ASSERT_EQUAL(counters_get(&w->counters->handshakes_default), 4);
    CU_ASSERT_TRUE(counters_get(&w->counters->parsed_hits) > 0);
    CU_ASSERT_EQUAL(counters_get(&w->counters->parsed_misses), 4);
    worker_rig_free(w);
}

static void test_chain_is_sent(void)
{
    struct worker_rig *w = serving(NULL);
    struct worker_rig_tls how = any;
    SSL *ssl;

    how.sni = "a.test";
    ssl = worker_rig_handshake(w->tls_port, &how);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ssl);
    CU_ASSERT_EQUAL(sk_X509_num(SSL_get_peer_cert_chain(ssl)), 2);
    worker_rig_hang_up(ssl);
    worker_rig_free(w);
}

static void test_alpn(void)
{
    static const unsigned char http[] = "\x02h2\x08http/1.1", h2[] = "\x02h2",
                               acme[] = "\x0a"
                                        "acme-tls/1";
    struct worker_rig *w = serving(NULL);
    struct worker_rig_tls how = any;
    const unsigned char *chosen;
    unsigned len;
    SSL *ssl;

    how.alpn = http;
    how.alpn_len = sizeof(http) - 1;
    ssl = worker_rig_handshake(w->tls_port, &how);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ssl);
    SSL_get0_alpn_selected(ssl, &chosen, &len);
    CU_ASSERT_TRUE(str_equal((struct str){(const char *)chosen, len}, STR("http/1.1")));
    worker_rig_hang_up(ssl);
    how.alpn = h2;
    how.alpn_len = sizeof(h2) - 1;
    CU_ASSERT_PTR_NULL(worker_rig_handshake(w->tls_port, &how));
    how.alpn = acme;
    how.alpn_len = sizeof(acme) - 1;
    CU_ASSERT_PTR_NULL(worker_rig_handshake(w->tls_port, &how));
    worker_rig_free(w);
}

static void test_protocols(void)
{
    static const struct {
        const char *protocols[2], *suite;
        bool has12, has13;
    } cases[] = {
        {{"TLSv1.2", "TLSv1.3"}, "intermediate", true, true},
        {{"TLSv1.2", "TLSv1.2"}, "intermediate", true, false},
        {{"TLSv1.3", "TLSv1.3"}, "fips", false, true},
        {{"TLSv1.1", "TLSv1.3"}, "old", false, true},
        {{"TLSv1.2", "TLSv1.3"}, "modern", false, true},
        {{"TLSv1.2", "TLSv1.2"}, "modern", true, false},
        {{"TLSv1.2", "TLSv1.3"}, "unheard of", true, true},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct worker_rig_options o = {cases[i].protocols, 2, cases[i].suite};
        struct worker_rig *w = serving(&o);
        struct worker_rig_tls how = {
            .sni = "a.test", .min_version = TLS1_2_VERSION, .max_version = TLS1_2_VERSION};
        check_name(w, &how, cases[i].has12 ? "a.test" : "no handshake");
        how.min_version = how.max_version = TLS1_3_VERSION;
        check_name(w, &how, cases[i].has13 ? "a.test" : "no handshake");
        worker_rig_free(w);
    }
}

/* A request over TLS, and another on the same connection after the generation has changed. */
static void test_generations(void)
{
    struct segment_name fresh[] = {segment_maker_name(maker, "a.test", "new.a.test", KEY_P256),
                                   {.name = STR("*.b.test")}};
    struct worker_rig *w = serving(NULL);
    const uint64_t ids[] = {4, 1, 2, 3};
    struct worker_rig_tls how = any;
    char *answer;
    SSL *ssl;

    how.sni = "a.test";
    ssl = worker_rig_handshake(w->tls_port, &how);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ssl);
    answer = worker_rig_exchange(ssl, KEPT("/", "a.test"));
    CU_ASSERT_TRUE(begins(answer, "HTTP/1.1 404 Not Found\r\n"));
    free(answer);
    send_names(w, 4, fresh, 2);
    worker_rig_manifest(w, 2, ids, 4);
    worker_rig_acknowledged(w, 2);
    answer = worker_rig_exchange(ssl, KEPT("/", "route.test"));
    CU_ASSERT_TRUE(begins(answer, "HTTP/1.1 503 Service Unavailable\r\n"));
    free(answer);
    worker_rig_hang_up(ssl);
    check_sni(w, "a.test", "new.a.test");
    check_sni(w, "x.b.test", "localhost");
    CU_ASSERT_EQUAL(counters_get(&w->counters->generation), 2);
    worker_rig_free(w);
}

/* ---- tickets ---- */

static void send_tickets(struct worker_rig *w, const char *keys)
{
    struct channel_message m = {.type = CHANNEL_TICKET_KEYS_SET};
    struct channel_message next;
    const uint64_t ids[] = {1, 2, 3};

    m.u.tickets.count = (uint32_t)strlen(keys);
    for (size_t i = 0; i < m.u.tickets.count; i++)
        memset(m.u.tickets.keys[i], keys[i], CHANNEL_TICKET_KEY_SIZE);
    worker_rig_send(w, &m, -1);
    worker_rig_manifest(w, 77, ids, 3); /* to know when they are there */
    worker_rig_expect(w, CHANNEL_ACK, &next);
}

/* A session that can be resumed: in TLS 1.3 the ticket comes behind the handshake. */
static SSL_SESSION *session_of(struct worker_rig *w, int version)
{
    struct worker_rig_tls how = {.sni = "a.test", .min_version = version, .max_version = version};
    SSL *ssl = worker_rig_handshake(w->tls_port, &how);
    SSL_SESSION *session = NULL;

    if (ssl) {
        free(worker_rig_exchange(ssl, KEPT("/", "a.test")));
        session = SSL_get1_session(ssl);
        worker_rig_hang_up(ssl);
    }
    return session;
}

static bool resumes(struct worker_rig *w, SSL_SESSION *session, int version)
{
    /* A copy: a client uses a TLS 1.3 session once, and then marks it. */
    SSL_SESSION *copy = SSL_SESSION_dup(session);
    struct worker_rig_tls how = {
        .sni = "a.test", .min_version = version, .max_version = version, .session = copy};
    SSL *ssl = worker_rig_handshake(w->tls_port, &how);
    bool is_resumed = ssl && SSL_session_reused(ssl);

    CU_ASSERT_PTR_NOT_NULL(ssl);
    if (ssl)
        worker_rig_hang_up(ssl);
    SSL_SESSION_free(copy);
    return is_resumed;
}

static void test_tickets(void)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct worker_rig *a = serving(NULL), *b = serving(NULL);

    for (size_t i = 0; i < ARRAY_LENGTH(versions); i++) {
        SSL_SESSION *session;
        send_tickets(a, "1");
        send_tickets(b, "2");
        session = session_of(a, versions[i]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(session);
        CU_ASSERT_TRUE(SSL_SESSION_is_resumable(session));
        CU_ASSERT_TRUE(resumes(a, session, versions[i]));
        CU_ASSERT_FALSE(resumes(b, session, versions[i])); /* another key */
        send_tickets(b, "321");
        CU_ASSERT_TRUE(resumes(b, session, versions[i])); /* a shared one, even if it is old */
        SSL_SESSION_free(session);
    }
    CU_ASSERT_EQUAL(counters_get(&a->counters->handshakes_resumed), 2);
    CU_ASSERT_EQUAL(counters_get(&b->counters->handshakes_resumed), 2);
    worker_rig_free(a);
    worker_rig_free(b);
}

/* ---- what control is told ---- */

static void test_sni_seen(void)
{
    struct worker_rig *w = serving(NULL);
    struct channel_message m;

    check_sni(w, "x.other.test", "localhost"); /* not gated */
    check_sni(w, "a.test", "a.test");          /* covered */
    check_sni(w, NULL, "localhost");
    check_sni(w, "First.Gate.Test", "localhost");
    check_sni(w, "first.gate.test", "localhost"); /* told already */
    check_sni(w, "gate.test", "localhost");
    worker_rig_expect(w, CHANNEL_SNI_SEEN, &m);
    CU_ASSERT_STRING_EQUAL(m.u.sni.name, "first.gate.test");
    CU_ASSERT_EQUAL(m.session, w->session);
    worker_rig_expect(w, CHANNEL_SNI_SEEN, &m);
    CU_ASSERT_STRING_EQUAL(m.u.sni.name, "gate.test");
    worker_rig_free(w);
}

static void test_challenges(void)
{
    struct worker_rig *w = serving(NULL);
    char *answer = worker_rig_ask(w->plain_port, AF_INET, REQUEST(PREFIX "ours", "any.test"));
    struct worker_rig_tls how = any;
    SSL *ssl;

    CU_ASSERT_TRUE(begins(answer, "HTTP/1.1 200 OK\r\n"));
    CU_ASSERT_STRING_EQUAL(body_of(answer), "ours.thumb");
    free(answer);
    if (w->plain6_port) {
        answer = worker_rig_ask(w->plain6_port, AF_INET6, REQUEST(PREFIX "ours", "any.test"));
        CU_ASSERT_STRING_EQUAL(body_of(answer), "ours.thumb");
        free(answer);
    }
    answer = worker_rig_ask(w->plain_port, AF_INET, REQUEST(PREFIX "x", "gate.test"));
    CU_ASSERT_TRUE(begins(answer, "HTTP/1.1 404 Not Found\r\n"));
    CU_ASSERT_STRING_EQUAL(body_of(answer), "Not found\n");
    free(answer);
    /* not over TLS, where no CA asks */
    ssl = worker_rig_handshake(w->tls_port, &how);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ssl);
    answer = worker_rig_exchange(ssl, KEPT(PREFIX "ours", "any.test"));
    CU_ASSERT_TRUE(begins(answer, "HTTP/1.1 404 Not Found\r\n"));
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
    CU_ASSERT_TRUE(begins(answer, line));
    CU_ASSERT_TRUE(begins(body_of(answer), body));
    close(fd);
}

static void test_token_miss(void)
{
    struct worker_rig *w = serving(NULL);
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
    send_tokens(w, 8, "soon", "soon.thumb");
    worker_rig_manifest(w, 2, ids, 3);
    check_answer(fd, "HTTP/1.1 200 OK\r\n", "soon.thumb");
    worker_rig_free(w);
}

/* ---- Kong's answers ---- */

static void test_answers(void)
{
    struct worker_rig *w = serving(NULL);
    char *answer = worker_rig_ask(w->plain_port, AF_INET, REQUEST("/", "nobody.test"));

    CU_ASSERT_TRUE(begins(answer, "HTTP/1.1 404 Not Found\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\r\nContent-Type: application/json; charset=utf-8\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\r\nServer: reconcert/test\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\r\nX-Kong-Response-Latency: "));
    CU_ASSERT_TRUE(begins(body_of(answer),
                          "{\n  \"message\":\"no Route matched with those values\","
                          "\n  \"request_id\":\""));
    CU_ASSERT_EQUAL(strlen(body_of(answer)), 103);
    free(answer);
    answer = worker_rig_ask(w->plain_port, AF_INET,
                            "GET / HTTP/1.0\r\nHost: ROUTE.test:8000\r\nAccept: text/html\r\n\r\n");
    CU_ASSERT_TRUE(begins(answer, "HTTP/1.1 503 Service Unavailable\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(answer, "<p>no Service found with those values.</p>"));
    free(answer);
    answer = worker_rig_ask(w->plain_port, AF_INET, "GET / HTTP/1.1\r\n\r\n");
    CU_ASSERT_TRUE(begins(answer, "HTTP/1.1 400 Bad Request\r\n"));
    CU_ASSERT_TRUE(begins(body_of(answer), "Bad request\nrequest_id: "));
    free(answer);
    CU_ASSERT_EQUAL(counters_get(&w->counters->requests), 2);
    CU_ASSERT_EQUAL(counters_get(&w->counters->bad_requests), 1);
    worker_rig_free(w);
}

static void test_proxy_listener(void)
{
    struct worker_rig *w = serving(NULL);
    char *answer =
        worker_rig_ask(w->proxy_port, AF_INET,
                       "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" REQUEST("/", "route.test"));

    CU_ASSERT_TRUE(begins(answer, "HTTP/1.1 503 Service Unavailable\r\n"));
    free(answer);
    answer = worker_rig_ask(w->proxy_port, AF_INET, REQUEST("/", "route.test"));
    CU_ASSERT_STRING_EQUAL(answer, "");
    free(answer);
    worker_rig_free(w);
}

/* ---- leaving ---- */

static void leave(struct worker_rig *w, int how)
{
    struct channel_message drain = {.type = CHANNEL_DRAIN};

    if (how)
        kill(w->pid, how);
    else
        worker_rig_send(w, &drain, -1);
}

static void test_drain(void)
{
    static const int ways[] = {0, SIGQUIT, SIGTERM};

    for (size_t i = 0; i < ARRAY_LENGTH(ways); i++) {
        struct worker_rig *w = serving(NULL);
        struct channel_message m, reply = {.type = CHANNEL_TOKEN_ANSWER};
        int fd = ask_and_wait(w, KEPT(PREFIX "slow", "gate.test"));
        worker_rig_expect(w, CHANNEL_TOKEN_MISS, &m);
        leave(w, ways[i]);
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
    struct worker_rig *w = serving(NULL);

    kill(w->pid, SIGINT);
    check_sni(w, "a.test", "a.test");
    worker_rig_free(w);
}

static void test_lifeline(void)
{
    struct worker_rig *w = serving(NULL);
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
    struct worker_rig *w = serving(NULL);

    close(w->channel);
    w->channel = -1;
    check_sni(w, "a.test", "a.test");
    check_sni(w, "first.gate.test", "localhost");
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
                           {"accepts late", test_accepts_late},
                           {"bad segment", test_bad_segment},
                           {"certificates", test_certificates},
                           {"chain is sent", test_chain_is_sent},
                           {"ALPN", test_alpn},
                           {"protocols", test_protocols},
                           {"generations", test_generations},
                           {"tickets", test_tickets},
                           {"SNI seen", test_sni_seen},
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

    maker = segment_maker_new("test issuer");
    make_names();
    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    segment_maker_free(maker);
    return CU_get_number_of_failures() ? 1 : 0;
}
