#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/str.h"

/*
 * DER elements (X.690 §8.1, §10.1): one-byte tags, definite lengths in their shortest form.
 * Anything else is broken. A cursor is a view that shrinks from its front.
 */
enum der_tag {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31
};
#define DER_CONTEXT(n) (0x80 | (n))     /* [n] IMPLICIT of a primitive */
#define DER_CONSTRUCTED(n) (0xa0 | (n)) /* [n] EXPLICIT, or IMPLICIT of a constructed one */

struct der_element {
    unsigned char tag;
    struct str content;
    struct str whole; /* header included */
};

/* Takes the next element off the cursor; false (cursor untouched) at its end or if it is broken. */
bool der_next(struct str *cursor, struct der_element *element);
/* The next element must have this tag; its content. */
bool der_take(struct str *cursor, unsigned char tag, struct str *content);
/* The same if the next one has this tag; *content STR_NONE and true if it has another or there is
 * none. */
bool der_take_optional(struct str *cursor, unsigned char tag, struct str *content);
/* A positive INTEGER without its sign byte; false for a negative one. */
bool der_take_unsigned(struct str *cursor, struct str *number);
/* A BIT STRING of whole bytes. */
bool der_take_bits(struct str *cursor, struct str *bytes);

/* Writing: a header for `len` bytes of content, or header and content. Failure shows as
 * out->failed. */
void der_header(struct buf *out, unsigned char tag, size_t len);
size_t der_header_size(size_t len);
void der_put(struct buf *out, unsigned char tag, struct str content);
