#include "deck.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/json_out.h"

#define INDENT_MAX 200
#define NUMBER_MAX 64 /* bytes of what toInt and toFloat take */
#define SHOWN_MAX 200

/* How far a text was looked at, so that places in rising order cost one walk. */
struct cursor {
    size_t seen, line_start;
    uint32_t line;
};

struct deck {
    const struct reference_table *table;
    struct str text;
    struct buf out;
    struct cursor in, made;
    struct origin *origin;
    struct arena *arena;
    struct error *error;
};

static void advance(struct cursor *c, const char *text, size_t to)
{
    for (; c->seen < to; c->seen++)
        if (text[c->seen] == '\n') {
            c->line++;
            c->line_start = c->seen + 1;
        }
}

static uint32_t column(const struct cursor *c)
{
    return (uint32_t)(c->seen - c->line_start + 1);
}

/* Of the expression that the input's cursor stands at. */
static int refuse(struct deck *d, const char *format, struct str what)
{
    error_set(d->error, ERROR_INVALID, format, STR_ARG(str_slice(what, 0, SHOWN_MAX)));
    d->error->line = d->in.line;
    d->error->column = column(&d->in);
    return -1;
}

static bool is_one_of(struct str s, const char *const *words)
{
    for (; *words; words++)
        if (str_equal_cstr(s, *words))
            return true;
    return false;
}

/* What Go's strconv.ParseBool takes. */
static int to_bool(struct deck *d, struct buf *value)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True", NULL};
    static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False", NULL};
    bool is_true = is_one_of(buf_view(value), yes);

    if (!is_true && !is_one_of(buf_view(value), no))
        return refuse(d, "toBool: the variable's value is no boolean%.*s", STR(""));
    buf_clear(value);
    buf_cstr(value, is_true ? "true" : "false");
    return 0;
}

/* Digits, with what a number may have besides: a sign, and in a fraction a point and an exponent.
 */
static bool looks_like_number(struct str s, const char *besides)
{
    size_t digits = 0;

    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] >= '0' && s.ptr[i] <= '9')
            digits++;
        else if (!s.ptr[i] || !strchr(besides, s.ptr[i]))
            return false;
    return digits && s.len < NUMBER_MAX;
}

/* The value becomes the number as Go would print it: +007 is 7. */
static int to_number(struct deck *d, struct buf *value, bool is_integer)
{
    const char *text = value->len ? value->data : "";
    struct json_out j = json_out_compact(value);
    char *end = NULL;
    long long integer = 0;
    double number = 0;

    errno = 0;
    if (looks_like_number(buf_view(value), is_integer ? "+-" : "+-.eE")) {
        if (is_integer)
            integer = strtoll(text, &end, 10);
        else
            number = strtod(text, &end);
    }
    if (!end || *end || errno)
        return refuse(d,
                      is_integer ? "toInt: the variable's value is no integer%.*s"
                                 : "toFloat: the variable's value is no number%.*s",
                      STR(""));
    buf_clear(value);
    if (is_integer)
        json_out_int(&j, integer);
    else
        json_out_double(&j, number);
    return 0;
}

/* Every line but the first, whose indentation stands in front of the expression. */
static int indent(struct deck *d, struct buf *value, struct str argument)
{
    struct buf lines = BUF_SECRET(value->max);
    uint64_t width;

    if (!str_to_u64(argument, &width) || width > INDENT_MAX)
        return refuse(d, "indent needs a number of blanks, not '%.*s'", argument);
    for (size_t i = 0; i < value->len; i++) {
        buf_char(&lines, value->data[i]);
        for (uint64_t k = 0; value->data[i] == '\n' && k < width; k++)
            buf_char(&lines, ' ');
    }
    buf_free(value);
    *value = lines;
    return 0;
}

static int apply_pipe(struct deck *d, struct str pipe, struct buf *value)
{
    struct str argument, name = str_cut(pipe, ' ', &argument);

    if (str_equal(pipe, STR("toBool")))
        return to_bool(d, value);
    if (str_equal(pipe, STR("toInt")) || str_equal(pipe, STR("toFloat")))
        return to_number(d, value, str_equal(pipe, STR("toInt")));
    if (str_equal(name, STR("indent")) && argument.ptr)
        return indent(d, value, str_trim(argument));
    return refuse(d, "unknown function '%.*s' in ${{ }}", pipe);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The value of the variable that `env "DECK_X"` names. */
static int read_variable(struct deck *d, struct str call, struct buf *value)
{
    struct str name, found = STR_NONE;

    if (call.len < 4 || !str_starts(call, STR("env")) || !is_blank(call.ptr[3]))
        return refuse(d, "only ${{ env \"DECK_X\" }} is known, not '%.*s'", call);
    name = str_trim(str_slice(call, 4, call.len));
    if (name.len < 2 || (name.ptr[0] != '"' && name.ptr[0] != '`') ||
        name.ptr[name.len - 1] != name.ptr[0])
        return refuse(d, "the name of a variable must stand in quotes, not %.*s", name);
    name = str_slice(name, 1, name.len - 1);
    if (!str_starts(name, STR("DECK_")))
        return refuse(d,
                      "environment variables in the state file must be prefixed with 'DECK_', "
                      "found: '%.*s'",
                      name);
    if (d->table->environment)
        found = d->table->environment(d->table->context, name);
    if (!found.ptr)
        return refuse(d, "environment variable '%.*s' present in state file but not set", name);
    buf_str(value, found);
    return 0;
}

/* `env "DECK_X" | pipe ...`, what stands between ${{ and }}. */
static int evaluate(struct deck *d, struct str inside, struct buf *value)
{
    struct str pipes, call = str_trim(str_cut(inside, '|', &pipes));

    if (read_variable(d, call, value))
        return -1;
    while (pipes.ptr)
        if (apply_pipe(d, str_trim(str_cut(pipes, '|', &pipes)), value))
            return -1;
    return 0;
}

/* The expression from the input's cursor to `end`. */
static int expand_one(struct deck *d, size_t end)
{
    struct buf value = BUF_SECRET(d->out.max);
    struct origin_piece p = {.from_line = d->in.line, .from_column = column(&d->in)};
    int rc = evaluate(d, str_slice(d->text, d->in.seen + 3, end - 2), &value);

    if (rc == 0 && d->table->given && mask_add(d->table->given, d->arena, buf_view(&value)))
        rc = error_memory(d->error);
    if (rc == 0) {
        advance(&d->made, d->out.data, d->out.len);
        p.line = d->made.line;
        p.column = column(&d->made);
        buf_str(&d->out, buf_view(&value));
        d->out.failed |= value.failed;
        advance(&d->made, d->out.data, d->out.len);
        p.end_line = d->made.line;
        p.end_column = column(&d->made);
        advance(&d->in, d->text.ptr, end);
        p.to_line = d->in.line;
        p.to_column = column(&d->in);
        rc = vec_push(d->origin, p) ? error_memory(d->error) : 0;
    }
    buf_free(&value);
    return rc;
}

/* Is the line that the input's cursor stands in nothing but a comment? */
static bool is_comment(const struct deck *d)
{
    struct str head = str_slice(d->text, d->in.line_start, d->in.seen + 1);

    return str_starts(str_trim(head), STR("#"));
}

/* The expression at `*from`; *from then is behind it. */
static int take_expression(struct deck *d, size_t *from)
{
    const char *end = memmem(d->text.ptr + *from, d->text.len - *from, "}}", 2);

    if (!end)
        return refuse(d, "%.*s without its }}", STR("${{"));
    if (d->origin->len == DECK_EXPRESSIONS_MAX)
        return refuse(d, "too many expressions%.*s", STR(""));
    *from = (size_t)(end - d->text.ptr) + 2;
    return expand_one(d, *from);
}

static int expand_all(struct deck *d)
{
    const char *text = d->text.ptr, *start;
    size_t from = 0, at;

    while ((start = memmem(text + from, d->text.len - from, "${{", 3))) {
        at = (size_t)(start - text);
        advance(&d->in, text, at);
        if (is_comment(d))
            at = str_find(d->text, '\n', at);
        buf_append(&d->out, text + from, at - from);
        from = at;
        if (text + at == start && take_expression(d, &from))
            return -1;
    }
    buf_append(&d->out, text + from, d->text.len - from);
    return d->out.failed ? error_set(d->error, ERROR_LIMIT, "the file grows too large") : 0;
}

int deck_expand(const struct reference_table *t, struct str text, struct arena *arena,
                size_t max_bytes, struct str *out, struct origin *origin, struct error *e)
{
    /* A byte order mark takes no column. */
    size_t first = str_starts(text, STR("\xef\xbb\xbf")) ? 3 : 0;
    struct cursor start = {.line_start = first, .line = 1};
    struct deck d = {.table = t,
                     .text = text,
                     .out = BUF_SECRET(max_bytes),
                     .in = start,
                     .made = start,
                     .origin = origin,
                     .arena = arena,
                     .error = e};
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
