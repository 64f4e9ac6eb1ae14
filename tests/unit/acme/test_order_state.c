#include <CUnit/Basic.h>
#include <openssl/evp.h>

#include "reconciler/base/attr.h"
#include "reconciler/pki/key.h"
#include "tests/support/order_fault.h"

/*
 * A CA's objects in states that do not need all their fields, and objects that its replicas do not
 * know yet.
 */

static EVP_PKEY *account_key;

static const struct order_fault faults[] = {
    /* ---- what a state does not need ---- */
    {.what = "a valid authorization whose challenge has nothing",
     .answers = {{.path = "/authz/0-0",
                  .status = 200,
                  .body = AUTHORIZATION("valid", "{\"type\":\"http-01\"}")}},
     .options = {.pending_at_once = true, .authorizations_valid = true}},
    {.what = "an invalid authorization whose challenge has a reason and nothing else",
     .answers = {{.path = "/authz/0-0",
                  .status = 200,
                  .body = AUTHORIZATION("invalid", "{\"type\":\"http-01\",\"error\":" PROBLEM(
                                                       "dns", "NXDOMAIN") "}")}},
     .kind = ERROR_CHALLENGE,
     .text = "NXDOMAIN (dns)"},
    {.what = "a pending challenge without URL",
     .answers = {{.path = "/authz/0-0",
                  .status = 200,
                  .body = AUTHORIZATION("pending", "{\"type\":\"http-01\",\"token\":\"t\"}")}},
     .kind = ERROR_PROTOCOL,
     .text = "a challenge without URL"},
    {.what = "a pending order with an empty certificate and a plain finalize",
     .answers = {{.path = "/order",
                  .status = 201,
                  .after = true,
                  .location = "https://ca.test/orders/0",
                  .body = "{\"status\":\"pending\",\"certificate\":\"\",\"finalize\":"
                          "\"http://x/\",\"authorizations\":[\"https://ca.test/authz/0-0\"]}"}}},
    {.what = "a ready order whose authorizations are nobody's",
     .answers = {{.path = "/orders/0",
                  .nth = 1,
                  .after = true,
                  .status = 200,
                  .body = "{\"status\":\"ready\",\"finalize\":\"https://ca.test/finalize/0\","
                          "\"certificate\":7,\"authorizations\":[\"ftp://x\",null]}"}}},
    {.what = "an invalid order of which nothing but the reason is left",
     .answers = {{.path = "/orders/0",
                  .status = 200,
                  .body = "{\"status\":\"invalid\",\"finalize\":\"\",\"certificate\":\"x\","
                          "\"authorizations\":{},\"error\":" PROBLEM("caa", "CAA says no") "}"},
                 {.path = "/authz/0-0", .nth = 2, .status = 200, .body = "{}"}},
     .kind = ERROR_CA_REFUSED,
     .text = "CAA says no (caa)",
     .permanent = true},
    {.what = "the order's own reason is not lost to an authorization that has none",
     .answers = {{.path = "/orders/0",
                  .status = 200,
                  .body = ORDER("invalid", "\"error\":" PROBLEM("caa", "CAA says no") ",")},
                 {.path = "/authz/0-0",
                  .nth = 2,
                  .status = 200,
                  .body = AUTHORIZATION("deactivated", "")}},
     .kind = ERROR_CA_REFUSED,
     .text = "CAA says no (caa)",
     .permanent = true},
    {.what = "a valid order with a plain certificate URL",
     .answers = {{.path = "/orders/0",
                  .status = 200,
                  .body = ORDER("valid", "\"certificate\":\"http://x/\",")}},
     .kind = ERROR_PROTOCOL,
     .text = "\"certificate\" is not an https URL"},

    /* ---- what replicas do not know yet ---- */
    {.what = "an authorization that is not there yet",
     .answers = {{.path = "/authz/0-0", .nth = 1, .status = 404, .body = ""}},
     .waited_ms = 500},
    {.what = "a challenge that is not there yet",
     .answers = {{.path = "/chall/0-0",
                  .nth = 1,
                  .status = 404,
                  .body = PROBLEM("malformed", "no such challenge")}},
     .waited_ms = 500},
    {.what = "an order that is not there yet",
     .answers = {{.path = "/orders/0", .nth = 1, .status = 404, .body = PROBLEM("malformed", "")}},
     .waited_ms = 500},
    {.what = "an order that is empty at first, and then accepted",
     .answers = {{.path = "/orders/0", .nth = 1, .status = 200, .body = ""},
                 {.path = "/orders/0", .nth = 1, .status = 202, .body = ""}},
     .waited_ms = 1500},
    {.what = "a finalize that is not there yet",
     .answers = {{.path = "/finalize/0", .nth = 1, .status = 404, .body = ""}},
     .waited_ms = 500},
    {.what = "a certificate that is not there yet",
     .answers = {{.path = "/cert/0-0", .nth = 1, .status = 404, .body = ""},
                 {.path = "/cert/0-0", .nth = 1, .status = 202, .retry_after = "3", .body = ""}},
     .waited_ms = 3500},
    {.what = "a certificate that is not there for long",
     .answers = {{.path = "/cert/0-0", .status = 404, .body = PROBLEM("malformed", "gone?")}},
     .kind = ERROR_CA_BROKEN,
     .text = "asked 6 times: the CA does not take the request: gone? (malformed)",
     .resumable = true,
     .waited_ms = 15500},
    {.what = "an authorization that comes in an hour",
     .answers = {{.path = "/authz/0-0", .status = 202, .retry_after = "3600", .body = ""}},
     .kind = ERROR_CA_BROKEN,
     .text = "asked 1 time: an empty answer (HTTP 202)",
     .retry_in_s = 3600,
     .resumable = true},
};

static void all(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(faults); i++)
        order_fault_check(account_key, &faults[i]);
}

/* An order of an earlier life whose challenge was answered there, and that one replica lacks. */
static void resumed(void)
{
    static const struct fake_answer answers[] = {
        {.path = "/orders/0", .nth = 1, .status = 404, .body = ""},
        {.path = "/chall/0-0",
         .after = true,
         .status = 400,
         .body = PROBLEM("malformed", "already valid")}};
    struct order_run r;

    order_run_start(&r, account_key, &(struct fake_ca_options){.knows_account = true});
    order_run_order(&r, "www.example.com", NULL, NULL);
    CU_ASSERT_EQUAL(order_run_to(&r, ACME_PHASE_CHALLENGE), ACME_IN_FLIGHT);
    order_run_order(&r, "www.example.com", "https://ca.test/orders/0", NULL);
    fake_ca_script(r.ca, answers, ARRAY_LENGTH(answers));
    CU_ASSERT_EQUAL(order_run(&r), ACME_DONE);
    CU_ASSERT_EQUAL(fake_ca_orders(r.ca), 1);
    order_run_finish(&r);
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
    suite = CU_add_suite("acme order replicas", suite_up, suite_down);
    CU_add_test(suite, "all", all);
    CU_add_test(suite, "resumed", resumed);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
