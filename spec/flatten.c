#include "flatten.h"

#include <stdlib.h>

#include "spec/detail.h"
#include "spec/document_json.h"
#include "spec/mask.h"
#include "spec/resolve.h"
#include "spec/field_value.h"

struct flattening {
    struct spec_detail *detail;
    struct json_out *out;
    bool masks;
    uint32_t next_sni; /* SNIs before it belong to certificates that are printed */
};

/* Everything has been checked: what is left over are lists of children. */
static bool accept_name(const void *context, uint32_t name)
{
    (void)context;
    (void)name;
    return true;
}

static const struct catalog *catalog_of(const struct flattening *f)
{
    return &f->detail->catalog;
}

static void print_node(struct flattening *f, const char *name, const struct document_node *n)
{
    struct buf text = BUF_SECRET(SIZE_MAX / 2);

    if (f->masks)
        mask_print(f->detail, str_from(name), n, &text);
    else
        document_json_print(&text, n, &f->detail->names);
    json_out_raw(f->out, buf_view(&text));
    f->detail->context.is_out_of_memory |= text.failed;
    buf_free(&text);
}

static void print_text(struct flattening *f, struct str text)
{
    json_out_str(f->out, f->masks && mask_is_in(&f->detail->outside, text) ? STR(MASK) : text);
}

/* Kong knows no order in a set, and nothing twice. */
static void print_set(struct flattening *f, const struct document_node *n,
                      const struct schema_record *of)
{
    struct text *items = calloc(n->count, sizeof(*items));
    size_t count;

    if (!items) {
        f->detail->context.is_out_of_memory = true;
        json_out_null(f->out);
        return;
    }
    for (uint32_t i = 0; i < n->count; i++)
        items[i].value = document_text(&n->as.items[i]);
    count = field_value_drop_repeats(items, n->count);
    json_out_array(f->out);
    for (size_t i = 0; i < count; i++)
        print_text(f, of ? of->transform(&f->detail->context, items[i].value) : items[i].value);
    json_out_end(f->out);
    free(items);
}

static void print_record(struct flattening *f, const struct schema_record *record,
                         const struct document_node *n);

static void print_list(struct flattening *f, const struct schema_field *field,
                       const struct document_node *n, const struct schema_record *of)
{
    json_out_array(f->out);
    for (uint32_t i = 0; i < n->count; i++) {
        const struct document_node *item = &n->as.items[i];

        if (field->element->type == SCHEMA_RECORD)
            print_record(f, field->element->record, item);
        else if (of && item->kind == DOCUMENT_STRING)
            print_text(f, of->transform(&f->detail->context, document_text(item)));
        else
            print_node(f, field->name, item);
    }
    json_out_end(f->out);
}

static void print_record_value(struct flattening *f, const struct schema_field *field,
                               const struct document_node *n)
{
    static const struct document_node empty = {.kind = DOCUMENT_MAP};

    if (n->kind != DOCUMENT_NULL)
        print_record(f, field->record, n);
    else if (field->flags & SCHEMA_REQUIRED)
        print_record(f, field->record, &empty);
    else
        json_out_null(f->out);
}

static void print_value(struct flattening *f, const struct schema_field *field,
                        const struct document_node *n, const struct schema_record *of)
{
    static const struct document_node empty = {.kind = DOCUMENT_MAP};
    bool is_set = field->type == SCHEMA_SET;

    if (field->type == SCHEMA_RECORD)
        print_record_value(f, field, n);
    else if (n->kind == DOCUMENT_NULL)
        json_out_null(f->out);
    else if (is_set && n->count && field->element->type == SCHEMA_STRING)
        print_set(f, n, of);
    else if (is_set || field->type == SCHEMA_ARRAY)
        print_list(f, field, n, of);
    else
        print_node(f, field->name, field->type == SCHEMA_MAP && !n->count ? &empty : n);
}

static void print_fields(struct flattening *f, const struct schema_view *v)
{
    for (unsigned i = 0; i < v->record->count; i++) {
        const struct schema_field *field = schema_field_of(v, i);
        const struct document_node *n = schema_value(&f->detail->context, v, i);
        bool is_transformed =
            f->detail->context.migrates_paths && v->record->transform && v->record->transforms == i;

        if (field->type == SCHEMA_FOREIGN || field->flags & SCHEMA_SHORTHAND ||
            (field->flags & SCHEMA_QUIET && n->kind == DOCUMENT_NULL) ||
            str_equal_cstr(str_from(field->name), "created_at"))
            continue;
        json_out_key(f->out, field->name);
        print_value(f, field, n, is_transformed ? v->record : NULL);
    }
}

static void print_record(struct flattening *f, const struct schema_record *record,
                         const struct document_node *n)
{
    struct schema_view v;

    json_out_object(f->out);
    (void)schema_open(&f->detail->context, record, n, &v, NULL, accept_name, NULL);
    print_fields(f, &v);
    json_out_end(f->out);
}

/* --- entities --- */

static void print_id(struct flattening *f, struct catalog_ref ref)
{
    const struct catalog_item *item = catalog_item(catalog_of(f), ref);

    json_out_key(f->out, "id");
    if (item->given_id.ptr)
        json_out_str(f->out, item->given_id);
    else
        json_out_cstr(f->out,
                      item->id_is_random ? "<random-uuid>" : resolve_id_of(catalog_of(f), ref));
}

/* What field i of the entity refers to: its parent, or what a link found. */
static struct catalog_ref target_of(const struct flattening *f, struct catalog_ref ref, unsigned i)
{
    const struct catalog *c = catalog_of(f);
    const struct catalog_item *item = catalog_item(c, ref);

    if (item->parent.kind != CATALOG_NO_KIND && c->fields[ref.kind][item->parent.kind] == i)
        return item->parent;
    for (size_t k = item->first_link; k < c->link_count; k++) {
        const struct catalog_link *link = &c->links[k];

        if (link->from.kind != ref.kind || link->from.ordinal != ref.ordinal)
            break;
        if (link->field == i)
            return link->to;
    }
    return (struct catalog_ref){0, CATALOG_NO_KIND};
}

static void print_references(struct flattening *f, struct catalog_ref ref)
{
    const struct schema_record *record = entity_infos[ref.kind].record;

    for (unsigned i = 0; i < record->count; i++) {
        struct catalog_ref to;

        if (record->fields[i].type != SCHEMA_FOREIGN)
            continue;
        to = target_of(f, ref, i);
        json_out_key(f->out, record->fields[i].name);
        if (to.kind == CATALOG_NO_KIND) {
            json_out_null(f->out);
            continue;
        }
        json_out_object(f->out);
        print_id(f, to);
        json_out_end(f->out);
    }
}

static void print_body(struct flattening *f, struct catalog_ref ref)
{
    static const struct schema_field *const tags = &schema_common_fields[COMMON_TAGS];
    const struct catalog_item *item = catalog_item(catalog_of(f), ref);
    const struct schema_record *record = entity_infos[ref.kind].record;
    struct schema_view v;

    f->detail->context.migrates_paths = catalog_migrates_paths(catalog_of(f), ref);
    (void)schema_open(&f->detail->context, record, item->node, &v, NULL, accept_name, NULL);
    if (!entity_infos[ref.kind].has_no_id)
        print_id(f, ref);
    print_fields(f, &v);
    print_references(f, ref);
    if (!record->has_no_tags) {
        json_out_key(f->out, tags->name);
        print_value(f, tags, schema_value(&f->detail->context, &v, record->count + COMMON_TAGS),
                    NULL);
    }
}

/* Kong's certificates have a field `snis` of their own, which shows the nested ones as they were.
 */
static void print_snis(struct flattening *f, struct catalog_ref certificate)
{
    const struct catalog *c = catalog_of(f);
    const struct document_node *list =
        document_get(catalog_item(c, certificate)->node, c->list_names[ENTITY_SNI]);

    json_out_key(f->out, "snis");
    if (!list || list->kind == DOCUMENT_NULL) {
        json_out_null(f->out);
        return;
    }
    json_out_array(f->out);
    for (; f->next_sni < c->filled[ENTITY_SNI]; f->next_sni++) {
        struct catalog_ref sni = {f->next_sni, ENTITY_SNI};
        struct catalog_ref parent = catalog_item(c, sni)->parent;

        if (parent.kind == ENTITY_CERTIFICATE && parent.ordinal > certificate.ordinal)
            break;
        if (parent.kind != ENTITY_CERTIFICATE || parent.ordinal != certificate.ordinal)
            continue;
        json_out_object(f->out);
        print_body(f, sni);
        json_out_member_null(f->out, "_comment");
        json_out_member_null(f->out, "_ignore");
        json_out_end(f->out);
    }
    json_out_end(f->out);
}

static int print_all(struct spec_detail *detail, bool masks, struct json_out *out, struct error *e)
{
    struct flattening f = {.detail = detail, .masks = masks, .out = out};
    const struct catalog *c = &detail->catalog;

    json_out_object(out);
    for (uint8_t kind = 0; kind < ENTITY_KIND_COUNT; kind++) {
        if (!c->filled[kind])
            continue;
        json_out_member_array(out, entity_infos[kind].list);
        for (uint32_t i = 0; i < c->filled[kind]; i++) {
            struct catalog_ref ref = {i, kind};

            json_out_object(out);
            print_body(&f, ref);
            if (kind == ENTITY_CERTIFICATE)
                print_snis(&f, ref);
            json_out_end(out);
        }
        json_out_end(out);
        detail->context.fault_count = 0;
    }
    json_out_end(out);
    return detail->context.is_out_of_memory || out->out->failed ? error_memory(e) : 0;
}

int flatten_print(struct spec_detail *detail, struct json_out *out, struct error *e)
{
    return print_all(detail, false, out, e);
}

int flatten_print_masked(struct spec_detail *detail, struct json_out *out, struct error *e)
{
    return print_all(detail, true, out, e);
}
