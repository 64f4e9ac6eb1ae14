#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/support/order_run.h"

#define PROBLEM(type, detail) \
    "{\"type\":\"urn:ietf:params:acme:error:" type "\",\"detail\":\"" detail "\"}"
#define ORDER(status, more)                                                        \
    "{\"status\":\"" status "\",\"finalize\":\"https://ca.test/finalize/0\"," more \
    "\"authorizations\":[\"https://ca.test/authz/0-0\"]}"
#define AUTHORIZATION(status, challenges) \
    "{\"status\":\"" status "\",\"challenges\":[" challenges "]}"
#define HTTP01(token)                                                                     \
    "{\"type\":\"http-01\",\"url\":\"https://ca.test/chall/0-0\",\"status\":\"pending\"," \
    "\"token\":\"" token "\"}"

/* What a CA does wrong, and how an order ends by it. */
struct order_fault {
    const char *what;
    struct fake_answer answers[2];
    struct fake_ca_options options;
    enum error_kind kind; /* ERROR_NONE: it ends well all the same */
    const char *text;     /* part of the message */
    int64_t retry_in_s;   /* retry_at, from the clock */
    bool permanent, resumable;
    int64_t waited_ms; /* at least */
};

/* Runs an order through it; with alternates, the second one is preferred. */
void order_fault_check(EVP_PKEY *account_key, const struct order_fault *f);
