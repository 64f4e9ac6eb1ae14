#pragma once

#include "spec/origin.h"
#include "spec/reference.h"

#define DECK_EXPRESSIONS_MAX 10000 /* of one file */

/*
 * Replaces every ${{ env "DECK_X" }} by the variable's value, as decK does before it parses a file:
 * with the pipes toBool, toInt, toFloat and indent N, and not in lines that are only a comment. The
 * result is in the arena, *origin says what came from where (vec_free it either way). -1: a
 * variable that is not set, that has another prefix, or an expression that decK does not know;
 * e->line and e->column say where.
 */
int deck_expand(const struct reference_table *t, struct str text, struct arena *arena,
                size_t max_bytes, struct str *out, struct origin *origin,
                struct error *e) MUST_CHECK;
