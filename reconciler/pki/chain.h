#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/*
 * The issuer certificates above a leaf: DER, one behind the other, in sending order. Interned in a
 * pool, so that equal chains are one object and chain_bytes gives one pointer. The pool is locked
 * inside: chains may be taken and dropped by several threads.
 */

#define CHAIN_CERTIFICATES_MAX 10
#define CHAIN_BYTES_MAX ((size_t)128 << 10)

struct chain;
struct chain_pool;

struct chain_pool *chain_pool_new(void) MUST_CHECK; /* NULL when memory is out */
/* Chains that are still referenced live on. NULL is fine. */
void chain_pool_free(struct chain_pool *pool);
size_t chain_pool_count(struct chain_pool *pool);

/*
 * The chain with these bytes, one reference for the caller. NULL with *e: not a row of DER elements
 * (ERROR_CRYPTO), too long (ERROR_LIMIT), memory. No bytes: NULL with e->kind ERROR_NONE
 * (the pool may be NULL then).
 */
const struct chain *chain_intern(struct chain_pool *pool, struct str bytes,
                                 struct error *e) MUST_CHECK;
void chain_unref(const struct chain *chain);       /* NULL is fine in all of these */
struct str chain_bytes(const struct chain *chain); /* empty for NULL */
/* The issuer CN of its last certificate, raw bytes; STR_NONE where it names none. */
struct str chain_top_issuer(const struct chain *chain);
/* Takes the first DER element off *rest; false where none is left or the bytes are broken. */
bool chain_next(struct str *rest, struct str *der);
