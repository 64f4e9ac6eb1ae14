#include <CUnit/Basic.h>
#include <openssl/evp.h>
#include <string.h>

#include "reconciler/acme/retry.h"
#include "reconciler/base/attr.h"
#include "reconciler/pki/key.h"
#include "tests/support/fake_ca.h"
#include "tests/support/order_run.h"

static EVP_PKEY *account_key;

static unsigned count_of(const struct order_run *r, const char *line)
{
    unsigned count = 0;

    for (const char *at = fake_ca_log(r->ca); (at = strstr(at, line)); at++)
        count++;
    return count;
}

/* One hiccup, or a CA that is busy for a moment, anywhere on the way to an order: nothing fails. */
static void hiccups(void)
{
    static const struct {
        const char *path, *line;
        unsigned count; /* of the line; one more than without the fault */
    } steps[] = {
        {"/dir", "GET /dir\n", 2},
        {"/nonce", "HEAD /nonce\n", 2},
        {"/account", "POST /account\n", 3}, /* it asks for one that is there, first */
        {"/order", "POST /order\n", 2},
    };
    static const struct fake_answer faults[] = {
        {.no_reply = ERROR_NETWORK},
        {.no_reply = ERROR_TIMEOUT},
        {.status = 500, .no_nonce = true, .body = ""},
        {.status = 503, .retry_after = "30", .no_nonce = true, .body = "<html>busy</html>"},
        {.status = 429, .retry_after = "9", .no_nonce = true, .body = ""},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(steps) * ARRAY_LENGTH(faults); i++) {
        size_t step = i / ARRAY_LENGTH(faults);
        struct fake_answer answer = faults[i % ARRAY_LENGTH(faults)];
        struct order_run r;

        /* A newOrder may have been taken all the same: neither of these says that it was not. */
        if (step == 3 && (answer.no_reply == ERROR_TIMEOUT || answer.status == 500))
            continue;
        answer.path = steps[step].path;
        answer.nth = 1;
        order_run_start(&r, account_key, &(struct fake_ca_options){0});
        fake_ca_script(r.ca, &answer, 1);
        order_run_order(&r, "www.example.com", NULL, NULL);
        CU_ASSERT_EQUAL(order_run(&r), ACME_DONE);
        CU_ASSERT_EQUAL(fake_ca_orders(r.ca), 1);
        CU_ASSERT_TRUE(count_of(&r, steps[step].line) >= steps[step].count);
        /* A lost nonce costs another one; everything else is asked once more. */
        CU_ASSERT_TRUE(step == 1 || count_of(&r, steps[step].line) == steps[step].count);
        CU_ASSERT_TRUE(!answer.retry_after || r.now_ms - ORDER_RUN_NOW_MS >= 9000);
        order_run_finish(&r);
    }
}

/* A CA that stays away is asked so often, and no oftener. */
static void patience_ends(void)
{
    static const struct fake_answer answer = {.path = "/dir", .no_reply = ERROR_NETWORK};
    struct order_run r;

    order_run_start(&r, account_key, &(struct fake_ca_options){0});
    fake_ca_script(r.ca, &answer, 1);
    CU_ASSERT_EQUAL(order_run_session(&r), ACME_FAILED);
    CU_ASSERT_EQUAL(count_of(&r, "GET /dir\n"), 1 + ACME_RETRIES_MAX);
    CU_ASSERT_EQUAL(r.now_ms - ORDER_RUN_NOW_MS,
                    ACME_RETRY_PAUSE_MS * ((1 << ACME_RETRIES_MAX) - 1));
    order_run_finish(&r);
}

#define LIMITED(words)                                                                           \
    {                                                                                            \
        .path = "/order", .status = 429, .retry_after = "3600",                                  \
        .body = "{\"type\":\"urn:ietf:params:acme:error:rateLimited\",\"detail\":\"" words "\"}" \
    }

/* A limit of the account stops it once; one of a name says nothing of the others. */
static void limits(void)
{
    static const struct {
        struct fake_answer answer; /* to every newOrder */
        unsigned asked;            /* newOrders, of five names one after the other */
        bool is_demanded;          /* by visitors */
    } rows[] = {
        {LIMITED("too many new orders (300) from this account in the last 3h"), 1, false},
        {LIMITED("slow down"), 2, false}, /* the second one tells whose it is */
        {LIMITED("slow down"), 5, true},
        {LIMITED("too many new orders (300) from this account in the last 3h"), 1, true},
        {{.path = "/order", .status = 429, .retry_after = "3600", .body = "<html>"}, 2, false},
        {LIMITED("too many certificates (50) already issued for \\\"Example.com\\\""), 5, false},
        {LIMITED("too many certificates (5) already issued for this exact set of identifiers"), 5,
         false},
    };
    static const char *const names[] = {"a.example.com", "b.example.com", "c.example.com",
                                        "d.example.com", "e.example.com"};

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct order_run r;
        bool is_account = rows[i].asked < ARRAY_LENGTH(names);

        order_run_start(&r, account_key, &(struct fake_ca_options){.knows_account = true});
        r.is_demanded = rows[i].is_demanded;
        fake_ca_script(r.ca, &rows[i].answer, 1);
        for (size_t n = 0; n < ARRAY_LENGTH(names); n++) {
            const struct error *e;
            order_run_order(&r, names[n], NULL, NULL);
            CU_ASSERT_EQUAL(order_run(&r), ACME_FAILED);
            e = acme_order_error(r.order);
            CU_ASSERT_EQUAL(e->kind, is_account && n + 1 >= rows[i].asked ? ERROR_ACCOUNT_LIMIT
                                                                          : ERROR_RATE_LIMIT);
            CU_ASSERT_EQUAL(e->retry_at, r.now_ms / 1000 + 3600);
        }
        CU_ASSERT_EQUAL(count_of(&r, "POST /order\n"), rows[i].asked);
        /* And then it goes on. */
        fake_ca_script(r.ca, NULL, 0);
        r.now_ms += 3601000;
        order_run_order(&r, names[0], NULL, NULL);
        CU_ASSERT_EQUAL(order_run(&r), ACME_DONE);
        order_run_finish(&r);
    }
}

/* A limit of ten years is not kept for ten years: who says that it was waited for long enough asks.
 */
static void limits_are_forgotten(void)
{
    struct fake_answer answer = LIMITED("too many requests of this account");
    struct order_run r;

    answer.retry_after = "315360000";
    order_run_start(&r, account_key, &(struct fake_ca_options){.knows_account = true});
    fake_ca_script(r.ca, &answer, 1);
    for (unsigned asked = 1; asked <= 2; asked++) {
        acme_client_forget_limit(r.session);
        for (int i = 0; i < 3; i++) {
            order_run_order(&r, "a.example.com", NULL, NULL);
            CU_ASSERT_EQUAL(order_run(&r), ACME_FAILED);
        }
        CU_ASSERT_EQUAL(count_of(&r, "POST /order\n"), asked);
    }
    order_run_finish(&r);
}

/*
 * newNonce is to be asked again in an hour, while others are under way: their answers bring what is
 * needed. When none is left, that is told, and not waited for.
 */
static void nonces_are_not_awaited_for_long(void)
{
    struct http_reply busy = {.status = 429, .retry_after = STR("315360000")};
    struct error lost = {.kind = ERROR_NETWORK};
    struct acme_step step;
    struct order_run r;

    order_run_start(&r, account_key, &(struct fake_ca_options){.knows_account = true});
    CU_ASSERT_EQUAL(order_run_session(&r), ACME_DONE);
    acme_client_want_nonces(r.session, 2);
    for (int i = 0; i < 2; i++)
        CU_ASSERT_EQUAL(acme_client_next(r.session, r.now_ms, &step), ACME_SEND);
    acme_client_want_nonces(r.session, 0);
    acme_client_reply(r.session, ACME_EXCHANGE_NONCE, &busy, r.now_ms);
    acme_client_no_reply(r.session, ACME_EXCHANGE_NONCE, &lost, r.now_ms);
    CU_ASSERT_PTR_NULL(acme_client_error(r.session));
    order_run_order(&r, "a.example.com", NULL, NULL);
    CU_ASSERT_EQUAL(order_run(&r), ACME_FAILED);
    CU_ASSERT_EQUAL(acme_order_error(r.order)->retry_at, ORDER_RUN_NOW_MS / 1000 + 315360000);
    CU_ASSERT_PTR_NOT_NULL(strstr(acme_order_error(r.order)->message, "asking for a nonce"));
    acme_client_retry(r.session);
    order_run_order(&r, "a.example.com", NULL, NULL);
    CU_ASSERT_EQUAL(order_run(&r), ACME_DONE);
    order_run_finish(&r);
}

/* What comes through in between tells that a refusal was not the account's. */
static void limits_of_some(void)
{
    static const struct fake_answer answer = LIMITED("slow down");
    struct order_run r;

    order_run_start(&r, account_key, &(struct fake_ca_options){.knows_account = true});
    for (int i = 0; i < 6; i++) {
        char name[] = "a.example.com";
        name[0] = (char)('a' + i);
        fake_ca_script(r.ca, &answer, i % 2 == 0);
        order_run_order(&r, name, NULL, NULL);
        CU_ASSERT_EQUAL(order_run(&r), i % 2 == 0 ? ACME_FAILED : ACME_DONE);
    }
    order_run_finish(&r);
}

/* Where the account's limit ends soon, the others wait for it, and nothing fails. */
static void short_limits_are_waited_for(void)
{
    struct fake_answer answer = LIMITED("too many requests of this account");
    struct order_run r;
    int64_t began;

    answer.retry_after = "20";
    answer.nth = 1;
    order_run_start(&r, account_key, &(struct fake_ca_options){.knows_account = true});
    began = r.now_ms;
    fake_ca_script(r.ca, &answer, 1);
    order_run_order(&r, "a.example.com", NULL, NULL);
    CU_ASSERT_EQUAL(order_run(&r), ACME_DONE);
    CU_ASSERT_TRUE(r.now_ms - began >= 20000);
    CU_ASSERT_EQUAL(count_of(&r, "POST /order\n"), 2);
    order_run_finish(&r);
}

/* The nonce of a refusal is the order's own, until it asks again with it. */
static void refusals_bring_a_nonce(void)
{
    struct order_run r;
    unsigned held = 0;
    enum acme_next next;

    order_run_start(&r, account_key,
                    &(struct fake_ca_options){.knows_account = true, .reject_percent = 50});
    order_run_order(&r, "www.example.com", NULL, NULL);
    do {
        CU_ASSERT_FALSE(acme_order_holds_nonce(r.order) && acme_client_nonces(r.session));
        held += acme_order_holds_nonce(r.order);
        next = order_run_turn(&r);
    } while (next != ACME_DONE && next != ACME_FAILED);
    CU_ASSERT_EQUAL(next, ACME_DONE);
    CU_ASSERT_EQUAL(held, fake_ca_rejections(r.ca));
    CU_ASSERT_TRUE(held > 0);
    order_run_finish(&r);
}

static int suite_up(void)
{
    struct error e;

    account_key = key_generate(KEY_P256, &e);
    return account_key ? 0 : -1;
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
    suite = CU_add_suite("acme retry", suite_up, suite_down);
    CU_add_test(suite, "hiccups", hiccups);
    CU_add_test(suite, "patience ends", patience_ends);
    CU_add_test(suite, "limits", limits);
    CU_add_test(suite, "limits are forgotten", limits_are_forgotten);
    CU_add_test(suite, "nonces are not awaited for long", nonces_are_not_awaited_for_long);
    CU_add_test(suite, "limits of some", limits_of_some);
    CU_add_test(suite, "short limits are waited for", short_limits_are_waited_for);
    CU_add_test(suite, "refusals bring a nonce", refusals_bring_a_nonce);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
