#pragma once

#include "reconciler/base/json_out.h"
#include "spec/problem.h"
#include "spec/spec.h"

/*
 * Errors as Kong's POST /config?flatten_errors=1 answers them, in Kong's words. Warnings are not
 * among them. Unlike Kong, no error gets lost on the way.
 */

/* The array: one entry an entity, with what the file says of it and its errors. */
void kong_error_print_flattened(const struct spec_detail *detail, const struct problems *problems,
                                struct json_out *out);
/* The same for eyes and logs: of what may be secret only MASK (mask.h) is printed. */
void kong_error_print_masked(const struct spec_detail *detail, const struct problems *problems,
                             struct json_out *out);
/* The object `fields`: what belongs to no entity, by its key; "error" is the document itself. */
void kong_error_print_fields(const struct problems *problems, struct json_out *out);
