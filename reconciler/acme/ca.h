#pragma once

#include "reconciler/base/ca.h"

/* What we refuse of a CA by ourselves, whatever it would say: it is asked nothing then. Pure. */
enum acme_ca_fault {
    ACME_CA_FINE,
    ACME_CA_EMAIL,   /* blanks, control characters, mailto:, too long */
    ACME_CA_URL,     /* directory or api_uri: not https, no host, characters that no URL has */
    ACME_CA_KEY,     /* the account key is none that can sign */
    ACME_CA_BINDING, /* the external account's HMAC key is not base64url */
    ACME_CA_FAULT_COUNT
};

enum acme_ca_fault acme_ca_check(const struct ca *ca);
