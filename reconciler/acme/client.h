#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/acme/step.h"
#include "reconciler/base/attr.h"
#include "reconciler/base/error.h"
#include "reconciler/base/http.h"
#include "reconciler/base/str.h"

/*
 * One CA and our account there: the directory (RFC 8555 §7.1.1), the nonces (§7.2), the account
 * (§7.3). Lives as long as the daemon; orders borrow it.
 */
struct acme_client;
struct ca;

#define ACME_DIRECTORY_AGE_MS 86400000 /* read again after that */
/* An account that is refused for a rate limit, without a time, orders nothing for so long. */
#define ACME_LIMIT_SECONDS 60

struct acme_client_options {
    const struct ca *ca;    /* where (https), with whose e-mail and binding, if any */
    struct str account_url; /* as stored; STR_NONE = not known */
    EVP_PKEY *account_key;  /* P-256, P-384 or RSA; the session takes a reference of its own */
    bool key_is_new;        /* just made: the CA cannot know it */
    bool terms_agreed;
};

/* Copies everything. NULL with *e: a URL that is not https, an unfit key, memory. */
struct acme_client *acme_client_new(const struct acme_client_options *options,
                                    struct error *e) MUST_CHECK;
void acme_client_free(struct acme_client *s); /* its orders go first; NULL is fine */

/*
 * SEND: directory, newNonce or newAccount (more than one may be under way: ask until something else
 * comes); what may pass by itself is sent again a few times (retry.h). SAVE: the account URL is
 * known or has changed. IN_FLIGHT: not ready, a reply is due. WAIT. DONE: ready for orders. FAILED:
 * acme_client_error; every order that needs the session fails with it until acme_client_retry.
 */
enum acme_next acme_client_next(struct acme_client *s, int64_t now_ms, struct acme_step *step);
void acme_client_reply(struct acme_client *s, enum acme_exchange exchange,
                       const struct http_reply *reply, int64_t now_ms);
void acme_client_no_reply(struct acme_client *s, enum acme_exchange exchange,
                          const struct error *why, int64_t now_ms);
void acme_client_saved(struct acme_client *s);

/*
 * Asks for up to `n` nonces ahead of a batch, ACME_NONCES_CIRCULATING at most. Without it the
 * session fetches what its waiting orders lack, to the same bound: every reply brings the next one.
 */
void acme_client_want_nonces(struct acme_client *s, size_t n);
/* After FAILED: begins again with the directory. Not before acme_client_error's retry_at. */
void acme_client_retry(struct acme_client *s);

/* Orders are tried although the CA said that the account wants too many. */
void acme_client_forget_limit(struct acme_client *s);

bool acme_client_is_ready(const struct acme_client *s);
/* NULL while nothing failed. */
const struct error *acme_client_error(const struct acme_client *s);
struct str acme_client_account_url(const struct acme_client *s); /* STR_NONE before it is known */
/* Did the CA make a new account for us (not find one)? */
bool acme_client_account_is_new(const struct acme_client *s);
struct str acme_client_directory_url(const struct acme_client *s);
struct str acme_client_thumbprint(const struct acme_client *s);
size_t acme_client_nonces(const struct acme_client *s); /* in the pool now */
