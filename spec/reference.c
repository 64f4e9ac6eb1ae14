#include "reference.h"

#include <string.h>

#include "reconciler/base/buf.h"
#include "spec/json.h"
#include "spec/names.h"
#include "spec/problem.h"

#define VARIABLE_NAME_MAX 1024
#define INDENT_MAX 200

struct parts {
    struct str name, resource, key, prefix, version;
};

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = str_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* With %XX decoded. */
static void unescape(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.len; i++) {
        bool is_escape =
            s.ptr[i] == '%' && i + 2 < s.len && hex(s.ptr[i + 1]) >= 0 && hex(s.ptr[i + 2]) >= 0;

        if (is_escape) {
            buf_char(out, (char)(hex(s.ptr[i + 1]) << 4 | hex(s.ptr[i + 2])));
            i += 2;
        } else {
            buf_char(out, s.ptr[i]);
        }
    }
}

static struct str option(struct str query, const char *name)
{
    while (query.ptr) {
        struct str value, pair = str_cut(query, '&', &query);
        struct str key = str_cut(pair, '=', &value);

        if (str_equal_cstr(key, name))
            return value;
    }
    return STR_NONE;
}

static bool parse(struct str reference, struct parts *p)
{
    struct str text = str_slice(reference, strlen("{vault://"), reference.len - 1), query, path;

    text = str_cut(text, '#', &p->version);
    text = str_cut(text, '?', &query);
    p->name = str_cut(text, '/', &path);
    p->prefix = option(query, "prefix");
    p->resource = path;
    p->key = STR_NONE;
    for (size_t i = path.len; i-- > 0;)
        if (path.ptr[i] == '/') {
            p->resource = str_slice(path, 0, i);
            p->key = str_slice(path, i + 1, path.len);
            break;
        }
    return p->name.len && p->resource.len && (!p->key.ptr || p->key.len);
}

static bool find_prefix(const struct reference_table *t, const struct parts *p, struct str *prefix)
{
    *prefix = STR_NONE;
    if (str_equal(p->name, STR("env"))) {
        *prefix = t->environment(t->context, STR("KONG_VAULT_ENV_PREFIX"));
        return true;
    }
    for (size_t i = 0; i < t->vault_count; i++)
        if (str_equal(t->vaults[i].name, p->name)) {
            *prefix = t->vaults[i].env_prefix;
            return true;
        }
    return false;
}

static struct str read_variable(const struct reference_table *t, const struct parts *p,
                                struct str prefix)
{
    struct buf name = BUF_INIT(VARIABLE_NAME_MAX);
    struct str value = STR_NONE;

    if (prefix.ptr)
        buf_str(&name, prefix);
    unescape(p->resource, &name);
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];

        name.data[i] = c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c & ~0x20) : c;
    }
    if (p->version.ptr && str_equal(p->version, STR("2")))
        buf_cstr(&name, "_PREVIOUS");
    if (!name.failed)
        value = t->environment(t->context, buf_view(&name));
    buf_free(&name);
    return value;
}

/* The string member `key` of the JSON object that `text` is. */
static struct str member_of(const struct reference_table *t, struct str text, struct str key)
{
    struct arena *scratch = arena_new(&(struct arena_options){.secret = true});
    struct document_node root;
    const struct document_node *found = NULL;
    struct problems ignored = {0};
    struct names names = {0};
    struct document_options options = {.names = &names,
                                       .strings = scratch,
                                       .nodes = scratch,
                                       .problems = &ignored,
                                       .limits = document_limits_default()};
    struct str value = STR_NONE;
    struct error e;

    if (!scratch || problems_init(&ignored) || names_init(&names, scratch))
        goto out;
    if (json_parse(&options, text, &root, &e) || root.kind != DOCUMENT_MAP)
        goto out;
    found = document_get(&root, names_find(&names, key));
    if (found && found->kind == DOCUMENT_STRING)
        value = arena_str(t->arena, document_text(found));
out:
    names_fini(&names);
    problems_fini(&ignored);
    arena_free(scratch);
    return value;
}

struct str reference_resolve(const struct reference_table *t, struct str reference)
{
    struct str prefix, value;
    struct parts parts;

    if (!t->is_on || !t->environment || !parse(reference, &parts) ||
        !find_prefix(t, &parts, &prefix))
        return STR_NONE;
    if (parts.prefix.ptr)
        prefix = parts.prefix;
    value = read_variable(t, &parts, prefix);
    if (!value.len)
        return STR_NONE;
    value = parts.key.ptr ? member_of(t, value, parts.key) : arena_str(t->arena, value);
    return value.len ? value : STR_NONE;
}

/* --- ${{ env "DECK_X" }} --- */

struct deck {
    const struct reference_table *table;
    struct str text;
    struct buf out;
    size_t line_start; /* of the line that `seen` stands in */
    size_t seen;
    struct error *error;
};

static int refuse(struct deck *d, size_t at, const char *format, struct str what)
{
    uint32_t line, column;

    document_place_of_offset(d->text, at, &line, &column);
    error_set(d->error, ERROR_INVALID, format, STR_ARG(str_slice(what, 0, 200)));
    d->error->line = line;
    d->error->column = column;
    return -1;
}

static void put_indented(struct buf *out, struct str value, size_t width)
{
    for (size_t i = 0; i <= value.len; i++) {
        if (i == 0 || value.ptr[i - 1] == '\n')
            for (size_t k = 0; k < width; k++)
                buf_char(out, ' ');
        if (i < value.len)
            buf_char(out, value.ptr[i]);
    }
}

static bool is_true(struct str s)
{
    static const char *const words[] = {"1", "t", "T", "TRUE", "true", "True"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (str_equal_cstr(s, words[i]))
            return true;
    return false;
}

static bool is_false(struct str s)
{
    static const char *const words[] = {"0", "f", "F", "FALSE", "false", "False"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (str_equal_cstr(s, words[i]))
            return true;
    return false;
}

static bool is_number(struct str s, bool is_float)
{
    size_t digits = 0, dots = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] >= '0' && s.ptr[i] <= '9')
            digits++;
        else if (s.ptr[i] == '.' && is_float)
            dots++;
        else if (i || (s.ptr[i] != '-' && s.ptr[i] != '+'))
            return false;
    }
    return digits && dots < 2;
}

/* One pipe; the value goes on as text, which YAML reads as the type that it looks like. */
static int apply_pipe(struct deck *d, size_t at, struct str pipe, struct str value, size_t *indent)
{
    uint64_t width;

    if (str_equal(pipe, STR("toBool")))
        return is_true(value) || is_false(value)
                   ? 0
                   : refuse(d, at, "%.*s: the variable's value is no boolean", pipe);
    if (str_equal(pipe, STR("toInt")) || str_equal(pipe, STR("toFloat")))
        return is_number(value, str_equal(pipe, STR("toFloat")))
                   ? 0
                   : refuse(d, at, "%.*s: the variable's value is no number", pipe);
    if (str_starts(pipe, STR("indent ")) &&
        str_to_u64(str_trim(str_slice(pipe, 7, pipe.len)), &width) && width <= INDENT_MAX) {
        *indent = (size_t)width;
        return 0;
    }
    return refuse(d, at, "unknown function '%.*s' in ${{ }}", pipe);
}

/* The variable that `env "DECK_X"` names. */
static int read_deck_variable(struct deck *d, size_t at, struct str call, struct str *value)
{
    struct str name;

    if (!str_starts(call, STR("env ")))
        return refuse(d, at, "only ${{ env \"DECK_X\" }} is known, not '%.*s'", call);
    name = str_trim(str_slice(call, 4, call.len));
    if (name.len < 2 || (name.ptr[0] != '"' && name.ptr[0] != '`') ||
        name.ptr[name.len - 1] != name.ptr[0])
        return refuse(d, at, "the name of a variable must stand in quotes, not %.*s", name);
    name = str_slice(name, 1, name.len - 1);
    if (!str_starts(name, STR("DECK_")))
        return refuse(d, at,
                      "environment variables in the state file must be prefixed with 'DECK_', "
                      "found: '%.*s'",
                      name);
    *value = d->table->environment ? d->table->environment(d->table->context, name) : STR_NONE;
    return value->ptr
               ? 0
               : refuse(d, at, "environment variable '%.*s' present in state file but not set",
                        name);
}

/* `env "DECK_X" | pipe ...`, what stands between ${{ and }}. */
static int expand_one(struct deck *d, size_t at, struct str inside)
{
    struct str pipes, call = str_trim(str_cut(inside, '|', &pipes)), value = STR_NONE;
    size_t indent = 0;
    bool is_bool = false;

    if (read_deck_variable(d, at, call, &value))
        return -1;
    while (pipes.ptr) {
        struct str pipe = str_trim(str_cut(pipes, '|', &pipes));

        if (apply_pipe(d, at, pipe, value, &indent))
            return -1;
        is_bool |= str_equal(pipe, STR("toBool"));
    }
    if (is_bool)
        value = is_true(value) ? STR("true") : STR("false");
    if (indent)
        put_indented(&d->out, value, indent);
    else
        buf_str(&d->out, value);
    return 0;
}

/* Offsets come in rising order, so that long lines are walked once. */
static bool is_comment_line(struct deck *d, size_t at)
{
    size_t first;

    for (; d->seen < at; d->seen++)
        if (d->text.ptr[d->seen] == '\n')
            d->line_start = d->seen + 1;
    first = d->line_start;
    while (first < at && (d->text.ptr[first] == ' ' || d->text.ptr[first] == '\t'))
        first++;
    return d->text.ptr[first] == '#';
}

static int expand_all(struct deck *d)
{
    size_t from = 0, count = 0;

    for (;;) {
        struct str rest = str_slice(d->text, from, d->text.len);
        const char *start = memmem(rest.ptr, rest.len, "${{", 3), *end;
        size_t at = start ? (size_t)(start - d->text.ptr) : d->text.len;

        buf_append(&d->out, d->text.ptr + from, at - from);
        if (!start)
            return d->out.failed ? error_set(d->error, ERROR_LIMIT, "the file grows too large") : 0;
        end = memmem(start, d->text.len - at, "}}", 2);
        if (!end)
            return refuse(d, at, "%.*s without its }}", STR("${{"));
        from = (size_t)(end - d->text.ptr) + 2;
        if (++count > REFERENCE_DECK_MAX)
            return refuse(d, at, "too many expressions%.*s", STR(""));
        if (is_comment_line(d, at))
            buf_append(&d->out, start, from - at);
        else if (expand_one(d, at, str_slice(d->text, at + 3, from - 2)))
            return -1;
    }
}

int reference_expand_deck(const struct reference_table *t, struct str text, struct arena *arena,
                          size_t max_bytes, struct str *out, struct error *e)
{
    struct deck d = {.table = t, .text = text, .out = BUF_SECRET(max_bytes), .error = e};
    int rc;

    if (!text.len || !memmem(text.ptr, text.len, "${{", 3)) {
        *out = text;
        return 0;
    }
    rc = expand_all(&d);
    if (!rc) {
        *out = arena_str(arena, buf_view(&d.out));
        if (!out->ptr)
            rc = error_memory(e);
    }
    buf_free(&d.out);
    return rc;
}
