#pragma once

#include <stdbool.h>

#include "reconciler/base/str.h"

/*
 * What others know and Kong 3.9, whose format this is, does not: fields, lists, values and plugins
 * of later releases and of Kong Enterprise, and keys that decK keeps for itself.
 */

/* Who knows `field` of the record ("services", "document"): "Kong 3.11 and later"; or NULL. */
const char *newer_field(const char *record, struct str field);
/* The same for a value of a field that 3.9 has too: the names of plugins among them. */
const char *newer_value(const char *record, struct str field, struct str value);
/* Is it decK's own? */
bool newer_is_deck(const char *record, struct str field);
