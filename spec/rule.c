#include "rule.h"

#include <string.h>

#include "spec/fault.h"

#define RULE_TEXT_MAX 1024

static bool is_one_of(const char *const *list, struct str value)
{
    for (; *list; list++)
        if (strncmp(value.ptr, *list, value.len) == 0 && !(*list)[value.len])
            return true;
    return false;
}

static void quote_names(const struct schema_record *record, const struct schema_rule *rule,
                        struct buf *out)
{
    for (unsigned i = 0; i < rule->count; i++)
        buf_printf(out, "%s'%s'", i ? ", " : "", record->fields[rule->fields[i]].name);
}

static bool has_equal_values(const struct schema_context *c, const struct schema_view *v,
                             const struct schema_rule *rule)
{
    for (unsigned i = 0; i < rule->count; i++)
        for (unsigned k = 0; k < i; k++) {
            const struct document_node *a = schema_value(c, v, rule->fields[i]);
            const struct document_node *b = schema_value(c, v, rule->fields[k]);

            if (document_is_string(a) && document_is_string(b) && a->count &&
                str_equal(document_text(a), document_text(b)))
                return true;
        }
    return false;
}

/* A record counts as soon as it is written, {} too. */
static bool is_set(const struct schema_context *c, const struct schema_view *v, unsigned i)
{
    const struct document_node *n = schema_value(c, v, i);

    return (schema_field_of(v, i)->type == SCHEMA_RECORD && document_is_table(n)) ||
           !schema_is_empty(n);
}

static bool is_reference(const struct schema_view *v, unsigned i)
{
    const struct document_node *n = v->slots[i];

    return schema_field_of(v, i)->flags & SCHEMA_REFERENCEABLE && n && n->kind == DOCUMENT_STRING &&
           schema_is_reference(document_text(n));
}

/*
 * As Kong: a group of which one is a reference is not judged, nor is an exclusive one with a field
 * that is wrong by itself, nor a part of an entity that says nothing of the group.
 */
static bool is_judged(const struct schema_context *c, const struct schema_view *v,
                      const struct schema_rule *rule)
{
    bool is_given = !c->is_partial,
         is_exclusive = rule->kind == RULE_AT_MOST_ONE || rule->kind == RULE_ALL_OR_NONE;

    for (unsigned i = 0; i < rule->count; i++) {
        if (is_reference(v, rule->fields[i]) || (is_exclusive && v->failed >> rule->fields[i] & 1))
            return false;
        is_given |= v->slots[rule->fields[i]] != NULL;
    }
    return is_given;
}

static void check_group(struct schema_context *c, const struct schema_view *v,
                        const struct schema_rule *rule, const struct schema_frame *at)
{
    static const char *const texts[] = {
        [RULE_AT_LEAST_ONE] = "at least one of these fields must be non-empty",
        [RULE_AT_MOST_ONE] = "only one or none of these fields must be set",
        [RULE_ALL_OR_NONE] = "all or none of these fields must be set",
        [RULE_DISTINCT] = "values of these fields must be distinct",
    };
    struct buf list = BUF_INIT(RULE_TEXT_MAX);
    unsigned set = 0;
    bool is_broken;

    if (!is_judged(c, v, rule))
        return;
    for (unsigned i = 0; i < rule->count; i++)
        set += is_set(c, v, rule->fields[i]);
    is_broken = rule->kind == RULE_AT_LEAST_ONE  ? set == 0
                : rule->kind == RULE_AT_MOST_ONE ? set > 1
                : rule->kind == RULE_ALL_OR_NONE ? set != 0 && set != rule->count
                                                 : has_equal_values(c, v, rule);
    if (is_broken) {
        quote_names(v->record, rule, &list);
        fault_add_entity(c, at, document_place(v->node), "%s: %.*s", texts[rule->kind],
                         STR_ARG(buf_view(&list)));
        buf_free(&list);
    }
}

/* Most rules forbid a field that is not there anyway. */
static bool is_idle(const struct schema_context *c, const struct schema_view *v,
                    const struct schema_rule *rule)
{
    return rule->then == THEN_NULL && schema_value(c, v, rule->then_field)->kind == DOCUMENT_NULL;
}

/* To Kong null is every value, where it is no mistake by itself. */
static bool holds(const struct schema_context *c, const struct schema_view *v,
                  const struct schema_rule *rule, uint64_t failed)
{
    const struct document_node *n = schema_value(c, v, rule->field);

    if (failed >> rule->field & 1)
        return false;
    if (n->kind != DOCUMENT_STRING)
        return n->kind == DOCUMENT_NULL;
    return is_one_of(rule->when, document_text(n)) != rule->unless;
}

static void list_choices(const char *const *list, struct buf *out)
{
    for (size_t i = 0; list[i]; i++)
        buf_printf(out, "%s%s", i ? ", " : "", list[i]);
}

/* The condition holds: false if the other field does not follow. */
static bool follows(struct schema_context *c, struct schema_view *v, const struct schema_rule *rule,
                    uint64_t failed, const struct schema_frame *at)
{
    const struct document_node *n = schema_value(c, v, rule->then_field);
    struct buf list = BUF_INIT(RULE_TEXT_MAX);

    if (n->kind == DOCUMENT_NULL) {
        if (rule->then != THEN_REQUIRED)
            return true;
        fault_add_field(c, v, at, rule->then_field, "required field missing");
        return false;
    }
    if (rule->then == THEN_NULL) {
        fault_add_field(c, v, at, rule->then_field, "value must be null");
        return false;
    }
    if (rule->then == THEN_ONE_OF && n->kind == DOCUMENT_STRING &&
        !is_one_of(rule->then_in, document_text(n))) {
        list_choices(rule->then_in, &list);
        fault_add_field(c, v, at, rule->then_field, "expected one of: %.*s",
                        STR_ARG(buf_view(&list)));
        buf_free(&list);
        return false;
    }
    return !(failed >> rule->then_field & 1);
}

void rule_check(struct schema_context *c, struct schema_view *v, const struct schema_frame *at)
{
    /* What one rule finds does not silence the next. */
    uint64_t failed = v->failed;

    for (unsigned i = 0; i < v->record->rule_count; i++) {
        const struct schema_rule *rule = &v->record->rules[i];

        if (rule->kind != RULE_IF)
            check_group(c, v, rule, at);
        else if (!is_idle(c, v, rule) && holds(c, v, rule, failed) &&
                 !follows(c, v, rule, failed, at))
            fault_add_entity(c, at, document_place(v->node),
                             "failed conditional validation given value of field '%s'",
                             v->record->fields[rule->field].name);
    }
}
