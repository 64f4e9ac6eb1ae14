#ifndef SPEC_NEWER_H
#define SPEC_NEWER_H

#include <stdbool.h>

#include "reconciler/base/str.h"

/*
 * What other Kongs know and 3.9, whose format this is, does not: fields, lists and plugins of later
 * releases and of Kong Enterprise.
 */

/* Who knows `field` of the record ("services", "document"): "Kong 3.11 and later"; or NULL. */
const char *newer_field(const char *record, struct str field);
/* Is it a plugin of Kong Enterprise alone? */
bool newer_is_enterprise_plugin(struct str name);

#endif
