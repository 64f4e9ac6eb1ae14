#ifndef PKI_PEM_H
#define PKI_PEM_H

#include <stddef.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/* PEM blocks (RFC 7468), found and decoded without copies of the text and without OpenSSL's BIOs.
 */

#define PEM_LABEL_MAX 64

/* One block; views into the text. */
struct pem_block {
    struct str label;  /* "CERTIFICATE", "EC PRIVATE KEY" ... */
    struct str base64; /* what lies between the lines, line ends and RFC 1421 headers included */
};

/*
 * The next block at or after *at, which moves behind it. Text between blocks is skipped, as
 * everyone's reader does. 1 found, 0 no more, -1 with ERROR_SYNTAX: a block without its end, or
 * with another's.
 */
int pem_next(struct str text, size_t *at, struct pem_block *block, struct error *e) MUST_CHECK;
/* Bytes that decoding can give at most. */
size_t pem_size_max(const struct pem_block *block);
/*
 * Base64 with blanks and line ends into `out` (pem_size_max bytes of room); its length, or -1 with
 * ERROR_SYNTAX on any other byte or wrong padding; encrypted blocks (RFC 1421 headers) are
 * ERROR_INVALID.
 */
ptrdiff_t pem_decode(const struct pem_block *block, unsigned char *out, struct error *e) MUST_CHECK;
/* Appends a block with lines of 64 characters. Failure shows as out->failed. */
void pem_append(struct buf *out, const char *label, struct str der);

#endif
