#pragma once

#include "reconciler/base/error.h"
#include "reconciler/base/json_out.h"
#include "spec/spec.h"

/*
 * Prints the entities of a configuration that loaded as Kong flattens it: an object of lists, every
 * default filled in, ids computed (those that Kong draws at random are "<random-uuid>"), references
 * as {"id": ...}. Secrets are printed as the file has them; {vault://...} stays unresolved.
 * -1 when memory is out.
 */
int flatten_print(struct spec_detail *detail, struct json_out *out, struct error *e) MUST_CHECK;
/* The same for eyes and logs, with MASK (mask.h) for secrets and what the environment gave. */
int flatten_print_masked(struct spec_detail *detail, struct json_out *out,
                         struct error *e) MUST_CHECK;
