#pragma once

#include "spec/lookup.h"

/*
 * Follows every reference of the catalog and sets the pointers of the structs; says which name
 * nothing, which plugins are declared twice for one place, and warns of what Kong does not look up.
 * `has_errors`: something else is wrong already, which changes some of Kong's words.
 */
void link_all(struct lookup *l, bool has_errors);
