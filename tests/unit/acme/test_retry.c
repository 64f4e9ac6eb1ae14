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
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
