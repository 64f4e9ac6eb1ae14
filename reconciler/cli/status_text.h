#ifndef CLI_STATUS_TEXT_H
#define CLI_STATUS_TEXT_H

#include <stdbool.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"

/* What a server says of itself (`/status.json`, design 6) as a table for people. Pure. */

struct status_text_options {
    bool colour;
    bool verbose; /* places and key types too */
};

/* A longer cell is printed whole, but the others of its column are not set out to its width. */
#define STATUS_TEXT_CELL_MAX 48

/*
 * Appends the table, the problems and the conditions of the JSON `body`. 0; -1 with *e where it is
 * no JSON of that shape, or memory or `out` is full. Members that are missing count as not known.
 */
int status_text_print(struct str body, const struct status_text_options *options, struct buf *out,
                      struct error *e) MUST_CHECK;

#endif
