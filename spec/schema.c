#include "schema.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/base/vec.h"
#include "spec/json.h"
#include "spec/reference.h"

#define SCHEMA_MESSAGE_MAX 1024

const struct document_node schema_null = {.kind = DOCUMENT_NULL};

bool schema_is_reference(struct str s)
{
    return s.len > 10 && str_starts(s, STR("{vault://")) && s.ptr[s.len - 1] == '}';
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

static const struct schema_field *base_field(const struct schema_record *record, unsigned i)
{
    return i < record->count ? &record->fields[i] : &schema_common_fields[i - record->count];
}

const struct schema_field *schema_field_of(const struct schema_view *v, unsigned i)
{
    if (v->variant)
        for (unsigned k = 0; k < v->variant->count; k++)
            if (v->variant->overrides[k].field == i)
                return v->variant->overrides[k].with;
    return base_field(v->record, i);
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

/* --- faults --- */

static struct schema_fault *new_fault(struct schema_context *c)
{
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
    if (!at)
        return;
    print_path(path, field, at->up);
    if (at->index) {
        buf_printf(path, "[%u]", at->index);
        buf_printf(field, "%s%u", field->len ? "." : "", at->index);
        return;
    }
    buf_printf(path, "%s%.*s", path->len ? "." : "", STR_ARG(at->name));
    if (!at->is_own)
        buf_printf(field, "%s%.*s", field->len ? "." : "", STR_ARG(at->name));
}

static void set_path(struct schema_context *c, struct schema_fault *f,
                     const struct schema_frame *at)
{
    struct buf path = BUF_INIT(4096), field = BUF_INIT(4096);

    print_path(&path, &field, at);
    f->path = arena_str(c->scratch, buf_view(&path));
    f->field = arena_str(c->scratch, buf_view(&field));
    buf_free(&path);
    buf_free(&field);
}

static struct str print_message(struct schema_context *c, const char *format, va_list args)
{
    char text[SCHEMA_MESSAGE_MAX];

    vsnprintf(text, sizeof(text), format, args);
    return arena_str(c->scratch, str_from(text));
}

static void add_fault(struct schema_context *c, const struct schema_frame *at, struct place place,
                      const char *format, va_list args)
{
    struct schema_fault *f = new_fault(c);

    if (!f)
        return;
    f->message = print_message(c, format, args);
    f->place = place;
    set_path(c, f, at);
}

void schema_fault(struct schema_context *c, const struct schema_frame *at, struct place place,
                  const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_fault(c, at, place, format, args);
    va_end(args);
}

void schema_fault_entity(struct schema_context *c, const struct schema_frame *at,
                         struct place place, const char *format, ...)
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

void schema_fault_field(struct schema_context *c, struct schema_view *v,
                        const struct schema_frame *at, unsigned i, const char *format, ...)
{
    struct schema_frame here = {.up = at, .name = str_from(base_field(v->record, i)->name)};
    struct schema_fault fault = {0}, *f;
    va_list args;

    set_path(c, &fault, &here);
    if (v->failed >> i & 1)
        drop_faults(c, fault.path);
    va_start(args, format);
    fault.message = print_message(c, format, args);
    va_end(args);
    fault.place = document_place(v->slots[i] && v->slots[i]->line ? v->slots[i] : v->node);
    f = new_fault(c);
    if (f)
        *f = fault;
    v->failed |= (uint64_t)1 << i;
}

/* --- opening a map --- */

static bool index_of(const struct schema_context *c, const struct schema_record *record,
                     uint32_t name, unsigned *i)
{
    uint8_t slot = name < c->index->known ? c->index->by_name[record->number][name] : 0;

    *i = slot - 1u;
    return slot != 0;
}

static void open_map(struct schema_context *c, struct schema_view *v, const struct schema_frame *at,
                     bool (*is_known)(const void *, uint32_t), const void *known)
{
    const struct document_key *keys = document_keys(v->node);

    for (uint32_t k = 0; k < v->node->count; k++) {
        unsigned i;

        if (index_of(c, v->record, keys[k].name, &i)) {
            v->slots[i] = &v->node->as.items[k];
        } else if (!is_known || !is_known(known, keys[k].name)) {
            struct schema_frame here = {.up = at,
                                        .name = names_text(c->index->names, keys[k].name)};

            schema_fault(c, &here, (struct place){v->node->file, keys[k].line, keys[k].column},
                         "unknown field");
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
    v->failed = 0;
    memset(v->slots, 0, schema_field_count(record) * sizeof(*v->slots));
    if (node->kind == DOCUMENT_MAP) {
        open_map(c, v, at, is_known, known);
    } else {
        for (uint32_t i = 0; i < node->count; i++)
            schema_fault(c, &(struct schema_frame){.up = at, .index = i + 1},
                         document_place(&node->as.items[i]), "unknown field");
    }
    if (record->expand)
        record->expand(c, v, at);
    return !record->choose || record->choose(c, v, at);
}

/* --- values --- */

/* Says why and returns false; for `return wrong(...)`. */
static bool PRINTF_LIKE(4, 5) wrong(struct schema_context *c, const struct schema_frame *at,
                                    const struct document_node *n, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_fault(c, at, document_place(n), format, args);
    va_end(args);
    return false;
}

static struct str lower(struct schema_context *c, struct str s)
{
    struct str copy;
    size_t i = 0;

    while (i < s.len && str_lower(s.ptr[i]) == s.ptr[i])
        i++;
    if (i == s.len)
        return s;
    copy = arena_str(c->arena, s);
    if (!copy.ptr) {
        c->is_out_of_memory = true;
        return s;
    }
    for (; i < s.len; i++)
        ((char *)(uintptr_t)copy.ptr)[i] = str_lower(s.ptr[i]);
    return copy;
}

static void store_string(struct schema_context *c, const struct schema_field *f,
                         const struct document_node *n, struct str value, char *into)
{
    if (!into)
        return;
    if (f->flags & SCHEMA_LOWER)
        value = lower(c, value);
    if (f->store == STORE_STR)
        memcpy(into + f->offset, &value, sizeof(value));
    else if (f->store == STORE_TEXT)
        *(struct text *)(void *)(into + f->offset) = (struct text){value, document_place(n)};
}

static bool is_one_of(const char *const *list, struct str value)
{
    for (; *list; list++)
        if (str_equal_cstr(value, *list))
            return true;
    return false;
}

static bool wrong_choice(struct schema_context *c, const struct schema_frame *at,
                         const struct document_node *n, const char *const *list)
{
    struct buf text = BUF_INIT(SCHEMA_MESSAGE_MAX);

    for (size_t i = 0; list[i]; i++)
        buf_printf(&text, "%s%s", i ? ", " : "", list[i]);
    schema_fault(c, at, document_place(n), "expected one of: %.*s", STR_ARG(buf_view(&text)));
    buf_free(&text);
    return false;
}

static bool passes_check(struct schema_context *c, const struct schema_field *f,
                         const struct document_node *n, struct str value,
                         const struct schema_frame *at)
{
    struct buf why = BUF_INIT(SCHEMA_MESSAGE_MAX + 2 * value.len);
    bool is_fine;

    f->check(value, &why);
    is_fine = !why.len && !why.failed;
    if (!is_fine)
        schema_fault(c, at, document_place(n), "%.*s",
                     STR_ARG(why.len ? buf_view(&why) : STR("invalid value")));
    buf_free(&why);
    return is_fine;
}

static bool take_string(struct schema_context *c, const struct schema_field *f,
                        const struct document_node *n, struct str value, char *into,
                        const struct schema_frame *at)
{
    if (f->flags & SCHEMA_REFERENCEABLE && schema_is_reference(value)) {
        struct str found = reference_resolve(c->references, value);

        c->has_reference = true;
        if (!found.ptr && !c->unresolved.ptr)
            c->unresolved = value;
        store_string(c, f, n, found, into);
        return true;
    }
    if (f->one_of && !is_one_of(f->one_of, value))
        return wrong_choice(c, at, n, f->one_of);
    if (!value.len && !(f->flags & SCHEMA_EMPTY))
        return wrong(c, at, n, "length must be at least 1");
    if (f->check && !passes_check(c, f, n, value, at))
        return false;
    store_string(c, f, n, value, into);
    return true;
}

/* Numbers of Lua: 80.0 is an integer. */
static bool to_number(const struct document_node *n, double *number, int64_t *integer,
                      bool *is_integer)
{
    if (n->kind == DOCUMENT_INTEGER) {
        *integer = n->as.integer;
        *number = (double)n->as.integer;
        *is_integer = true;
        return true;
    }
    if (n->kind != DOCUMENT_FLOAT)
        return false;
    *number = n->as.number;
    *integer = isfinite(*number) && fabs(*number) < 9e18 ? (int64_t)*number : 0;
    *is_integer = isfinite(*number) && floor(*number) == *number && fabs(*number) < 9e18;
    return true;
}

static void store_number(const struct schema_field *f, double number, int64_t integer, char *into)
{
    if (!into)
        return;
    if (f->store == STORE_INTEGER)
        memcpy(into + f->offset, &integer, sizeof(integer));
    else if (f->store == STORE_DOUBLE)
        memcpy(into + f->offset, &number, sizeof(number));
    else if (f->store == STORE_OPT_INT)
        *(struct opt_int *)(void *)(into + f->offset) = (struct opt_int){integer, true};
}

static bool is_number_of(const char *const *list, double number)
{
    for (; *list; list++)
        if (strtod(*list, NULL) == number)
            return true;
    return false;
}

static bool take_number(struct schema_context *c, const struct schema_field *f,
                        const struct document_node *n, char *into, const struct schema_frame *at)
{
    double number = 0;
    int64_t integer = 0;
    bool is_integer = false;

    if (!to_number(n, &number, &integer, &is_integer) || (f->type == SCHEMA_INTEGER && !is_integer))
        return wrong(c, at, n,
                     f->type == SCHEMA_INTEGER ? "expected an integer" : "expected a number");
    if (f->one_of && !is_number_of(f->one_of, number))
        return wrong_choice(c, at, n, f->one_of);
    if (f->flags & SCHEMA_TIMESTAMP && !(number > 0))
        return wrong(c, at, n, "expected a valid timestamp");
    if (f->flags & SCHEMA_RANGE && !(number >= (double)f->min && number <= (double)f->max))
        return wrong(c, at, n, "value should be between %lld and %lld", (long long)f->min,
                     (long long)f->max);
    store_number(f, number, integer, into);
    return true;
}

static bool take_boolean(struct schema_context *c, const struct schema_field *f,
                         const struct document_node *n, char *into, const struct schema_frame *at)
{
    if (n->kind != DOCUMENT_BOOLEAN)
        return wrong(c, at, n, "expected a boolean");
    if (f->flags & SCHEMA_NOT_TRUE && n->as.boolean)
        return wrong(c, at, n, "%s", f->refusal);
    if (into && f->store == STORE_BOOLEAN)
        memcpy(into + f->offset, &n->as.boolean, sizeof(bool));
    else if (into && f->store == STORE_OPT_INT)
        *(struct opt_int *)(void *)(into + f->offset) = (struct opt_int){n->as.boolean, true};
    return true;
}

static bool take(struct schema_context *c, const struct schema_field *f,
                 const struct document_node *n, char *into, const struct schema_frame *at,
                 const struct schema_record *of);

#define SHORT_SET 8

static bool is_among(const struct text *items, size_t count, struct str value)
{
    for (size_t i = 0; i < count; i++)
        if (str_equal(items[i].value, value))
            return true;
    return false;
}

/* Drops what a set says twice. Short sets by looking, long ones by a table. */
static size_t drop_repeats(struct text *items, size_t count)
{
    size_t kept = 0, slots = 16;
    uint32_t *table = NULL;

    while (slots < count * 2)
        slots *= 2;
    if (count > SHORT_SET) {
        table = calloc(slots, sizeof(*table));
        if (!table)
            return count;
    }
    for (size_t i = 0; i < count; i++) {
        size_t at;

        if (!table) {
            if (!is_among(items, kept, items[i].value))
                items[kept++] = items[i];
            continue;
        }
        at = str_hash(items[i].value, (uintptr_t)table) & (slots - 1);
        while (table[at] && !str_equal(items[table[at] - 1].value, items[i].value))
            at = (at + 1) & (slots - 1);
        if (table[at])
            continue;
        items[kept++] = items[i];
        table[at] = (uint32_t)kept;
    }
    free(table);
    return kept;
}

static bool take_list(struct schema_context *c, const struct schema_field *f,
                      const struct document_node *n, char *into, const struct schema_frame *at,
                      const struct schema_record *of)
{
    struct schema_field element = *f->element;
    struct text *texts = NULL;
    bool is_fine = true;

    if (!document_is_list(n))
        return wrong(c, at, n, f->type == SCHEMA_SET ? "expected a set" : "expected an array");
    if (into && f->store == STORE_TEXTS) {
        texts = arena_array(c->arena, n->count, sizeof(*texts));
        if (!texts) {
            c->is_out_of_memory = true;
            return false;
        }
        element.store = STORE_TEXT;
        element.offset = 0;
    }
    element.flags |= SCHEMA_REQUIRED;
    for (uint32_t i = 0; i < n->count; i++) {
        struct schema_frame here = {.up = at, .index = i + 1};

        is_fine &= take(c, &element, &n->as.items[i], texts ? (char *)&texts[i] : NULL, &here, of);
    }
    if (texts && is_fine)
        *(struct texts *)(void *)(into + f->offset) = (struct texts){
            texts, f->type == SCHEMA_SET ? drop_repeats(texts, n->count) : n->count, true};
    return is_fine;
}

static bool take_map(struct schema_context *c, const struct schema_field *f,
                     const struct document_node *n, const struct schema_frame *at)
{
    bool is_fine = true;

    if (!document_is_table(n))
        return wrong(c, at, n, "expected a map");
    for (uint32_t i = 0; i < n->count; i++) {
        bool is_map = n->kind == DOCUMENT_MAP;
        struct str name = is_map ? names_text(c->index->names, document_keys(n)[i].name) : STR("");
        struct document_node key = n->as.items[i];
        struct schema_frame here = {.up = at, .name = name, .is_own = true};

        key.kind = is_map ? DOCUMENT_STRING : DOCUMENT_INTEGER;
        key.as.text = name.ptr;
        key.count = (uint32_t)name.len;
        if (is_map) {
            key.line = document_keys(n)[i].line;
            key.column = document_keys(n)[i].column;
        }
        is_fine &= take(c, f->key, &key, NULL, at, NULL) &&
                   take(c, f->element, &n->as.items[i], NULL, &here, NULL);
    }
    return is_fine;
}

static bool take_record(struct schema_context *c, const struct schema_field *f,
                        const struct document_node *n, char *into, const struct schema_frame *at)
{
    struct schema_view v;
    size_t before = c->fault_count;

    if (!document_is_table(n))
        return wrong(c, at, n, "expected a record");
    if (schema_open(c, f->record, n, &v, at, NULL, NULL))
        schema_check_view(c, &v, into && f->store == STORE_RECORD ? into + f->offset : NULL, at);
    return c->fault_count == before;
}

/* `into` is the struct that the field is a member of; `of` the record that has a transform. */
static bool take(struct schema_context *c, const struct schema_field *f,
                 const struct document_node *n, char *into, const struct schema_frame *at,
                 const struct schema_record *of)
{
    if (f->flags & (SCHEMA_UNCHECKED | SCHEMA_DEFERRED))
        return true;
    if (n->kind == DOCUMENT_NULL)
        return !(f->flags & SCHEMA_REQUIRED) || wrong(c, at, n, "required field missing");
    if (f->flags & SCHEMA_NULL)
        return wrong(c, at, n, "%s", f->refusal ? f->refusal : "value must be null");
    switch (f->type) {
    case SCHEMA_STRING:
        if (n->kind != DOCUMENT_STRING)
            return wrong(c, at, n, "expected a string");
        return take_string(c, f, n, of ? of->transform(c, document_text(n)) : document_text(n),
                           into, at);
    case SCHEMA_INTEGER:
    case SCHEMA_NUMBER:
        return take_number(c, f, n, into, at);
    case SCHEMA_BOOLEAN:
        return take_boolean(c, f, n, into, at);
    case SCHEMA_ARRAY:
    case SCHEMA_SET:
        return take_list(c, f, n, into, at, of);
    case SCHEMA_MAP:
        return take_map(c, f, n, at);
    case SCHEMA_RECORD:
        return take_record(c, f, n, into, at);
    default:
        return true;
    }
}

/* --- rules --- */

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

static void check_group(struct schema_context *c, const struct schema_view *v,
                        const struct schema_rule *rule, const struct schema_frame *at)
{
    static const char *const texts[] = {
        [RULE_AT_LEAST_ONE] = "at least one of these fields must be non-empty",
        [RULE_AT_MOST_ONE] = "only one or none of these fields must be set",
        [RULE_ALL_OR_NONE] = "all or none of these fields must be set",
        [RULE_DISTINCT] = "values of these fields must be distinct",
    };
    struct buf list = BUF_INIT(SCHEMA_MESSAGE_MAX);
    unsigned set = 0;
    bool is_broken;

    for (unsigned i = 0; i < rule->count; i++)
        set += !schema_is_empty(schema_value(c, v, rule->fields[i]));
    is_broken = rule->kind == RULE_AT_LEAST_ONE  ? set == 0
                : rule->kind == RULE_AT_MOST_ONE ? set > 1
                : rule->kind == RULE_ALL_OR_NONE ? set != 0 && set != rule->count
                                                 : has_equal_values(c, v, rule);
    if (is_broken) {
        quote_names(v->record, rule, &list);
        schema_fault_entity(c, at, document_place(v->node), "%s: %.*s", texts[rule->kind],
                            STR_ARG(buf_view(&list)));
        buf_free(&list);
    }
}

static bool holds(const struct schema_context *c, const struct schema_view *v,
                  const struct schema_rule *rule)
{
    const struct document_node *n = schema_value(c, v, rule->field);

    if (v->failed >> rule->field & 1 || n->kind != DOCUMENT_STRING)
        return false;
    return is_one_of(rule->when, document_text(n)) != rule->unless;
}

static void list_choices(const char *const *list, struct buf *out)
{
    for (size_t i = 0; list[i]; i++)
        buf_printf(out, "%s%s", i ? ", " : "", list[i]);
}

/* The condition holds: false if the other field does not follow. */
static bool follows(struct schema_context *c, struct schema_view *v, const struct schema_rule *rule,
                    const struct schema_frame *at)
{
    const struct document_node *n = schema_value(c, v, rule->then_field);
    struct buf list = BUF_INIT(SCHEMA_MESSAGE_MAX);

    if (n->kind == DOCUMENT_NULL) {
        if (rule->then != THEN_REQUIRED)
            return true;
        schema_fault_field(c, v, at, rule->then_field, "required field missing");
        return false;
    }
    if (rule->then == THEN_NULL) {
        schema_fault_field(c, v, at, rule->then_field, "value must be null");
        return false;
    }
    if (rule->then == THEN_ONE_OF && n->kind == DOCUMENT_STRING &&
        !is_one_of(rule->then_in, document_text(n))) {
        list_choices(rule->then_in, &list);
        schema_fault_field(c, v, at, rule->then_field, "expected one of: %.*s",
                           STR_ARG(buf_view(&list)));
        buf_free(&list);
        return false;
    }
    return !(v->failed >> rule->then_field & 1);
}

static void check_rules(struct schema_context *c, struct schema_view *v,
                        const struct schema_frame *at)
{
    for (unsigned i = 0; i < v->record->rule_count; i++) {
        const struct schema_rule *rule = &v->record->rules[i];

        if (rule->kind != RULE_IF)
            check_group(c, v, rule, at);
        else if (holds(c, v, rule) && !follows(c, v, rule, at))
            schema_fault_entity(c, at, document_place(v->node),
                                "failed conditional validation given value of field '%s'",
                                v->record->fields[rule->field].name);
    }
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
        return take(c, f, n, into, at, NULL);
    if (!(f->flags & SCHEMA_REQUIRED) || n->kind != DOCUMENT_NULL || c->is_partial)
        return true;
    if (f->type == SCHEMA_RECORD)
        return take(c, f, &empty, into, at, NULL);
    return wrong(c, at, v->node, "required field missing");
}

void schema_check_view(struct schema_context *c, struct schema_view *v, void *into,
                       const struct schema_frame *at)
{
    unsigned count = schema_field_count(v->record);

    for (unsigned i = 0; i < count; i++) {
        const struct schema_field *f = schema_field_of(v, i);
        struct schema_frame here = {.up = at, .name = {f->name, 0}};
        const struct schema_record *of =
            v->record->transform && v->record->transforms == i ? v->record : NULL;
        bool is_fine;

        if (f->type == SCHEMA_FOREIGN && !(f->flags & SCHEMA_NULL))
            continue;
        if (!v->slots[i] && !(f->flags & SCHEMA_REQUIRED))
            continue;
        here.name.len = strlen(f->name);
        is_fine = v->slots[i] ? take(c, f, v->slots[i], into, &here, of)
                              : check_missing(c, v, i, into, &here);
        if (!is_fine)
            v->failed |= (uint64_t)1 << i;
    }
    check_rules(c, v, at);
    if (v->variant && v->variant->check)
        v->variant->check(c, v, into, at);
    if (v->record->check)
        v->record->check(c, v, into, at);
}

void schema_set_defaults(struct schema_context *c, const struct schema_record *record, void *into)
{
    unsigned count = schema_field_count(record);

    for (unsigned i = 0; i < count; i++) {
        const struct schema_field *f = base_field(record, i);
        const struct document_node *n = &c->index->defaults[record->number][i];

        if (f->type == SCHEMA_RECORD && f->store == STORE_RECORD)
            schema_set_defaults(c, f->record, (char *)into + f->offset);
        else if (n->kind != DOCUMENT_NULL && f->store != STORE_NOTHING)
            (void)take(c, f, n, into, NULL, NULL);
    }
}

/* --- preparation --- */

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
    node->line = 0;
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
        const struct schema_field *f = base_field(record, i);

        if (names_put(index->names, str_from(f->name)) == NAMES_NONE)
            return error_memory(e);
        if (parse_default(f, index, strings, arena, &defaults[i], e))
            return -1;
    }
    index->defaults[record->number] = defaults;
    return 0;
}

int schema_prepare(struct schema_index *index, struct names *names,
                   const struct schema_record *const *records, unsigned count,
                   struct arena *strings, struct arena *arena, struct error *e)
{
    *index = (struct schema_index){.names = names, .records = records, .record_count = count};
    index->by_name = arena_array(arena, count, sizeof(*index->by_name));
    index->defaults = arena_array(arena, count, sizeof(*index->defaults));
    if (!index->by_name || !index->defaults)
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
                by_name[names_find(names, str_from(base_field(records[r], i)->name))] =
                    (uint8_t)(i + 1);
        index->by_name[records[r]->number] = by_name;
    }
    return 0;
}
