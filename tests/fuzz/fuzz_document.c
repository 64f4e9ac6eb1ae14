#include <stdint.h>
#include <stdlib.h>

#include "spec/document.h"
#include "spec/document_json.h"
#include "spec/json.h"
#include "spec/names.h"
#include "spec/problem.h"

/* Any bytes as YAML: a map that prints as JSON and reads back as the same, or problems. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reading {
    struct arena *arena;
    struct names names;
    struct problems problems;
    struct document_options options;
    struct document_node root;
    struct error error;
};

static void begin(struct reading *r)
{
    *r = (struct reading){.arena = arena_new(NULL)};
    if (!r->arena || names_init(&r->names, r->arena) || problems_init(&r->problems))
        abort();
    r->options = (struct document_options){
        .names = &r->names,
        .strings = r->arena,
        .nodes = r->arena,
        .problems = &r->problems,
        .limits = {.nodes = 1 << 16, .expanded = 1 << 14, .depth = DOCUMENT_DEPTH_MAX}};
}

static void end(struct reading *r)
{
    names_fini(&r->names);
    problems_fini(&r->problems);
    arena_free(r->arena);
}

/* A key twice is a problem of its own, and no JSON that we would read. */
static void check_round_trip(const struct reading *r)
{
    struct buf first = BUF_INIT(SIZE_MAX / 2), second = BUF_INIT(SIZE_MAX / 2);
    struct reading again;

    document_json_print(&first, &r->root, &r->names);
    begin(&again);
    again.options.limits.nodes = 1 << 20;
    if (json_parse(&again.options, buf_view(&first), &again.root, &again.error))
        abort();
    document_json_print(&second, &again.root, &again.names);
    if (!str_equal(buf_view(&first), buf_view(&second)))
        abort();
    end(&again);
    buf_free(&first);
    buf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reading r;

    begin(&r);
    if (document_parse(&r.options, (struct str){(const char *)data, size}, &r.root, &r.error)) {
        if (!r.problems.error_count || r.error.kind == ERROR_NONE)
            abort();
    } else if (r.root.kind != DOCUMENT_MAP) {
        abort();
    } else if (!r.problems.error_count) {
        check_round_trip(&r);
    }
    end(&r);
    return 0;
}
