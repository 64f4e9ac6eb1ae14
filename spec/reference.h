#ifndef SPEC_REFERENCE_H
#define SPEC_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"
#include "spec/document.h"

/*
 * Values that stand elsewhere: {vault://NAME/RESOURCE[/JSONKEY][?prefix=P][#VERSION]} with NAME
 * "env" or the prefix of a vault entity of that type, and decK's ${{ env "DECK_X" }}.
 * What they stand for is a secret: nothing here prints it.
 */

/* An entity of `vaults` with name "env". */
struct reference_vault {
    struct str name; /* its prefix, the NAME of references */
    struct str env_prefix;
};

struct reference_table {
    struct arena *arena; /* where values go */
    bool is_on;          /* false: nothing is found */
    void *context;
    struct str (*environment)(void *context, struct str name);
    struct reference_vault *vaults;
    size_t vault_count;
};

/* The value, in the table's arena, or ptr NULL if there is none (an empty one is none). */
struct str reference_resolve(const struct reference_table *t, struct str reference);

#define REFERENCE_DECK_MAX 10000 /* expressions of one file */

/*
 * Replaces every ${{ env "DECK_X" }} outside of comment lines, with decK's pipes toBool, toInt,
 * toFloat and indent N. The result is in the arena. -1: a variable that is not set, that has
 * another prefix, or an expression that decK does not know; e->line and e->column say where.
 */
int reference_expand_deck(const struct reference_table *t, struct str text, struct arena *arena,
                          size_t max_bytes, struct str *out, struct error *e) MUST_CHECK;

#endif
