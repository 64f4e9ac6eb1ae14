#include "document.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "reconciler/base/utf8.h"
#include "spec/problem.h"
#include "spec/scalar.h"
#include "spec/tree.h"

/*
 * libyaml has no hook for an allocator, and it grows a text by realloc, which leaves pieces of a
 * private key behind where nobody can wipe them. But it calls these three of its functions by name,
 * as anybody else's: here they are again, for the whole program, wiping what they give back.
 */
#pragma GCC visibility push(default)
void *yaml_malloc(size_t size);
void *yaml_realloc(void *old, size_t size);
void yaml_free(void *old);
#pragma GCC visibility pop

void *yaml_malloc(size_t size)
{
    return malloc(size ? size : 1);
}

void yaml_free(void *old)
{
    if (old)
        explicit_bzero(old, malloc_usable_size(old));
    free(old);
}

void *yaml_realloc(void *old, size_t size)
{
    size_t had = old ? malloc_usable_size(old) : 0;
    void *new = yaml_malloc(size);

    if (!new)
        return NULL;
    if (had)
        memcpy(new, old, had < size ? had : size);
    yaml_free(old);
    return new;
}

/* Beyond this many characters of one line, columns count characters instead of bytes. */
#define EXACT_COLUMN_MAX 10000

struct document_limits document_limits_default(void)
{
    return (struct document_limits){.nodes = DOCUMENT_NODES_MAX,
                                    .expanded = DOCUMENT_EXPANDED_MAX,
                                    .depth = DOCUMENT_DEPTH_MAX};
}

const struct document_node *document_get(const struct document_node *map, uint32_t name)
{
    const struct document_key *keys;

    if (map->kind != DOCUMENT_MAP)
        return NULL;
    keys = document_keys(map);
    for (uint32_t i = 0; i < map->count; i++)
        if (keys[i].name == name)
            return &map->as.items[i];
    return NULL;
}

struct loader {
    struct tree tree;
    yaml_parser_t yaml;
    struct str bytes;
    bool is_wide; /* some character has more than one byte: libyaml's columns are not bytes */
    size_t seen_chars,
        seen_bytes; /* a character's index and its byte offset: where we last looked */
};

void document_place_of_offset(struct str bytes, size_t offset, uint32_t *line, uint32_t *column)
{
    size_t start = 0;

    *line = 1;
    for (size_t i = 0; i < offset && i < bytes.len; i++)
        if (bytes.ptr[i] == '\n') {
            (*line)++;
            start = i + 1;
        }
    *column = (uint32_t)(offset - start + 1);
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* The offset behind `chars` characters from `at` on. */
static size_t skip_forward(struct str s, size_t at, size_t chars)
{
    for (; chars && at < s.len; chars--)
        for (at++; at < s.len && is_continuation(s.ptr[at]);)
            at++;
    return at;
}

static size_t skip_back(struct str s, size_t at, size_t chars)
{
    for (; chars && at; chars--)
        for (at--; at && is_continuation(s.ptr[at]);)
            at--;
    return at;
}

/* libyaml counts no byte order mark. */
static void rewind_place(struct loader *l)
{
    l->seen_chars = 0;
    l->seen_bytes = str_starts(l->bytes, STR("\xef\xbb\xbf")) ? 3 : 0;
}

/* libyaml counts characters; people and editors that we print for count bytes. */
static uint32_t column_of(struct loader *l, const yaml_mark_t *mark)
{
    if (!l->is_wide || mark->column > EXACT_COLUMN_MAX)
        return (uint32_t)mark->column + 1;
    if (mark->index < l->seen_chars)
        rewind_place(l);
    l->seen_bytes = skip_forward(l->bytes, l->seen_bytes, mark->index - l->seen_chars);
    l->seen_chars = mark->index;
    return (uint32_t)(l->seen_bytes - skip_back(l->bytes, l->seen_bytes, mark->column)) + 1;
}

static uint32_t line_of(const yaml_mark_t *mark)
{
    return (uint32_t)mark->line + 1;
}

static int refuse_syntax(struct loader *l)
{
    const yaml_parser_t *y = &l->yaml;
    uint32_t line = line_of(&y->problem_mark), column;

    if (y->error == YAML_MEMORY_ERROR)
        return error_memory(l->tree.error);
    if (y->error == YAML_READER_ERROR) {
        document_place_of_offset(l->bytes, y->problem_offset, &line, &column);
        return tree_refuse(&l->tree, ERROR_SYNTAX, line, column, "%s",
                           y->problem ? y->problem : "unreadable bytes");
    }
    column = column_of(l, &y->problem_mark);
    if (y->context && y->context_mark.line != y->problem_mark.line)
        return tree_refuse(&l->tree, ERROR_SYNTAX, line, column, "%s, %s that began in line %u",
                           y->problem ? y->problem : "syntax error", y->context,
                           line_of(&y->context_mark));
    return tree_refuse(&l->tree, ERROR_SYNTAX, line, column, "%s%s%s",
                       y->problem ? y->problem : "syntax error", y->context ? ", " : "",
                       y->context ? y->context : "");
}

static struct str anchor_name(const yaml_char_t *anchor)
{
    return str_from((const char *)anchor);
}

/*
 * "\0" in double quotes is YAML, and in no text of ours: what takes C strings would see less than
 * what was checked.
 */
static int check_text(struct loader *l, struct str text, const yaml_event_t *event)
{
    bool may_escape = event->data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    uint32_t line, column;

    if (text.len <= UINT32_MAX && (!may_escape || str_find(text, '\0', 0) == text.len))
        return 0;
    line = line_of(&event->start_mark);
    column = column_of(l, &event->start_mark);
    return text.len > UINT32_MAX
               ? tree_refuse(&l->tree, ERROR_LIMIT, line, column, "text too long")
               : tree_refuse(&l->tree, ERROR_SYNTAX, line, column, "a NUL byte in a text");
}

static int take_key(struct loader *l, const yaml_event_t *event)
{
    struct str text = {(const char *)event->data.scalar.value, event->data.scalar.length};

    if (check_text(l, text, event))
        return -1;
    return tree_key(&l->tree, text, line_of(&event->start_mark), column_of(l, &event->start_mark));
}

static int take_scalar(struct loader *l, const yaml_event_t *event)
{
    struct str text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    const char *tag = (const char *)event->data.scalar.tag;
    struct document_node node = {.line = line_of(&event->start_mark),
                                 .column = column_of(l, &event->start_mark),
                                 .kind = DOCUMENT_STRING};
    int tagged = 1;

    if (check_text(l, text, event))
        return -1;
    if (tag)
        tagged = scalar_resolve_tagged(tag, text, &node);
    if (tagged < 0)
        return tree_refuse(&l->tree, ERROR_SYNTAX, node.line, node.column,
                           "invalid '%.60s' value", tag);
    if (tagged > 0 && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        scalar_resolve(text, &node);
    if (node.kind == DOCUMENT_STRING && tree_string(&l->tree, text, &node))
        return -1;
    return tree_value(&l->tree, node, anchor_name(event->data.scalar.anchor));
}

static int take_container(struct loader *l, const yaml_event_t *event, bool is_map)
{
    const yaml_char_t *anchor =
        is_map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;

    return tree_open(&l->tree, is_map, line_of(&event->start_mark),
                     column_of(l, &event->start_mark), anchor_name(anchor));
}

static int take_event(struct loader *l, const yaml_event_t *event)
{
    if (tree_wants_key(&l->tree) && event->type != YAML_MAPPING_END_EVENT) {
        if (event->type == YAML_SCALAR_EVENT && !event->data.scalar.anchor)
            return take_key(l, event);
        return tree_refuse(&l->tree, ERROR_SYNTAX, line_of(&event->start_mark),
                           column_of(l, &event->start_mark), "a key must be a plain name");
    }
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return take_scalar(l, event);
    case YAML_MAPPING_START_EVENT:
        return take_container(l, event, true);
    case YAML_SEQUENCE_START_EVENT:
        return take_container(l, event, false);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        return tree_close(&l->tree);
    case YAML_ALIAS_EVENT:
        return tree_alias(&l->tree, anchor_name(event->data.alias.anchor),
                          line_of(&event->start_mark), column_of(l, &event->start_mark));
    default:
        return 0;
    }
}

/* A top that is no map is refused at its first event, however long it is. */
static int check_top(struct loader *l, const yaml_event_t *event)
{
    bool is_top = !l->tree.depth && !l->tree.is_done;

    if (!is_top || (event->type != YAML_SCALAR_EVENT && event->type != YAML_SEQUENCE_START_EVENT))
        return 0;
    return tree_refuse(&l->tree, ERROR_SYNTAX, line_of(&event->start_mark),
                       column_of(l, &event->start_mark), "expected an object");
}

static int load(struct loader *l)
{
    yaml_event_type_t type = YAML_NO_EVENT;
    yaml_event_t event;
    int rc = 0;

    while (!rc && type != YAML_STREAM_END_EVENT) {
        if (!yaml_parser_parse(&l->yaml, &event))
            return refuse_syntax(l);
        type = event.type;
        /* Only the first document counts, but the others must parse. */
        if (!l->tree.is_done)
            rc = check_top(l, &event) ? -1 : take_event(l, &event);
        yaml_event_delete(&event);
    }
    if (!rc && !l->tree.is_done)
        return tree_refuse(&l->tree, ERROR_SYNTAX, 1, 1, "expected an object");
    return rc;
}

/* Looks at all bytes before any is parsed, so that junk at the end costs no tree. */
static int check_bytes(struct loader *l)
{
    const unsigned char *p = (const unsigned char *)l->bytes.ptr;
    size_t nul = str_find(l->bytes, '\0', 0), len = l->bytes.len, i = 0;
    uint32_t line, column;

    if (len >= 2 && ((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff)))
        return 0; /* UTF-16 with its mark: libyaml's to judge */
    while (i < nul) {
        uint64_t word;
        size_t step;
        unsigned code;

        if (nul - i >= sizeof(word)) {
            memcpy(&word, p + i, sizeof(word));
            if (!(word & 0x8080808080808080u)) {
                i += sizeof(word);
                continue;
            }
        }
        step = utf8_sequence(p + i, len - i, &code);
        if (!step)
            break;
        l->is_wide |= step > 1;
        i += step;
    }
    if (i >= len)
        return 0;
    document_place_of_offset(l->bytes, i, &line, &column);
    return tree_refuse(&l->tree, ERROR_SYNTAX, line, column, "%s",
                       p[i] ? "bytes that are not UTF-8" : "a NUL byte");
}

/* Wherever they stand, for a line may end in many ways; in UTF-16 as well. */
static int check_directives(struct loader *l)
{
    size_t len = l->bytes.len, count = 0;
    uint32_t line, column;

    for (size_t i = str_find(l->bytes, '%', 0); i < len; i = str_find(l->bytes, '%', i + 1)) {
        struct str rest = str_slice(l->bytes, i + 1, i + 8);

        if (!str_starts(rest, STR("TAG")) && !str_starts(rest, STR("\0T\0A\0G")))
            continue;
        if (++count <= DOCUMENT_DIRECTIVES_MAX)
            continue;
        document_place_of_offset(l->bytes, i, &line, &column);
        return tree_refuse(&l->tree, ERROR_LIMIT, line, column, "more than %d %%TAG directives",
                           DOCUMENT_DIRECTIVES_MAX);
    }
    return 0;
}

int document_parse(const struct document_options *options, struct str bytes,
                   struct document_node *root, struct error *e)
{
    struct loader l = {.bytes = bytes};
    int rc = -1;

    if (tree_init(&l.tree, options, e))
        goto out;
    if (!yaml_parser_initialize(&l.yaml)) {
        error_memory(e);
        goto out;
    }
    yaml_parser_set_input_string(&l.yaml, (const unsigned char *)(bytes.ptr ? bytes.ptr : ""),
                                 bytes.len);
    rewind_place(&l);
    rc = check_bytes(&l) || check_directives(&l) ? -1 : load(&l);
    if (!rc)
        *root = l.tree.root;
    yaml_parser_delete(&l.yaml);
out:
    tree_fini(&l.tree);
    return rc;
}
