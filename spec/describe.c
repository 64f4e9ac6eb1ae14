#include "describe.h"

#include <string.h>

#include "spec/describe_rules.h"
#include "spec/entities/entity.h"

#define DEFINITIONS "#/definitions/"

/* --- JSON Schema --- */

static void print_pointer(struct json_out *out, const char *record)
{
    struct buf text = BUF_INIT(256);

    buf_printf(&text, DEFINITIONS "%s", record);
    json_out_member_str(out, "$ref", buf_view(&text));
    buf_free(&text);
}

/* `type`, with null where the field may be it. */
static void print_type(struct json_out *out, const char *type, bool may_be_null)
{
    json_out_key(out, "type");
    if (!may_be_null) {
        json_out_cstr(out, type);
        return;
    }
    json_out_array(out);
    json_out_cstr(out, type);
    json_out_cstr(out, "null");
    json_out_end(out);
}

/* A list; {} is one too, as in Lua. */
static void print_list_type(struct json_out *out, bool may_be_null)
{
    json_out_member_array(out, "type");
    json_out_cstr(out, "array");
    json_out_cstr(out, "object");
    if (may_be_null)
        json_out_cstr(out, "null");
    json_out_end(out);
    json_out_member_int(out, "maxProperties", 0);
}

static bool is_numeric(const struct schema_field *f)
{
    return f->type == SCHEMA_INTEGER || f->type == SCHEMA_NUMBER;
}

static void print_choices(struct json_out *out, const struct schema_field *f, bool may_be_null)
{
    json_out_member_array(out, "enum");
    for (size_t i = 0; f->one_of[i]; i++)
        if (is_numeric(f))
            json_out_raw(out, str_from(f->one_of[i]));
        else
            json_out_cstr(out, f->one_of[i]);
    if (may_be_null)
        json_out_null(out);
    json_out_end(out);
}

static void print_field(struct json_out *out, const struct schema_field *f, bool is_item);

static void print_item(struct json_out *out, const char *key, const struct schema_field *f)
{
    json_out_member_object(out, key);
    print_field(out, f, true);
    json_out_end(out);
}

/* A name or id, {id: ...}, or nothing. */
static void print_reference(struct json_out *out, bool may_be_null)
{
    json_out_member_array(out, "anyOf");
    json_out_object(out);
    json_out_member_cstr(out, "type", "string");
    json_out_member_int(out, "minLength", 1);
    json_out_end(out);
    json_out_object(out);
    json_out_member_cstr(out, "type", "object");
    json_out_key(out, "required");
    json_out_raw(out, STR("[\"id\"]"));
    json_out_end(out);
    if (may_be_null) {
        json_out_object(out);
        json_out_member_cstr(out, "type", "null");
        json_out_end(out);
    }
    json_out_end(out);
}

static void print_record_reference(struct json_out *out, const struct schema_field *f,
                                   bool may_be_null)
{
    if (!may_be_null) {
        print_pointer(out, f->record->name);
        return;
    }
    json_out_member_array(out, "anyOf");
    json_out_object(out);
    print_pointer(out, f->record->name);
    json_out_end(out);
    json_out_object(out);
    json_out_member_cstr(out, "type", "null");
    json_out_end(out);
    json_out_end(out);
}

static void print_number(struct json_out *out, const struct schema_field *f, bool may_be_null)
{
    if (f->one_of) {
        print_choices(out, f, may_be_null);
        return;
    }
    print_type(out, f->type == SCHEMA_INTEGER ? "integer" : "number", may_be_null);
    if (f->flags & SCHEMA_RANGE) {
        json_out_member_int(out, "minimum", f->min);
        json_out_member_int(out, "maximum", f->max);
    }
}

static void print_string(struct json_out *out, const struct schema_field *f, bool may_be_null)
{
    if (f->one_of) {
        print_choices(out, f, may_be_null);
        return;
    }
    print_type(out, "string", may_be_null);
    if (!(f->flags & SCHEMA_EMPTY))
        json_out_member_int(out, "minLength", 1);
    if (describe_rules_pattern(f))
        json_out_member_cstr(out, "pattern", describe_rules_pattern(f));
}

static void print_value_rules(struct json_out *out, const struct schema_field *f, bool may_be_null)
{
    switch (f->type) {
    case SCHEMA_STRING:
        print_string(out, f, may_be_null);
        break;
    case SCHEMA_INTEGER:
    case SCHEMA_NUMBER:
        print_number(out, f, may_be_null);
        break;
    case SCHEMA_BOOLEAN:
        print_type(out, "boolean", may_be_null);
        break;
    case SCHEMA_ARRAY:
    case SCHEMA_SET:
        print_list_type(out, may_be_null);
        print_item(out, "items", f->element);
        break;
    case SCHEMA_MAP:
        print_type(out, "object", may_be_null);
        print_item(out, "additionalProperties", f->element);
        break;
    case SCHEMA_RECORD:
        print_record_reference(out, f, may_be_null);
        break;
    case SCHEMA_FOREIGN:
        print_reference(out, may_be_null);
        break;
    default:
        break;
    }
}

static void print_field(struct json_out *out, const struct schema_field *f, bool is_item)
{
    if (f->about)
        json_out_member_cstr(out, "description", f->about);
    if (f->fallback) {
        json_out_key(out, "default");
        json_out_raw(out, str_from(f->fallback));
    }
    print_value_rules(out, f, !is_item && !(f->flags & SCHEMA_REQUIRED));
}

static void print_list_of(struct json_out *out, const struct entity_info *info)
{
    json_out_member_object(out, info->list);
    json_out_member_cstr(out, "description", info->record->about);
    print_list_type(out, true);
    json_out_member_object(out, "items");
    print_pointer(out, info->record->name);
    json_out_end(out);
    json_out_end(out);
}

/* Lists of entities that may be written inside of this one. */
static void print_nested_lists(struct json_out *out, const struct schema_record *record)
{
    for (unsigned child = 0; child < ENTITY_KIND_COUNT; child++)
        if (entity_foreign_field(child, record->number) != ENTITY_NO_FIELD)
            print_list_of(out, &entity_infos[child]);
}

static bool has_shorthand(const struct schema_record *record)
{
    for (unsigned i = 0; i < record->count; i++)
        if (record->fields[i].flags & SCHEMA_SHORTHAND)
            return true;
    return false;
}

static bool must_be_written(const struct schema_field *f)
{
    return f->flags & SCHEMA_REQUIRED && !f->fallback && f->type != SCHEMA_FOREIGN &&
           f->type != SCHEMA_RECORD;
}

/* What a shorthand can say instead is not asked for. */
static void print_required(struct json_out *out, const struct schema_record *record)
{
    bool is_open = false;

    for (unsigned i = 0; i < record->count && !has_shorthand(record); i++) {
        if (!must_be_written(&record->fields[i]))
            continue;
        if (!is_open) {
            json_out_member_array(out, "required");
            is_open = true;
        }
        json_out_cstr(out, record->fields[i].name);
    }
    if (is_open)
        json_out_end(out);
}

static bool is_left_out(const struct schema_record *record, unsigned i)
{
    return record->has_no_tags && i == record->count + COMMON_TAGS;
}

/* targets have a created_at of their own in the place of the common one. */
static bool is_overridden(const struct schema_record *record, unsigned i)
{
    for (unsigned k = 0; i >= record->count && k < record->count; k++)
        if (strcmp(record->fields[k].name, schema_base_field(record, i)->name) == 0)
            return true;
    return false;
}

static void print_properties(struct json_out *out, const struct schema_record *record)
{
    unsigned count = schema_field_count(record);

    json_out_member_object(out, "properties");
    for (unsigned i = 0; i < count; i++) {
        const struct schema_field *f = schema_base_field(record, i);

        if (is_left_out(record, i) || is_overridden(record, i))
            continue;
        json_out_member_object(out, f->name);
        print_field(out, f, false);
        json_out_end(out);
    }
    if (record->is_entity)
        print_nested_lists(out, record);
    json_out_end(out);
}

/* A plugin's config by its name; names beside Kong's own are for the checks to refuse. */
static void print_plugin_rules(struct json_out *out)
{
    for (size_t i = 0; i < ENTITY_PLUGIN_CONFIG_COUNT; i++) {
        json_out_object(out);
        json_out_member_object(out, "if");
        json_out_member_object(out, "properties");
        json_out_member_object(out, "name");
        json_out_member_cstr(out, "const", entity_plugin_configs[i].name);
        json_out_end(out);
        json_out_end(out);
        json_out_end(out);
        json_out_member_object(out, "then");
        json_out_member_object(out, "properties");
        json_out_member_object(out, "config");
        print_pointer(out, entity_plugin_configs[i].record->name);
        json_out_end(out);
        json_out_end(out);
        json_out_end(out);
        json_out_end(out);
    }
}

static void print_rules(struct json_out *out, const struct schema_record *record)
{
    if (record != &entity_plugin && !describe_rules_print(NULL, record))
        return;
    json_out_member_array(out, "allOf");
    describe_rules_print(out, record);
    if (record == &entity_plugin)
        print_plugin_rules(out);
    json_out_end(out);
}

static void print_definition(struct json_out *out, const struct schema_record *record)
{
    json_out_member_object(out, record->name);
    if (record->about)
        json_out_member_cstr(out, "description", record->about);
    json_out_member_cstr(out, "type", "object");
    print_properties(out, record);
    print_required(out, record);
    json_out_member_bool(out, "additionalProperties", false);
    print_rules(out, record);
    json_out_end(out);
}

void describe_json_schema(struct json_out *out)
{
    json_out_object(out);
    json_out_member_cstr(out, "$schema", "http://json-schema.org/draft-07/schema#");
    json_out_member_cstr(out, "title", entity_document.about);
    json_out_member_cstr(out, "type", "object");
    json_out_member_object(out, "properties");
    for (unsigned i = 0; i < entity_document.count; i++) {
        json_out_member_object(out, entity_document.fields[i].name);
        print_field(out, &entity_document.fields[i], false);
        json_out_end(out);
    }
    for (unsigned kind = 0; kind < ENTITY_KIND_COUNT; kind++)
        print_list_of(out, &entity_infos[kind]);
    json_out_end(out);
    print_required(out, &entity_document);
    json_out_member_bool(out, "additionalProperties", false);
    json_out_member_object(out, "definitions");
    for (unsigned i = 0; i < ENTITY_RECORD_COUNT; i++)
        if (entity_records[i] != &entity_document)
            print_definition(out, entity_records[i]);
    json_out_end(out);
    json_out_end(out);
}

/* --- markdown --- */

static void print_type_words(struct buf *out, const struct schema_field *f)
{
    static const char *const words[] = {
        [SCHEMA_STRING] = "string",   [SCHEMA_INTEGER] = "integer", [SCHEMA_NUMBER] = "number",
        [SCHEMA_BOOLEAN] = "boolean", [SCHEMA_ARRAY] = "list of ",  [SCHEMA_SET] = "set of ",
        [SCHEMA_MAP] = "map to ",     [SCHEMA_RECORD] = "record",   [SCHEMA_FOREIGN] = "one of ",
        [SCHEMA_ANY] = "anything",
    };

    buf_cstr(out, words[f->type]);
    if (f->type == SCHEMA_FOREIGN)
        buf_cstr(out, entity_infos[f->refers_to].list);
    else if (f->element)
        print_type_words(out, f->element);
}

static void print_separator(struct buf *out, size_t start)
{
    if (out->len > start)
        buf_cstr(out, "; ");
}

/* A vertical bar would end the cell, two stars would vanish. */
static void print_cell(struct buf *out, const char *text)
{
    for (; text && *text; text++)
        buf_printf(out, "%s%c", strchr("|*", *text) ? "\\" : "", *text);
}

static void print_limits(struct buf *out, const struct schema_field *f)
{
    const struct schema_field *values = f->element && f->element->one_of ? f->element : f;
    size_t start = out->len;

    if (f->flags & SCHEMA_REQUIRED && !f->fallback && f->type != SCHEMA_RECORD)
        buf_cstr(out, "required");
    if (f->flags & SCHEMA_UNIQUE) {
        print_separator(out, start);
        buf_cstr(out, "unique");
    }
    if (f->flags & SCHEMA_RANGE) {
        print_separator(out, start);
        buf_printf(out, "%lld to %lld", (long long)f->min, (long long)f->max);
    }
    if (values->one_of) {
        print_separator(out, start);
        for (size_t i = 0; values->one_of[i]; i++)
            buf_printf(out, "%s`%s`", i ? ", " : "", values->one_of[i]);
    }
    if (f->flags & SCHEMA_REFERENCEABLE) {
        print_separator(out, start);
        buf_cstr(out, "may be `{vault://...}`");
    }
}

static void print_row(struct buf *out, const struct schema_field *f)
{
    buf_printf(out, "| `%s` | ", f->name);
    print_type_words(out, f);
    buf_cstr(out, " | ");
    if (f->in_effect)
        buf_cstr(out, f->in_effect);
    else if (f->fallback)
        buf_printf(out, "`%s`", f->fallback);
    buf_cstr(out, " | ");
    print_limits(out, f);
    buf_cstr(out, " | ");
    print_cell(out, f->about);
    buf_cstr(out, " |\n");
}

static void print_children(struct buf *out, const struct schema_record *record)
{
    bool is_first = true;

    for (unsigned child = 0; record->is_entity && child < ENTITY_KIND_COUNT; child++) {
        if (entity_foreign_field(child, record->number) == ENTITY_NO_FIELD)
            continue;
        buf_printf(out, "%s`%s`", is_first ? "\nMay hold lists of " : ", ",
                   entity_infos[child].list);
        is_first = false;
    }
    if (!is_first)
        buf_cstr(out, ".\n");
}

static void print_section(struct buf *out, const struct schema_record *record)
{
    if (!record->count)
        return;
    buf_printf(out, "\n## %s\n", record->name);
    if (record->about)
        buf_printf(out, "\n%s\n", record->about);
    buf_cstr(out, "\n| field | type | default | limits | meaning |\n|---|---|---|---|---|\n");
    for (unsigned i = 0; i < record->count; i++)
        print_row(out, &record->fields[i]);
    print_children(out, record);
}

static void print_common(struct buf *out)
{
    buf_cstr(out, "\n## Every entity\n\n| field | type | default | limits | meaning |\n"
                  "|---|---|---|---|---|\n");
    for (unsigned i = 0; i < COMMON_COUNT; i++)
        print_row(out, &schema_common_fields[i]);
}

static void print_plugin_names(struct buf *out)
{
    buf_cstr(out, "\n## Names of plugins\n\n");
    for (size_t i = 0; entity_plugin_names[i]; i++)
        buf_printf(out, "%s`%s`", i ? ", " : "", entity_plugin_names[i]);
    buf_cstr(out, ". The setting `plugins` adds others. Only the configuration of ");
    for (size_t i = 0; i < ENTITY_PLUGIN_CONFIG_COUNT; i++)
        buf_printf(out, "%s`%s`", i ? ", " : "", entity_plugin_configs[i].name);
    buf_cstr(out, " is checked.\n");
}

static bool is_acme(const struct schema_record *record)
{
    return record->number >= PART_ACME && record->number <= PART_ACME_VAULT;
}

void describe_markdown(struct buf *out)
{
    buf_cstr(out, "# Configuration reference\n\nMade from the tables that check the file: "
                  "`reconcert schema --format markdown`.\n");
    print_section(out, &entity_document);
    for (unsigned i = 0; i < ENTITY_RECORD_COUNT; i++)
        if (is_acme(entity_records[i]))
            print_section(out, entity_records[i]);
    print_common(out);
    for (unsigned i = 0; i < ENTITY_RECORD_COUNT; i++)
        if (!is_acme(entity_records[i]) && entity_records[i] != &entity_document)
            print_section(out, entity_records[i]);
    print_plugin_names(out);
}
