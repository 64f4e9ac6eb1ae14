#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/base/str.h"
#include "spec/document.h"

/*
 * Builds the node tree of one document from open, key, value and close calls; what both syntaxes
 * share: limits, interned keys, duplicate keys, anchors, merge keys.
 */

/* One open map or list. */
struct tree_level {
    size_t first_node;
    size_t first_key;
    uint32_t line, column;
    uint32_t anchor; /* number in `anchors` + 1; 0: none */
    unsigned height; /* of the tallest thing inside */
    bool is_map;
    bool wants_key; /* a map whose next item is a key */
    bool has_merge;
};

struct tree_anchor {
    uint32_t name;
    uint32_t line, column;
    bool is_open; /* an alias to it here would be a cycle */
    unsigned height;
    size_t size; /* nodes, aliases counted in full */
    struct document_node node;
};

struct tree {
    const struct document_options *options;
    struct document_node *nodes; /* of the open levels, one behind the other */
    size_t node_count, node_cap;
    struct document_key *keys;
    size_t key_count, key_cap;
    struct tree_level *levels;
    unsigned depth;
    struct tree_anchor *anchors;
    size_t anchor_count, anchor_cap;
    uint32_t *anchor_of; /* name -> number + 1 of its newest anchor */
    uint32_t anchor_of_count;
    uint32_t *seen_in; /* name -> serial of the last map that had it */
    uint32_t seen_count;
    uint32_t serial;
    uint32_t merge_name; /* "<<" */
    size_t total;        /* nodes written */
    size_t repeated;     /* nodes that aliases repeat */
    size_t charged;      /* bytes of these arrays, of what the arena of nodes may take */
    bool is_done;
    struct document_node root;
    struct error *error;
};

/* 0, or -1 with ERROR_MEMORY. tree_fini in either case. */
int tree_init(struct tree *t, const struct document_options *options, struct error *e) MUST_CHECK;
void tree_fini(struct tree *t);

/* All return 0, or -1 with the problem added and t->error set. Places are 1-based. */
int tree_open(struct tree *t, bool is_map, uint32_t line, uint32_t column,
              struct str anchor) MUST_CHECK;
int tree_close(struct tree *t) MUST_CHECK;
/* The next value's key, in a map. */
int tree_key(struct tree *t, struct str name, uint32_t line, uint32_t column) MUST_CHECK;
int tree_value(struct tree *t, struct document_node value, struct str anchor) MUST_CHECK;
int tree_alias(struct tree *t, struct str anchor, uint32_t line, uint32_t column) MUST_CHECK;
/* Is a key due now, rather than a value? */
static inline bool tree_wants_key(const struct tree *t)
{
    return t->depth && t->levels[t->depth - 1].wants_key;
}
/* A string node with a copy of the text; -1 when memory is out. */
int tree_string(struct tree *t, struct str text, struct document_node *node) MUST_CHECK;

/* Refuses the document: adds the problem at the place and sets t->error. Returns -1. */
int tree_refuse(struct tree *t, enum error_kind kind, uint32_t line, uint32_t column,
                const char *format, ...) PRINTF_LIKE(5, 6);
