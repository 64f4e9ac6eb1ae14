#include "reconciler/serve/tls.h"

#include <CUnit/Basic.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/worker_names.h"

#define KEPT(path, host) "GET " path " HTTP/1.1\r\nHost: " host "\r\n\r\n"

static struct worker_names *names;
static const struct worker_rig_tls any = {.min_version = TLS1_2_VERSION,
                                          .max_version = TLS1_3_VERSION};

/* ---- TLS ---- */

static void test_certificates(void)
{
    struct worker_rig *w = worker_names_start(names, NULL);
    struct worker_rig_tls how = any;

    CU_ASSERT_TRUE(worker_names_serves(w, "a.test", "a.test"));
    CU_ASSERT_TRUE(worker_names_serves(w, "A.Test", "a.test"));
    CU_ASSERT_TRUE(worker_names_serves(w, "x.b.test", "wild.b.test"));
    CU_ASSERT_TRUE(worker_names_serves(w, "b.test", "localhost"));
    CU_ASSERT_TRUE(worker_names_serves(w, NULL, "localhost"));
    how.sni = "a.test";
    how.max_version = TLS1_2_VERSION;
    CU_ASSERT_TRUE(worker_names_served(w, &how, "a.test"));
    how.min_version = how.max_version = TLS1_3_VERSION;
    CU_ASSERT_TRUE(worker_names_served(w, &how, "a.test"));
    /* the default has both kinds of key */
    how.sni = NULL;
    how.sigalgs = "rsa_pss_rsae_sha256";
    CU_ASSERT_TRUE(worker_names_served(w, &how, "localhost"));
    how.sigalgs = "ecdsa_secp256r1_sha256";
    CU_ASSERT_TRUE(worker_names_served(w, &how, "localhost"));
    how.sni = "a.test";
    how.sigalgs = "rsa_pss_rsae_sha256";
    CU_ASSERT_TRUE(worker_names_served(w, &how, ""));
    CU_ASSERT_EQUAL(counters_get(&w->counters->handshakes), 9);
    CU_ASSERT_EQUAL(counters_get(&w->counters->handshakes_failed), 1);
    CU_ASSERT_EQUAL(counters_get(&w->counters->handshakes_default), 4);
    CU_ASSERT_TRUE(counters_get(&w->counters->parsed_hits) > 0);
    CU_ASSERT_EQUAL(counters_get(&w->counters->parsed_misses), 4);
    worker_rig_free(w);
}

static void test_chain_is_sent(void)
{
    struct worker_rig *w = worker_names_start(names, NULL);
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
    struct worker_rig *w = worker_names_start(names, NULL);
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
        const char *protocols[2], *ciphers;
        bool has12, has13;
    } cases[] = {
        {{"TLSv1.2", "TLSv1.3"}, NULL, true, true},
        {{"TLSv1.2", "TLSv1.2"}, NULL, true, false},
        {{"TLSv1.3", "TLSv1.3"}, NULL, false, true},
        {{"TLSv1.1", "TLSv1.3"}, NULL, false, true},
        {{"SSLv3", "TLSv1.1"}, NULL, true, true}, /* nothing that we speak: all that we do */
        {{"TLSv1.2", "TLSv1.3"}, "", true, true},
        {{"TLSv1.2", "TLSv1.3"}, "ECDHE-ECDSA-AES128-GCM-SHA256", true, true},
        {{"TLSv1.2", "TLSv1.3"}, "ECDHE-RSA-AES128-GCM-SHA256", false, true}, /* an EC key */
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct worker_rig_options o = {cases[i].protocols, 2, cases[i].ciphers};
        struct worker_rig *w = worker_names_start(names, &o);
        struct worker_rig_tls how = {
            .sni = "a.test", .min_version = TLS1_2_VERSION, .max_version = TLS1_2_VERSION};
        CU_ASSERT_TRUE(worker_names_served(w, &how, cases[i].has12 ? "a.test" : ""));
        how.min_version = how.max_version = TLS1_3_VERSION;
        CU_ASSERT_TRUE(worker_names_served(w, &how, cases[i].has13 ? "a.test" : ""));
        worker_rig_free(w);
    }
}

/* A request over TLS, and another on the same connection after the generation has changed. */
static void test_generations(void)
{
    struct segment_name fresh[] = {
        segment_maker_name(names->maker, "a.test", "new.a.test", KEY_P256),
        {.name = STR("*.b.test")}};
    struct worker_rig *w = worker_names_start(names, NULL);
    const uint64_t ids[] = {5, 1, 2, 3, 4};
    struct worker_rig_tls how = any;
    char *answer;
    SSL *ssl;

    how.sni = "a.test";
    ssl = worker_rig_handshake(w->tls_port, &how);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ssl);
    answer = worker_rig_exchange(ssl, KEPT("/", "a.test"));
    CU_ASSERT_TRUE(worker_names_begins(answer, "HTTP/1.1 404 Not Found\r\n"));
    free(answer);
    worker_names_send(w, 5, fresh, 2);
    worker_rig_manifest(w, 2, ids, 5);
    worker_rig_acknowledged(w, 2);
    answer = worker_rig_exchange(ssl, KEPT("/", "route.test"));
    CU_ASSERT_TRUE(worker_names_begins(answer, "HTTP/1.1 503 Service Unavailable\r\n"));
    free(answer);
    worker_rig_hang_up(ssl);
    CU_ASSERT_TRUE(worker_names_serves(w, "a.test", "new.a.test"));
    CU_ASSERT_TRUE(worker_names_serves(w, "x.b.test", "localhost"));
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
    struct worker_rig *a = worker_names_start(names, NULL), *b = worker_names_start(names, NULL);

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

int main(void)
{
    CU_TestInfo tests[] = {{"certificates", test_certificates},
                           {"chain is sent", test_chain_is_sent},
                           {"ALPN", test_alpn},
                           {"protocols", test_protocols},
                           {"generations", test_generations},
                           {"tickets", test_tickets},

                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "tls", .pTests = tests}, CU_SUITE_INFO_NULL};

    names = worker_names_new();
    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    worker_names_free(names);
    return CU_get_number_of_failures() ? 1 : 0;
}
