#include "reconciler/control/reading.h"

#include "reconciler/base/clock.h"
#include "spec/json.h"

int reading_open(struct reading *r, struct str json, struct error *e)
{
    struct document_options options = {
        .names = &r->names, .problems = &r->problems, .limits = document_limits_default()};

    *r = (struct reading){.arena = arena_new(NULL)};
    options.strings = options.nodes = r->arena;
    if (!r->arena || names_init(&r->names, r->arena) || problems_init(&r->problems) ||
        problems_add_file(&r->problems, "-", false))
        return error_memory(e);
    if (json_parse(&options, json, &r->root, e) == 0 && r->root.kind == DOCUMENT_MAP)
        return 0;
    return error_set(e, ERROR_PROTOCOL, "it is not a JSON object");
}

void reading_close(struct reading *r)
{
    problems_fini(&r->problems);
    names_fini(&r->names);
    arena_free(r->arena);
    *r = (struct reading){0};
}

const struct document_node *reading_get(const struct reading *r, const struct document_node *of,
                                        const char *name)
{
    uint32_t number = names_find(&r->names, str_from(name));

    if (!of || of->kind != DOCUMENT_MAP || number == NAMES_NONE)
        return NULL;
    return document_get(of, number);
}

struct str reading_text(const struct reading *r, const struct document_node *of, const char *name)
{
    const struct document_node *n = reading_get(r, of, name);

    return n && document_is_string(n) ? document_text(n) : STR_NONE;
}

int64_t reading_number(const struct reading *r, const struct document_node *of, const char *name)
{
    const struct document_node *n = reading_get(r, of, name);

    return n && n->kind == DOCUMENT_INTEGER ? n->as.integer : 0;
}

int64_t reading_time(const struct reading *r, const struct document_node *of, const char *name)
{
    struct str text = reading_text(r, of, name);
    int64_t at;

    return text.ptr && clock_parse(text, &at) == 0 ? at : 0;
}

const struct document_node *reading_list(const struct reading *r, const struct document_node *of,
                                         const char *name, size_t *count)
{
    const struct document_node *n = reading_get(r, of, name);

    *count = n && n->kind == DOCUMENT_SEQUENCE ? n->count : 0;
    return *count ? n->as.items : NULL;
}
