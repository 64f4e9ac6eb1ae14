#pragma once

#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/value.h"

/* Values for tests of storage and store: made from a number, and as text to be compared. */

struct value_sample {
    struct value v;
    /* What its strings point to. */
    char name[64];
    char directory[64];
    char url[96];
    char text[128];
    char leaf[VALUE_LEAF_MAX];
    char chain[2048];
    char key[64];
};

/*
 * Fills *s with a value of `type` for name number `name` whose contents depend on `seed`. The leaf
 * has `size` bytes (no certificate: storage does not look inside). Chains come from a set of four,
 * one of them empty.
 */
void value_sample_make(struct value_sample *s, enum value_type type, unsigned name, uint64_t seed,
                       size_t size);

/* Every field, one line. The chain's id is left out, its bytes are in. */
void value_sample_print(const struct value *v, struct buf *out);
