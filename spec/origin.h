#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "reconciler/base/vec.h"

/*
 * Where things stood before pieces of a text were replaced by others: problems name places of the
 * file as it was written, not of the text that was parsed. Lines and byte columns count from 1.
 */

struct origin_piece {
    uint32_t line, column;           /* of the replacement, in the text that is parsed */
    uint32_t end_line, end_column;   /* behind it */
    uint32_t from_line, from_column; /* of what was replaced, in the file */
    uint32_t to_line, to_column;     /* behind it */
};

/* Pieces in the order of the text. */
struct origin vec(struct origin_piece);

/* Turns a place of the text that is parsed into the file's. What lies inside of a replacement
 * stands where the replaced piece began. */
void origin_find(const struct origin *o, uint32_t *line, uint32_t *column);
/* Does the place lie inside of a replacement? */
bool origin_is_inside(const struct origin *o, uint32_t line, uint32_t column);
