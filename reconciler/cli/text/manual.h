#pragma once

#include "reconciler/base/buf.h"

/* Appends the manual page reconcert(1), in mdoc(7), made from the tables of verbs, options and
 * settings. */
void manual_print(struct buf *out);
