#include "spec/mask.h"

#include <stdio.h>

#include "reconciler/base/json_out.h"
#include "reconciler/base/nearest.h"
#include "spec/detail.h"
#include "spec/document_json.h"

#define SHORT_MAX 3 /* bytes of a value that is only found where it is the whole text */
#define HEAD_MAX 24 /* of a long one that are enough: messages cut what they quote */

/* ---- values from outside ---- */

static int add(struct mask_values *values, struct arena *arena, struct str value)
{
    struct str copy;

    if (!value.len)
        return 0;
    for (size_t i = 0; i < values->len; i++)
        if (str_equal(values->items[i], value))
            return 0;
    copy = arena_str(arena, value);
    return copy.ptr && vec_push(values, copy) == 0 ? 0 : -1;
}

/* YAML folds lines and resolves escapes: what lies between them is looked for, too. */
int mask_add(struct mask_values *values, struct arena *arena, struct str value)
{
    size_t from = 0;
    int rc = add(values, arena, value);

    for (size_t i = 0; rc == 0 && i <= value.len; i++) {
        bool is_escape = i < value.len && value.ptr[i] == '\\';

        if (i < value.len && !is_escape && (unsigned char)value.ptr[i] >= ' ')
            continue;
        rc = add(values, arena, str_trim(str_slice(value, from, i)));
        i += is_escape;
        from = i + 1;
    }
    return rc;
}

/* The text of a scalar; an integer's is written to `digits`. */
static struct str scalar_text(const struct document_node *n, char digits[32])
{
    if (n->kind == DOCUMENT_STRING)
        return document_text(n);
    if (n->kind != DOCUMENT_INTEGER)
        return STR_NONE;
    return (struct str){digits, (size_t)snprintf(digits, 32, "%lld", (long long)n->as.integer)};
}

int mask_add_node(struct mask_values *values, struct arena *arena, const struct document_node *n)
{
    char digits[32];

    return add(values, arena, scalar_text(n, digits));
}

/* How much of the value, in any case, is the text's front; 0 where it is too little to tell. */
static size_t match(struct str text, struct str value)
{
    size_t least = value.len < HEAD_MAX ? value.len : HEAD_MAX, len = 0;

    if (value.len <= SHORT_MAX ||
        !str_equal_nocase(str_slice(text, 0, least), str_slice(value, 0, least)))
        return 0;
    while (len < value.len && len < text.len &&
           str_lower(value.ptr[len]) == str_lower(text.ptr[len]))
        len++;
    return len;
}

static size_t longest_match(const struct mask_values *values, struct str text)
{
    size_t longest = 0;

    for (size_t i = 0; i < values->len; i++) {
        size_t len = match(text, values->items[i]);
        longest = len > longest ? len : longest;
    }
    return longest;
}

bool mask_is_in(const struct mask_values *values, struct str text)
{
    for (size_t i = 0; i < values->len; i++)
        if (str_equal(values->items[i], text))
            return true;
    for (size_t at = 0; values->len && at < text.len; at++)
        if (longest_match(values, str_slice(text, at, text.len)))
            return true;
    return false;
}

void mask_text(const struct mask_values *values, struct str text, struct buf *out)
{
    for (size_t at = 0; at < text.len;) {
        size_t len = longest_match(values, str_slice(text, at, text.len));

        if (len)
            buf_cstr(out, MASK);
        else
            buf_char(out, text.ptr[at]);
        at += len ? len : 1;
    }
}

/* ---- nodes ---- */

/* Is there a field of this name, with one of these flags, in any entity or part of one? */
static bool is_field(struct str name, unsigned flags)
{
    for (unsigned i = 0; i < ENTITY_RECORD_COUNT; i++)
        for (unsigned k = 0; k < entity_records[i]->count; k++)
            if ((!flags || entity_records[i]->fields[k].flags & flags) &&
                str_equal_cstr(name, entity_records[i]->fields[k].name))
                return true;
    return false;
}

/* A field that must not be printed, or a slip of the pen from one. */
static bool names_secret(struct str name)
{
    if (is_field(name, 0))
        return is_field(name, SCHEMA_SECRET);
    for (unsigned i = 0; i < ENTITY_RECORD_COUNT; i++)
        for (unsigned k = 0; k < entity_records[i]->count; k++) {
            const char *near = NULL;

            if (entity_records[i]->fields[k].flags & SCHEMA_SECRET)
                nearest_offer(name, entity_records[i]->fields[k].name, &near);
            if (near)
                return true;
        }
    return false;
}

static bool contains(struct str text, struct str part)
{
    for (size_t i = 0; i + part.len <= text.len; i++)
        if (str_equal_nocase(str_slice(text, i, i + part.len), part))
            return true;
    return false;
}

/* A private key, a header that logs somebody in, a URL with a user in it. */
static bool tells_secret(struct str text)
{
    struct str rest, first = str_cut(text, ':', &rest);

    if (contains(text, STR("PRIVATE KEY")) || (rest.ptr && contains(first, STR("authorization"))))
        return true;
    return str_starts(rest, STR("//")) && str_find(rest, '@', 2) < str_find(rest, '/', 2);
}

/* What looks like the name of a secret: the config of most plugins has no table. */
static bool hints_at_secret(struct str name, const struct document_node *n)
{
    static const struct str hints[] = {
        STR_INIT("secret"),     STR_INIT("passw"),         STR_INIT("passphrase"),
        STR_INIT("token"),      STR_INIT("credential"),    STR_INIT("private"),
        STR_INIT("api_key"),    STR_INIT("apikey"),        STR_INIT("api-key"),
        STR_INIT("access_key"), STR_INIT("authorization"), STR_INIT("header_value")};

    for (size_t i = 0; i < ARRAY_LENGTH(hints); i++)
        if (contains(name, hints[i]))
            return true;
    return n->kind == DOCUMENT_STRING && str_ends(name, STR("_key")) &&
           !contains(name, STR("public"));
}

/* The file may be wrong, so no table knows for sure what a value is. */
static bool may_be_secret(struct str name, const struct document_node *n)
{
    if (n->kind == DOCUMENT_STRING && schema_is_reference(document_text(n)))
        return false;
    if (n->kind == DOCUMENT_STRING && tells_secret(document_text(n)))
        return true;
    if (n->kind == DOCUMENT_NULL || n->kind == DOCUMENT_BOOLEAN)
        return false;
    return hints_at_secret(name, n) || names_secret(name);
}

/* A value that the environment gave, or a text with one in it. */
static bool is_from_outside(const struct spec_detail *d, const struct document_node *n)
{
    char digits[32];
    struct str text = scalar_text(n, digits);

    return text.len && mask_is_in(&d->outside, text);
}

static void mask_items(const struct spec_detail *d, struct str name, const struct document_node *n,
                       struct buf *out)
{
    bool is_map = n->kind == DOCUMENT_MAP;

    buf_char(out, is_map ? '{' : '[');
    for (uint32_t i = 0; i < n->count; i++) {
        struct str key = is_map ? names_text(&d->names, document_keys(n)[i].name) : name;
        struct json_out j = json_out_compact(out);

        if (i)
            buf_char(out, ',');
        if (is_map) {
            json_out_str(&j, mask_is_in(&d->outside, key) ? STR(MASK) : key);
            buf_char(out, ':');
        }
        mask_print(d, key, &n->as.items[i], out);
    }
    buf_char(out, is_map ? '}' : ']');
}

void mask_print(const struct spec_detail *d, struct str name, const struct document_node *n,
                struct buf *out)
{
    if (may_be_secret(name, n) || is_from_outside(d, n))
        buf_cstr(out, "\"" MASK "\"");
    else if (document_is_table(n))
        mask_items(d, name, n, out);
    else
        document_json_print(out, n, &d->names);
}
