#pragma once

#include <stddef.h>

#include "str.h"

/* Longer words are never near one of ours. */
#define NEAREST_WORD_MAX 64

/*
 * Edits (one letter more, less, other, or two swapped) from a to b; both at most NEAREST_WORD_MAX
 * bytes, else NEAREST_WORD_MAX + 1.
 */
size_t nearest_distance(struct str a, struct str b);

/*
 * For "did you mean": keeps in *best the word that begins with `given`, or has the fewest edits
 * from it, as long as those are at most a third of its length (and at least one is forgiven). Start
 * with *best NULL; call once a word; the first of equals wins.
 */
void nearest_offer(struct str given, const char *word, const char **best);
