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
/* Counts the accounts that this session has had; a request remembers which one it was signed for.
 */
unsigned acme_session_account_number(const struct acme_session *s);
/*
 * The CA does not know that account any more: register again. Nothing happens if another has taken
 * its place already.
 */
void acme_session_lose_account(struct acme_session *s, unsigned number);

#endif
