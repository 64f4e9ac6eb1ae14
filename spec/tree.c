#include "tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/buf.h"
#include "spec/mask.h"
#include "spec/names.h"
#include "spec/origin.h"
#include "spec/problem.h"

#define TREE_PATH_MAX 4096
/* So many values of one list are moved to the tree piece by piece. */
#define TREE_PIECE ((size_t)1 << 20)

int tree_init(struct tree *t, const struct document_options *options, struct error *e)
{
    *t = (struct tree){.options = options, .error = e, .merge_name = NAMES_NONE};
    t->levels = calloc(options->limits.depth + 1, sizeof(*t->levels));
    t->merge_name = names_put(options->names, STR("<<"));
    if (!t->levels || t->merge_name == NAMES_NONE)
        return error_memory(e);
    return 0;
}

void tree_fini(struct tree *t)
{
    arena_refund(t->options->nodes, t->charged);
    free(t->nodes);
    free(t->keys);
    free(t->levels);
    free(t->anchors);
    free(t->anchor_of);
    free(t->seen_in);
    *t = (struct tree){0};
}

/* Kong has the place in its text; ours stands in front. */
static void add_refusal(struct tree *t, uint32_t line, uint32_t column, const char *text)
{
    struct buf message = BUF_INIT(2 * ERROR_MESSAGE_MAX), kong = BUF_INIT(2 * ERROR_MESSAGE_MAX);

    buf_printf(&message, "failed parsing declarative configuration: %s", text);
    buf_printf(&kong, "failed parsing declarative configuration: %u:%u: %s", line, column, text);
    problems_put(t->options->problems, &(struct problem){.severity = PROBLEM_ERROR,
                                                         .place = {t->options->file, line, column},
                                                         .path = STR(""),
                                                         .message = buf_view(&message),
                                                         .kong = buf_view(&kong)});
    buf_free(&message);
    buf_free(&kong);
}

/* From a place of the bytes to one of the file. */
static void locate(const struct tree *t, uint32_t *line, uint32_t *column)
{
    if (t->options->origin && t->options->origin->len)
        origin_find(t->options->origin, line, column);
}

static int refuse_with(struct tree *t, enum error_kind kind, uint32_t line, uint32_t column,
                       const char *format, va_list args)
{
    char text[ERROR_MESSAGE_MAX];

    vsnprintf(text, sizeof(text), format, args);
    error_set(t->error, kind, "%s", text);
    t->error->line = line;
    t->error->column = column;
    add_refusal(t, line, column, text);
    return -1;
}

int tree_refuse(struct tree *t, enum error_kind kind, uint32_t line, uint32_t column,
                const char *format, ...)
{
    va_list args;
    int rc;

    locate(t, &line, &column);
    va_start(args, format);
    rc = refuse_with(t, kind, line, column, format, args);
    va_end(args);
    return rc;
}

/* The same for a place of the file. */
static int refuse(struct tree *t, enum error_kind kind, uint32_t line, uint32_t column,
                  const char *format, ...) PRINTF_LIKE(5, 6);
static int refuse(struct tree *t, enum error_kind kind, uint32_t line, uint32_t column,
                  const char *format, ...)
{
    va_list args;
    int rc;

    va_start(args, format);
    rc = refuse_with(t, kind, line, column, format, args);
    va_end(args);
    return rc;
}

int tree_string(struct tree *t, struct str text, struct document_node *node)
{
    struct str copy = STR("");

    if (text.len) {
        copy = arena_str(t->options->strings, text);
        if (!copy.ptr)
            return error_memory(t->error);
    }
    node->kind = DOCUMENT_STRING;
    node->as.text = copy.ptr;
    node->count = (uint32_t)copy.len;
    return 0;
}

/* Arrays of the tree count as its nodes do. */
static int charge(struct tree *t, size_t size)
{
    if (arena_charge(t->options->nodes, size))
        return -1;
    t->charged += size;
    return 0;
}

static int grow(struct tree *t, void **items, size_t *cap, size_t item_size)
{
    size_t had = *cap;

    return vec_grow(items, cap, item_size) || charge(t, (*cap - had) * item_size) ? -1 : 0;
}

/* An array indexed by names, zero where it grows. */
static int cover(struct tree *t, uint32_t **items, uint32_t *count, uint32_t name)
{
    uint32_t wanted = *count ? *count : 1024;
    uint32_t *grown;

    if (name < *count)
        return 0;
    while (wanted <= name)
        wanted *= 2;
    if (charge(t, (wanted - *count) * sizeof(*grown)))
        return -1;
    grown = realloc(*items, wanted * sizeof(*grown));
    if (!grown)
        return -1;
    memset(grown + *count, 0, (wanted - *count) * sizeof(*grown));
    *items = grown;
    *count = wanted;
    return 0;
}

static int append_node(struct tree *t, const struct document_node *node)
{
    if (t->node_count == t->node_cap &&
        grow(t, (void **)&t->nodes, &t->node_cap, sizeof(*t->nodes)))
        return error_memory(t->error);
    t->nodes[t->node_count++] = *node;
    return 0;
}

/* Takes a finished value: into the open level, or as the root. */
static int put(struct tree *t, const struct document_node *node, unsigned height)
{
    struct tree_level *level;

    if (!t->depth) {
        t->root = *node;
        t->is_done = true;
        return 0;
    }
    level = &t->levels[t->depth - 1];
    level->wants_key = level->is_map;
    if (height > level->height)
        level->height = height;
    return append_node(t, node);
}

static int count_node(struct tree *t, uint32_t line, uint32_t column)
{
    if (++t->total > t->options->limits.nodes)
        return refuse(t, ERROR_LIMIT, line, column, "more than %zu values",
                      t->options->limits.nodes);
    return 0;
}

static int add_anchor(struct tree *t, struct str name, uint32_t line, uint32_t column,
                      uint32_t *number)
{
    uint32_t id = names_put(t->options->names, name);

    if (t->anchor_count == DOCUMENT_ANCHORS_MAX)
        return refuse(t, ERROR_LIMIT, line, column, "more than %d anchors", DOCUMENT_ANCHORS_MAX);
    if (id == NAMES_NONE || cover(t, &t->anchor_of, &t->anchor_of_count, id) ||
        (t->anchor_count == t->anchor_cap &&
         grow(t, (void **)&t->anchors, &t->anchor_cap, sizeof(*t->anchors))))
        return error_memory(t->error);
    t->anchors[t->anchor_count++] =
        (struct tree_anchor){.name = id, .line = line, .column = column};
    *number = (uint32_t)t->anchor_count;
    t->anchor_of[id] = *number;
    return 0;
}

int tree_open(struct tree *t, bool is_map, uint32_t line, uint32_t column, struct str anchor)
{
    struct tree_level *level;
    uint32_t number = 0;

    locate(t, &line, &column);
    if (t->depth == t->options->limits.depth)
        return refuse(t, ERROR_LIMIT, line, column, "nested deeper than %u levels",
                      t->options->limits.depth);
    if (count_node(t, line, column))
        return -1;
    if (anchor.ptr) {
        if (add_anchor(t, anchor, line, column, &number))
            return -1;
        t->anchors[number - 1].is_open = true;
        t->anchors[number - 1].size = t->total + t->repeated - 1;
    }
    level = &t->levels[t->depth++];
    *level = (struct tree_level){.first_node = t->node_count,
                                 .first_key = t->key_count,
                                 .line = line,
                                 .column = column,
                                 .anchor = number,
                                 .is_map = is_map,
                                 .wants_key = is_map};
    return 0;
}

/* What came from outside, as it was read: a value may be a map of many. */
static int note_outside(struct tree *t, const struct document_node *n)
{
    const struct document_options *o = t->options;

    if (!o->outside || !o->origin || !origin_is_inside(o->origin, n->line, n->column) ||
        mask_add_node(o->outside, o->strings, n) == 0)
        return 0;
    return error_memory(t->error);
}

int tree_key(struct tree *t, struct str name, uint32_t line, uint32_t column)
{
    struct document_key key = {.line = line, .column = column};

    locate(t, &key.line, &key.column);
    key.name = names_put(t->options->names, name);
    if (key.name == NAMES_NONE ||
        (t->key_count == t->key_cap && grow(t, (void **)&t->keys, &t->key_cap, sizeof(*t->keys))))
        return error_memory(t->error);
    t->levels[t->depth - 1].wants_key = false;
    if (key.name == t->merge_name)
        t->levels[t->depth - 1].has_merge = true;
    t->keys[t->key_count++] = key;
    return 0;
}

int tree_value(struct tree *t, struct document_node value, struct str anchor)
{
    uint32_t number;

    if (note_outside(t, &value))
        return -1;
    locate(t, &value.line, &value.column);
    value.file = t->options->file;
    if (count_node(t, value.line, value.column))
        return -1;
    if (anchor.ptr) {
        if (add_anchor(t, anchor, value.line, value.column, &number))
            return -1;
        t->anchors[number - 1].node = value;
        t->anchors[number - 1].size = 1;
    }
    return put(t, &value, 0);
}

int tree_alias(struct tree *t, struct str name, uint32_t line, uint32_t column)
{
    uint32_t id = names_find(t->options->names, name);
    const struct tree_anchor *anchor;

    locate(t, &line, &column);
    if (id == NAMES_NONE || id >= t->anchor_of_count || !t->anchor_of[id])
        return refuse(t, ERROR_SYNTAX, line, column,
                      "invalid reference: no anchor has this name; a text that begins with '*' "
                      "stands in quotes");
    anchor = &t->anchors[t->anchor_of[id] - 1];
    if (anchor->is_open)
        return refuse(t, ERROR_SYNTAX, line, column,
                      "*%.*s stands inside of what it names (line %u)",
                      STR_ARG(str_slice(name, 0, 100)), anchor->line);
    t->repeated += anchor->size;
    if (t->repeated > t->options->limits.expanded)
        return refuse(t, ERROR_LIMIT, line, column, "aliases repeat more than %zu values",
                      t->options->limits.expanded);
    if (t->depth + anchor->height > t->options->limits.depth)
        return refuse(t, ERROR_LIMIT, line, column, "nested deeper than %u levels",
                      t->options->limits.depth);
    return put(t, &anchor->node, anchor->height);
}

/* Where the map that is about to close stands, for a message: services[2].routes[1]. */
static struct str path_of(const struct tree *t, struct buf *out)
{
    for (unsigned i = 0; i + 1 < t->depth; i++) {
        const struct tree_level *level = &t->levels[i], *next = &t->levels[i + 1];

        if (level->is_map)
            buf_printf(out, "%s%.*s", out->len ? "." : "",
                       STR_ARG(names_text(t->options->names, t->keys[next->first_key - 1].name)));
        else
            buf_printf(out, "[%zu]", next->first_node - level->first_node + 1);
    }
    return buf_view(out);
}

static void report_duplicate(struct tree *t, const struct tree_level *level, size_t at)
{
    struct str name = names_text(t->options->names, t->keys[at].name);
    struct buf path = BUF_INIT(TREE_PATH_MAX);
    size_t first = level->first_key;

    if (problems_are_full(t->options->problems)) {
        problems_count(t->options->problems, PROBLEM_ERROR, 1);
        return;
    }
    while (t->keys[first].name != t->keys[at].name)
        first++;
    path_of(t, &path);
    buf_printf(&path, "%s%.*s", path.len ? "." : "", STR_ARG(str_slice(name, 0, 200)));
    problems_add(t->options->problems, PROBLEM_ERROR,
                 (struct place){t->options->file, t->keys[at].line, t->keys[at].column},
                 buf_view(&path), "key given twice: first in line %u, column %u",
                 t->keys[first].line, t->keys[first].column);
    buf_free(&path);
}

/* A key twice in one map is refused: whoever wrote it meant something else than what would win. */
static int check_duplicates(struct tree *t, const struct tree_level *level)
{
    t->serial++;
    for (size_t i = level->first_key; i < t->key_count; i++) {
        uint32_t name = t->keys[i].name;

        if (cover(t, &t->seen_in, &t->seen_count, name))
            return error_memory(t->error);
        if (t->seen_in[name] == t->serial && name != t->merge_name)
            report_duplicate(t, level, i);
        if (problems_are_enough(t->options->problems))
            return refuse(t, ERROR_LIMIT, t->keys[i].line, t->keys[i].column,
                          "more than %d problems", PROBLEMS_COUNTED_MAX);
        t->seen_in[name] = t->serial;
    }
    return 0;
}

/* Adds what a merged map has and this one does not. seen_in still holds this map's serial. */
static int merge_map(struct tree *t, const struct document_node *from, uint32_t line,
                     uint32_t column)
{
    if (from->kind != DOCUMENT_MAP)
        return refuse(t, ERROR_SYNTAX, line, column,
                      "invalid '<<': only a map, or a list of maps, can be merged");
    for (uint32_t i = 0; i < from->count; i++) {
        struct document_key key = document_keys(from)[i];

        if (t->seen_in[key.name] == t->serial)
            continue;
        t->seen_in[key.name] = t->serial;
        if (t->key_count == t->key_cap &&
            grow(t, (void **)&t->keys, &t->key_cap, sizeof(*t->keys)))
            return error_memory(t->error);
        t->keys[t->key_count++] = key;
        if (append_node(t, &from->as.items[i]))
            return -1;
        if (++t->repeated > t->options->limits.expanded)
            return refuse(t, ERROR_LIMIT, line, column, "aliases repeat more than %zu values",
                          t->options->limits.expanded);
    }
    return 0;
}

static int merge_value(struct tree *t, struct document_node from, struct document_key key)
{
    if (from.kind != DOCUMENT_SEQUENCE)
        return merge_map(t, &from, key.line, key.column);
    for (uint32_t i = 0; i < from.count; i++)
        if (merge_map(t, &from.as.items[i], key.line, key.column))
            return -1;
    return 0;
}

/* YAML 1.1 merge keys: explicit keys win wherever they stand, the earlier map wins over the later.
 */
static int merge(struct tree *t, const struct tree_level *level)
{
    size_t count = t->key_count - level->first_key, kept = 0;
    struct document_node *nodes;
    struct document_key *keys;

    for (size_t i = 0; i < count; i++)
        if (t->keys[level->first_key + i].name == t->merge_name &&
            merge_value(t, t->nodes[level->first_node + i], t->keys[level->first_key + i]))
            return -1;
    count = t->key_count - level->first_key;
    nodes = t->nodes + level->first_node;
    keys = t->keys + level->first_key;
    for (size_t i = 0; i < count; i++) {
        if (keys[i].name == t->merge_name)
            continue;
        keys[kept] = keys[i];
        nodes[kept++] = nodes[i];
    }
    t->key_count = level->first_key + kept;
    t->node_count = level->first_node + kept;
    return 0;
}

static void refund_nodes(struct tree *t)
{
    size_t size = t->node_cap * sizeof(*t->nodes);

    arena_refund(t->options->nodes, size);
    t->charged -= size;
}

/* From the end on, giving back what has moved. */
static void move_nodes(struct tree *t, struct document_node *to, size_t first)
{
    while (t->node_count - first > TREE_PIECE) {
        size_t from = t->node_count - TREE_PIECE;
        struct document_node *rest;

        memcpy(to + (from - first), t->nodes + from, TREE_PIECE * sizeof(*to));
        rest = realloc(t->nodes, from * sizeof(*rest));
        t->node_count = from;
        if (rest) {
            t->nodes = rest;
            t->node_cap = from;
        }
    }
    memcpy(to, t->nodes + first, (t->node_count - first) * sizeof(*to));
}

static int keep_items(struct tree *t, const struct tree_level *level, struct document_node *node)
{
    size_t count = t->node_count - level->first_node;
    size_t keys = level->is_map ? count : 0;
    struct document_node *items;

    node->count = (uint32_t)count;
    if (!count)
        return 0;
    refund_nodes(t); /* what moves is not there twice */
    items = arena_alloc(t->options->nodes, count * sizeof(*items) + keys * sizeof(*t->keys));
    if (!items)
        return error_memory(t->error);
    move_nodes(t, items, level->first_node);
    if (charge(t, t->node_cap * sizeof(*items)))
        return error_memory(t->error);
    if (keys)
        memcpy(items + count, t->keys + level->first_key, keys * sizeof(*t->keys));
    node->as.items = items;
    return 0;
}

int tree_close(struct tree *t)
{
    struct tree_level level = t->levels[t->depth - 1];
    struct document_node node = {.kind = level.is_map ? DOCUMENT_MAP : DOCUMENT_SEQUENCE,
                                 .file = t->options->file,
                                 .line = level.line,
                                 .column = level.column};

    if (level.is_map && check_duplicates(t, &level))
        return -1;
    if (level.has_merge && merge(t, &level))
        return -1;
    if (keep_items(t, &level, &node))
        return -1;
    t->node_count = level.first_node;
    if (level.is_map)
        t->key_count = level.first_key;
    t->depth--;
    if (level.anchor) {
        struct tree_anchor *anchor = &t->anchors[level.anchor - 1];

        anchor->is_open = false;
        anchor->node = node;
        anchor->height = level.height + 1;
        anchor->size = t->total + t->repeated - anchor->size;
    }
    return put(t, &node, level.height + 1);
}
