#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/error.h"
#include "reconciler/base/http.h"

/* A CA's directory (RFC 8555 §7.1.1), kept. Zeroed is "not read yet". */
struct acme_directory {
    char *new_nonce, *new_order;
    char *new_account;      /* NULL: only who has an account can order */
    char *terms_of_service; /* NULL where the CA names none */
    bool external_account_required;
};

/* Replaces what `d` holds; on failure it stays as it was. */
int acme_directory_read(struct acme_directory *d, const struct http_reply *reply, int64_t now_ms,
                        struct error *e) MUST_CHECK;
bool acme_directory_is_read(const struct acme_directory *d);
void acme_directory_fini(struct acme_directory *d);
