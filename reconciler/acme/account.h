#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"
#include "reconciler/base/http.h"

struct acme_directory;

/* Our account at a CA (RFC 8555 §7.3): which of the ways to have one comes next. */
enum acme_account_state {
    ACME_ACCOUNT_FIND,   /* does the CA know this key? (§7.3.1) */
    ACME_ACCOUNT_CREATE, /* it does not */
    ACME_ACCOUNT_SAVE,   /* the URL wants to be stored */
    ACME_ACCOUNT_READY
};

struct acme_account {
    enum acme_account_state state;
    EVP_PKEY *key;
    char *url;       /* NULL before it is known */
    bool is_new;     /* the CA made it now */
    unsigned number; /* grows with every account that is taken */
    char *email;     /* NULL: no contact */
    bool terms_agreed;
    char *eab_kid, *eab_hmac_key; /* NULL: none */
};

/* The newAccount payload for FIND or CREATE. -1 with ERROR_ACCOUNT where the CA wants what we do
 * not have. */
int acme_account_payload(const struct acme_account *a, const struct acme_directory *d,
                         struct buf *out, struct error *e) MUST_CHECK;
/* Moves the state by the answer; -1 with *e where that ends the attempt. */
int acme_account_reply(struct acme_account *a, const struct acme_directory *d,
                       const struct http_reply *reply, int64_t now_ms, struct error *e) MUST_CHECK;
void acme_account_fini(struct acme_account *a); /* wipes the HMAC key */
