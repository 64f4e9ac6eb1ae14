#include "kong_error.h"

#include "spec/check.h"
#include "spec/detail.h"
#include "spec/document_json.h"
#include "spec/mask.h"
#include "spec/resolve.h"
#include "spec/route_path.h"

/* Which problems go together; found by going through them once. */
struct printing {
    const struct spec_detail *detail;
    const struct problems *problems;
    struct json_out *out;
    bool masks;
};

/* Who a problem is about: an entity of the catalog, or one in the place of a reference. */
struct subject {
    const struct document_node *node;
    struct catalog_ref ref; /* no kind: it is inline */
    uint8_t kind;
    struct str id;
};

static const struct document_node *member(const struct printing *p, const struct document_node *map,
                                          const char *name)
{
    return document_get(map, names_find(&p->detail->names, str_from(name)));
}

static bool is_uuid(const struct document_node *n)
{
    struct buf why = BUF_INIT(64);
    bool is_fine;

    if (!n || n->kind != DOCUMENT_STRING)
        return false;
    check_uuid(document_text(n), &why);
    is_fine = !why.len;
    buf_free(&why);
    return is_fine;
}

static void print_node(struct printing *p, struct str name, const struct document_node *n)
{
    struct buf text = BUF_SECRET(SIZE_MAX / 2);

    if (p->masks)
        mask_print(p->detail, name, n, &text);
    else
        document_json_print(&text, n, &p->detail->names);
    json_out_raw(p->out, buf_view(&text));
    buf_free(&text);
}

/* Names of fields, too, may come from outside. */
static struct str shown(const struct printing *p, struct str name)
{
    return p->masks && mask_is_in(&p->detail->outside, name) ? STR(MASK) : name;
}

static const struct schema_field *foreign_field(uint8_t kind, struct str name)
{
    const struct schema_record *record = entity_infos[kind].record;

    for (unsigned i = 0; i < record->count; i++)
        if (record->fields[i].type == SCHEMA_FOREIGN &&
            str_equal_cstr(name, record->fields[i].name))
            return &record->fields[i];
    return NULL;
}

/* Paths of an old file, as Kong rewrites them before it looks at anything. */
static void print_paths(struct printing *p, const struct document_node *list)
{
    json_out_array(p->out);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct document_node *item = &list->as.items[i];
        struct str path = STR_NONE;

        if (item->kind == DOCUMENT_STRING)
            path = route_path_migrate(p->detail->scratch, document_text(item));
        if (path.ptr)
            json_out_str(p->out, path);
        else
            print_node(p, STR("paths"), item);
    }
    json_out_end(p->out);
}

/* Nested entities are entries of their own; an entity in the place of a reference is its id. */
static void print_member(struct printing *p, const struct subject *s,
                         const struct document_key *key, const struct document_node *n)
{
    const struct catalog *c = &p->detail->catalog;
    uint8_t kind = s->kind;
    struct str name = names_text(&p->detail->names, key->name);
    uint8_t child = catalog_kind_of(c, key->name);
    const struct document_node *id;

    if (document_is_table(n) && child != CATALOG_NO_KIND &&
        c->fields[child][kind] != ENTITY_NO_FIELD)
        return;
    if (document_is_table(n) && foreign_field(kind, name)) {
        id = member(p, n, "id");
        if (!is_uuid(id))
            return;
        json_out_key_str(p->out, name);
        json_out_object(p->out);
        json_out_member_str(p->out, "id", document_text(id));
        json_out_end(p->out);
        return;
    }
    json_out_key_str(p->out, shown(p, name));
    if (n->kind == DOCUMENT_SEQUENCE && str_equal(name, STR("paths")) &&
        s->ref.kind == ENTITY_ROUTE && catalog_migrates_paths(c, s->ref))
        print_paths(p, n);
    else
        print_node(p, name, n);
}

/* The id as Kong knows it by then: what was given, or what it had made. */
static struct str id_of(const struct printing *p, struct catalog_ref ref, bool has_ids)
{
    const struct catalog_item *item = catalog_item(&p->detail->catalog, ref);

    if (item->given_id.ptr)
        return item->given_id;
    return has_ids && !item->id_is_random ? str_from(resolve_id_of(&p->detail->catalog, ref))
                                          : STR_NONE;
}

static void print_parent(struct printing *p, struct catalog_ref ref, bool has_ids)
{
    const struct catalog *c = &p->detail->catalog;
    const struct catalog_item *item = catalog_item(c, ref);
    const char *field;
    struct str id;

    if (item->parent.kind == CATALOG_NO_KIND)
        return;
    field = entity_infos[ref.kind].record->fields[c->fields[ref.kind][item->parent.kind]].name;
    id = id_of(p, item->parent, has_ids);
    if (!id.ptr || member(p, item->node, field))
        return;
    json_out_key(p->out, field);
    json_out_object(p->out);
    json_out_member_str(p->out, "id", id);
    json_out_end(p->out);
}

static bool are_strings(const struct document_node *n)
{
    if (!n || n->kind != DOCUMENT_SEQUENCE)
        return false;
    for (uint32_t i = 0; i < n->count; i++)
        if (n->as.items[i].kind != DOCUMENT_STRING)
            return false;
    return true;
}

static void print_errors(struct printing *p, size_t from, uint32_t entity)
{
    json_out_key(p->out, "errors");
    json_out_array(p->out);
    for (size_t i = from; i < p->problems->count; i++) {
        const struct problem *one = &p->problems->items[i];

        if (one->entity != entity || one->severity != PROBLEM_ERROR)
            continue;
        json_out_object(p->out);
        json_out_member_cstr(p->out, "type", one->field.len ? "field" : "entity");
        if (one->field.len)
            json_out_member_str(p->out, "field", shown(p, one->field));
        json_out_member_str(p->out, "message",
                            one->kong.ptr && !(p->masks && one->is_masked) ? one->kong
                                                                           : one->message);
        json_out_end(p->out);
    }
    json_out_end(p->out);
}

static struct subject subject_of(const struct printing *p, const struct problem *one)
{
    const struct catalog *c = &p->detail->catalog;
    struct subject s = {.ref = {0, CATALOG_NO_KIND}};

    if (one->entity <= c->entity_count) {
        s.ref = catalog_ref_of(c, one->entity - 1);
        s.kind = s.ref.kind;
        s.node = catalog_item(c, s.ref)->node;
        s.id = id_of(p, s.ref, one->has_ids);
        return s;
    }
    s.node = c->inlines[one->entity - 1 - c->entity_count].node;
    s.kind = c->inlines[one->entity - 1 - c->entity_count].kind;
    if (is_uuid(member(p, s.node, "id")))
        s.id = document_text(member(p, s.node, "id"));
    return s;
}

static void print_body(struct printing *p, const struct subject *s, bool has_ids)
{
    json_out_key(p->out, "entity");
    json_out_object(p->out);
    for (uint32_t i = 0; s->node->kind == DOCUMENT_MAP && i < s->node->count; i++)
        print_member(p, s, &document_keys(s->node)[i], &s->node->as.items[i]);
    if (s->id.ptr && !member(p, s->node, "id"))
        json_out_member_str(p->out, "id", s->id);
    if (s->ref.kind != CATALOG_NO_KIND)
        print_parent(p, s->ref, has_ids);
    json_out_end(p->out);
}

static void print_entity(struct printing *p, const struct problem *one)
{
    struct subject s = subject_of(p, one);
    const struct document_node *name = member(p, s.node, "name");
    const struct document_node *tags = member(p, s.node, "tags");

    json_out_member_cstr(p->out, "entity_type", entity_infos[s.kind].singular);
    if (s.id.ptr)
        json_out_member_str(p->out, "entity_id", s.id);
    if (name && name->kind == DOCUMENT_STRING && name->count) {
        json_out_key(p->out, "entity_name");
        print_node(p, STR("name"), name);
    }
    if (are_strings(tags)) {
        json_out_key(p->out, "entity_tags");
        print_node(p, STR("tags"), tags);
    }
    print_body(p, &s, one->has_ids);
}

/* Problems are at most PROBLEMS_MAX, so that looking back is cheap. */
static bool is_first_of_entity(const struct problems *problems, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (problems->items[i].entity == problems->items[at].entity &&
            problems->items[i].severity == PROBLEM_ERROR)
            return false;
    return true;
}

static void print_flattened(struct printing *p)
{
    const struct problems *problems = p->problems;
    struct json_out *out = p->out;

    json_out_array(out);
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *one = &problems->items[i];

        if (!one->entity || one->severity != PROBLEM_ERROR || !is_first_of_entity(problems, i))
            continue;
        json_out_object(out);
        print_entity(p, one);
        print_errors(p, i, one->entity);
        json_out_end(out);
    }
    json_out_end(out);
}

void kong_error_print_flattened(const struct spec_detail *detail, const struct problems *problems,
                                struct json_out *out)
{
    struct printing p = {detail, problems, out, false};

    print_flattened(&p);
}

void kong_error_print_masked(const struct spec_detail *detail, const struct problems *problems,
                             struct json_out *out)
{
    struct printing p = {detail, problems, out, true};

    print_flattened(&p);
}

void kong_error_print_fields(const struct problems *problems, struct json_out *out)
{
    json_out_object(out);
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *one = &problems->items[i];

        if (one->entity || one->severity != PROBLEM_ERROR)
            continue;
        json_out_key_str(out, one->path.len ? one->path : STR("error"));
        json_out_str(out, one->kong.ptr ? one->kong : one->message);
    }
    json_out_end(out);
}
