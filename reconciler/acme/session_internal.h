#ifndef ACME_SESSION_INTERNAL_H
#define ACME_SESSION_INTERNAL_H

#include <openssl/types.h>

#include "reconciler/acme/problem.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/* What requests and orders need of their session; for acme/ alone. */
struct acme_session;
struct acme_nonces;

struct acme_nonces *acme_session_pool(struct acme_session *s);
EVP_PKEY *acme_session_key(struct acme_session *s);
struct str acme_session_new_order_url(const struct acme_session *s);
/* Counts the accounts that this session has had; a request remembers which one it was signed for.
 */
unsigned acme_session_account_number(const struct acme_session *s);
/*
 * The CA does not know that account any more: register again. Nothing happens if another has taken
 * its place already.
 */
void acme_session_lose_account(struct acme_session *s, unsigned number);

/*
 * An order for `name` was refused for a rate limit. Where that is the account's (the CA says so, or
 * it says nothing of whose it is, to two names), *e becomes ERROR_ACCOUNT_LIMIT, with a retry_at in
 * any case, and whoever is to create an order heeds acme_session_limit until then.
 */
void acme_session_meet_limit(struct acme_session *s, struct str name, enum acme_limit_scope scope,
                             struct error *e, int64_t now_ms);
/* The CA has made an order: what it refused before was not the account's. */
void acme_session_order_made(struct acme_session *s);
/* That, while it lasts; else NULL. */
const struct error *acme_session_limit(const struct acme_session *s, int64_t now_ms);

#endif
