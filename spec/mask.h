#pragma once

#include <stdbool.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/attr.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/str.h"
#include "reconciler/base/vec.h"

/* What stands for a secret in what is printed, and what is one. */

#define MASK "***"

struct document_node;
struct spec_detail;

/* Values that came from outside of the file, of decK's variables. {vault://...} stays as it is. */
struct mask_values vec(struct str);

/* Copies the value into the arena; -1 when memory is out. The caller ends it with vec_free. */
int mask_add(struct mask_values *values, struct arena *arena, struct str value) MUST_CHECK;
/* The same for a scalar that YAML read out of such a value. */
int mask_add_node(struct mask_values *values, struct arena *arena,
                  const struct document_node *n) MUST_CHECK;
/* Is the text one of them, or does it hold one that is long enough to be told? In any case. */
bool mask_is_in(const struct mask_values *values, struct str text);
/* Appends the text with MASK in the place of such values. */
void mask_text(const struct mask_values *values, struct str text, struct buf *out);

/* The node as JSON, with MASK for what may be a secret; `name` is what it stands under. */
void mask_print(const struct spec_detail *d, struct str name, const struct document_node *n,
                struct buf *out);
