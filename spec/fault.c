#include "fault.h"

#include <stdarg.h>
#include <stdio.h>

#include "reconciler/base/vec.h"
#include "spec/newer.h"

#define FAULT_PATH_MAX 4096
#define FAULT_MESSAGE_MAX 1024

/* One that nobody will read is only counted. */
static bool skip(struct schema_context *c)
{
    if (c->fault_count < PROBLEMS_MAX && !problems_are_full(c->problems))
        return false;
    c->fault_skipped++;
    return true;
}

static struct schema_fault *new_fault(struct schema_context *c)
{
    if (skip(c))
        return NULL;
    if (c->fault_count == c->fault_cap &&
        vec_grow((void **)&c->faults, &c->fault_cap, sizeof(*c->faults))) {
        c->is_out_of_memory = true;
        return NULL;
    }
    c->faults[c->fault_count] = (struct schema_fault){0};
    return &c->faults[c->fault_count++];
}

static void print_path(struct buf *path, struct buf *field, const struct schema_frame *at)
{
    struct str name;

    if (!at)
        return;
    print_path(path, field, at->up);
    if (at->index) {
        buf_printf(path, "[%u]", at->index);
        buf_printf(field, "%s%u", field->len ? "." : "", at->index);
        return;
    }
    name = at->field ? str_from(at->field) : at->name;
    buf_printf(path, "%s%.*s", path->len ? "." : "", STR_ARG(name));
    if (!at->is_own)
        buf_printf(field, "%s%.*s", field->len ? "." : "", STR_ARG(name));
}

static void set_path(struct schema_context *c, struct schema_fault *f,
                     const struct schema_frame *at)
{
    struct buf path = BUF_INIT(FAULT_PATH_MAX), field = BUF_INIT(FAULT_PATH_MAX);

    print_path(&path, &field, at);
    f->path = arena_str(c->scratch, buf_view(&path));
    f->field = arena_str(c->scratch, buf_view(&field));
    buf_free(&path);
    buf_free(&field);
}

static struct str print_message(struct schema_context *c, const char *format, va_list args)
{
    char text[FAULT_MESSAGE_MAX];

    vsnprintf(text, sizeof(text), format, args);
    return arena_str(c->scratch, str_from(text));
}

void fault_add_args(struct schema_context *c, const struct schema_frame *at, struct place place,
                    const char *format, va_list args)
{
    struct schema_fault *f = new_fault(c);

    if (!f)
        return;
    f->message = print_message(c, format, args);
    f->place = place;
    set_path(c, f, at);
}

void fault_add(struct schema_context *c, const struct schema_frame *at, struct place place,
               const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fault_add_args(c, at, place, format, args);
    va_end(args);
}

void fault_add_entity(struct schema_context *c, const struct schema_frame *at, struct place place,
                      const char *format, ...)
{
    struct schema_fault *f = new_fault(c);
    va_list args;

    if (!f)
        return;
    va_start(args, format);
    f->message = print_message(c, format, args);
    va_end(args);
    f->place = place;
    set_path(c, f, at);
    f->field = STR("");
    f->is_entity = true;
}

#define UNKNOWN "unknown field" /* as Kong has it */

void fault_add_more(struct schema_context *c, size_t fault, const char *format, ...)
{
    struct schema_fault *f = &c->faults[fault];
    struct str more;
    va_list args;

    va_start(args, format);
    more = print_message(c, format, args);
    va_end(args);
    f->kong = f->message;
    f->message = arena_printf(c->scratch, "%.*s%.*s", STR_ARG(f->message), STR_ARG(more));
    if (!f->message.ptr)
        f->message = f->kong;
}

void fault_explain(struct schema_context *c, struct str path, const char *format, ...)
{
    va_list args;

    for (size_t i = 0; i < c->fault_count; i++) {
        struct schema_fault *f = &c->faults[i];

        if (!str_equal(f->path, path) || !str_starts(f->message, STR(UNKNOWN)))
            continue;
        f->kong = STR(UNKNOWN);
        va_start(args, format);
        f->message = print_message(c, format, args);
        va_end(args);
    }
}

void fault_explain_values(struct schema_context *c, const struct schema_view *v)
{
    for (size_t i = 0; i < c->fault_count; i++) {
        struct str field = c->faults[i].path;
        const struct document_node *value =
            v->node->kind == DOCUMENT_MAP
                ? document_get(v->node, names_find(c->index->names, field))
                : NULL;
        const char *who = value && document_is_string(value)
                              ? newer_value(v->record->name, field, document_text(value))
                              : NULL;

        if (who)
            fault_add_more(c, i, " (known to %s, not to 3.9; --ignore-unsupported leaves it out)",
                           who);
    }
}

/* One field has one message in Kong: the one of the last check. */
static void drop_faults(struct schema_context *c, struct str path)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->fault_count; i++) {
        const struct schema_fault *f = &c->faults[i];
        bool is_below =
            str_starts(f->path, path) && (f->path.len == path.len || f->path.ptr[path.len] == '.' ||
                                          f->path.ptr[path.len] == '[');

        if (f->is_entity || !is_below)
            c->faults[kept++] = *f;
    }
    c->fault_count = kept;
}

void fault_add_field(struct schema_context *c, struct schema_view *v, const struct schema_frame *at,
                     unsigned i, const char *format, ...)
{
    struct schema_frame here = {.up = at, .field = schema_base_field(v->record, i)->name};
    struct schema_fault fault = {0}, *f;
    bool had_failed = v->failed >> i & 1;
    va_list args;

    v->failed |= (uint64_t)1 << i;
    if (skip(c))
        return;
    set_path(c, &fault, &here);
    if (had_failed)
        drop_faults(c, fault.path);
    va_start(args, format);
    fault.message = print_message(c, format, args);
    va_end(args);
    fault.place = document_place(v->slots[i] && v->slots[i]->line ? v->slots[i] : v->node);
    f = new_fault(c);
    if (f)
        *f = fault;
}
