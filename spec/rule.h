#pragma once

#include "spec/schema.h"

/* The checks over several fields that a record's table of rules lists; Kong's entity checks. */

/* All rules of the view's record; fields have been checked before. */
void rule_check(struct schema_context *c, struct schema_view *v, const struct schema_frame *at);
