#pragma once

#include <stdbool.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/str.h"
#include "reconciler/base/value.h"

/*
 * The binary form of a value, for the file backend: everything but what the logical key tells and
 * the chain's bytes, in whose place stands its id. Reading one parses no PEM, JSON or X.509, and
 * copies nothing.
 */

#define PACKED_CHAIN_ID 32

/* Appends to `out`, which should be secret. -1: out of memory or maximum. */
int packed_write(const struct value *v, struct buf *out) MUST_CHECK;
/*
 * The reverse; all strings are views into `packed`. v must hold what value_key_parse got from the
 * key; the types must agree. Bytes behind the known fields are left to newer versions.
 * u.credential.chain stays STR_NONE; a certificate without a chain has a zero chain_id. -1: not
 * such a value.
 */
int packed_read(struct str packed, struct value *v) MUST_CHECK;
/* The chain that a packed credential refers to; false: none, or no credential. */
bool packed_chain_id(struct str packed, unsigned char id[PACKED_CHAIN_ID]);
