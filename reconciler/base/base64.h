#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "attr.h"
#include "buf.h"
#include "str.h"

/* RFC 4648: §4 with its padding, §5 without. PEM's lines are read by pki/pem. */
enum base64 { BASE64_PLAIN, BASE64_URL };

/* Failure shows as out->failed. */
void base64_append(struct buf *out, enum base64 kind, struct str bytes);
/*
 * Decodes into `out`, which holds BASE64_ROOM of the text's length. The length; -1: other
 * characters, or not such a length. Plain text must be canonical; behind that for URLs padding is
 * passed over.
 */
ptrdiff_t base64_decode(enum base64 kind, struct str text, char *out) MUST_CHECK;
bool base64_is(enum base64 kind, struct str text); /* digits alone, whatever they decode to */
#define BASE64_ROOM(len) ((len) / 4 * 3 + 2)
