#include <CUnit/Basic.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/pki/issued.h"
#include "reconciler/pki/key.h"
#include "tests/support/order_run.h"

/* Ways through an order that end with a certificate. */

static EVP_PKEY *account_key;

/* Runs to the end, and says what went wrong where that is no certificate. */
static bool ends_well(struct order_run *r, const char *what)
{
    if (order_run(r) == ACME_DONE)
        return true;
    printf("\n%s: %s\n%s", what, acme_order_error(r->order)->message, fake_ca_log(r->ca));
    return false;
}

static int check_chain(const struct order_run *r, char **top)
{
    const struct issued_expectation expected = {.key_type = KEY_P256,
                                                .key = buf_view(&r->key),
                                                .name = STR("www.example.com"),
                                                .now = r->now_ms / 1000};
    struct error e;

    return issued_check(acme_order_chain(r->order), &expected, top, &e);
}

static void whole_way(void)
{
    static const char *const log = "GET /dir\nHEAD /nonce\nPOST /account\nPOST /account\n"
                                   "POST /order\nPOST /authz/0-0\nPOST /chall/0-0\n"
                                   "POST /orders/0\nPOST /finalize/0\nPOST /cert/0-0\n";
    struct order_run r;

    order_run_start(&r, account_key, &(struct fake_ca_options){0});
    order_run_order(&r, "www.example.com", NULL, NULL);
    CU_ASSERT_EQUAL(acme_order_phase(r.order), ACME_PHASE_NEW_ORDER);
    CU_ASSERT_PTR_NULL(acme_order_url(r.order).ptr);
    CU_ASSERT_TRUE(ends_well(&r, "whole way"));
    CU_ASSERT_STRING_EQUAL(fake_ca_log(r.ca), log);
    CU_ASSERT_EQUAL(r.announcements, 1);
    CU_ASSERT_EQUAL(r.saves, 1);
    CU_ASSERT_EQUAL(r.account_saves, 1);
    CU_ASSERT_EQUAL(r.publishes, 1);
    CU_ASSERT_EQUAL(r.waited_ms, 20);
    CU_ASSERT_TRUE(acme_client_account_is_new(r.session));
    CU_ASSERT_EQUAL(fake_ca_nonce_requests(r.ca), 1);
    CU_ASSERT_EQUAL(fake_ca_orders(r.ca), 1);
    CU_ASSERT_EQUAL(acme_order_phase(r.order), ACME_PHASE_DONE);
    CU_ASSERT_PTR_NULL(acme_order_error(r.order));
    CU_ASSERT_TRUE(str_equal(acme_order_url(r.order), STR("https://ca.test/orders/0")));
    CU_ASSERT_TRUE(str_equal(acme_order_token(r.order, 0), STR("token_0-0")));
    CU_ASSERT_PTR_NULL(acme_order_token(r.order, 1).ptr);
    CU_ASSERT_EQUAL(check_chain(&r, NULL), 0);
    order_run_finish(&r);
}

static void phases_in_order(void)
{
    static const enum acme_phase phases[] = {
        ACME_PHASE_NEW_ORDER, ACME_PHASE_AUTHORIZATION, ACME_PHASE_PUBLISH, ACME_PHASE_CHALLENGE,
        ACME_PHASE_VALIDATE,  ACME_PHASE_FINALIZE,      ACME_PHASE_ISSUE,   ACME_PHASE_DOWNLOAD};
    struct order_run r;

    order_run_start(&r, account_key, &(struct fake_ca_options){.polls_processing = 1});
    order_run_order(&r, "www.example.com", NULL, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(phases); i++) {
        CU_ASSERT_EQUAL(order_run_to(&r, phases[i]), ACME_IN_FLIGHT);
        CU_ASSERT_EQUAL(acme_order_phase(r.order), phases[i]);
    }
    CU_ASSERT_TRUE(ends_well(&r, "phases"));
    order_run_finish(&r);
}

static void good_ways(void)
{
    static const struct {
        const char *what;
        struct fake_ca_options options;
        const char *name;
        const char *log; /* from newOrder on; NULL = not looked at */
        unsigned publishes;
    } rows[] = {
        {"reused authorization, order ready at once",
         {.knows_account = true, .authorizations_valid = true},
         "a.test",
         "POST /order\nPOST /finalize/0\nPOST /cert/0-0\n",
         0},
        {"reused authorization, order still pending",
         {.knows_account = true, .authorizations_valid = true, .pending_at_once = true},
         "a.test",
         "POST /order\nPOST /authz/0-0\nPOST /orders/0\nPOST /finalize/0\nPOST /cert/0-0\n",
         0},
        {"ready at once, authorization pending",
         {.knows_account = true, .ready_at_once = true},
         "a.test",
         "POST /order\nPOST /finalize/0\nPOST /cert/0-0\n",
         0},
        {"ready, without any authorization",
         {.knows_account = true, .ready_at_once = true, .no_authorizations = true},
         "a.test",
         "POST /order\nPOST /finalize/0\nPOST /cert/0-0\n",
         0},
        {"pending, without any authorization",
         {.knows_account = true,
          .authorizations_valid = true,
          .pending_at_once = true,
          .no_authorizations = true},
         "a.test",
         "POST /order\nPOST /orders/0\nPOST /finalize/0\nPOST /cert/0-0\n",
         0},
        {"slow validation and issuance",
         {.knows_account = true, .polls_pending = 2, .polls_processing = 2},
         "a.test",
         "POST /order\nPOST /authz/0-0\nPOST /chall/0-0\nPOST /orders/0\nPOST /orders/0\n"
         "POST /orders/0\nPOST /finalize/0\nPOST /orders/0\nPOST /orders/0\nPOST /orders/0\n"
         "POST /cert/0-0\n",
         1},
        {"three authorizations",
         {.knows_account = true, .authorizations = 3},
         "a.test",
         "POST /order\nPOST /authz/0-0\nPOST /authz/0-1\nPOST /authz/0-2\nPOST /chall/0-0\n"
         "POST /chall/0-1\nPOST /chall/0-2\nPOST /orders/0\nPOST /finalize/0\nPOST /cert/0-0\n",
         3},
        {"an IPv4 literal", {.knows_account = true}, "192.0.2.7", NULL, 1},
        {"an IPv6 literal", {.knows_account = true}, "2001:db8::7", NULL, 1},
        {"a name longer than a CN may be",
         {.knows_account = true},
         "a-label-of-some-length.another-label-of-some-length.and-a-third-one.example.com",
         NULL,
         1},
        {"notBefore in the future",
         {.knows_account = true, .not_before = 1800000000 + 3600},
         "a.test",
         NULL,
         1},
        {"a chain of eight", {.knows_account = true, .intermediates = 7}, "a.test", NULL, 1},
        {"EAB wanted, account known",
         {.knows_account = true, .eab_required = true},
         "a.test",
         NULL,
         1},
        {"terms agreed to", {.has_terms = true}, "a.test", NULL, 1},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct order_run r;

        order_run_start(&r, account_key, &rows[i].options);
        order_run_order(&r, rows[i].name, NULL, NULL);
        CU_ASSERT_TRUE(ends_well(&r, rows[i].what));
        if (rows[i].log && strcmp(strstr(fake_ca_log(r.ca), "POST /order"), rows[i].log) != 0) {
            printf("\n%s:\n%s", rows[i].what, fake_ca_log(r.ca));
            CU_FAIL("asked otherwise than expected");
        }
        CU_ASSERT_EQUAL(r.publishes, rows[i].publishes);
        CU_ASSERT_EQUAL(r.saves, 1);
        CU_ASSERT_EQUAL(fake_ca_orders(r.ca), 1);
        order_run_finish(&r);
    }
}

/* ---- nonces ---- */

static void rejected_nonces(void)
{
    static const struct {
        unsigned percent;
        bool bare;
    } rows[] = {{0, false}, {5, false}, {20, false}, {50, false}, {50, true}};

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        for (uint64_t seed = 0; seed < 10; seed++) {
            struct order_run r;

            order_run_start(&r, account_key,
                            &(struct fake_ca_options){.reject_percent = rows[i].percent,
                                                      .bare_rejection = rows[i].bare,
                                                      .polls_pending = 3,
                                                      .seed = seed});
            order_run_order(&r, "www.example.com", NULL, NULL);
            CU_ASSERT_TRUE(ends_well(&r, "nonces"));
            CU_ASSERT_EQUAL(fake_ca_orders(r.ca), 1);
            if (!rows[i].bare) /* the refusal brings the next nonce: HEAD only once */
                CU_ASSERT_EQUAL(fake_ca_nonce_requests(r.ca), 1);
            order_run_finish(&r);
        }
    }
}

/* Every nonce refused: an end within the bounds, and no failure of the order's own. */
static void all_nonces_rejected(void)
{
    struct order_run r;
    const struct error *e;

    order_run_start(&r, account_key, &(struct fake_ca_options){.knows_account = true});
    order_run_order(&r, "www.example.com", NULL, NULL);
    CU_ASSERT_EQUAL(order_run_to(&r, ACME_PHASE_CHALLENGE), ACME_IN_FLIGHT);
    fake_ca_options(r.ca)->reject_percent = 100;
    CU_ASSERT_EQUAL(order_run(&r), ACME_FAILED);
    e = acme_order_error(r.order);
    CU_ASSERT_EQUAL(e->kind, ERROR_CA_BROKEN);
    CU_ASSERT_FALSE(e->permanent);
    CU_ASSERT_PTR_NOT_NULL(strstr(e->message, "badNonce"));
    CU_ASSERT_EQUAL(fake_ca_rejections(r.ca), ACME_NONCE_TRIES_MAX + 1);
    CU_ASSERT_TRUE(acme_order_is_resumable(r.order));
    /* And it can go on from there. */
    fake_ca_options(r.ca)->reject_percent = 0;
    order_run_order(&r, "www.example.com", "https://ca.test/orders/0", NULL);
    CU_ASSERT_TRUE(ends_well(&r, "after the rejections"));
    CU_ASSERT_EQUAL(fake_ca_orders(r.ca), 1);
    order_run_finish(&r);
}

/* ---- an earlier life ---- */

/* Stops before each phase, forgets all but URL and key, and goes on. */
static void resumes_from_every_phase(void)
{
    static const enum acme_phase stops[] = {
        ACME_PHASE_AUTHORIZATION, ACME_PHASE_PUBLISH, ACME_PHASE_CHALLENGE, ACME_PHASE_VALIDATE,
        ACME_PHASE_FINALIZE,      ACME_PHASE_ISSUE,   ACME_PHASE_DOWNLOAD};

    for (size_t i = 0; i < ARRAY_LENGTH(stops); i++) {
        struct order_run r;

        order_run_start(&r, account_key,
                        &(struct fake_ca_options){
                            .knows_account = true, .polls_pending = 2, .polls_processing = 2});
        order_run_order(&r, "www.example.com", NULL, NULL);
        CU_ASSERT_EQUAL(order_run_to(&r, stops[i]), ACME_IN_FLIGHT);
        order_run_order(&r, "www.example.com", "https://ca.test/orders/0", NULL);
        CU_ASSERT_TRUE(ends_well(&r, "resumed"));
        CU_ASSERT_EQUAL(fake_ca_orders(r.ca), 1);
        order_run_finish(&r);
    }
}

static void set_key(struct order_run *r)
{
    struct error e;

    buf_clear(&r->key);
    CU_ASSERT_EQUAL_FATAL(key_generate_packed(KEY_P256, &r->key, &e), 0);
}

/* Orders that are of no use any more become new ones. */
static void resumes_in_vain(void)
{
    static const struct {
        const char *what, *url;
        struct fake_ca_options options;
        bool fails_first, other_key, forgets;
    } rows[] = {
        {.what = "unknown", .url = "https://ca.test/orders/77"},
        {.what = "invalid", .url = "https://ca.test/orders/0", .fails_first = true},
        {.what = "valid, for another key", .url = "https://ca.test/orders/0", .other_key = true},
        {.what = "forgotten, with the account", .url = "https://ca.test/orders/0", .forgets = true},
        {.what = "no URL to be asked", .url = "http://ca.test/orders/0"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct order_run r;
        unsigned before;

        order_run_start(&r, account_key,
                        &(struct fake_ca_options){.knows_account = true,
                                                  .challenge_fails = rows[i].fails_first});
        order_run_order(&r, "www.example.com", NULL, NULL);
        CU_ASSERT_EQUAL(order_run(&r), rows[i].fails_first ? ACME_FAILED : ACME_DONE);
        fake_ca_options(r.ca)->challenge_fails = false;
        if (rows[i].other_key)
            set_key(&r);
        if (rows[i].forgets)
            fake_ca_forget(r.ca);
        before = fake_ca_orders(r.ca);
        r.saves = 0;
        order_run_order(&r, "www.example.com", rows[i].url, NULL);
        CU_ASSERT_TRUE(ends_well(&r, rows[i].what));
        CU_ASSERT_EQUAL(fake_ca_orders(r.ca), before + 1);
        CU_ASSERT_EQUAL(r.saves, 1);
        CU_ASSERT_EQUAL(r.account_saves, rows[i].forgets ? 1 : 0);
        if (!rows[i].forgets)
            CU_ASSERT_FALSE(str_equal_cstr(acme_order_url(r.order), rows[i].url));
        order_run_finish(&r);
    }
}

/* The CA is restarted in the middle: account and order are gone. */
static void account_lost_on_the_way(void)
{
    static const enum acme_phase stops[] = {ACME_PHASE_NEW_ORDER, ACME_PHASE_AUTHORIZATION,
                                            ACME_PHASE_CHALLENGE, ACME_PHASE_FINALIZE};

    for (size_t i = 0; i < ARRAY_LENGTH(stops); i++) {
        struct order_run r;

        order_run_start(&r, account_key, &(struct fake_ca_options){.knows_account = true});
        order_run_order(&r, "www.example.com", NULL, NULL);
        CU_ASSERT_EQUAL(order_run_to(&r, stops[i]), ACME_IN_FLIGHT);
        fake_ca_forget(r.ca);
        CU_ASSERT_TRUE(ends_well(&r, "account lost"));
        CU_ASSERT_EQUAL(r.account_saves, 1);
        CU_ASSERT_TRUE(
            str_equal(acme_client_account_url(r.session), STR("https://ca.test/account/2")));
        order_run_finish(&r);
    }
}

/* ---- chains ---- */

static void preferred_chains(void)
{
    static const struct {
        const char *wanted;
        bool has_alternates;
        const char *got, *log;
    } rows[] = {
        {NULL, true, "Root", "POST /cert/0-0\n"},
        {"Root", true, "Root", "POST /cert/0-0\n"},
        {"Alternate 1", true, "Alternate 1", "POST /cert/0-0\nPOST /cert/0-1\n"},
        {"Alternate 2", true, "Alternate 2", "POST /cert/0-0\nPOST /cert/0-1\nPOST /cert/0-2\n"},
        {"Nobody", true, "Root", "POST /cert/0-0\nPOST /cert/0-1\nPOST /cert/0-2\n"},
        {"Alternate 1", false, "Root", "POST /cert/0-0\n"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct order_run r;
        char *top = NULL;

        order_run_start(&r, account_key,
                        &(struct fake_ca_options){.knows_account = true,
                                                  .has_alternates = rows[i].has_alternates});
        order_run_order(&r, "www.example.com", NULL, rows[i].wanted);
        CU_ASSERT_TRUE(ends_well(&r, "preferred chain"));
        CU_ASSERT_EQUAL(check_chain(&r, &top), 0);
        CU_ASSERT_STRING_EQUAL(top, rows[i].got);
        CU_ASSERT_STRING_EQUAL(strstr(fake_ca_log(r.ca), "POST /cert"), rows[i].log);
        free(top);
        order_run_finish(&r);
    }
}

/* ---- pace ---- */

static void paces_polls(void)
{
    static const struct {
        const char *retry_after;
        unsigned polls;    /* of the order that say "pending"; the fourth is followed by one of the
                              authorization */
        int64_t waited_ms; /* 20 of them behind the challenge */
    } rows[] = {
        {NULL, 4, 20 + 100 + 250 + 500 + 1000 + 2000},
        {"3", 4, 20 + 5 * 3000},
        {"0", 4, 20 + 100 + 250 + 500 + 1000 + 2000},
        {"-5", 2, 20 + 100 + 250},
        {"soon", 2, 20 + 100 + 250},
        {"1000000000000", 2, 20 + 2 * ACME_POLL_RETRY_AFTER_MAX_MS},
        {"Fri, 15 Jan 2027 08:00:02 GMT", 1, 20 + 2000}, /* the clock says 08:00:00 */
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct order_run r;

        order_run_start(&r, account_key,
                        &(struct fake_ca_options){.knows_account = true,
                                                  .polls_pending = rows[i].polls,
                                                  .retry_after = rows[i].retry_after});
        order_run_order(&r, "www.example.com", NULL, NULL);
        CU_ASSERT_TRUE(ends_well(&r, "polls"));
        CU_ASSERT_EQUAL(r.waited_ms, rows[i].waited_ms);
        order_run_finish(&r);
    }
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
    suite = CU_add_suite("acme order", suite_up, suite_down);
    CU_add_test(suite, "whole way", whole_way);
    CU_add_test(suite, "phases in order", phases_in_order);
    CU_add_test(suite, "good ways", good_ways);
    CU_add_test(suite, "rejected nonces", rejected_nonces);
    CU_add_test(suite, "all nonces rejected", all_nonces_rejected);
    CU_add_test(suite, "resumes from every phase", resumes_from_every_phase);
    CU_add_test(suite, "resumes in vain", resumes_in_vain);
    CU_add_test(suite, "account lost on the way", account_lost_on_the_way);
    CU_add_test(suite, "preferred chains", preferred_chains);
    CU_add_test(suite, "paces polls", paces_polls);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
