#pragma once

#include <stddef.h>

#include "reconciler/base/value.h"
#include "reconciler/storage/file.h"

/* What a storage should hold: logical keys and printed values, a plain table. */

#define MODEL_ROWS 64

struct model_row {
    char key[160];
    char text[640]; /* "" = not there */
};

struct storage_model {
    struct model_row rows[MODEL_ROWS];
    size_t count; /* rows are never removed, so that the i-th is the same key in every copy */
};

/* What a put of `v` does. */
void storage_model_put(struct storage_model *m, const struct value *v);
/* Fills *m with what a load hands out; -1 with *e as storage_load. `order` lends the rows' places.
 */
int storage_model_load(struct storage_model *m, const struct storage_model *order, struct file *s,
                       struct storage_problems *problems, struct error *e);
/* The number of keys that differ; the last one's row in *row (may be NULL). */
size_t storage_model_differences(const struct storage_model *a, const struct storage_model *b,
                                 size_t *row);

/* Without guards; 0, or -1 with *e. */
int file_put_values(struct file *f, const struct value *values, size_t count, struct error *e);
