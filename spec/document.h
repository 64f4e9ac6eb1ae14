#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/base/str.h"
#include "spec/model.h"

/*
 * A document as a tree that knows where every value stands. Nodes are small and lie in arrays:
 * the values of a map or list are neighbours, a map's keys follow its values. An alias shares the
 * nodes of its anchor, so the tree is a graph without cycles and is never written to.
 */

enum document_kind {
    DOCUMENT_NULL,
    DOCUMENT_BOOLEAN,
    DOCUMENT_INTEGER,
    DOCUMENT_FLOAT,
    DOCUMENT_STRING,
    DOCUMENT_SEQUENCE,
    DOCUMENT_MAP
};

struct document_node {
    union {
        bool boolean;
        int64_t integer;
        double number;
        const char *text;
        const struct document_node *items;
    } as;
    uint32_t count;  /* bytes of a string; items of a sequence or map */
    uint32_t line;   /* 1-based; 0 = nowhere: a default */
    uint32_t column; /* 1-based, in bytes */
    uint16_t file;
    uint8_t kind;
};

struct document_key {
    uint32_t name; /* see names.h */
    uint32_t line, column;
};

/* Limits of one document. Tests lower them; document_limits_default has the real ones. */
struct document_limits {
    size_t nodes;    /* written in the file */
    size_t expanded; /* nodes that aliases repeat, counted with all that hangs below */
    unsigned depth;
};

#define DOCUMENT_NODES_MAX ((size_t)1 << 26)
#define DOCUMENT_EXPANDED_MAX ((size_t)1 << 20)
#define DOCUMENT_DEPTH_MAX 64
#define DOCUMENT_ANCHORS_MAX 10000
#define DOCUMENT_DIRECTIVES_MAX 1000 /* %TAG: libyaml compares each with all */

struct mask_values;
struct names;
struct origin;
struct problems;

struct document_options {
    uint16_t file;               /* index of the file's name, for places */
    struct names *names;         /* keys are put here */
    struct arena *strings;       /* scalars: they outlive the tree */
    struct arena *nodes;         /* the tree */
    struct problems *problems;   /* what is wrong, with its place */
    const struct origin *origin; /* of the bytes, see origin.h; NULL: they are the file's */
    struct mask_values *outside; /* gets the scalars that stand in such a piece; NULL: none does */
    struct document_limits limits;
};

struct document_limits document_limits_default(void);

/*
 * Reads the first YAML 1.1 document of `bytes` (all of them must parse). 0 and *root, a map; or -1
 * with the problems added: e->kind is ERROR_SYNTAX, ERROR_LIMIT or ERROR_MEMORY.
 */
int document_parse(const struct document_options *options, struct str bytes,
                   struct document_node *root, struct error *e) MUST_CHECK;

static inline struct str document_text(const struct document_node *n)
{
    return (struct str){n->as.text, n->count};
}

static inline struct place document_place(const struct document_node *n)
{
    return (struct place){n->file, n->line, n->column};
}

static inline bool document_is_string(const struct document_node *n)
{
    return n->kind == DOCUMENT_STRING;
}

/* Lists and maps are one type in Lua, and an empty one is both. */
static inline bool document_is_table(const struct document_node *n)
{
    return n->kind == DOCUMENT_SEQUENCE || n->kind == DOCUMENT_MAP;
}

static inline bool document_is_list(const struct document_node *n)
{
    return n->kind == DOCUMENT_SEQUENCE || (n->kind == DOCUMENT_MAP && !n->count);
}

static inline const struct document_key *document_keys(const struct document_node *map)
{
    return map->count ? (const struct document_key *)(map->as.items + map->count) : NULL;
}

/* Line and byte column, 1-based, of a byte offset. */
void document_place_of_offset(struct str bytes, size_t offset, uint32_t *line, uint32_t *column);
/* The value under the name, or NULL. */
const struct document_node *document_get(const struct document_node *map, uint32_t name);
