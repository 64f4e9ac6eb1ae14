#pragma once

#include <stddef.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/str.h"

/* Columns of what help prints. */
#define PARAGRAPH_WIDTH 80

/*
 * Appends `text` with line breaks at its blanks, each further line indented by `indent`; the line
 * that is begun already stands at `column`. An empty line in `text` starts another paragraph. Ends
 * with a line break.
 */
void paragraph_print(struct str text, size_t indent, size_t column, struct buf *out);

/* Blanks up to `column`, or a new line with `column` blanks where `at` is beyond it. */
void paragraph_pad(size_t at, size_t column, struct buf *out);
