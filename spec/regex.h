#pragma once

#include "reconciler/base/buf.h"
#include "reconciler/base/str.h"

/*
 * Does the pattern compile, and would Kong's router take it? Kong checks routes with PCRE and
 * matches them with an engine without look-around and back-references; what only one of the two
 * knows is refused. Appends Kong's sentence to `why`.
 */
void regex_check(struct str pattern, struct buf *why);

/* The first construct of the pattern that Kong's engine does not have ("look-around" ...), or NULL.
 */
const char *regex_foreign_construct(struct str pattern);

/* The index behind the character class that opens at i; past the end if it does not close. */
size_t regex_skip_class(struct str pattern, size_t i);
