#include <CUnit/Basic.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/acme/client.h"
#include "reconciler/base/attr.h"
#include "reconciler/pki/key.h"
#include "tests/support/fake_ca.h"
#include "tests/support/order_run.h"

static EVP_PKEY *account_key;

static const struct acme_client_options usual = {
    .ca = &order_run_ca,
    .terms_agreed = true,
};

/* A session of these options at a CA of those. */
static void start(struct order_run *r, const struct acme_client_options *given,
                  const struct fake_ca_options *ca_options)
{
    struct acme_client_options options = *given;
    struct fake_ca_options ca = *ca_options;
    struct error e;

    options.account_key = account_key;
    ca.account_key = account_key;
    *r = (struct order_run){.now_ms = ORDER_RUN_NOW_MS, .ca = fake_ca_new(&ca)};
    r->session = acme_client_new(&options, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(r->session);
}

static void finish(struct order_run *r)
{
    acme_client_free(r->session);
    fake_ca_free(r->ca);
}

static const struct ca bound = {.directory = STR_INIT(FAKE_CA_DIRECTORY),
                                .email = STR_INIT("a@example.com"),
                                .eab_kid = STR_INIT("kid-1"),
                                .eab_hmac_key = STR_INIT("c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0")};
static const struct ca misbound = {.directory = STR_INIT(FAKE_CA_DIRECTORY),
                                   .email = STR_INIT("a@example.com"),
                                   .eab_kid = STR_INIT("kid-1"),
                                   .eab_hmac_key = STR_INIT("not base64!")};

/* How an account comes about, and what is asked for it. */
static void accounts(void)
{
    static const struct {
        const char *what;
        struct fake_ca_options ca;
        struct acme_client_options options; /* on top of the usual */
        const char *log;
        bool is_new;
        unsigned saves;
        const char *error; /* part of the message; NULL = ready */
    } rows[] = {
        {.what = "a new key",
         .options = {.key_is_new = true, .terms_agreed = true},
         .log = "GET /dir\nHEAD /nonce\nPOST /account\n",
         .is_new = true,
         .saves = 1},
        {.what = "a stored key that the CA does not know",
         .options = {.terms_agreed = true},
         .log = "GET /dir\nHEAD /nonce\nPOST /account\nPOST /account\n",
         .is_new = true,
         .saves = 1},
        {.what = "a stored key that the CA knows",
         .ca = {.knows_account = true},
         .log = "GET /dir\nHEAD /nonce\nPOST /account\n",
         .saves = 1},
        {.what = "a stored URL",
         .ca = {.knows_account = true},
         .options = {.account_url = STR_INIT("https://ca.test/account/1")},
         .log = "GET /dir\n"},
        {.what = "EAB wanted and given",
         .ca = {.eab_required = true},
         .options = {.key_is_new = true, .ca = &bound},
         .log = "GET /dir\nHEAD /nonce\nPOST /account\n",
         .is_new = true,
         .saves = 1},
        {.what = "EAB wanted, not given",
         .ca = {.eab_required = true},
         .options = {.key_is_new = true},
         .log = "GET /dir\n",
         .error = "set eab_kid and eab_hmac_key"},
        {.what = "EAB wanted, not given, but the account is there",
         .ca = {.eab_required = true, .knows_account = true},
         .log = "GET /dir\nHEAD /nonce\nPOST /account\n",
         .saves = 1},
        {.what = "a broken EAB key",
         .ca = {.eab_required = true},
         .options = {.key_is_new = true, .ca = &misbound},
         .log = "GET /dir\n",
         .error = "HMAC key"},
        {.what = "terms that nobody agreed to",
         .ca = {.has_terms = true},
         .options = {.key_is_new = true},
         .log = "GET /dir\n",
         .error = "https://ca.test/terms"},
        {.what = "terms agreed to",
         .ca = {.has_terms = true},
         .options = {.key_is_new = true, .terms_agreed = true},
         .log = "GET /dir\nHEAD /nonce\nPOST /account\n",
         .is_new = true,
         .saves = 1},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct acme_client_options options = rows[i].options;
        struct order_run r;
        enum acme_next end;

        options.ca = options.ca ? options.ca : usual.ca;
        start(&r, &options, &rows[i].ca);
        CU_ASSERT_FALSE(acme_client_is_ready(r.session));
        end = order_run_session(&r);
        if (strcmp(fake_ca_log(r.ca), rows[i].log) != 0) {
            printf("\n%s:\n%s", rows[i].what, fake_ca_log(r.ca));
            CU_FAIL("another log");
        }
        CU_ASSERT_EQUAL(end, rows[i].error ? ACME_FAILED : ACME_DONE);
        CU_ASSERT_EQUAL(acme_client_is_ready(r.session), !rows[i].error);
        CU_ASSERT_EQUAL(acme_client_account_is_new(r.session), rows[i].is_new);
        CU_ASSERT_EQUAL(r.account_saves, rows[i].saves);
        if (rows[i].error) {
            const struct error *e = acme_client_error(r.session);
            CU_ASSERT_EQUAL(e->kind, ERROR_ACCOUNT);
            CU_ASSERT_TRUE(e->permanent);
            CU_ASSERT_PTR_NOT_NULL(strstr(e->message, rows[i].error));
        } else {
            CU_ASSERT_TRUE(
                str_equal(acme_client_account_url(r.session), STR("https://ca.test/account/1")));
        }
        finish(&r);
    }
}

static void failures(void)
{
    static const struct {
        const char *what;
        struct fake_answer answer;
        enum error_kind kind;
        const char *text;
        int64_t retry_in_s;
        bool permanent;
    } rows[] = {
        {"no directory",
         {.path = "/dir", .no_reply = ERROR_NETWORK},
         ERROR_NETWORK,
         "reading the directory",
         0,
         false},
        {"503 directory",
         {.path = "/dir", .status = 503, .retry_after = "30", .body = ""},
         ERROR_CA_BROKEN,
         "503",
         30,
         false},
        {"404 directory",
         {.path = "/dir", .status = 404, .body = ""},
         ERROR_CA_REFUSED,
         "404",
         0,
         false},
        {"not a directory",
         {.path = "/dir", .status = 200, .body = "{\"newNonce\":1}"},
         ERROR_PROTOCOL,
         "not an ACME directory",
         0,
         false},
        {"plain http in the directory",
         {.path = "/dir",
          .status = 200,
          .body = "{\"newNonce\":\"http://ca.test/nonce\",\"newAccount\":\"https://ca.test/a\","
                  "\"newOrder\":\"https://ca.test/o\"}"},
         ERROR_PROTOCOL,
         "https",
         0,
         false},
        {"an HTML page",
         {.path = "/dir", .status = 200, .body = "<html>"},
         ERROR_PROTOCOL,
         "not JSON",
         0,
         false},
        {"no nonces",
         {.path = "/nonce", .no_reply = ERROR_TIMEOUT},
         ERROR_TIMEOUT,
         "asking for a nonce",
         0,
         false},
        {"nonces limited",
         {.path = "/nonce", .status = 429, .retry_after = "9", .no_nonce = true, .body = ""},
         ERROR_RATE_LIMIT,
         "asking for a nonce",
         9,
         false},
        {"newNonce gives none",
         {.path = "/nonce", .status = 200, .no_nonce = true, .body = ""},
         ERROR_PROTOCOL,
         "gives no nonce",
         0,
         false},
        {"account refused",
         {.path = "/account",
          .status = 403,
          .body = "{\"type\":\"urn:ietf:params:acme:error:unauthorized\",\"detail\":\"no\"}"},
         ERROR_ACCOUNT,
         "looking for the account",
         0,
         false},
        {"account deactivated",
         {.path = "/account",
          .status = 200,
          .location = "https://ca.test/account/1",
          .body = "{\"status\":\"deactivated\"}"},
         ERROR_ACCOUNT,
         "deactivated",
         0,
         true},
        {"account without URL",
         {.path = "/account", .status = 200, .body = "{}"},
         ERROR_PROTOCOL,
         "URL of the account",
         0,
         false},
        {"too many accounts",
         {.path = "/account",
          .status = 429,
          .retry_after = "3600",
          .body = "{\"type\":\"urn:ietf:params:acme:error:rateLimited\"}"},
         ERROR_RATE_LIMIT,
         "account",
         3600,
         false},
        {"account unanswered",
         {.path = "/account", .no_reply = ERROR_NETWORK},
         ERROR_NETWORK,
         "registering the account",
         0,
         false},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct order_run r;
        const struct error *e;

        start(&r, &usual, &(struct fake_ca_options){0});
        fake_ca_script(r.ca, &rows[i].answer, 1);
        CU_ASSERT_EQUAL(order_run_session(&r), ACME_FAILED);
        e = acme_client_error(r.session);
        CU_ASSERT_PTR_NOT_NULL_FATAL(e);
        if (e->kind != rows[i].kind || !strstr(e->message, rows[i].text)) {
            printf("\n%s: %s %s\n", rows[i].what, error_kind_name(e->kind), e->message);
            CU_FAIL("another error");
        }
        CU_ASSERT_EQUAL(e->retry_at, rows[i].retry_in_s ? r.now_ms / 1000 + rows[i].retry_in_s : 0);
        CU_ASSERT_EQUAL(e->permanent, rows[i].permanent);
        /* And once the CA is well again, so is the session. */
        fake_ca_script(r.ca, NULL, 0);
        acme_client_retry(r.session);
        CU_ASSERT_PTR_NULL(acme_client_error(r.session));
        CU_ASSERT_EQUAL(order_run_session(&r), ACME_DONE);
        finish(&r);
    }
}

/* A failed session fails the orders that need it, with its own error. */
static void failure_reaches_orders(void)
{
    static const struct fake_answer answer = {
        .path = "/dir", .status = 503, .retry_after = "30", .body = ""};
    struct order_run r;

    order_run_start(&r, account_key, &(struct fake_ca_options){.knows_account = true});
    fake_ca_script(r.ca, &answer, 1);
    order_run_order(&r, "www.example.com", NULL, NULL);
    CU_ASSERT_EQUAL(order_run(&r), ACME_FAILED);
    CU_ASSERT_EQUAL(acme_order_error(r.order)->kind, ERROR_CA_BROKEN);
    CU_ASSERT_EQUAL(acme_order_error(r.order)->retry_at, r.now_ms / 1000 + 30);
    CU_ASSERT_FALSE(acme_order_is_resumable(r.order));
    order_run_order(&r, "www.example.com", "https://ca.test/orders/0", NULL);
    CU_ASSERT_EQUAL(order_run(&r), ACME_FAILED);
    CU_ASSERT_TRUE(acme_order_is_resumable(r.order));
    order_run_finish(&r);
}

/* Asked for ahead of a batch: never faster than the CA allows, never more than circulate. */
static void nonces_ahead(void)
{
    struct order_run r;
    struct acme_step step;
    unsigned sent = 0;

    start(&r, &usual, &(struct fake_ca_options){.knows_account = true});
    CU_ASSERT_EQUAL(order_run_session(&r), ACME_DONE);
    acme_client_want_nonces(r.session, 1000);
    while (acme_client_next(r.session, r.now_ms, &step) == ACME_SEND) {
        CU_ASSERT_EQUAL(step.exchange, ACME_EXCHANGE_NONCE);
        CU_ASSERT_EQUAL(step.request.method, HTTP_HEAD);
        sent++;
    }
    CU_ASSERT_EQUAL(sent, ACME_NONCE_REQUESTS_BURST - 1); /* one went for the account */
    r.now_ms += 2 * ACME_NONCE_REQUESTS_MS;
    while (acme_client_next(r.session, r.now_ms, &step) == ACME_SEND)
        sent++;
    CU_ASSERT_EQUAL(sent, ACME_NONCE_REQUESTS_BURST + 1);
    for (int i = 0; i < 100; i++) {
        r.now_ms += 1000;
        while (acme_client_next(r.session, r.now_ms, &step) == ACME_SEND)
            sent++;
    }
    /* The account's answer left one in the pool. */
    CU_ASSERT_EQUAL(sent, ACME_NONCES_CIRCULATING - 1);
    finish(&r);
}

static void pool_is_bounded(void)
{
    struct order_run r;
    struct acme_step step;
    char nonce[ACME_NONCE_MAX + 2];

    start(&r, &usual, &(struct fake_ca_options){.knows_account = true});
    CU_ASSERT_EQUAL(order_run_session(&r), ACME_DONE);
    for (int i = 0; i < ACME_NONCES_MAX + 10; i++) {
        acme_client_want_nonces(r.session, 1);
        snprintf(nonce, sizeof(nonce), "nonce%d", i);
        acme_client_reply(r.session, ACME_EXCHANGE_NONCE,
                          &(struct http_reply){.status = 200, .replay_nonce = str_from(nonce)},
                          r.now_ms);
    }
    CU_ASSERT_EQUAL(acme_client_nonces(r.session), ACME_NONCES_MAX);
    finish(&r);

    /* RFC 8555 §6.5.1: what is not base64url is ignored. */
    start(&r, &usual, &(struct fake_ca_options){.knows_account = true});
    CU_ASSERT_EQUAL(acme_client_next(r.session, r.now_ms, &step), ACME_SEND);
    CU_ASSERT_EQUAL(acme_client_next(r.session, r.now_ms, &step), ACME_IN_FLIGHT);
    memset(nonce, 'a', sizeof(nonce) - 1);
    nonce[sizeof(nonce) - 1] = '\0';
    static const char *const bad[] = {"", "a b", "a\"b", "a=b", "\xc3\xa4", "a\nb"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        acme_client_reply(r.session, ACME_EXCHANGE_NONCE,
                          &(struct http_reply){.status = 200, .replay_nonce = str_from(bad[i])},
                          r.now_ms);
    acme_client_reply(r.session, ACME_EXCHANGE_NONCE,
                      &(struct http_reply){.status = 200, .replay_nonce = str_from(nonce)},
                      r.now_ms);
    CU_ASSERT_EQUAL(acme_client_nonces(r.session), 0);
    nonce[ACME_NONCE_MAX] = '\0';
    acme_client_reply(r.session, ACME_EXCHANGE_NONCE,
                      &(struct http_reply){.status = 200, .replay_nonce = str_from(nonce)},
                      r.now_ms);
    CU_ASSERT_EQUAL(acme_client_nonces(r.session), 1);
    finish(&r);
}

/* An old nonce costs a refusal: it is not even tried. */
static void old_nonces_are_dropped(void)
{
    struct order_run r;

    order_run_start(&r, account_key, &(struct fake_ca_options){.knows_account = true});
    order_run_order(&r, "www.example.com", NULL, NULL);
    CU_ASSERT_EQUAL(order_run(&r), ACME_DONE);
    CU_ASSERT_EQUAL(acme_client_nonces(r.session), 1);
    r.now_ms += ACME_NONCE_AGE_MS + 1;
    fake_ca_log_clear(r.ca);
    order_run_order(&r, "www.example.com", NULL, NULL);
    CU_ASSERT_EQUAL(order_run(&r), ACME_DONE);
    CU_ASSERT_EQUAL(strncmp(fake_ca_log(r.ca), "HEAD /nonce\nPOST /order\n", 24), 0);
    order_run_finish(&r);
}

/* The directory is read again after a day; what fails then does not matter. */
static void directory_ages(void)
{
    static const struct fake_answer answer = {.path = "/dir", .status = 500, .body = ""};
    struct order_run r;

    start(&r, &usual, &(struct fake_ca_options){.knows_account = true});
    CU_ASSERT_EQUAL(order_run_session(&r), ACME_DONE);
    fake_ca_log_clear(r.ca);
    r.now_ms += ACME_DIRECTORY_AGE_MS;
    CU_ASSERT_EQUAL(order_run_session(&r), ACME_DONE);
    CU_ASSERT_STRING_EQUAL(fake_ca_log(r.ca), "");
    r.now_ms += 1;
    CU_ASSERT_EQUAL(order_run_session(&r), ACME_DONE);
    CU_ASSERT_STRING_EQUAL(fake_ca_log(r.ca), "GET /dir\n");
    fake_ca_script(r.ca, &answer, 1);
    r.now_ms += ACME_DIRECTORY_AGE_MS + 1;
    CU_ASSERT_EQUAL(order_run_session(&r), ACME_DONE);
    CU_ASSERT_TRUE(acme_client_is_ready(r.session));
    CU_ASSERT_STRING_EQUAL(fake_ca_log(r.ca), "GET /dir\nGET /dir\n");
    finish(&r);
}

/* ---- many orders on one session ---- */

#define ORDERS 60

struct crowd {
    struct order_run run; /* CA, session and clock */
    struct acme_order *orders[ORDERS];
    struct acme_step under_way[ORDERS];
    bool is_under_way[ORDERS], is_done[ORDERS];
    unsigned in_flight, most_in_flight, done;
};

static void make_crowd(struct crowd *c, const struct fake_ca_options *options)
{
    struct error e;

    *c = (struct crowd){.done = 0};
    order_run_start(&c->run, account_key, options);
    for (int i = 0; i < ORDERS; i++) {
        char name[40];
        const struct acme_order_options order = {
            .session = c->run.session,
            .ca = &order_run_ca,
            .name = {name, (size_t)snprintf(name, sizeof(name), "n%d.test", i)},
            .key_type = KEY_P256,
            .key = buf_view(&c->run.key)};
        c->orders[i] = acme_order_new(&order, &e);
        CU_ASSERT_PTR_NOT_NULL_FATAL(c->orders[i]);
    }
}

/* Steps one order as far as it goes without an answer. */
static void step_one(struct crowd *c, int i)
{
    struct acme_step step;

    for (;;) {
        switch (acme_order_next(c->orders[i], c->run.now_ms, &step)) {
        case ACME_SEND:
            c->under_way[i] = step;
            c->is_under_way[i] = true;
            if (++c->in_flight > c->most_in_flight)
                c->most_in_flight = c->in_flight;
            return;
        case ACME_SAVE:
            acme_order_saved(c->orders[i]);
            break;
        case ACME_PUBLISH:
            fake_ca_publish(c->run.ca, step.token, step.answer);
            acme_order_published(c->orders[i]);
            break;
        case ACME_DONE:
            c->done += !c->is_done[i];
            c->is_done[i] = true;
            return;
        case ACME_FAILED:
            CU_FAIL(acme_order_error(c->orders[i])->message);
            return;
        default:
            return;
        }
    }
}

static void answer_all(struct crowd *c)
{
    struct http_reply reply;
    struct error e;

    for (int i = 0; i < ORDERS; i++) {
        if (!c->is_under_way[i])
            continue;
        c->is_under_way[i] = false;
        c->in_flight--;
        if (fake_ca_handle(c->run.ca, &c->under_way[i].request, &reply, &e))
            acme_order_reply(c->orders[i], &reply, c->run.now_ms);
        else
            acme_order_no_reply(c->orders[i], &e, c->run.now_ms);
    }
}

/* What circulates bounds what is under way, and few nonces do for many orders. */
static void crowd_shares_nonces(void)
{
    static const unsigned percents[] = {0, 5, 50};

    for (size_t p = 0; p < ARRAY_LENGTH(percents); p++) {
        struct crowd c;

        make_crowd(&c, &(struct fake_ca_options){.knows_account = true,
                                                 .polls_pending = 1,
                                                 .reject_percent = percents[p]});
        for (int turn = 0; turn < 2000 && c.done < ORDERS; turn++) {
            for (int i = 0; i < ORDERS; i++)
                step_one(&c, i);
            order_run_session(&c.run);
            answer_all(&c);
            c.run.now_ms += 10;
        }
        CU_ASSERT_EQUAL(c.done, ORDERS);
        CU_ASSERT_EQUAL(fake_ca_orders(c.run.ca), ORDERS);
        CU_ASSERT_TRUE(c.most_in_flight > ACME_NONCES_CIRCULATING / 2);
        CU_ASSERT_TRUE(c.most_in_flight <= ACME_NONCES_CIRCULATING);
        CU_ASSERT_TRUE(fake_ca_nonce_requests(c.run.ca) <= ACME_NONCES_CIRCULATING);
        CU_ASSERT_TRUE(acme_client_nonces(c.run.session) <= ACME_NONCES_CIRCULATING);
        for (int i = 0; i < ORDERS; i++)
            acme_order_free(c.orders[i]);
        order_run_finish(&c.run);
    }
}

static void refuses_options(void)
{
    const struct ca plain = {.directory = STR("http://ca.test/dir")};
    struct acme_client_options options = usual;
    EVP_PKEY *weak = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    struct error e;

    options.account_key = weak;
    CU_ASSERT_PTR_NULL(acme_client_new(&options, &e));
    CU_ASSERT_EQUAL(e.kind, ERROR_CRYPTO);
    EVP_PKEY_free(weak);
    options.account_key = account_key;
    options.ca = &plain;
    CU_ASSERT_PTR_NULL(acme_client_new(&options, &e));
    CU_ASSERT_EQUAL(e.kind, ERROR_INVALID);
    options.ca = usual.ca;
    options.account_url = STR("gopher://ca.test/1");
    CU_ASSERT_PTR_NULL(acme_client_new(&options, &e));
    CU_ASSERT_EQUAL(e.kind, ERROR_INVALID);
    acme_client_free(NULL);
}

static int suite_up(void)
{
    struct error e;

    account_key = key_generate(KEY_P256, &e);
    return account_key ? 0 : 1;
}

static int suite_down(void)
{
    EVP_PKEY_free(account_key);
    return 0;
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("acme session", suite_up, suite_down);
    CU_add_test(suite, "accounts", accounts);
    CU_add_test(suite, "failures", failures);
    CU_add_test(suite, "failure reaches orders", failure_reaches_orders);
    CU_add_test(suite, "nonces ahead", nonces_ahead);
    CU_add_test(suite, "pool is bounded", pool_is_bounded);
    CU_add_test(suite, "old nonces are dropped", old_nonces_are_dropped);
    CU_add_test(suite, "directory ages", directory_ages);
    CU_add_test(suite, "crowd shares nonces", crowd_shares_nonces);
    CU_add_test(suite, "refuses options", refuses_options);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
