#include "field_value.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "spec/fault.h"
#include "spec/reference.h"

#define VALUE_MESSAGE_MAX 1024
#define SET_TABLE_BYTES 16 /* of the table that tells repeats, an item at most */

/* Says why and returns false; for `return wrong(...)`. */
static bool PRINTF_LIKE(4, 5) wrong(struct schema_context *c, const struct schema_frame *at,
                                    const struct document_node *n, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fault_add_args(c, at, document_place(n), format, args);
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
        if (strncmp(value.ptr, *list, value.len) == 0 && !(*list)[value.len])
            return true;
    return false;
}

static bool wrong_choice(struct schema_context *c, const struct schema_frame *at,
                         const struct document_node *n, const char *const *list)
{
    struct buf text = BUF_INIT(VALUE_MESSAGE_MAX);

    for (size_t i = 0; list[i]; i++)
        buf_printf(&text, "%s%s", i ? ", " : "", list[i]);
    fault_add(c, at, document_place(n), "expected one of: %.*s", STR_ARG(buf_view(&text)));
    buf_free(&text);
    return false;
}

static bool passes_check(struct schema_context *c, const struct schema_field *f,
                         const struct document_node *n, struct str value,
                         const struct schema_frame *at)
{
    struct buf why = BUF_SECRET(VALUE_MESSAGE_MAX + 2 * value.len);
    bool is_fine;

    f->check(value, &why);
    is_fine = !why.len && !why.failed;
    if (!is_fine)
        fault_add(c, at, document_place(n), "%.*s",
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
        if (!found.ptr && !c->unresolved.ptr) {
            c->unresolved = value;
            c->unresolved_place = document_place(n);
        }
        store_string(c, f, n, found, into);
        return true;
    }
    if (f->one_of && !is_one_of(f->one_of, value))
        return wrong_choice(c, at, n, f->one_of);
    if (!value.len && !(f->flags & (SCHEMA_EMPTY | SCHEMA_CHECKS_EMPTY)))
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
    *is_integer = isfinite(*number) && floor(*number) == *number;
    *integer = fabs(*number) < 9e18 ? (int64_t)*number : *number > 0 ? INT64_MAX : INT64_MIN;
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

#define SHORT_SET 8

static bool is_among(const struct text *items, size_t count, struct str value)
{
    for (size_t i = 0; i < count; i++)
        if (str_equal(items[i].value, value))
            return true;
    return false;
}

/* Short sets by looking, long ones by a table. */
size_t field_value_drop_repeats(struct text *items, size_t count)
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

static bool take_items(struct schema_context *c, const struct schema_field *f,
                       const struct document_node *n, struct text *texts,
                       const struct schema_frame *at, const struct schema_record *of)
{
    const struct schema_field *element = f->element;
    bool is_fine = true;

    for (uint32_t i = 0; i < n->count; i++) {
        struct schema_frame here = {.up = at, .index = i + 1};
        const struct document_node *item = &n->as.items[i];

        if (item->kind == DOCUMENT_NULL)
            is_fine = wrong(c, &here, item, "required field missing");
        else
            is_fine &= field_value_take(c, element, item, texts ? (char *)&texts[i] : NULL, &here, of);
    }
    return is_fine;
}

static bool take_list(struct schema_context *c, const struct schema_field *f,
                      const struct document_node *n, char *into, const struct schema_frame *at,
                      const struct schema_record *of)
{
    bool is_set = f->type == SCHEMA_SET;
    struct text *texts;

    if (!document_is_list(n))
        return wrong(c, at, n, is_set ? "expected a set" : "expected an array");
    if (!into || f->store != STORE_TEXTS)
        return take_items(c, f, n, NULL, at, of);
    texts = arena_array(c->arena, n->count, sizeof(*texts));
    if (!texts || arena_charge(c->arena, n->count * SET_TABLE_BYTES)) {
        c->is_out_of_memory = true;
        return false;
    }
    if (!take_items(c, f, n, texts, at, of))
        return false;
    *(struct texts *)(void *)(into + f->offset) =
        (struct texts){texts, is_set ? field_value_drop_repeats(texts, n->count) : n->count, true};
    arena_refund(c->arena, n->count * SET_TABLE_BYTES);
    return true;
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
        is_fine &= field_value_take(c, f->key, &key, NULL, at, NULL) &&
                   field_value_take(c, f->element, &n->as.items[i], NULL, &here, NULL);
    }
    return is_fine;
}

static bool take_record(struct schema_context *c, const struct schema_field *f,
                        const struct document_node *n, char *into, const struct schema_frame *at)
{
    struct schema_view v;
    size_t before = fault_total(c);

    if (!document_is_table(n))
        return wrong(c, at, n, "expected a record");
    if (schema_open(c, f->record, n, &v, at, NULL, NULL))
        schema_check_view(c, &v, into && f->store == STORE_RECORD ? into + f->offset : NULL, at);
    return fault_total(c) == before;
}

bool field_value_take(struct schema_context *c, const struct schema_field *f,
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
