#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"

/* What a server says of itself (`/status.json`, design 6) as a table for people. Pure. */

#define STATUS_TEXT_WIDTH 80 /* the least, in characters: no line is longer than `width` */

struct status_text_options {
    bool colour;
    bool verbose; /* places and key types too */
    size_t width;
    int64_t now;
};

/* The most that these columns take; what does not fit is cut. A name that does not fit what they
 * leave has a line of its own. */
#define STATUS_TEXT_STATE_MAX 10
#define STATUS_TEXT_TIME_MAX 24
#define STATUS_TEXT_ISSUER_MIN 7 /* more where the names leave it */

/*
 * Appends the table, the problems and the conditions of the JSON `body`; *is_fault: a certificate
 * is failing, blocked, expired or revoked, or a condition is a fault. 0; -1 with *e where it is no
 * JSON of that shape, or memory or `out` is full. Members that are missing count as not known.
 */
int status_text_print(struct str body, const struct status_text_options *options, struct buf *out,
                      bool *is_fault, struct error *e) MUST_CHECK;
