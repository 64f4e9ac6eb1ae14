#ifndef ACME_SESSION_H
#define ACME_SESSION_H

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
struct acme_session;

#define ACME_DIRECTORY_AGE_MS 86400000 /* read again after that */
/* An account that is refused for a rate limit, without a time, orders nothing for so long. */
#define ACME_LIMIT_SECONDS 60

struct acme_session_options {
    struct str directory_url; /* https */
    struct str account_url;   /* as stored; STR_NONE = not known */
    EVP_PKEY *account_key;    /* P-256, P-384 or RSA; the session takes a reference of its own */
    bool key_is_new;          /* just made: the CA cannot know it */
    struct str email;         /* contact; STR_NONE or empty = none */
    bool terms_agreed;
    struct str eab_kid, eab_hmac_key; /* external account binding; STR_NONE = none */
};

/* Copies everything. NULL with *e: a URL that is not https, an unfit key, memory. */
struct acme_session *acme_session_new(const struct acme_session_options *options,
                                      struct error *e) MUST_CHECK;
void acme_session_free(struct acme_session *s); /* its orders go first; NULL is fine */

/*
 * SEND: directory, newNonce or newAccount (more than one may be under way: ask until something else
 * comes); what may pass by itself is sent again a few times (retry.h). SAVE: the account URL is
 * known or has changed. IN_FLIGHT: not ready, a reply is due. WAIT. DONE: ready for orders. FAILED:
 * acme_session_error; every order that needs the session fails with it until acme_session_retry.
 */
enum acme_next acme_session_next(struct acme_session *s, int64_t now_ms, struct acme_step *step);
void acme_session_reply(struct acme_session *s, enum acme_exchange exchange,
                        const struct http_reply *reply, int64_t now_ms);
void acme_session_no_reply(struct acme_session *s, enum acme_exchange exchange,
                           const struct error *why, int64_t now_ms);
void acme_session_saved(struct acme_session *s);

/*
 * Asks for up to `n` nonces ahead of a batch, ACME_NONCES_CIRCULATING at most. Without it the
 * session fetches what its waiting orders lack, to the same bound: every reply brings the next one.
 */
void acme_session_want_nonces(struct acme_session *s, size_t n);
/* After FAILED: begins again with the directory. Not before acme_session_error's retry_at. */
void acme_session_retry(struct acme_session *s);

/* Orders are tried although the CA said that the account wants too many. */
void acme_session_forget_limit(struct acme_session *s);

bool acme_session_is_ready(const struct acme_session *s);
/* NULL while nothing failed. */
const struct error *acme_session_error(const struct acme_session *s);
struct str acme_session_account_url(const struct acme_session *s); /* STR_NONE before it is known */
/* Did the CA make a new account for us (not find one)? */
bool acme_session_account_is_new(const struct acme_session *s);
struct str acme_session_directory_url(const struct acme_session *s);
struct str acme_session_thumbprint(const struct acme_session *s);
size_t acme_session_nonces(const struct acme_session *s); /* in the pool now */

#endif
