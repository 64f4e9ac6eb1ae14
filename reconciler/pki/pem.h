#pragma once

#include <stddef.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/*
 * PEM blocks (RFC 7468), found and decoded without copies of the text and without OpenSSL's BIOs:
 * the one reader of the whole program, for the file, the settings, storage and what a CA answers.
 * It takes what OpenSSL's PEM_read_bio takes: a UTF-8 BOM, CRLF, blanks behind the lines, text and
 * other blocks around. What it passes over it counts, so that whoever asks can tell.
 */

#define PEM_LABEL_MAX 64

/* What a reader looks for: a table says which labels are of a kind. */
enum pem_kind { PEM_CERTIFICATE, PEM_PRIVATE_KEY, PEM_PUBLIC_KEY };

/* Begin with PEM_READER(kind, text). */
struct pem_reader {
    enum pem_kind kind;
    struct str text;
    size_t at; /* behind the last block that was looked at */
    /*
     * Blocks of other kinds, and BEGIN marks that do not stand alone in their line. The first one's
     * label; STR_NONE: such a mark.
     */
    size_t skipped;
    struct str skipped_label;
};
#define PEM_READER(what, in) ((struct pem_reader){.kind = (what), .text = (in)})

/* One block; views into the text. */
struct pem_block {
    struct str label;  /* "CERTIFICATE", "EC PRIVATE KEY" ... */
    struct str base64; /* what lies between the lines, line ends and RFC 1421 headers included */
};

/*
 * The next block of the reader's kind. 1 found, 0 no more, -1 with ERROR_SYNTAX: a block, of
 * whatever kind, without its end or with another's.
 */
int pem_next(struct pem_reader *r, struct pem_block *block, struct error *e) MUST_CHECK;
/* The same, and its bytes appended to `der`; -1 with ERROR_LIMIT: it has no room for them. */
int pem_read(struct pem_reader *r, struct buf *der, struct error *e) MUST_CHECK;
/* pem_read for the first block: none is ERROR_CRYPTO. */
int pem_read_first(struct pem_reader *r, struct buf *der, struct pem_block *block,
                   struct error *e) MUST_CHECK;
/* "'EC PARAMETERS' is passed over, which is no private key"; nothing where nothing was skipped. */
void pem_print_skipped(const struct pem_reader *r, struct buf *out);
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
