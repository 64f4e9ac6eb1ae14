#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/base/http.h"

/*
 * An ACME CA without sockets: requests in, replies out. It verifies every signature, nonce and url
 * as RFC 8555 §6 demands, and ends the program on a request that no client should send.
 */
struct fake_ca;

#define FAKE_CA_DIRECTORY "https://ca.test/dir"

struct fake_ca_options {
    EVP_PKEY *account_key;
    unsigned reject_percent; /* of signed requests, with badNonce */
    bool bare_rejection;     /* badNonce without a new nonce */
    uint64_t seed;

    bool knows_account; /* from before */
    bool eab_required, has_terms;

    unsigned authorizations; /* of an order; 0 = 1 */
    bool no_authorizations;  /* the list is left out */
    bool authorizations_valid;
    bool challenge_fails;
    bool hides_failure;     /* the order stays pending when the challenge failed */
    unsigned answers_needed; /* of the challenge; until then it is pending and has an error */
    unsigned polls_pending;  /* so often, after the challenge */
    unsigned polls_processing;
    bool pending_at_once, ready_at_once, valid_at_once;
    const char *retry_after; /* on polled answers */

    unsigned intermediates; /* 0 = 1 */
    bool has_alternates;    /* two more chains: root "Alternate 1" and "Alternate 2" */
    bool wrong_key, wrong_name;
    const char *odd[2]; /* an extension of the leaf: name and OpenSSL's text; NULL: none */
    int64_t not_before; /* 0: an hour ago of the fixed clock 1800000000 */
};

/* Answers instead of the CA: the `nth` request (from 1; 0 = all) for `path`. */
struct fake_answer {
    const char *path;
    unsigned nth;
    int status; /* 0: no reply at all, of kind no_reply */
    enum error_kind no_reply;
    const char *body, *content_type, *retry_after, *location;
    size_t body_len; /* 0: strlen */
    bool no_nonce;
    bool after; /* the CA does its work, then its answer is replaced */
};

struct fake_ca *fake_ca_new(const struct fake_ca_options *options);
void fake_ca_free(struct fake_ca *ca);
struct fake_ca_options *fake_ca_options(struct fake_ca *ca); /* may be changed on the way */
/* Up to 16; the table must live on. */
void fake_ca_script(struct fake_ca *ca, const struct fake_answer *answers, size_t count);

/* True: *reply is valid until the next call. False: *e says how the request went astray. */
bool fake_ca_handle(struct fake_ca *ca, const struct http_request *request,
                    struct http_reply *reply, struct error *e);

/* What was asked, a line each: "POST /order", "HEAD /nonce" ... badNonce answers not counted. */
const char *fake_ca_log(struct fake_ca *ca);
void fake_ca_log_clear(struct fake_ca *ca);
unsigned fake_ca_orders(const struct fake_ca *ca);
unsigned fake_ca_rejections(const struct fake_ca *ca);
unsigned fake_ca_nonce_requests(const struct fake_ca *ca);
/* Forgets account and orders, like a CA that was restarted. */
void fake_ca_forget(struct fake_ca *ca);
/* Is this token's answer published? Set by tests; without it challenges fail. */
void fake_ca_publish(struct fake_ca *ca, struct str token, struct str answer);
