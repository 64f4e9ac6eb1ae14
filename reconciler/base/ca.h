#pragma once

#include <stdbool.h>

#include "attr.h"
#include "str.h"

/*
 * A certificate authority as the file and the settings ask for it: where it is, as whom it is
 * spoken to, and what is wanted of it. Its limits are looked up by the directory (core/budget.h).
 */
struct ca {
    struct str directory; /* URL, completed (design 5 "Directory"); "" = none */
    bool apart;           /* the settings name it: its state has keys apart from Kong's */
    struct str api_uri;   /* as the file has it: part of Kong's key for the account */
    struct str email;
    struct str account_key; /* the file's: PEM or JWK; STR_NONE = ours to make */
    struct str eab_kid, eab_hmac_key;
    struct str preferred_chain; /* issuer CN at its end; STR_NONE = any */
};

/* Do both speak to the same place as the same account? */
bool ca_is_same_account(const struct ca *a, const struct ca *b);
/* A copy that owns its texts. -1: out of memory, and *copy is empty. */
int ca_copy(const struct ca *ca, struct ca *copy) MUST_CHECK;
void ca_fini(struct ca *ca); /* of a copy; wipes it */
