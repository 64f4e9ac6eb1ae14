#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/str.h"
#include "spec/document.h"
#include "spec/mask.h"

/*
 * Values that stand elsewhere: {vault://NAME/RESOURCE[/JSONKEY][?prefix=P][#VERSION]} with NAME
 * "env" or the prefix of a vault entity of that type. What they stand for is a secret: nothing here
 * prints it.
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
    struct str env_prefix; /* of references to "env" itself; ptr NULL: none */
    struct mask_values *given; /* decK's variables add their values; NULL: to nothing */
    struct reference_vault *vaults;
    size_t vault_count;
};

/* The value, in the table's arena, or ptr NULL if there is none (an empty one is none). */
struct str reference_resolve(const struct reference_table *t, struct str reference);
