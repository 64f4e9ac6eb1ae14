#include <CUnit/Basic.h>
#include <openssl/evp.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/pki/key.h"
#include "tests/support/order_run.h"

/* What an order tells while it waits, and what it leaves behind at the CA. */

static EVP_PKEY *account_key;

#define AUTHORIZATION(status, challenges) \
    "{\"status\":\"" status "\",\"challenges\":[" challenges "]}"

/* RFC 8555 §7.5.2: what stays pending is given back, once, as far as it goes. */
static void deactivates(void)
{
    static const struct {
        const char *what;
        struct fake_answer answers[2];
        unsigned authorizations;
        const char *last; /* the end of the log */
    } rows[] = {
        {"one of two offers no http-01",
         {{.path = "/authz/0-1",
           .nth = 1,
           .status = 200,
           .body = AUTHORIZATION("pending", "{\"type\":\"dns-01\"}")}},
         2,
         "POST /authz/0-0\nPOST /authz/0-1\nPOST /authz/0-0\nPOST /authz/0-1\n"},
        {"the deactivation fails as well",
         {{.path = "/authz/0-0",
           .nth = 1,
           .status = 200,
           .body = AUTHORIZATION("pending", "{\"type\":\"dns-01\"}")},
          {.path = "/authz/0-0", .nth = 1, .status = 500, .body = ""}},
         1,
         "POST /authz/0-0\nPOST /authz/0-0\n"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct order_run r;
        const char *log;

        order_run_start(&r, account_key,
                        &(struct fake_ca_options){.knows_account = true,
                                                  .authorizations = rows[i].authorizations});
        fake_ca_script(r.ca, rows[i].answers, rows[i].answers[1].path ? 2 : 1);
        order_run_order(&r, "www.example.com", NULL, NULL);
        CU_ASSERT_EQUAL(order_run(&r), ACME_FAILED);
        log = fake_ca_log(r.ca);
        CU_ASSERT_STRING_EQUAL(strstr(log, "POST /authz"), rows[i].last);
        CU_ASSERT_EQUAL(acme_order_error(r.order)->kind, ERROR_CA_REFUSED);
        order_run_finish(&r);
    }
}

/* What was pending when last seen, and is valid now, is not taken back. */
static void keeps_what_is_valid(void)
{
    static const struct fake_answer answers[] = {
        {.path = "/orders/0", .status = 200, .body = "{\"status\":\"pending\",\"error\":7"}};
    struct order_run r;

    order_run_start(&r, account_key, &(struct fake_ca_options){.knows_account = true});
    fake_ca_script(r.ca, answers, 1);
    order_run_order(&r, "www.example.com", NULL, NULL);
    CU_ASSERT_EQUAL(order_run_to(&r, ACME_PHASE_VALIDATE), ACME_IN_FLIGHT);
    fake_ca_log_clear(r.ca);
    CU_ASSERT_EQUAL(order_run(&r), ACME_FAILED);
    CU_ASSERT_EQUAL(acme_order_error(r.order)->kind, ERROR_PROTOCOL);
    CU_ASSERT_STRING_EQUAL(fake_ca_log(r.ca), "POST /orders/0\nPOST /orders/0\nPOST /orders/0\n"
                                              "POST /orders/0\nPOST /authz/0-0\n");
    order_run_finish(&r);
}

/* A try that went wrong, and that the CA has not given up, is told while it is waited for. */
static void tells_trouble(void)
{
    const char *log;
    unsigned answers = 0;
    struct order_run r;

    order_run_start(&r, account_key,
                    &(struct fake_ca_options){.knows_account = true,
                                              .answers_needed = 2 + ACME_ANSWERS_AGAIN_MAX});
    order_run_order(&r, "www.example.com", NULL, NULL);
    CU_ASSERT_PTR_NULL(acme_order_trouble(r.order));
    for (int i = 0; i < 30 && !acme_order_trouble(r.order); i++)
        order_run_turn(&r);
    CU_ASSERT_PTR_NOT_NULL_FATAL(acme_order_trouble(r.order));
    CU_ASSERT_STRING_EQUAL(acme_order_trouble(r.order)->message,
                           "the CA could not connect to the name: nobody there (connection)");
    CU_ASSERT_TRUE(r.waited_ms < 1000);
    CU_ASSERT_EQUAL(order_run(&r), ACME_FAILED);
    CU_ASSERT_PTR_NULL(acme_order_trouble(r.order));
    for (log = fake_ca_log(r.ca); (log = strstr(log, "POST /chall/")); log++)
        answers++;
    CU_ASSERT_EQUAL(answers, 1 + ACME_ANSWERS_AGAIN_MAX);
    order_run_finish(&r);
}

static void abandons(void)
{
    struct order_run r;
    struct error why;
    struct acme_step step;

    error_set(&why, ERROR_STORAGE, "disk full");
    order_run_start(&r, account_key, &(struct fake_ca_options){.knows_account = true});
    order_run_order(&r, "www.example.com", NULL, NULL);
    CU_ASSERT_EQUAL(order_run_to(&r, ACME_PHASE_CHALLENGE), ACME_IN_FLIGHT);
    CU_ASSERT_EQUAL(acme_order_next(r.order, r.now_ms, &step), ACME_SEND);
    acme_order_abandon(r.order, &why); /* with a request under way */
    acme_order_abandon(r.order, &why);
    CU_ASSERT_EQUAL(acme_order_next(r.order, r.now_ms, &step), ACME_IN_FLIGHT);
    acme_order_reply(r.order, &(struct http_reply){.status = 200, .body = STR("{}")}, r.now_ms);
    CU_ASSERT_EQUAL(acme_order_phase(r.order), ACME_PHASE_CLEAN_UP);
    CU_ASSERT_EQUAL(order_run(&r), ACME_FAILED);
    CU_ASSERT_STRING_EQUAL(acme_order_error(r.order)->message, "disk full");
    CU_ASSERT_FALSE(acme_order_is_resumable(r.order));
    /* The challenge was answered: whether it is pending still has to be looked at. */
    CU_ASSERT_PTR_NOT_NULL(strstr(fake_ca_log(r.ca), "POST /authz/0-0\nHEAD /nonce\n"
                                                     "POST /authz/0-0\nPOST /authz/0-0\n"));
    order_run_finish(&r);
}

/* Answers that nobody waits for change nothing. */
static void stray_calls(void)
{
    struct order_run r;
    struct error e;

    error_set(&e, ERROR_NETWORK, "x");
    order_run_start(&r, account_key, &(struct fake_ca_options){.knows_account = true});
    order_run_order(&r, "www.example.com", NULL, NULL);
    acme_order_reply(r.order, &(struct http_reply){.status = 500}, r.now_ms);
    acme_order_no_reply(r.order, &e, r.now_ms);
    acme_order_saved(r.order);
    acme_order_published(r.order);
    CU_ASSERT_EQUAL(order_run(&r), ACME_DONE);
    acme_order_abandon(r.order, &e);
    CU_ASSERT_EQUAL(order_run(&r), ACME_DONE);
    order_run_finish(&r);
    acme_order_free(NULL);
}

static void too_many_authorizations(void)
{
    struct order_run r;

    for (unsigned n = ACME_AUTHORIZATIONS_MAX; n <= ACME_AUTHORIZATIONS_MAX + 1; n++) {
        order_run_start(&r, account_key,
                        &(struct fake_ca_options){.knows_account = true, .authorizations = n});
        order_run_order(&r, "www.example.com", NULL, NULL);
        CU_ASSERT_EQUAL(order_run(&r), n <= ACME_AUTHORIZATIONS_MAX ? ACME_DONE : ACME_FAILED);
        if (n > ACME_AUTHORIZATIONS_MAX)
            CU_ASSERT_PTR_NOT_NULL(
                strstr(acme_order_error(r.order)->message, "too many authorizations"));
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
    suite = CU_add_suite("acme order ends", suite_up, suite_down);
    CU_add_test(suite, "deactivates", deactivates);
    CU_add_test(suite, "keeps what is valid", keeps_what_is_valid);
    CU_add_test(suite, "tells trouble", tells_trouble);
    CU_add_test(suite, "abandons", abandons);
    CU_add_test(suite, "stray calls", stray_calls);
    CU_add_test(suite, "too many authorizations", too_many_authorizations);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
