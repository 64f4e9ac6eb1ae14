#include "schema.h"

#include <string.h>

#include "reconciler/base/nearest.h"
#include "spec/fault.h"
#include "spec/json.h"
#include "spec/newer.h"
#include "spec/rule.h"
#include "spec/field_value.h"

const struct document_node schema_null = {.kind = DOCUMENT_NULL};

bool schema_is_reference(struct str s)
{
    return s.len >= 10 && str_starts(s, STR("{vault://")) && s.ptr[s.len - 1] == '}';
}

bool schema_is_empty(const struct document_node *n)
{
    return n->kind == DOCUMENT_NULL ||
           ((n->kind == DOCUMENT_STRING || document_is_table(n)) && !n->count);
}

unsigned schema_field_count(const struct schema_record *record)
{
    return record->count + (record->is_entity ? COMMON_COUNT : 0);
}

const struct schema_field *schema_base_field(const struct schema_record *record, unsigned i)
{
    return i < record->count ? &record->fields[i] : &schema_common_fields[i - record->count];
}

const struct schema_field *schema_field_of(const struct schema_view *v, unsigned i)
{
    if (v->variant)
        for (unsigned k = 0; k < v->variant->count; k++)
            if (v->variant->overrides[k].field == i)
                return v->variant->overrides[k].with;
    return schema_base_field(v->record, i);
}

const struct document_node *schema_value(const struct schema_context *c,
                                         const struct schema_view *v, unsigned i)
{
    if (v->slots[i])
        return v->slots[i];
    if (v->variant)
        for (unsigned k = 0; k < v->variant->count; k++)
            if (v->variant->overrides[k].field == i && v->variant->overrides[k].fallback)
                return v->variant->overrides[k].fallback;
    return &c->index->defaults[v->record->number][i];
}

/* --- opening a map --- */

static bool index_of(const struct schema_context *c, const struct schema_record *record,
                     uint32_t name, unsigned *i)
{
    uint8_t slot = name < c->index->known ? c->index->by_name[record->number][name] : 0;

    *i = slot - 1u;
    return slot != 0;
}

void schema_put(struct schema_view *v, unsigned i, const struct document_node *n)
{
    v->slots[i] = n;
    v->given |= (uint64_t)1 << i;
}

/* What `name` may have been meant to be. */
static const char *near_field(const struct schema_view *v, struct str name)
{
    const char *near = NULL;

    for (unsigned i = 0; i < schema_field_count(v->record); i++)
        if (!v->record->has_no_tags || i != v->record->count + COMMON_TAGS)
            nearest_offer(name, schema_field_of(v, i)->name, &near);
    return near;
}

/* A key that no field has, and what helps. */
static void add_unknown(struct schema_context *c, const struct schema_view *v,
                        const struct schema_frame *at, struct place place)
{
    const char *record = v->record->name, *newer = newer_field(record, at->name), *near;
    size_t before = c->fault_count;

    fault_add(c, at, place, "unknown field");
    if (c->fault_count == before)
        return;
    if (newer)
        fault_add_more(c, before, ": known to %s, not to 3.9; --ignore-unsupported leaves it out",
                       newer);
    else if (newer_is_deck(record, at->name))
        fault_add_more(c, before,
                       ": decK's own key; read it with --deck-format, run `deck file render` or "
                       "remove it");
    else if ((near = near_field(v, at->name)))
        fault_add_more(c, before, ", did you mean %s?", near);
}

static void open_map(struct schema_context *c, struct schema_view *v, const struct schema_frame *at,
                     bool (*is_known)(const void *, uint32_t), const void *known)
{
    const struct document_key *keys = document_keys(v->node);

    for (uint32_t k = 0; k < v->node->count; k++) {
        unsigned i;

        if (index_of(c, v->record, keys[k].name, &i)) {
            schema_put(v, i, &v->node->as.items[k]);
        } else if (!is_known || !is_known(known, keys[k].name)) {
            struct schema_frame here = {.up = at,
                                        .name = names_text(c->index->names, keys[k].name)};

            add_unknown(c, v, &here, (struct place){v->node->file, keys[k].line, keys[k].column});
        }
    }
}

bool schema_open(struct schema_context *c, const struct schema_record *record,
                 const struct document_node *node, struct schema_view *v,
                 const struct schema_frame *at, bool (*is_known)(const void *, uint32_t),
                 const void *known)
{
    v->record = record;
    v->variant = NULL;
    v->node = node;
    v->given = 0;
    v->failed = 0;
    memset(v->slots, 0, schema_field_count(record) * sizeof(*v->slots));
    if (node->kind == DOCUMENT_MAP) {
        open_map(c, v, at, is_known, known);
    } else {
        for (uint32_t i = 0; i < node->count; i++)
            fault_add(c, &(struct schema_frame){.up = at, .index = i + 1},
                      document_place(&node->as.items[i]), "unknown field");
    }
    if (record->expand)
        record->expand(c, v, at);
    return !record->choose || record->choose(c, v, at);
}

/* --- records --- */

static bool check_missing(struct schema_context *c, struct schema_view *v, unsigned i, char *into,
                          const struct schema_frame *at)
{
    const struct schema_field *f = schema_field_of(v, i);
    const struct document_node *n = schema_value(c, v, i);
    struct document_node empty = {.kind = DOCUMENT_MAP,
                                  .file = v->node->file,
                                  .line = v->node->line,
                                  .column = v->node->column};

    /* The record's defaults are in place already; a variant's are not. */
    if (n != &c->index->defaults[v->record->number][i])
        return field_value_take(c, f, n, into, at, NULL);
    if (!(f->flags & SCHEMA_REQUIRED) || n->kind != DOCUMENT_NULL || c->is_partial)
        return true;
    if (f->type == SCHEMA_RECORD)
        return field_value_take(c, f, &empty, into, at, NULL);
    fault_add(c, at, document_place(v->node), "required field missing");
    return false;
}

/* Fields that are given, and those that must not be left out. */
static uint64_t fields_to_check(const struct schema_context *c, const struct schema_view *v)
{
    uint64_t rest = v->given | c->index->required[v->record->number];

    if (v->variant)
        for (unsigned k = 0; k < v->variant->count; k++)
            if (v->variant->overrides[k].with->flags & SCHEMA_REQUIRED)
                rest |= (uint64_t)1 << v->variant->overrides[k].field;
    return rest;
}

static void check_field(struct schema_context *c, struct schema_view *v, unsigned i, void *into,
                        const struct schema_frame *at)
{
    const struct schema_field *f = schema_field_of(v, i);
    struct schema_frame here = {.up = at, .field = f->name};
    const struct schema_record *of =
        v->record->transform && v->record->transforms == i ? v->record : NULL;
    bool is_fine;

    if (f->type == SCHEMA_FOREIGN && !(f->flags & SCHEMA_NULL))
        return;
    is_fine = v->slots[i] ? field_value_take(c, f, v->slots[i], into, &here, of)
                          : check_missing(c, v, i, into, &here);
    if (!is_fine)
        v->failed |= (uint64_t)1 << i;
}

void schema_check_view(struct schema_context *c, struct schema_view *v, void *into,
                       const struct schema_frame *at)
{
    for (uint64_t rest = fields_to_check(c, v); rest; rest &= rest - 1)
        check_field(c, v, (unsigned)__builtin_ctzll(rest), into, at);
    if (!v->record->rules_last)
        rule_check(c, v, at);
    if (v->variant && v->variant->check)
        v->variant->check(c, v, into, at);
    if (v->record->check)
        v->record->check(c, v, into, at);
    if (v->record->rules_last)
        rule_check(c, v, at);
}

void schema_set_defaults(struct schema_context *c, const struct schema_record *record, void *into)
{
    unsigned count = schema_field_count(record);

    for (unsigned i = 0; i < count; i++) {
        const struct schema_field *f = schema_base_field(record, i);
        const struct document_node *n = &c->index->defaults[record->number][i];

        if (f->type == SCHEMA_RECORD && f->store == STORE_RECORD)
            schema_set_defaults(c, f->record, (char *)into + f->offset);
        else if (n->kind != DOCUMENT_NULL && f->store != STORE_NOTHING)
            (void)field_value_take(c, f, n, into, NULL, NULL);
    }
}

/* --- preparation --- */

/* Defaults stand nowhere. Their nodes are ours to write: the tree has just been built. */
static void forget_places(struct document_node *n)
{
    n->line = 0;
    n->column = 0;
    for (uint32_t i = 0; document_is_table(n) && i < n->count; i++)
        forget_places((struct document_node *)(uintptr_t)&n->as.items[i]);
}

static int parse_default(const struct schema_field *f, struct schema_index *index,
                         struct arena *strings, struct arena *arena, struct document_node *node,
                         struct error *e)
{
    struct problems none;
    struct document_options options = {.names = index->names,
                                       .strings = strings,
                                       .nodes = arena,
                                       .problems = &none,
                                       .limits = document_limits_default()};
    int rc;

    *node = (struct document_node){.kind = DOCUMENT_NULL};
    if (!f->fallback)
        return 0;
    if (problems_init(&none))
        return error_memory(e);
    rc = json_parse(&options, str_from(f->fallback), node, e);
    if (rc && e->kind != ERROR_MEMORY)
        BUG("a default that is no JSON");
    problems_fini(&none);
    forget_places(node);
    return rc;
}

static int prepare_record(struct schema_index *index, const struct schema_record *record,
                          struct arena *strings, struct arena *arena, struct error *e)
{
    unsigned count = schema_field_count(record);
    struct document_node *defaults = arena_array(arena, count, sizeof(*defaults));

    if (count > SCHEMA_FIELDS_MAX)
        BUG("a record with more than SCHEMA_FIELDS_MAX fields");
    if (!defaults)
        return error_memory(e);
    for (unsigned i = 0; i < count; i++) {
        const struct schema_field *f = schema_base_field(record, i);

        if (names_put(index->names, str_from(f->name)) == NAMES_NONE)
            return error_memory(e);
        if (parse_default(f, index, strings, arena, &defaults[i], e))
            return -1;
        if (f->flags & SCHEMA_REQUIRED && !f->fallback && !(f->flags & SCHEMA_DRAWN))
            index->required[record->number] |= (uint64_t)1 << i;
    }
    index->defaults[record->number] = defaults;
    return 0;
}

int schema_prepare(struct schema_index *index, struct names *names,
                   const struct schema_record *const *records, unsigned count,
                   struct arena *strings, struct arena *arena, struct error *e)
{
    *index = (struct schema_index){.names = names};
    index->by_name = arena_array(arena, count, sizeof(*index->by_name));
    index->defaults = arena_array(arena, count, sizeof(*index->defaults));
    index->required = arena_array(arena, count, sizeof(*index->required));
    if (!index->by_name || !index->defaults || !index->required)
        return error_memory(e);
    for (unsigned r = 0; r < count; r++)
        if (prepare_record(index, records[r], strings, arena, e))
            return -1;
    index->known = names->count;
    for (unsigned r = 0; r < count; r++) {
        uint8_t *by_name = arena_alloc(arena, index->known);
        unsigned i = schema_field_count(records[r]);

        if (!by_name)
            return error_memory(e);
        /* From the end: where a record has a field of a common one's name, its own counts. */
        while (i-- > 0)
            if (!records[r]->has_no_tags || i != records[r]->count + COMMON_TAGS)
                by_name[names_find(names, str_from(schema_base_field(records[r], i)->name))] =
                    (uint8_t)(i + 1);
        index->by_name[records[r]->number] = by_name;
    }
    return 0;
}
