#include "reconciler/serve/challenge.h"

#include <CUnit/Basic.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/channel.h"
#include "reconciler/base/clock.h"
#include "reconciler/net/exchange.h"
#include "reconciler/net/http1.h"
#include "reconciler/net/http_conn.h"
#include "reconciler/serve/reply.h"
#include "tests/support/http_client.h"
#include "tests/support/segment_maker.h"

#define PREFIX "/.well-known/acme-challenge/"
#define GET(path, host) "GET " path " HTTP/1.1\r\nHost: " host "\r\n\r\n"

/* A plain listener with nothing behind challenges but a text, and this test as control. */
struct rig {
    struct event_base *base;
    struct http_server *server;
    struct challenge *challenge;
    struct reply *reply;
    struct view *view;
    struct counters counters;
    struct http_client client;
    bool is_deaf;    /* control cannot be asked */
    size_t asked;    /* TOKEN_MISS messages */
    char token[300]; /* of the last one */
    char host[300];
};

static void route(void *context, const struct challenge_request *request)
{
    (void)context;
    reply_text(request->exchange, 200, STR("a route"));
}

static bool ask(void *context, struct str host, struct str token)
{
    struct rig *rig = context;

    if (rig->is_deaf)
        return false;
    rig->asked++;
    snprintf(rig->host, sizeof(rig->host), "%.*s", STR_ARG(host));
    snprintf(rig->token, sizeof(rig->token), "%.*s", STR_ARG(token));
    return true;
}

static void handle(void *context, struct exchange *x, const struct http_head *http)
{
    struct rig *rig = context;
    struct challenge_request r = {.exchange = x, .type = reply_type(http, false)};

    r.host_len = http1_host(http, r.host, &r.port).len;
    if (!challenge_take(rig->challenge, rig->view, &r, http))
        route(rig, &r);
}

/* Domains gate.test and *.gate.test are gated; `kept` is a prefix that a route names, or NULL. */
static struct view *make_view(uint64_t generation, const char *token, const char *kept)
{
    static const struct str domains[] = {STR_INIT("gate.test"), STR_INIT("*.gate.test")};
    struct segment_challenge challenges[] = {
        {CHALLENGE_HTTP_01, STR("ours"), STR("ours.thumbprint")},
        {CHALLENGE_HTTP_01, str_from(token), STR("fresh.thumbprint")}};
    struct segment_gate gate = {.is_open = true, .domains = domains, .domain_count = 2};
    struct str prefix = str_from(kept);
    struct segment_routes routes = {.challenge_prefixes = &prefix,
                                    .challenge_prefix_count = kept ? 1 : 0};
    struct segment *segments[] = {segment_maker_challenges(challenges, token ? 2 : 1),
                                  segment_maker_gate(&gate), segment_maker_routes(&routes)};

    return segment_maker_view(generation, segments, 3);
}

static struct rig *rig_new(const char *kept, unsigned wait_ms)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct http_server_options server = {.context = rig, .handle = handle};
    struct challenge_options options = {.counters = &rig->counters,
                                        .wait_ms = wait_ms,
                                        .context = rig,
                                        .ask = ask,
                                        .fall_through = route};

    rig->base = server.base = options.base = event_base_new();
    rig->server = http_server_new(&server);
    rig->reply = options.reply = reply_new();
    rig->challenge = challenge_new(&options);
    rig->view = make_view(1, NULL, kept);
    rig->client = (struct http_client){.base = rig->base, .fd = -1};
    if (!rig->server || !rig->challenge)
        abort();
    return rig;
}

static void rig_free(struct rig *rig)
{
    http_client_close(&rig->client);
    http_server_free(rig->server);
    challenge_free(rig->challenge);
    reply_free(rig->reply);
    view_free(rig->view);
    event_base_free(rig->base);
    free(rig);
}

static void connect_client(struct rig *rig, struct http_client *client)
{
    struct http_conn_options options = {.fd = http_client_open(client, rig->base)};

    CU_ASSERT_EQUAL_FATAL(http_conn_open(rig->server, &options), 0);
}

/* Asks on a new connection; what comes is rig->client.received. */
static void request(struct rig *rig, const char *text)
{
    http_client_close(&rig->client);
    connect_client(rig, &rig->client);
    http_client_say(&rig->client, text);
}

/* "404 body", headers left out; "" while nothing has come. */
static const char *outcome(const struct http_client *c)
{
    static char text[2048];
    const char *body = c->received.data ? strstr(c->received.data, "\r\n\r\n") : NULL;

    text[0] = '\0';
    if (body)
        snprintf(text, sizeof(text), "%.3s %s", c->received.data + 9, body + 4);
    return text;
}

static bool is_kongs_404(const struct http_client *c)
{
    return strncmp(outcome(c), "404 {\n  \"message\":\"Not found\",\n  \"request_id\":\"", 47) == 0;
}

static void test_ours(void)
{
    struct rig *rig = rig_new(NULL, 0);

    request(rig, GET(PREFIX "ours", "gate.test"));
    CU_ASSERT_STRING_EQUAL(outcome(&rig->client), "200 ours.thumbprint"); /* and no newline */
    request(rig, GET(PREFIX "ours", "whatever.test"));
    CU_ASSERT_STRING_EQUAL(outcome(&rig->client), "200 ours.thumbprint");
    request(rig, "GET " PREFIX "ours HTTP/1.0\r\n\r\n");
    CU_ASSERT_STRING_EQUAL(outcome(&rig->client), "200 ours.thumbprint");
    request(rig, GET(PREFIX "ours?x=y", "gate.test"));
    CU_ASSERT_STRING_EQUAL(outcome(&rig->client), "200 ours.thumbprint");
    request(rig, "HEAD " PREFIX "ours HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    CU_ASSERT_STRING_EQUAL(outcome(&rig->client), "200 ");
    CU_ASSERT_TRUE(http_client_got(&rig->client, "Content-Length: 15\r\n"));
    CU_ASSERT_EQUAL(rig->counters.challenges_answered, 5);
    CU_ASSERT_EQUAL(rig->asked, 0);
    rig_free(rig);
}

static void test_others(void)
{
    static const struct {
        const char *request;
        bool is_404; /* Kong's; else the route answers */
    } cases[] = {
        {GET(PREFIX "a/b", "gate.test"), true},
        {GET(PREFIX "a.b", "gate.test"), true},
        {GET(PREFIX "a%2Db", "x.gate.test:80"), true},
        {"POST " PREFIX "ours HTTP/1.1\r\nHost: GATE.test\r\n\r\n", true},
        {GET(PREFIX "a/b", "other.test"), false},
        {GET(PREFIX "unknown", "other.test"), false},
        {GET(PREFIX, "gate.test"), false},
        {GET("/.well-known/acme-challenge", "gate.test"), false},
        {GET("/", "gate.test"), false},
        {GET("/x" PREFIX "ours", "gate.test"), false},
    };
    struct rig *rig = rig_new(NULL, 0);

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        request(rig, cases[i].request);
        if (is_kongs_404(&rig->client) != cases[i].is_404)
            fprintf(stderr, "%s: %s\n", cases[i].request, outcome(&rig->client));
        CU_ASSERT_EQUAL(is_kongs_404(&rig->client), cases[i].is_404);
        CU_ASSERT_EQUAL(strcmp(outcome(&rig->client), "200 a route") == 0, !cases[i].is_404);
    }
    CU_ASSERT_EQUAL(rig->asked, 0);
    rig_free(rig);
}

static void test_probe(void)
{
    struct rig *rig = rig_new(NULL, 0), *kept = rig_new(PREFIX "x", 0);

    request(rig, GET(PREFIX "x", "gate.test"));
    CU_ASSERT_STRING_EQUAL(outcome(&rig->client), "404 Not found\n");
    request(rig, GET(PREFIX "x", "other.test"));
    CU_ASSERT_STRING_EQUAL(outcome(&rig->client), "200 a route");
    request(kept, GET(PREFIX "x", "gate.test"));
    CU_ASSERT_STRING_EQUAL(outcome(&kept->client), "200 a route");
    CU_ASSERT_EQUAL(rig->asked + kept->asked, 0);
    rig_free(rig);
    rig_free(kept);
}

static void test_wait_answered(void)
{
    struct rig *rig = rig_new(NULL, 60000);

    request(rig, GET(PREFIX "elsewhere", "x.GATE.test:80"));
    CU_ASSERT_STRING_EQUAL(outcome(&rig->client), "");
    CU_ASSERT_EQUAL(rig->asked, 1);
    CU_ASSERT_STRING_EQUAL(rig->token, "elsewhere");
    CU_ASSERT_STRING_EQUAL(rig->host, "x.gate.test");
    CU_ASSERT_EQUAL(challenge_waiting(rig->challenge), 1);
    challenge_answer(rig->challenge, STR("another"), STR("no"));
    challenge_answer(rig->challenge, STR("elsewhere"), STR("elsewhere.thumb"));
    http_client_pump(&rig->client);
    CU_ASSERT_STRING_EQUAL(outcome(&rig->client), "200 elsewhere.thumb");
    CU_ASSERT_EQUAL(challenge_waiting(rig->challenge), 0);
    rig_free(rig);
}

/* No such token: 404, and it is not asked for again for a while. */
static void test_wait_denied(void)
{
    struct rig *rig = rig_new(NULL, 60000);

    request(rig, GET(PREFIX "nowhere", "gate.test"));
    challenge_answer(rig->challenge, STR("nowhere"), STR(""));
    http_client_pump(&rig->client);
    CU_ASSERT_TRUE(is_kongs_404(&rig->client));
    request(rig, GET(PREFIX "nowhere", "gate.test"));
    CU_ASSERT_TRUE(is_kongs_404(&rig->client));
    CU_ASSERT_EQUAL(rig->asked, 1);
    CU_ASSERT_EQUAL(rig->counters.challenges_missed, 2);
    rig_free(rig);
}

static void test_wait_expires(void)
{
    struct rig *rig = rig_new(NULL, 20);

    request(rig, GET(PREFIX "slow", "gate.test"));
    CU_ASSERT_STRING_EQUAL(outcome(&rig->client), "");
    while (challenge_waiting(rig->challenge))
        event_base_loop(rig->base, EVLOOP_ONCE);
    http_client_pump(&rig->client);
    CU_ASSERT_TRUE(is_kongs_404(&rig->client));
    rig_free(rig);
}

/* A manifest brings it before control has answered. */
static void test_wait_renewed(void)
{
    struct rig *rig = rig_new(NULL, 60000);

    request(rig, GET(PREFIX "soon", "gate.test"));
    CU_ASSERT_STRING_EQUAL(outcome(&rig->client), "");
    view_free(rig->view);
    rig->view = make_view(2, "soon", NULL);
    challenge_renew(rig->challenge, rig->view);
    http_client_pump(&rig->client);
    CU_ASSERT_STRING_EQUAL(outcome(&rig->client), "200 fresh.thumbprint");
    rig_free(rig);
}

/* A route that names the path keeps it, but only when shared storage has no such token. */
static void test_wait_kept(void)
{
    struct rig *rig = rig_new("/.well-known/acme-challenge", 60000);

    request(rig, GET(PREFIX "solver", "gate.test"));
    CU_ASSERT_EQUAL(rig->asked, 1);
    challenge_answer(rig->challenge, STR("solver"), STR(""));
    http_client_pump(&rig->client);
    CU_ASSERT_STRING_EQUAL(outcome(&rig->client), "200 a route");
    request(rig, GET(PREFIX "solver", "gate.test"));
    CU_ASSERT_STRING_EQUAL(outcome(&rig->client), "200 a route");
    CU_ASSERT_EQUAL(rig->asked, 1);
    request(rig, GET(PREFIX "a/b", "gate.test"));
    CU_ASSERT_STRING_EQUAL(outcome(&rig->client), "200 a route");
    request(rig, GET(PREFIX "shared", "gate.test"));
    challenge_answer(rig->challenge, STR("shared"), STR("shared.thumb"));
    http_client_pump(&rig->client);
    CU_ASSERT_STRING_EQUAL(outcome(&rig->client), "200 shared.thumb");
    rig_free(rig);
}

/* Two that want the same token ask once. */
static void test_wait_shared(void)
{
    struct rig *rig = rig_new(NULL, 60000);
    struct http_client other;

    request(rig, GET(PREFIX "same", "gate.test"));
    connect_client(rig, &other);
    http_client_say(&other, GET(PREFIX "same", "gate.test"));
    CU_ASSERT_EQUAL(rig->asked, 1);
    CU_ASSERT_EQUAL(challenge_waiting(rig->challenge), 2);
    challenge_answer(rig->challenge, STR("same"), STR("same.thumb"));
    http_client_pump(&rig->client);
    http_client_pump(&other);
    CU_ASSERT_STRING_EQUAL(outcome(&rig->client), "200 same.thumb");
    CU_ASSERT_STRING_EQUAL(outcome(&other), "200 same.thumb");
    http_client_close(&other);
    rig_free(rig);
}

static void test_control_is_away(void)
{
    struct rig *rig = rig_new(NULL, 60000);

    rig->is_deaf = true;
    request(rig, GET(PREFIX "token", "gate.test"));
    CU_ASSERT_TRUE(is_kongs_404(&rig->client));
    rig->is_deaf = false;
    request(rig, GET(PREFIX "token", "gate.test"));
    CU_ASSERT_EQUAL(rig->asked, 1); /* that was no miss */
    rig_free(rig);
}

/* The server closes a connection that waits: nobody answers it later. */
static void test_connection_goes(void)
{
    struct rig *rig = rig_new(NULL, 60000);

    request(rig, GET(PREFIX "token", "gate.test"));
    CU_ASSERT_EQUAL(challenge_waiting(rig->challenge), 1);
    http_server_free(rig->server);
    rig->server = NULL;
    CU_ASSERT_EQUAL(challenge_waiting(rig->challenge), 0);
    challenge_answer(rig->challenge, STR("token"), STR("late"));
    rig_free(rig);
}

static void test_limits(void)
{
    static struct http_client clients[CHALLENGE_WAITERS_MAX];
    struct rig *rig = rig_new(NULL, 60000);
    char text[2 * CHANNEL_TOKEN_MAX], token[CHANNEL_TOKEN_MAX + 1];

    for (size_t over = 0; over < 2; over++) { /* length */
        memset(token, 'a', sizeof(token));
        token[CHANNEL_TOKEN_MAX - 1 + over] = '\0';
        snprintf(text, sizeof(text), GET(PREFIX "%s", "gate.test"), token);
        request(rig, text);
        CU_ASSERT_EQUAL(is_kongs_404(&rig->client), over);
    }
    CU_ASSERT_EQUAL(rig->asked, 1);
    http_client_close(&rig->client);
    http_client_pump(&rig->client);
    for (size_t i = 1; i < CHALLENGE_WAITERS_MAX; i++) {
        connect_client(rig, &clients[i]);
        http_client_say(&clients[i], GET(PREFIX "same", "gate.test"));
    }
    CU_ASSERT_EQUAL(challenge_waiting(rig->challenge), CHALLENGE_WAITERS_MAX);
    request(rig, GET(PREFIX "same", "gate.test"));
    CU_ASSERT_TRUE(is_kongs_404(&rig->client));
    challenge_answer(rig->challenge, STR("same"), STR("same.thumb"));
    for (size_t i = 1; i < CHALLENGE_WAITERS_MAX; i++) {
        http_client_pump(&clients[i]);
        CU_ASSERT_STRING_EQUAL(outcome(&clients[i]), "200 same.thumb");
        http_client_close(&clients[i]);
    }
    rig_free(rig);
}

static void test_ask_rate(void)
{
    struct rig *rig = rig_new(NULL, 60000);
    int64_t began_ms = clock_steady_ms();
    char text[256];
    size_t seconds;

    for (int i = 0; i < CHALLENGE_ASKS_PER_SECOND + 40; i++) {
        snprintf(text, sizeof(text), GET(PREFIX "t%d", "gate.test"), i);
        request(rig, text);
        snprintf(text, sizeof(text), "t%d", i);
        challenge_answer(rig->challenge, str_from(text), STR(""));
        http_client_pump(&rig->client);
        CU_ASSERT_TRUE(is_kongs_404(&rig->client));
    }
    seconds = (size_t)(clock_steady_ms() - began_ms) / 1000 + 1;
    CU_ASSERT_TRUE(rig->asked >= CHALLENGE_ASKS_PER_SECOND);
    CU_ASSERT_TRUE(rig->asked <= seconds * CHALLENGE_ASKS_PER_SECOND);
    rig_free(rig);
}

int main(void)
{
    CU_TestInfo tests[] = {{"ours", test_ours},
                           {"others", test_others},
                           {"probe", test_probe},
                           {"wait, answered", test_wait_answered},
                           {"wait, denied", test_wait_denied},
                           {"wait, expires", test_wait_expires},
                           {"wait, renewed", test_wait_renewed},
                           {"wait, kept", test_wait_kept},
                           {"wait, shared", test_wait_shared},
                           {"control is away", test_control_is_away},
                           {"connection goes", test_connection_goes},
                           {"limits", test_limits},
                           {"ask rate", test_ask_rate},
                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "challenge", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
