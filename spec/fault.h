#pragma once

#include <stdarg.h>

#include "spec/schema.h"

/* Faults of the entity at hand, told or not. */
static inline size_t fault_total(const struct schema_context *c)
{
    return c->fault_count + c->fault_skipped;
}

/*
 * What is wrong with the entity at hand, kept in the context until the entity is done: later checks
 * may put a better message in the place of an earlier one.
 */

/* Adds a fault at the place; the frames up from `at` are its path. */
void fault_add(struct schema_context *c, const struct schema_frame *at, struct place place,
               const char *format, ...) PRINTF_LIKE(4, 5);
void fault_add_args(struct schema_context *c, const struct schema_frame *at, struct place place,
                    const char *format, va_list args);
/* The same for field i of the view; an older fault of that field makes way. */
void fault_add_field(struct schema_context *c, struct schema_view *v, const struct schema_frame *at,
                     unsigned i, const char *format, ...) PRINTF_LIKE(5, 6);
/* The fault with this index says more than Kong's text. */
void fault_add_more(struct schema_context *c, size_t fault, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Another text for the unknown field that `path` names, if there is one. */
void fault_explain(struct schema_context *c, struct str path, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Says of the values that were refused which ones another Kong takes. */
void fault_explain_values(struct schema_context *c, const struct schema_view *v);
/* A fault of the whole entity, or of the whole part of it that `at` names. */
void fault_add_entity(struct schema_context *c, const struct schema_frame *at, struct place place,
                      const char *format, ...) PRINTF_LIKE(4, 5);
