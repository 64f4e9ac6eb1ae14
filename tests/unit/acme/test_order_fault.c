#include <CUnit/Basic.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/pki/key.h"
#include "tests/support/order_fault.h"

/*
 * What a CA, or what lies between, can do wrong: each row ends with the right kind of error, the
 * right time, and a reason that names the cause.
 */

#define HUGE (2u << 20)
#define DEPTH 100000

static EVP_PKEY *account_key;

static const struct order_fault faults[] = {
    /* ---- newOrder ---- */
    {.what = "429 with seconds",
     .answers = {{.path = "/order",
                  .status = 429,
                  .retry_after = "120",
                  .body = PROBLEM("rateLimited", "too many certificates")}},
     .kind = ERROR_RATE_LIMIT,
     .text = "too many certificates",
     .retry_in_s = 120},
    {.what = "429 with a date",
     .answers = {{.path = "/order",
                  .status = 429,
                  .retry_after = "Fri, 15 Jan 2027 09:00:00 GMT",
                  .body = "slow down"}},
     .kind = ERROR_RATE_LIMIT,
     .text = "429",
     .retry_in_s = 3600},
    {.what = "429 with a negative time",
     .answers = {{.path = "/order", .status = 429, .retry_after = "-5", .body = ""}},
     .kind = ERROR_RATE_LIMIT},
    {.what = "429 without",
     .answers = {{.path = "/order", .status = 429, .body = PROBLEM("rateLimited", "x")}},
     .kind = ERROR_RATE_LIMIT},
    {.what = "429 with 10^12",
     .answers = {{.path = "/order", .status = 429, .retry_after = "1000000000000", .body = ""}},
     .kind = ERROR_RATE_LIMIT,
     .retry_in_s = (int64_t)100 * 365 * 86400},
    {.what = "503 with seconds",
     .answers =
         {{.path = "/order", .status = 503, .retry_after = "7", .body = "<html>busy</html>"}},
     .kind = ERROR_CA_BROKEN,
     .text = "503",
     .retry_in_s = 7},
    {.what = "500 HTML",
     .answers = {{.path = "/order",
                  .status = 500,
                  .content_type = "text/html",
                  .body = "<html><h1>Oops</h1></html>"}},
     .kind = ERROR_CA_BROKEN,
     .text = "creating the order"},
    {.what = "rejected identifier",
     .answers = {{.path = "/order",
                  .status = 400,
                  .body = PROBLEM("rejectedIdentifier", "policy forbids")}},
     .kind = ERROR_CA_REFUSED,
     .text = "policy forbids (rejectedIdentifier)",
     .permanent = true},
    {.what = "unsupported identifier in a compound problem",
     .answers = {{.path = "/order",
                  .status = 403,
                  .body = "{\"type\":\"urn:ietf:params:acme:error:compound\",\"detail\":\"two\","
                          "\"subproblems\":[{\"type\":\"urn:ietf:params:acme:error:"
                          "unsupportedIdentifier\",\"detail\":\"no IPs\",\"identifier\":{\"type\":"
                          "\"ip\",\"value\":\"192.0.2.1\"}}]}"}},
     .kind = ERROR_CA_REFUSED,
     .text = "192.0.2.1: no IPs",
     .permanent = true},
    {.what = "user action required",
     .answers = {{.path = "/order",
                  .status = 403,
                  .body = PROBLEM("userActionRequired", "new terms")}},
     .kind = ERROR_ACCOUNT,
     .text = "new terms",
     .permanent = true},
    {.what = "no answer to newOrder is not repeated",
     .answers = {{.path = "/order", .no_reply = ERROR_NETWORK}},
     .kind = ERROR_NETWORK,
     .text = "creating the order"},
    {.what = "TLS failure", /* the transport calls it network */
     .answers = {{.path = "/order", .no_reply = ERROR_TIMEOUT}},
     .kind = ERROR_TIMEOUT},
    {.what = "newOrder without Location",
     .answers = {{.path = "/order", .status = 201, .body = ORDER("pending", "")}},
     .kind = ERROR_PROTOCOL,
     .text = "no usable URL of the order"},
    {.what = "newOrder with a plain http Location",
     .answers = {{.path = "/order",
                  .status = 201,
                  .location = "http://ca.test/orders/0",
                  .body = ORDER("pending", "")}},
     .kind = ERROR_PROTOCOL,
     .text = "no usable URL of the order"},
    {.what = "newOrder with a path for a Location",
     .answers = {{.path = "/order",
                  .status = 201,
                  .location = "/orders/0",
                  .after = true,
                  .body = ORDER("pending", "")}}},
    {.what = "an empty 201 that names the order",
     .answers = {{.path = "/order",
                  .status = 201,
                  .after = true,
                  .location = "https://ca.test/orders/0",
                  .body = ""}}},
    {.what = "a 201 cut in the middle",
     .answers = {{.path = "/order",
                  .status = 201,
                  .after = true,
                  .location = "https://ca.test/orders/0",
                  .body = "{\"status\":\"pend"}}},
    {.what = "a redirect",
     .answers =
         {{.path = "/order", .status = 307, .location = "https://ca.test/other", .body = ""}},
     .kind = ERROR_PROTOCOL,
     .text = "307"},
    {.what = "valid at once, for a key that is not ours",
     .options = {.valid_at_once = true},
     .kind = ERROR_PROTOCOL,
     .text = "another key"},

    /* ---- authorizations ---- */
    {.what = "502 once on an authorization",
     .answers = {{.path = "/authz/0-0", .nth = 1, .status = 502, .body = "bad gateway"}}},
    {.what = "502 for good",
     .answers = {{.path = "/authz/0-0", .status = 502, .body = "bad gateway"}},
     .kind = ERROR_CA_BROKEN,
     .text = "reading the authorization",
     .resumable = true},
    {.what = "503 for a few seconds is waited for",
     .answers = {{.path = "/authz/0-0", .nth = 1, .status = 503, .retry_after = "7", .body = ""}},
     .waited_ms = 7000},
    {.what = "429 for a few seconds is waited for",
     .answers = {{.path = "/finalize/0", .nth = 1, .status = 429, .retry_after = "30", .body = ""}},
     .waited_ms = 30000},
    {.what = "429 without a time is not tried again",
     .answers = {{.path = "/authz/0-0", .status = 429, .body = ""}},
     .kind = ERROR_RATE_LIMIT,
     .resumable = true},
    {.what = "503 that says now is not asked at once",
     .answers = {{.path = "/authz/0-0", .nth = 1, .status = 503, .retry_after = "0", .body = ""}},
     .waited_ms = 1000},
    {.what = "503 with Retry-After is not tried again at once",
     .answers = {{.path = "/authz/0-0", .status = 503, .retry_after = "60", .body = ""}},
     .kind = ERROR_CA_BROKEN,
     .retry_in_s = 60,
     .resumable = true},
    {.what = "reset connection, once",
     .answers = {{.path = "/authz/0-0", .nth = 1, .no_reply = ERROR_NETWORK}}},
    {.what = "an empty 200, once",
     .answers = {{.path = "/authz/0-0", .nth = 1, .status = 200, .body = ""}}},
    {.what = "an empty 200 for good",
     .answers = {{.path = "/authz/0-0", .status = 200, .body = ""}},
     .kind = ERROR_CA_BROKEN,
     .text = "reading the authorization: asked 6 times: an empty answer (HTTP 200)",
     .resumable = true,
     .waited_ms = 15500},
    {.what = "a token that climbs",
     .answers = {{.path = "/authz/0-0",
                  .status = 200,
                  .body = AUTHORIZATION("pending", HTTP01("/../../etc/passwd"))}},
     .kind = ERROR_PROTOCOL,
     .text = "token"},
    {.what = "an empty token",
     .answers = {{.path = "/authz/0-0",
                  .status = 200,
                  .body = AUTHORIZATION("pending", HTTP01(""))}},
     .kind = ERROR_PROTOCOL,
     .text = "token"},
    {.what = "a NUL in a token",
     .answers = {{.path = "/authz/0-0",
                  .status = 200,
                  .body = AUTHORIZATION("pending", HTTP01("ab\\u0000cd"))}},
     .kind = ERROR_PROTOCOL,
     .text = "NUL"},
    {.what = "no http-01",
     .answers = {{.path = "/authz/0-0",
                  .nth = 1,
                  .status = 200,
                  .body = AUTHORIZATION("pending", "{\"type\":\"dns-01\"},{\"type\":\"new-99\"}")}},
     .kind = ERROR_CA_REFUSED,
     .text = "does not offer http-01 for this name, but dns-01",
     .permanent = true},
    {.what = "an authorization that failed before",
     .answers = {{.path = "/authz/0-0",
                  .status = 200,
                  .body = AUTHORIZATION("invalid", "{\"type\":\"http-01\",\"status\":\"invalid\","
                                                   "\"url\":\"https://ca.test/x\",\"token\":\"t\","
                                                   "\"error\":" PROBLEM("dns", "NXDOMAIN") "}")}},
     .kind = ERROR_CHALLENGE,
     .text = "NXDOMAIN (dns)"},
    {.what = "an expired authorization",
     .answers = {{.path = "/authz/0-0", .status = 200, .body = AUTHORIZATION("expired", "")}},
     .kind = ERROR_CHALLENGE,
     .text = "expired"},

    /* ---- challenge and validation ---- */
    {.what = "a challenge that counts as answered already",
     .options = {.polls_pending = 1},
     .answers = {{.path = "/chall/0-0",
                  .after = true,
                  .status = 400,
                  .body = PROBLEM("malformed", "already valid")}}},
    {.what = "the challenge fails",
     .options = {.challenge_fails = true},
     .kind = ERROR_CHALLENGE,
     .text = "Invalid response from http://x: 404 (unauthorized)"},
    {.what = "the challenge fails, and the order stays pending",
     .options = {.challenge_fails = true, .hides_failure = true},
     .kind = ERROR_CHALLENGE,
     .text = "Invalid response from http://x: 404 (unauthorized)"},
    {.what = "an invalid order with an error of its own, authorizations gone",
     .answers = {{.path = "/orders/0",
                  .status = 200,
                  .body = ORDER("invalid", "\"error\":" PROBLEM("caa", "CAA says no") ",")},
                 {.path = "/authz/0-0", .nth = 2, .status = 404, .body = ""}},
     .kind = ERROR_CA_REFUSED,
     .text = "CAA says no (caa)",
     .permanent = true},
    {.what = "the CA could not connect at first, and is asked to try again",
     .options = {.answers_needed = 3},
     .waited_ms = 4500},
    {.what = "the CA never can connect, and does not give up",
     .options = {.answers_needed = 100},
     .kind = ERROR_TIMEOUT,
     .text = "within 300 seconds; it says: the CA could not connect to the name: nobody there "
             "(connection)",
     .resumable = true},
    {.what = "an order that goes wrong while it is being issued",
     .answers = {{.path = "/orders/0",
                  .status = 200,
                  .body = ORDER("processing", "\"error\":" PROBLEM("caa", "SERVFAIL") ",")}},
     .kind = ERROR_TIMEOUT,
     .text = "issuance: the CA did not come to an end within 300 seconds; it says: a CAA record "
             "forbids this CA: SERVFAIL (caa)",
     .resumable = true},
    {.what = "the answer to the challenge gets lost",
     .answers = {{.path = "/chall/0-0", .nth = 1, .no_reply = ERROR_TIMEOUT, .after = true},
                 {.path = "/chall/0-0",
                  .nth = 2,
                  .status = 400,
                  .body = PROBLEM("malformed", "not pending")}}},
    {.what = "the challenge is refused",
     .answers = {{.path = "/chall/0-0", .status = 400, .body = PROBLEM("malformed", "nonsense")}},
     .kind = ERROR_PROTOCOL,
     .text = "answering the challenge: the CA does not take the request: nonsense (malformed)"},
    {.what = "a status nobody knows, for good",
     .answers = {{.path = "/orders/0", .status = 200, .body = ORDER("pondering", "")}},
     .kind = ERROR_TIMEOUT,
     .text = "300 seconds",
     .resumable = true},
    {.what = "pending for ever",
     .options = {.polls_pending = 100000},
     .kind = ERROR_TIMEOUT,
     .text = "validation",
     .resumable = true},
    {.what = "an order without status",
     .answers = {{.path = "/orders/0", .status = 200, .body = "{}"}},
     .kind = ERROR_PROTOCOL,
     .text = "without status"},

    /* ---- finalize and issuance ---- */
    {.what = "bad CSR",
     .answers = {{.path = "/finalize/0", .status = 400, .body = PROBLEM("badCSR", "weak key")}},
     .kind = ERROR_CA_REFUSED,
     .text = "weak key (badCSR)",
     .permanent = true},
    {.what = "not ready after all, once",
     .answers = {{.path = "/finalize/0",
                  .nth = 1,
                  .status = 403,
                  .body = PROBLEM("orderNotReady", "later")}}},
    {.what = "never ready",
     .answers = {{.path = "/finalize/0", .status = 403, .body = PROBLEM("orderNotReady", "later")}},
     .kind = ERROR_PROTOCOL,
     .text = "leaves the order ready"},
    {.what = "the answer to finalize gets lost",
     .answers = {{.path = "/finalize/0", .nth = 1, .no_reply = ERROR_NETWORK, .after = true}}},
    {.what = "finalize itself gets lost",
     .answers = {{.path = "/finalize/0", .nth = 1, .no_reply = ERROR_NETWORK}}},
    {.what = "an empty answer to finalize",
     .answers = {{.path = "/finalize/0", .nth = 1, .status = 200, .body = "", .after = true}}},
    {.what = "finalize at another host, plain",
     .answers = {{.path = "/orders/0",
                  .status = 200,
                  .body = "{\"status\":\"ready\",\"finalize\":\"http://evil.test/f\"}"}},
     .kind = ERROR_PROTOCOL,
     .text = "finalize"},
    {.what = "finalize at a file",
     .answers = {{.path = "/orders/0",
                  .status = 200,
                  .body = "{\"status\":\"ready\",\"finalize\":\"file:///etc/passwd\"}"}},
     .kind = ERROR_PROTOCOL,
     .text = "finalize"},
    {.what = "processing for ever",
     .options = {.polls_processing = 100000},
     .kind = ERROR_TIMEOUT,
     .text = "issuance",
     .resumable = true},
    {.what = "an account that lost its rights",
     .answers = {{.path = "/finalize/0", .status = 403, .body = PROBLEM("unauthorized", "no")}},
     .kind = ERROR_ACCOUNT,
     .resumable = true},

    /* ---- download ---- */
    {.what = "another key",
     .options = {.wrong_key = true},
     .kind = ERROR_PROTOCOL,
     .text = "downloading the certificate: the issued certificate is for another key"},
    {.what = "another name",
     .options = {.wrong_name = true},
     .kind = ERROR_PROTOCOL,
     .text = "does not cover the name"},
    {.what = "one of a CA",
     .options = {.odd = {"basicConstraints", "critical,CA:TRUE"}},
     .kind = ERROR_PROTOCOL,
     .text = "downloading the certificate: the issued certificate is one of a CA"},
    {.what = "a chain of 12",
     .options = {.intermediates = 11},
     .kind = ERROR_PROTOCOL,
     .text = "more than 11 certificates"},
    {.what = "a certificate that never comes",
     .answers = {{.path = "/cert/0-0",
                  .status = 202,
                  .body = "",
                  .content_type = "application/pem-certificate-chain"}},
     .kind = ERROR_CA_BROKEN,
     .text = "downloading the certificate: asked 6 times: an empty answer (HTTP 202)",
     .resumable = true},
    {.what = "a chain of none",
     .answers = {{.path = "/cert/0-0",
                  .status = 200,
                  .body = "\n",
                  .content_type = "application/pem-certificate-chain"}},
     .kind = ERROR_PROTOCOL,
     .text = "no certificate"},
    {.what = "a private key in the chain",
     .answers = {{.path = "/cert/0-0",
                  .status = 200,
                  .body = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}},
     .kind = ERROR_PROTOCOL,
     .text = "something else"},
    {.what = "garbage in a certificate",
     .answers = {{.path = "/cert/0-0",
                  .status = 200,
                  .body = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}},
     .kind = ERROR_PROTOCOL,
     .text = "not a certificate"},
    {.what = "a page instead of a chain",
     .answers = {{.path = "/cert/0-0",
                  .status = 200,
                  .content_type = "text/html; charset=utf-8",
                  .body = "<html>"}},
     .kind = ERROR_PROTOCOL,
     .text = "media type"},
    {.what = "a download cut short by a limit of ours",
     .answers = {{.path = "/cert/0-0", .no_reply = ERROR_LIMIT}},
     .kind = ERROR_LIMIT},
    {.what = "a download that fails twice",
     .answers = {{.path = "/cert/0-0", .nth = 1, .no_reply = ERROR_NETWORK},
                 {.path = "/cert/0-0", .nth = 1, .status = 500, .body = ""}}},
    {.what = "alternates that fail are no fault",
     .answers = {{.path = "/cert/0-1", .status = 500, .body = ""},
                 {.path = "/cert/0-2", .no_reply = ERROR_TIMEOUT}},
     .options = {.has_alternates = true}},

    /* ---- nonces ---- */
    {.what = "answers without nonces",
     .answers = {{.path = "/order",
                  .status = 201,
                  .no_nonce = true,
                  .after = true,
                  .location = "https://ca.test/orders/0",
                  .body = ORDER("pending", "")},
                 {.path = "/authz/0-0", .nth = 1, .status = 502, .no_nonce = true, .body = ""}}},
};

static void all_faults(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(faults); i++)
        order_fault_check(account_key, &faults[i]);
}

/* Bodies that are too big to write down. */
static void big_bodies(void)
{
    static char deep[2 * DEPTH + 64], huge[HUGE + 1], words[HUGE + 1];
    struct order_fault rows[] = {
        {.what = "deep JSON",
         .answers = {{.path = "/orders/0", .status = 200, .body = deep}},
         .kind = ERROR_PROTOCOL,
         .text = "nested too deep"},
        {.what = "a long body",
         .answers = {{.path = "/orders/0", .status = 200, .body = huge}},
         .kind = ERROR_PROTOCOL,
         .text = "too long"},
        {.what = "a problem of a megabyte",
         .answers = {{.path = "/order", .status = 400, .body = words}},
         .kind = ERROR_CA_REFUSED,
         .text = "400"},
        {.what = "a NUL byte",
         .answers = {{.path = "/orders/0",
                      .status = 200,
                      .body = "{\"status\":\"re\0ady\"}",
                      .body_len = 19}},
         .kind = ERROR_PROTOCOL,
         .text = "NUL"},
    };
    int len;

    memset(deep, '[', DEPTH);
    memset(deep + DEPTH, ']', DEPTH);
    memset(huge, ' ', HUGE);
    len = snprintf(words, sizeof(words), "{\"type\":\"about:blank\",\"detail\":\"");
    memset(words + len, 'x', HUGE / 2);
    memcpy(words + len + HUGE / 2, "\"}", 3);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        order_fault_check(account_key, &rows[i]);
}

/* As they are: whoever prints them escapes them. */
static void words_are_kept(void)
{
    static const struct fake_answer answers[] = {
        {.path = "/order",
         .status = 400,
         .body = "{\"type\":\"urn:ietf:params:acme:error:malformed\",\"detail\":\"a\\u001b[31m"
                 "b\\nc\\u202ed\"}"}};
    struct order_run r;

    order_run_start(&r, account_key, &(struct fake_ca_options){.knows_account = true});
    fake_ca_script(r.ca, answers, 1);
    order_run_order(&r, "www.example.com", NULL, NULL);
    CU_ASSERT_EQUAL(order_run(&r), ACME_FAILED);
    CU_ASSERT_PTR_NOT_NULL(strstr(acme_order_error(r.order)->message, "a\x1b[31mb\nc\xe2\x80\xae"
                                                                      "d (malformed)"));
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
    suite = CU_add_suite("acme order faults", suite_up, suite_down);
    CU_add_test(suite, "all faults", all_faults);
    CU_add_test(suite, "big bodies", big_bodies);
    CU_add_test(suite, "words are kept", words_are_kept);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
