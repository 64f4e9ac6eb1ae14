#pragma once

#include <openssl/types.h>

#include "reconciler/acme/problem.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/* What requests and orders need of their session; for acme/ alone. */
struct acme_client;
struct acme_nonces;

struct acme_nonces *acme_client_pool(struct acme_client *s);
EVP_PKEY *acme_client_key(struct acme_client *s);
struct str acme_client_new_order_url(const struct acme_client *s);
/* Counts the accounts that this session has had; a request remembers which one it was signed for.
 */
unsigned acme_client_account_number(const struct acme_client *s);
/*
 * The CA does not know that account any more: register again. Nothing happens if another has taken
 * its place already.
 */
void acme_client_lose_account(struct acme_client *s, unsigned number);

/*
 * An order for `name` was refused for a rate limit. Where that is the account's (the CA says so, or
 * it says nothing of whose it is, to two names), *e becomes ERROR_ACCOUNT_LIMIT, with a retry_at in
 * any case, and whoever is to create an order heeds acme_client_limit until then.
 */
void acme_client_meet_limit(struct acme_client *s, struct str name, enum acme_limit_scope scope,
                             struct error *e, int64_t now_ms);
/* The CA has made an order: what it refused before was not the account's. */
void acme_client_order_made(struct acme_client *s);
/* That, while it lasts; else NULL. */
const struct error *acme_client_limit(const struct acme_client *s, int64_t now_ms);
