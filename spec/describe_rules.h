#pragma once

#include "reconciler/base/json_out.h"
#include "spec/schema.h"

/* What JSON Schema can say of checks and of rules over several fields; it lets through what it
 * cannot, and refuses nothing that the checks take. */

/* A regular expression (ECMA 262) that every value has which the field's check takes; NULL: none.
 */
const char *describe_rules_pattern(const struct schema_field *f);
/* Members of an allOf; true if there are any. `out` NULL: only asks. */
bool describe_rules_print(struct json_out *out, const struct schema_record *record);
