#pragma once

#include <stdbool.h>

#include "attr.h"
#include "str.h"

struct budget_limits;

/*
 * A certificate authority as the file and the settings ask for it: where it is, as whom it is
 * spoken to, what is wanted of it, and what it lets us do. Who is trusted to speak for it is the
 * HTTP client's to say, for all of them (io/httpc.h).
 */
struct ca {
    struct str directory; /* URL, completed (design 5 "Directory"); "" = none */
    bool apart;           /* the settings name it: its state has keys apart from Kong's */
    struct str api_uri;   /* as the file has it: part of Kong's key for the account */
    struct str email;
    struct str account_key; /* the file's: PEM or JWK; STR_NONE = ours to make */
    struct str eab_kid, eab_hmac_key;
    struct str preferred_chain; /* issuer CN at its end; STR_NONE = any */
    /* The configuration's; a copy has neither. */
    const struct budget_limits *limits; /* core/budget.h; NULL: none are known */
    const struct ca *fallback;          /* whose certificates are as good; NULL: nobody's */
};

/*
 * Did it issue what comes from this directory, or whom it falls back to? "", as Kong's records have
 * it, counts as its own: Kong's keys hold only what the file's api_uri issued. So does everything
 * where there is no CA (NULL, or without a directory).
 */
bool ca_has_issued(const struct ca *ca, struct str directory);

/* Do both speak to the same place as the same account? */
bool ca_is_same_account(const struct ca *a, const struct ca *b);
/* A copy that owns its texts. -1: out of memory, and *copy is empty. */
int ca_copy(const struct ca *ca, struct ca *copy) MUST_CHECK;
void ca_fini(struct ca *ca); /* of a copy; wipes it */
