#ifndef ACME_SESSION_INTERNAL_H
#define ACME_SESSION_INTERNAL_H

#include <openssl/types.h>

#include "reconciler/base/str.h"

/* What requests and orders need of their session; for acme/ alone. */
struct acme_session;
struct acme_nonces;

struct acme_nonces *acme_session_pool(struct acme_session *s);
EVP_PKEY *acme_session_key(struct acme_session *s);
struct str acme_session_new_order_url(const struct acme_session *s);
/*
 * The CA does not know the account any more: register again. `kid` is the account that it refused;
 * nothing happens if another has taken its place already.
 */
void acme_session_lose_account(struct acme_session *s, struct str kid);

#endif
