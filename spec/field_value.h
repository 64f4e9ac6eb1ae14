#pragma once

#include "spec/schema.h"

/*
 * One value against one field: type, then checks in Kong's order, then into the struct. `into` is
 * the struct that the field is a member of, NULL to check only. `of` is the record whose transform
 * strings go through first, or NULL. False: refused, with the faults added.
 */
bool field_value_take(struct schema_context *c, const struct schema_field *f,
                const struct document_node *n, char *into, const struct schema_frame *at,
                const struct schema_record *of);

/* Drops what a set says twice, keeping the first ones in their order; the number that is left. */
size_t field_value_drop_repeats(struct text *items, size_t count);
