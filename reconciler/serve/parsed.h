#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/*
 * Parsed credentials, about 8 KB each, for as many as there are slots: filled at first handshake,
 * the least used leave (CLOCK). Found by the leaf's bytes, so they outlive generations and merges.
 * Chains are parsed once, however many leaves stand under them.
 */
struct parsed_cache;
struct segment_credential;
struct stack_st_X509;

#define PARSED_SLOTS_MIN 16
#define PARSED_SLOTS_MAX (1 << 20)
#define PARSED_CHAIN_MAX 10 /* certificates above a leaf */

/* What SSL_use_cert_and_key wants; the cache's, valid until the next parsed_get. */
struct parsed {
    X509 *leaf;
    EVP_PKEY *key;
    struct stack_st_X509 *chain; /* NULL = none */
    bool was_there;              /* a hit */
};

/* `slots` is held between PARSED_SLOTS_MIN and _MAX. NULL when memory is out. */
struct parsed_cache *parsed_cache_new(size_t slots) MUST_CHECK;
void parsed_cache_free(struct parsed_cache *c); /* NULL is fine */
/*
 * `name` is what the credential was found under. 0, or -1 with *e: ERROR_CRYPTO for what libcrypto
 * refuses.
 */
int parsed_get(struct parsed_cache *c, struct str name, const struct segment_credential *credential,
               struct parsed *parsed, struct error *e) MUST_CHECK;
/* Drops, key and all, what `is_served` says is served no more under the name it was first got by.
 */
void parsed_forget(struct parsed_cache *c,
                   bool (*is_served)(const void *context, struct str name, struct str leaf),
                   const void *context);
size_t parsed_count(const struct parsed_cache *c);
size_t parsed_chain_count(const struct parsed_cache *c);
