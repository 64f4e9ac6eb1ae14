#pragma once

#include <stdbool.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/*
 * What the verbs print: data on stdout, everything else on stderr. Nothing is held back in a stdio
 * buffer: a write that fails is known at once and makes the exit code 1.
 */

/* Longest line on stderr. */
#define OUTPUT_LINE_MAX ((size_t)16 << 10)

/* Writes all of a buffer, which may have failed: that is reported too. 0; -1 with *e (ERROR_IO). */
int output_buf(const struct buf *out, struct error *e) MUST_CHECK;
/* For render's flush: writes what is in `out` to stdout and clears it. `context` is a struct error.
 */
int output_flush(void *context, struct buf *out);

/* Closes stdout: a file system that writes late says so now. 0; -1 with *e. */
int output_close(struct error *e) MUST_CHECK;

/* Writes to stderr; what cannot be written there is lost. */
void output_aside(struct str text);
/*
 * `reconcert: kong.conf:3: proxy_listen: sentence`. A reader of ours that left early (EPIPE) is no
 * news: nothing is printed for it.
 */
void output_error(const struct error *e);
/* `reconcert: note: sentence`, escaped. */
void output_note(struct str sentence);

/* `text` from outside, cut for an error's message: at most `size` - 1 bytes. */
const char *output_quote(const char *text, char *out, size_t size);

/* stdout is a terminal and neither --no-color, NO_COLOR nor TERM=dumb is against it. */
bool output_is_coloured(bool no_color, char *const *environment);
