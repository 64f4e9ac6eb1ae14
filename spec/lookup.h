#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "reconciler/base/str.h"
#include "spec/catalog.h"

/* Entities of a catalog by name and by id: hash tables over each kind. */

struct lookup_slot {
    uint32_t hash;   /* looked at before the text: most slots on the way are others' */
    uint32_t entity; /* ordinal + 1; 0: free */
};

struct lookup_table {
    struct lookup_slot *slots;
    uint32_t mask;
};

struct lookup {
    struct catalog *catalog;
    struct lookup_table names[ENTITY_KIND_COUNT];
    struct lookup_table ids[ENTITY_KIND_COUNT];
    uint64_t seed;
    bool is_out_of_memory;
};

/* A free table with room for `count` entities; false when memory is out. Free its slots. */
bool lookup_open(struct lookup_table *t, size_t count) MUST_CHECK;
void lookup_fini(struct lookup *l);

/* The slot of the entity that has the name or id, or the free one where it belongs. */
struct lookup_slot *lookup_name(const struct lookup *l, uint8_t kind, struct str name);
struct lookup_slot *lookup_id(const struct lookup *l, uint8_t kind, struct str id);

/*
 * The entity that a reference names: by name, else by id in any case of letters. The table of ids
 * is made when it is first needed. False: there is none.
 */
bool lookup_find(struct lookup *l, uint8_t kind, struct str text, struct catalog_ref *found);
