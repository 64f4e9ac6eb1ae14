#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/buf.h"
#include "spec/document.h"
#include "spec/entities/entity.h"
#include "spec/schema.h"

/*
 * All entities of a load, nested ones too, in the order of the files. First they are counted, so
 * that those of one kind lie in one array; then each is checked and put into its struct.
 */

#define CATALOG_NO_KIND 255
/* What tables of names, ids and unique values take an entity, on the heap, at most at a time. */
#define CATALOG_TABLES_BYTES ((size_t)128)

/* Which entity: kind and place in the kind's arrays. */
struct catalog_ref {
    uint32_t ordinal;
    uint8_t kind; /* CATALOG_NO_KIND: none */
};

struct catalog_item {
    const struct document_node *node;
    struct str name;     /* its unique endpoint key, as it is compared; ptr NULL: none */
    struct str given_id; /* as written; ptr NULL: it was left out */
    const char *id;      /* see resolve_id_of; NULL: nobody has asked yet */
    uint32_t index;      /* 1-based, in its list */
    uint32_t first_link; /* where its links begin, if it has any */
    struct catalog_ref parent;
    bool is_old;       /* from a file of version 1.1 or 2.1 */
    bool id_is_random; /* Kong would draw it at random; ours is derived from the content */
};

/* A foreign field that says something. */
struct catalog_link {
    const struct document_node *value;
    struct catalog_ref from;
    struct catalog_ref to; /* what it names; set by resolve_all */
    uint8_t field;
    bool is_parent; /* the field that nesting fills in already */
};

/* An entity that is written where a reference belongs; it has problems, or it would be refused. */
struct catalog_inline {
    const struct document_node *node;
    uint8_t kind;
};

/* One document of the load. */
struct catalog_source {
    struct document_node root;
    bool migrates_paths;
};

struct resolve_ids;

struct catalog {
    struct schema_context *context;
    struct problems *problems;
    const struct names *names;
    struct resolve_ids *ids;
    struct catalog_source *sources;
    size_t source_count;
    const struct catalog_source *source; /* the one at hand */

    struct catalog_item *items[ENTITY_KIND_COUNT];
    void *structs[ENTITY_KIND_COUNT];
    uint32_t counts[ENTITY_KIND_COUNT];
    uint32_t filled[ENTITY_KIND_COUNT];
    uint32_t first_number[ENTITY_KIND_COUNT]; /* see catalog_number */
    bool needs_ids[ENTITY_KIND_COUNT];        /* ids may clash though names do not */

    struct catalog_ref acme;    /* the plugin that context->found_acme belongs to */
    struct catalog_link *links; /* on the heap */
    size_t link_count, link_cap;
    struct catalog_inline *inlines; /* on the heap; numbered behind all entities */
    size_t inline_count, inline_cap;
    uint32_t entity_count;

    uint32_t list_names[ENTITY_KIND_COUNT]; /* name -> kind is list_kinds */
    const uint8_t *list_kinds;              /* name -> kind + 1 */
    uint32_t list_kind_count;
    uint8_t fields[ENTITY_KIND_COUNT][ENTITY_KIND_COUNT]; /* child, parent -> foreign field */
    void *templates[ENTITY_KIND_COUNT];                   /* structs with nothing but defaults */
};

/* Counts, makes room, checks and fills. -1 when memory is out; what is wrong is in the problems. */
int catalog_build(struct catalog *c, struct error *e) MUST_CHECK;
void catalog_fini(struct catalog *c);

struct catalog_item *catalog_item(const struct catalog *c, struct catalog_ref ref);
/* The entity's struct, which begins with a struct entity. */
struct entity *catalog_entity(const struct catalog *c, struct catalog_ref ref);
/* services[1].routes[2] */
void catalog_path(const struct catalog *c, struct catalog_ref ref, struct buf *out);
/* A number over all kinds, and back (for numbers below entity_count). */
uint32_t catalog_number(const struct catalog *c, struct catalog_ref ref);
struct catalog_ref catalog_ref_of(const struct catalog *c, uint32_t number);
/* Do the paths of this route come from a 1.1 or 2.1 file? */
bool catalog_migrates_paths(const struct catalog *c, struct catalog_ref ref);
/* The kind of the lists that bear this name, CATALOG_NO_KIND for other names. */
uint8_t catalog_kind_of(const struct catalog *c, uint32_t name);

/* Adds a problem of an entity: `field` is its path inside ("" for the whole entity). */
void catalog_problem(struct catalog *c, struct catalog_ref ref, enum problem_severity severity,
                     struct place place, const char *field, const char *format, ...)
    PRINTF_LIKE(6, 7);
