#include "describe_rules.h"

#include <string.h>

#include "spec/check.h"
#include "spec/route_path.h"

#define RULE_TEXT_MAX ((size_t)16 << 10)

static const struct {
    schema_check *check;
    const char *pattern;
} patterns[] = {
    {check_uuid, "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"},
    {check_name, "^([0-9A-Za-z._~-]|[^\\u0000-\\u007f])+$"},
    {check_host, "^(\\[[^/]*\\]|[^:/]*|[^/]*:[^/]*:[^/]*)$"},
    {check_host_and_port, "^[^/*]+$"},
    {check_host_pattern, "^(?!.*\\.\\.)(\\*\\.[^*/]+|[^*/]+\\.\\*|[^*/]+)$"},
    {check_server_name, "^(?![0-9]+(\\.[0-9]+){3}$)[^:*/]+$"},
    {check_server_name_pattern, "^(?![0-9]+(\\.[0-9]+){3}$)(\\*?[^:*/]*|[^:*/]*\\*)$"},
    {check_ip_or_cidr, "^[0-9A-Fa-f:./]+$"},
    {check_path, "^(?!.*//)/"},
    {check_method, "^[A-Z]+$"},
    {check_header_name, "^[0-9A-Za-z_-]+$"},
    {check_url, "^[^:/]+://"},
    {route_path_check, "^(?!.*//)~?/"},
};

const char *describe_rules_pattern(const struct schema_field *f)
{
    for (size_t i = 0; f->check && i < ARRAY_LENGTH(patterns); i++)
        if (f->check == patterns[i].check && !(f->flags & SCHEMA_REFERENCEABLE))
            return patterns[i].pattern;
    return NULL;
}

static bool is_among(const char *const *list, const char *word)
{
    for (; list && *list; list++)
        if (strcmp(*list, word) == 0)
            return true;
    return false;
}

/* Does the condition hold for the value that stands where nothing is written? */
static bool holds_by_default(const struct schema_field *f, const struct schema_rule *rule)
{
    struct str word = f->fallback ? str_from(f->fallback) : STR_NONE;
    bool is_listed = false;

    if (word.len < 2 || word.ptr[0] != '"')
        return false;
    word = str_slice(word, 1, word.len - 1);
    for (const char *const *w = rule->when; *w; w++)
        is_listed |= str_equal_cstr(word, *w);
    return is_listed != rule->unless;
}

/* The field's values that the condition holds for. */
static void print_condition_values(const struct schema_field *f, const struct schema_rule *rule,
                                   struct buf *out)
{
    const char *const *from = rule->unless ? f->one_of : rule->when;
    const char *before = "";

    buf_printf(out, "\"properties\":{\"%s\":{\"enum\":[", f->name);
    for (; *from; from++)
        if (!rule->unless || !is_among(rule->when, *from)) {
            buf_printf(out, "%s\"%s\"", before, *from);
            before = ",";
        }
    buf_printf(out, "%s]}}", holds_by_default(f, rule) ? ",null" : "");
}

/* A shorthand may say the field's value in its own way: then nothing is known of it. */
static void print_no_shorthand(const struct schema_record *record, struct buf *out)
{
    for (unsigned i = 0; i < record->count; i++)
        if (record->fields[i].flags & SCHEMA_SHORTHAND)
            buf_printf(out, ",\"not\":{\"required\":[\"%s\"]}", record->fields[i].name);
}

static bool print_if(const struct schema_record *record, const struct schema_rule *rule,
                     struct buf *out)
{
    const struct schema_field *f = &record->fields[rule->field];
    const struct schema_field *then = &record->fields[rule->then_field];
    const char *before = "";

    if ((rule->unless && !f->one_of) || (rule->then != THEN_ONE_OF && then->fallback))
        return false;
    buf_cstr(out, "{\"if\":{");
    print_condition_values(f, rule, out);
    if (!holds_by_default(f, rule))
        buf_printf(out, ",\"required\":[\"%s\"]", f->name);
    print_no_shorthand(record, out);
    buf_cstr(out, "},\"then\":{");
    if (rule->then == THEN_REQUIRED)
        buf_printf(out, "\"required\":[\"%s\"],", then->name);
    buf_printf(out, "\"properties\":{\"%s\":", then->name);
    if (rule->then == THEN_ONE_OF) {
        buf_cstr(out, "{\"enum\":[");
        for (const char *const *w = rule->then_in; *w; w++, before = ",")
            buf_printf(out, "%s\"%s\"", before, *w);
        buf_cstr(out, ",null]}}}}");
    } else {
        buf_cstr(out, rule->then == THEN_NULL ? "{\"type\":\"null\"}}}}"
                                              : "{\"not\":{\"type\":\"null\"}}}}}");
    }
    return true;
}

/* Fields that are written, and not as null. */
static void print_written(const struct schema_record *record, const unsigned *fields,
                          unsigned count, struct buf *out)
{
    buf_cstr(out, "{\"required\":[");
    for (unsigned i = 0; i < count; i++)
        buf_printf(out, "%s\"%s\"", i ? "," : "", record->fields[fields[i]].name);
    buf_cstr(out, "],\"properties\":{");
    for (unsigned i = 0; i < count; i++)
        buf_printf(out, "%s\"%s\":{\"not\":{\"type\":\"null\"}}", i ? "," : "",
                   record->fields[fields[i]].name);
    buf_cstr(out, "}}");
}

/* One of them brings all others along. */
static void print_all_or_none(const struct schema_record *record, const struct schema_rule *rule,
                              struct buf *out)
{
    buf_cstr(out, "{\"if\":{\"anyOf\":[");
    for (unsigned i = 0; i < rule->count; i++) {
        buf_cstr(out, i ? "," : "");
        print_written(record, &rule->fields[i], 1, out);
    }
    buf_cstr(out, "]},\"then\":");
    print_written(record, rule->fields, rule->count, out);
    buf_char(out, '}');
}

static bool print_group(const struct schema_record *record, const struct schema_rule *rule,
                        struct buf *out)
{
    for (unsigned i = 0; i < rule->count; i++)
        if (record->fields[rule->fields[i]].fallback)
            return false;
    switch (rule->kind) {
    case RULE_AT_LEAST_ONE:
        buf_cstr(out, "{\"anyOf\":[");
        for (unsigned i = 0; i < rule->count; i++) {
            buf_cstr(out, i ? "," : "");
            print_written(record, &rule->fields[i], 1, out);
        }
        buf_cstr(out, "]}");
        return true;
    case RULE_AT_MOST_ONE:
        if (rule->count != 2)
            return false;
        buf_cstr(out, "{\"not\":");
        print_written(record, rule->fields, rule->count, out);
        buf_char(out, '}');
        return true;
    case RULE_ALL_OR_NONE:
        print_all_or_none(record, rule, out);
        return true;
    default:
        return false;
    }
}

/* A required field, or the shorthand that can say it. */
static bool print_required(const struct schema_record *record, unsigned field, struct buf *out)
{
    const struct schema_field *f = &record->fields[field];

    if (!(f->flags & SCHEMA_REQUIRED) || f->fallback || f->type == SCHEMA_FOREIGN ||
        f->type == SCHEMA_RECORD)
        return false;
    for (unsigned i = 0; i < record->count; i++)
        if (record->fields[i].flags & SCHEMA_SHORTHAND) {
            buf_printf(out, "{\"anyOf\":[{\"required\":[\"%s\"]},{\"required\":[\"%s\"]}]}",
                       f->name, record->fields[i].name);
            return true;
        }
    return false;
}

bool describe_rules_print(struct json_out *out, const struct schema_record *record)
{
    struct buf text = BUF_INIT(RULE_TEXT_MAX);
    bool is_any = false;

    for (unsigned i = 0; i < record->rule_count + record->count; i++) {
        bool is_rule = i < record->rule_count, is_said;
        const struct schema_rule *rule = is_rule ? &record->rules[i] : NULL;

        buf_clear(&text);
        if (!is_rule)
            is_said = print_required(record, i - record->rule_count, &text);
        else if (rule->kind == RULE_IF)
            is_said = print_if(record, rule, &text);
        else
            is_said = print_group(record, rule, &text);
        if (is_said && out)
            json_out_raw(out, buf_view(&text));
        is_any |= is_said;
    }
    buf_free(&text);
    return is_any;
}
