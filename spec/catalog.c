#include "catalog.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/nearest.h"
#include "reconciler/base/vec.h"
#include "spec/fault.h"
#include "spec/newer.h"
#include "spec/problem.h"
#include "spec/resolve.h"
#include "spec/spec.h"

#define PATH_MAX_BYTES 8192
#define MESSAGE_MAX 1024

static const struct catalog_ref nowhere = {0, CATALOG_NO_KIND};

struct catalog_item *catalog_item(const struct catalog *c, struct catalog_ref ref)
{
    return &c->items[ref.kind][ref.ordinal];
}

struct entity *catalog_entity(const struct catalog *c, struct catalog_ref ref)
{
    return (struct entity *)(void *)((char *)c->structs[ref.kind] +
                                     ref.ordinal * entity_infos[ref.kind].size);
}

uint32_t catalog_number(const struct catalog *c, struct catalog_ref ref)
{
    return c->first_number[ref.kind] + ref.ordinal;
}

struct catalog_ref catalog_ref_of(const struct catalog *c, uint32_t number)
{
    uint8_t kind = ENTITY_KIND_COUNT - 1;

    while (kind && c->first_number[kind] > number)
        kind--;
    return (struct catalog_ref){number - c->first_number[kind], kind};
}

uint8_t catalog_kind_of(const struct catalog *c, uint32_t name)
{
    return name < c->list_kind_count && c->list_kinds[name] ? (uint8_t)(c->list_kinds[name] - 1)
                                                            : CATALOG_NO_KIND;
}

void catalog_path(const struct catalog *c, struct catalog_ref ref, struct buf *out)
{
    const struct catalog_item *item = catalog_item(c, ref);

    if (item->parent.kind != CATALOG_NO_KIND) {
        catalog_path(c, item->parent, out);
        buf_char(out, '.');
    }
    buf_printf(out, "%s[%u]", entity_infos[ref.kind].list, item->index);
}

/* --- problems --- */

static void put_problem(struct catalog *c, struct catalog_ref ref, struct problem *p)
{
    struct buf path = BUF_INIT(PATH_MAX_BYTES);

    if (problems_are_full(c->problems)) {
        problems_count(c->problems, p->severity, 1);
        return;
    }
    if (ref.kind != CATALOG_NO_KIND) {
        catalog_path(c, ref, &path);
        if (!p->entity)
            p->entity = catalog_number(c, ref) + 1;
    }
    if (p->path.len)
        buf_printf(&path, "%s%.*s", path.len && p->path.ptr[0] != '[' ? "." : "", STR_ARG(p->path));
    p->path = buf_view(&path);
    problems_put(c->problems, p);
    buf_free(&path);
}

void catalog_problem(struct catalog *c, struct catalog_ref ref, enum problem_severity severity,
                     struct place place, const char *field, const char *format, ...)
{
    char text[MESSAGE_MAX];
    va_list args;

    if (problems_are_full(c->problems)) {
        problems_count(c->problems, severity, 1);
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    put_problem(c, ref,
                &(struct problem){.severity = severity,
                                  .place = place,
                                  .path = str_from(field),
                                  .field = str_from(field),
                                  .message = str_from(text)});
}

static uint32_t number_inline(struct catalog *c, const struct schema_fault *f)
{
    if (!c->inline_count || c->inlines[c->inline_count - 1].node != f->inside) {
        if (c->inline_count == c->inline_cap &&
            vec_grow((void **)&c->inlines, &c->inline_cap, sizeof(*c->inlines))) {
            c->context->is_out_of_memory = true;
            return 0;
        }
        c->inlines[c->inline_count++] = (struct catalog_inline){f->inside, f->inside_kind};
    }
    return c->entity_count + (uint32_t)c->inline_count - 1;
}

/* Turns the faults of the entity at hand into problems. */
static void flush_faults(struct catalog *c, struct catalog_ref ref)
{
    struct schema_context *s = c->context;

    for (size_t i = 0; i < s->fault_count; i++) {
        const struct schema_fault *f = &s->faults[i];
        struct problem p = {.severity = PROBLEM_ERROR,
                            .place = f->place,
                            .path = f->path,
                            .message = f->message,
                            .field = f->field,
                            .kong = f->kong};

        if (f->inside)
            p.entity = number_inline(c, f) + 1;
        put_problem(c, ref, &p);
    }
    if (s->fault_skipped)
        problems_count(c->problems, PROBLEM_ERROR, s->fault_skipped);
    s->fault_count = s->fault_skipped = 0;
}

/* --- counting --- */

static bool may_hold(const struct catalog *c, uint8_t parent, uint8_t child)
{
    return child != CATALOG_NO_KIND &&
           (parent == CATALOG_NO_KIND || c->fields[child][parent] != ENTITY_NO_FIELD);
}

static void count_lists(struct catalog *c, const struct document_node *map, uint8_t parent)
{
    const struct document_key *keys;

    if (map->kind != DOCUMENT_MAP)
        return;
    keys = document_keys(map);
    for (uint32_t i = 0; i < map->count; i++) {
        uint8_t kind = catalog_kind_of(c, keys[i].name);
        const struct document_node *list = &map->as.items[i];

        if (!may_hold(c, parent, kind) || list->kind != DOCUMENT_SEQUENCE)
            continue;
        c->counts[kind] += list->count;
        for (uint32_t k = 0; k < list->count; k++)
            count_lists(c, &list->as.items[k], kind);
    }
}

static int make_room(struct catalog *c, struct error *e)
{
    uint32_t number = 0;

    for (unsigned kind = 0; kind < ENTITY_KIND_COUNT; kind++) {
        c->first_number[kind] = number;
        number += c->counts[kind];
        if (!c->counts[kind])
            continue;
        c->items[kind] = arena_array(c->context->scratch, c->counts[kind], sizeof(**c->items));
        c->structs[kind] = arena_array(c->context->arena, c->counts[kind], entity_infos[kind].size);
        c->templates[kind] = arena_alloc(c->context->scratch, entity_infos[kind].size);
        if (!c->items[kind] || !c->structs[kind] || !c->templates[kind] ||
            arena_charge(c->context->scratch, c->counts[kind] * CATALOG_TABLES_BYTES))
            return error_memory(e);
        schema_set_defaults(c->context, entity_infos[kind].record, c->templates[kind]);
    }
    c->entity_count = number;
    return 0;
}

static int prepare_names(struct catalog *c, struct error *e)
{
    struct names *names = c->context->index->names;
    uint8_t *kinds;

    for (unsigned kind = 0; kind < ENTITY_KIND_COUNT; kind++) {
        c->list_names[kind] = names_find(names, str_from(entity_infos[kind].list));
        if (c->list_names[kind] == NAMES_NONE)
            continue; /* in no file */
        if (c->list_names[kind] >= c->list_kind_count)
            c->list_kind_count = c->list_names[kind] + 1;
        for (unsigned parent = 0; parent < ENTITY_KIND_COUNT; parent++)
            c->fields[kind][parent] = (uint8_t)entity_foreign_field(kind, parent);
    }
    kinds = arena_alloc(c->context->scratch, c->list_kind_count);
    if (!kinds)
        return error_memory(e);
    for (unsigned kind = 0; kind < ENTITY_KIND_COUNT; kind++)
        if (c->list_names[kind] != NAMES_NONE)
            kinds[c->list_names[kind]] = (uint8_t)(kind + 1);
    c->list_kinds = kinds;
    return 0;
}

/* --- foreign fields --- */

static void add_link(struct catalog *c, struct catalog_link link)
{
    size_t had = c->link_cap;

    if (c->link_count == c->link_cap &&
        (vec_grow((void **)&c->links, &c->link_cap, sizeof(*c->links)) ||
         arena_charge(c->context->scratch, (c->link_cap - had) * sizeof(*c->links))))
        c->context->is_out_of_memory = true;
    else
        c->links[c->link_count++] = link;
}

/* A map where a reference belongs, without an id: perhaps an entity written in place. */
static void check_inline(struct catalog *c, const struct schema_field *f,
                         const struct document_node *n, const struct schema_frame *at)
{
    struct schema_context *s = c->context;
    size_t before = fault_total(s);
    struct schema_frame here = {.up = at, .name = STR("id")};
    struct schema_view v;

    s->is_partial = true;
    if (schema_open(s, entity_infos[f->refers_to].record, n, &v, at, NULL, NULL))
        schema_check_view(s, &v, NULL, at);
    s->is_partial = false;
    if (fault_total(s) != before)
        return;
    before = s->fault_count;
    fault_add(s, &here, document_place(n), "missing primary key");
    if (s->fault_count > before && n->count == 1 &&
        document_get(n, names_find(s->index->names, STR("name"))))
        fault_add_more(s, before,
                       ": {name: ...} is decK's form; write the name alone, or read it with "
                       "--deck-format");
}

/* {id: UUID}. True: it is a reference. */
static bool check_id(struct catalog *c, const struct schema_field *f, const struct document_node *n,
                     const struct schema_frame *at)
{
    const struct document_node *id =
        document_get(n, names_find(c->context->index->names, STR("id")));
    struct schema_frame here = {.up = at, .name = STR("id")};
    struct buf why = BUF_INIT(64);
    bool is_fine = false;

    if (id && id->kind == DOCUMENT_NULL) {
        fault_add(c->context, &here, document_place(id), "required field missing");
    } else if (!id) {
        check_inline(c, f, n, at);
    } else if (id->kind != DOCUMENT_STRING) {
        fault_add(c->context, &here, document_place(id), "expected a string");
    } else {
        schema_common_fields[COMMON_ID].check(document_text(id), &why);
        is_fine = !why.len;
        if (!is_fine)
            fault_add(c->context, &here, document_place(id), "expected a valid UUID");
    }
    buf_free(&why);
    return is_fine;
}

/* Faults from `from` on are about an entity in the place of a reference. */
static void mark_inline(struct schema_context *s, size_t from, const struct document_node *n,
                        const struct schema_field *f)
{
    for (size_t i = from; i < s->fault_count; i++) {
        s->faults[i].inside = n;
        s->faults[i].inside_kind = (uint8_t)f->refers_to;
    }
}

/* Kong's words for the fault that was just added, behind `before` others; it may have been one too
 * many. */
static void set_kong(struct schema_context *s, size_t before, const char *text)
{
    if (s->fault_count > before)
        s->faults[before].kong = str_from(text);
}

/* Kong says one thing of a reference that a nested entity must not have, whatever is wrong in it.
 */
static void refuse_nested(struct schema_context *s, size_t from, const struct schema_field *f,
                          const struct document_node *n, const struct schema_frame *at)
{
    const char *list = entity_infos[f->refers_to].list;

    s->fault_count = from;
    if (document_is_table(n))
        fault_add_entity(s, at, document_place(n),
                         "value must be null, or {id: UUID} of one of '%s'", list);
    else
        fault_add(s, at, document_place(n), "value must be null, or {id: UUID} of one of '%s'",
                  list);
    set_kong(s, from, "value must be null");
}

/* A value that is set: a name or id, {id: ...}, or a mistake. */
static void take_reference(struct catalog *c, const struct schema_field *f,
                           const struct document_node *n, struct catalog_link link)
{
    struct schema_context *s = c->context;
    size_t before = s->fault_count;
    struct schema_frame here = {.field = f->name, .is_own = document_is_table(n)};
    struct schema_frame id = {.up = &here, .field = "id"};
    bool is_nested = catalog_item(c, link.from)->parent.kind != CATALOG_NO_KIND;
    bool is_reference = false;

    if (here.is_own) {
        is_reference = check_id(c, f, n, &here);
        if (is_nested && s->fault_count > before)
            refuse_nested(s, before, f, n, &here);
    } else if (n->kind != DOCUMENT_STRING) {
        fault_add(s, &here, document_place(n), "expected a string");
    } else if (!n->count && is_nested) {
        refuse_nested(s, before, f, n, &here);
    } else if (!n->count) {
        fault_add(s, &id, document_place(n), "missing primary key: an empty text names nothing");
        set_kong(s, before, "missing primary key");
    } else {
        is_reference = true;
    }
    if (is_reference)
        add_link(c, link);
    if (here.is_own)
        mark_inline(s, before, n, f);
}

static void take_foreign(struct catalog *c, struct schema_view *v, struct catalog_ref ref,
                         unsigned i, unsigned own)
{
    const struct schema_field *f = &v->record->fields[i];
    const struct document_node *n = v->slots[i];
    struct schema_frame here = {.field = f->name};
    bool is_nested = catalog_item(c, ref)->parent.kind != CATALOG_NO_KIND;

    if (n && n->kind != DOCUMENT_NULL)
        take_reference(c, f, n,
                       (struct catalog_link){.value = n,
                                             .from = ref,
                                             .to = nowhere,
                                             .field = (uint8_t)i,
                                             .is_parent = i == own});
    else if (f->flags & SCHEMA_REQUIRED && !is_nested)
        fault_add(c->context, &here, document_place(n ? n : v->node), "required field missing");
}

static void take_foreigns(struct catalog *c, struct schema_view *v, struct catalog_ref ref)
{
    struct catalog_ref parent = catalog_item(c, ref)->parent;
    bool is_nested = parent.kind != CATALOG_NO_KIND;
    unsigned own = is_nested ? c->fields[ref.kind][parent.kind] : ENTITY_NO_FIELD;

    catalog_item(c, ref)->first_link = (uint32_t)c->link_count;
    for (unsigned i = 0; i < v->record->count; i++) {
        const struct schema_field *f = &v->record->fields[i];

        if (f->type != SCHEMA_FOREIGN || v->failed >> i & 1)
            continue;
        if (i == own && f->store == STORE_POINTER)
            *(const void **)(void *)((char *)catalog_entity(c, ref) + f->offset) =
                catalog_entity(c, parent);
        take_foreign(c, v, ref, i, own);
    }
}

/* --- filling --- */

struct known {
    const struct catalog *catalog;
    uint8_t kind;
};

static bool is_known(const void *context, uint32_t name)
{
    const struct known *k = context;

    return may_hold(k->catalog, k->kind, catalog_kind_of(k->catalog, name));
}

/* Of the lists that may stand there, which was meant? */
static void offer_lists(struct catalog *c, const struct known *known)
{
    struct schema_context *s = c->context;

    for (size_t i = 0; i < s->fault_count; i++) {
        const char *near = NULL;

        for (unsigned kind = 0; kind < ENTITY_KIND_COUNT; kind++)
            if (may_hold(c, known->kind, (uint8_t)kind))
                nearest_offer(s->faults[i].path, entity_infos[kind].list, &near);
        if (near && str_equal(s->faults[i].message, STR("unknown field")))
            fault_explain(s, s->faults[i].path, "unknown field, did you mean %s?", near);
    }
}

static void fill_list(struct catalog *c, uint8_t kind, const struct document_node *list,
                      struct catalog_ref parent);

static void fill_children(struct catalog *c, const struct document_node *map,
                          struct catalog_ref parent)
{
    const struct document_key *keys;

    if (map->kind != DOCUMENT_MAP)
        return;
    keys = document_keys(map);
    for (uint32_t i = 0; i < map->count; i++) {
        uint8_t kind = catalog_kind_of(c, keys[i].name);

        if (may_hold(c, parent.kind, kind))
            fill_list(c, kind, &map->as.items[i], parent);
    }
}

static void set_common(struct catalog *c, const struct schema_view *v, struct catalog_ref ref)
{
    const struct entity_info *info = &entity_infos[ref.kind];
    struct catalog_item *item = catalog_item(c, ref);
    const struct document_node *name = info->endpoint_is_unique ? v->slots[info->endpoint] : NULL;
    struct entity *entity = catalog_entity(c, ref);

    if (name && name->kind == DOCUMENT_STRING && name->count)
        item->name = document_text(name);
    /* Server names are compared in lower case, which is how the struct has them. */
    if (ref.kind == ENTITY_SNI && item->name.ptr && !(v->failed & 1))
        item->name = ((struct sni *)(void *)entity)->name.value;
    entity->place = document_place(v->node);
    if (v->node->kind == DOCUMENT_MAP && v->node->count) {
        entity->place.line = document_keys(v->node)[0].line;
        entity->place.column = document_keys(v->node)[0].column;
    }
}

/* Kong migrates routes of the top level and of its services, and no others. */
bool catalog_migrates_paths(const struct catalog *c, struct catalog_ref ref)
{
    struct catalog_ref parent;

    if (ref.kind != ENTITY_ROUTE || !catalog_item(c, ref)->is_old)
        return false;
    parent = catalog_item(c, ref)->parent;
    return parent.kind == CATALOG_NO_KIND ||
           (parent.kind == ENTITY_SERVICE &&
            catalog_item(c, parent)->parent.kind == CATALOG_NO_KIND);
}

static void fill_item(struct catalog *c, uint8_t kind, const struct document_node *n,
                      uint32_t index, struct catalog_ref parent)
{
    struct catalog_ref ref = {c->filled[kind]++, kind};
    const struct entity_info *info = &entity_infos[kind];
    struct known known = {c, kind};
    struct schema_context *s = c->context;
    struct entity *entity = catalog_entity(c, ref);
    struct schema_view v;

    *catalog_item(c, ref) = (struct catalog_item){
        .node = n, .index = index, .parent = parent, .is_old = c->source->migrates_paths};
    memcpy((void *)entity, c->templates[kind], info->size);
    s->parent = parent.kind == CATALOG_NO_KIND ? NULL : entity_infos[parent.kind].singular;
    s->migrates_paths = catalog_migrates_paths(c, ref);
    s->unresolved = STR_NONE;
    s->has_reference = false;
    s->acme = NULL;
    if (schema_open(s, info->record, n, &v, NULL, is_known, &known)) {
        schema_check_view(s, &v, entity, NULL);
        take_foreigns(c, &v, ref);
    }
    offer_lists(c, &known);
    fault_explain_values(s, &v);
    set_common(c, &v, ref);
    resolve_set_id(c, &v, ref);
    if (s->acme) {
        s->acme->entity = *entity;
        if (!s->acme->tos_place.line)
            s->acme->tos_place = entity->place;
        s->acme->enabled = ((struct plugin *)(void *)entity)->enabled;
        s->found_acme = s->acme;
        c->acme = ref;
    }
    flush_faults(c, ref);
    fill_children(c, n, ref);
}

/* An item that is no map has its place in the arrays, so that numbers stay in step. */
static void refuse_item(struct catalog *c, uint8_t kind, const struct document_node *n,
                        uint32_t index, struct catalog_ref parent)
{
    static const struct document_node nothing = {.kind = DOCUMENT_MAP};
    struct catalog_ref ref = {c->filled[kind]++, kind};
    const char *why = n->kind == DOCUMENT_NULL ? "required field missing" : "expected a record";

    if (kind == ENTITY_SNI && n->kind == DOCUMENT_STRING)
        why = "expected a record: write '- name: HOST' (a plain list of names is the Admin API's "
              "form)";
    *catalog_item(c, ref) =
        (struct catalog_item){.node = &nothing, .index = index, .parent = parent};
    catalog_problem(c, ref, PROBLEM_ERROR, document_place(n), "", "%s", why);
}

static void fill_list(struct catalog *c, uint8_t kind, const struct document_node *list,
                      struct catalog_ref parent)
{
    if (list->kind == DOCUMENT_NULL)
        return;
    if (!document_is_list(list)) {
        catalog_problem(c, parent, PROBLEM_ERROR, document_place(list), entity_infos[kind].list,
                        "expected an array");
        return;
    }
    for (uint32_t i = 0; i < list->count && !problems_are_enough(c->problems); i++) {
        const struct document_node *n = &list->as.items[i];

        if (document_is_table(n))
            fill_item(c, kind, n, i + 1, parent);
        else
            refuse_item(c, kind, n, i + 1, parent);
    }
}

/* decK leaves the version out, and Kong does not. */
static void explain_version(struct schema_context *s, const struct document_node *root)
{
    const struct document_key *keys = document_keys(root);
    bool is_deck = s->options->deck_env;

    for (uint32_t i = 0; i < root->count; i++)
        is_deck |= newer_is_deck("document", names_text(s->index->names, keys[i].name));
    for (size_t i = 0; i < s->fault_count && is_deck; i++)
        if (str_equal(s->faults[i].path, STR("_format_version")) &&
            !document_get(root, names_find(s->index->names, s->faults[i].path)))
            fault_add_more(s, i, ": Kong wants it, decK does not; read it with --deck-format");
}

static void check_document(struct catalog *c, const struct document_node *root)
{
    struct known known = {c, CATALOG_NO_KIND};
    struct schema_context *s = c->context;
    struct schema_view v;

    if (schema_open(s, &entity_document, root, &v, NULL, is_known, &known))
        schema_check_view(s, &v, NULL, NULL);
    offer_lists(c, &known);
    explain_version(s, root);
    flush_faults(c, nowhere);
}

int catalog_build(struct catalog *c, struct error *e)
{
    if (prepare_names(c, e))
        return -1;
    for (size_t i = 0; i < c->source_count; i++)
        count_lists(c, &c->sources[i].root, CATALOG_NO_KIND);
    if (make_room(c, e))
        return -1;
    for (size_t i = 0; i < c->source_count; i++) {
        c->source = &c->sources[i];
        check_document(c, &c->sources[i].root);
        fill_children(c, &c->sources[i].root, nowhere);
    }
    return c->context->is_out_of_memory ? error_memory(e) : 0;
}

void catalog_fini(struct catalog *c)
{
    free(c->links);
    free(c->inlines);
    free(c->context ? c->context->faults : NULL);
    c->links = NULL;
    c->inlines = NULL;
    if (c->context)
        c->context->faults = NULL;
}
