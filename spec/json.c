#include "json.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/utf8.h"
#include "spec/tree.h"

#define JSON_NUMBER_MAX 400

struct reader {
    struct tree tree;
    struct str bytes;
    size_t at;
    uint32_t line;
    size_t line_start;
    struct buf text; /* the last string, unescaped */
};

static int peek(const struct reader *r)
{
    return r->at < r->bytes.len ? (unsigned char)r->bytes.ptr[r->at] : -1;
}

static uint32_t column(const struct reader *r)
{
    return (uint32_t)(r->at - r->line_start + 1);
}

static int refuse(struct reader *r, const char *why)
{
    return tree_refuse(&r->tree, ERROR_SYNTAX, r->line, column(r), "%s", why);
}

static void skip_blanks(struct reader *r)
{
    for (int c = peek(r); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = peek(r)) {
        r->at++;
        if (c == '\n') {
            r->line++;
            r->line_start = r->at;
        }
    }
}

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits; -1 if they are none. */
static int read_unit(struct reader *r)
{
    int unit = 0;

    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(peek(r));

        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
        r->at++;
    }
    return unit;
}

static void append_utf8(struct buf *b, unsigned code)
{
    if (code < 0x80) {
        buf_char(b, (char)code);
    } else if (code < 0x800) {
        buf_char(b, (char)(0xc0 | code >> 6));
        buf_char(b, (char)(0x80 | (code & 0x3f)));
    } else if (code < 0x10000) {
        buf_char(b, (char)(0xe0 | code >> 12));
        buf_char(b, (char)(0x80 | (code >> 6 & 0x3f)));
        buf_char(b, (char)(0x80 | (code & 0x3f)));
    } else {
        buf_char(b, (char)(0xf0 | code >> 18));
        buf_char(b, (char)(0x80 | (code >> 12 & 0x3f)));
        buf_char(b, (char)(0x80 | (code >> 6 & 0x3f)));
        buf_char(b, (char)(0x80 | (code & 0x3f)));
    }
}

/* What follows \u: one unit, or a surrogate pair (RFC 8259 section 7). */
static int read_code(struct reader *r)
{
    int unit = read_unit(r), low;

    if (unit < 0)
        return refuse(r, "\\u needs four hex digits");
    if (unit == 0)
        return refuse(r, "\\u0000 is not allowed");
    if (unit >= 0xdc00 && unit <= 0xdfff)
        return refuse(r, "a surrogate without its pair");
    if (unit >= 0xd800 && unit <= 0xdbff) {
        if (peek(r) != '\\' || r->at + 1 >= r->bytes.len || r->bytes.ptr[r->at + 1] != 'u')
            return refuse(r, "a surrogate without its pair");
        r->at += 2;
        low = read_unit(r);
        if (low < 0xdc00 || low > 0xdfff)
            return refuse(r, "a surrogate without its pair");
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    }
    append_utf8(&r->text, (unsigned)unit);
    return 0;
}

static int read_escape(struct reader *r)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    int c = peek(r);
    const char *found = c > 0 ? strchr(from, c) : NULL;

    if (c == 'u') {
        r->at++;
        return read_code(r);
    }
    if (!found)
        return refuse(r, "an escape that JSON does not have");
    r->at++;
    buf_char(&r->text, to[found - from]);
    return 0;
}

/* From behind the opening quote to behind the closing one, into r->text. */
static int read_string(struct reader *r)
{
    buf_clear(&r->text);
    for (;;) {
        size_t run = r->at;

        while (run < r->bytes.len && (unsigned char)r->bytes.ptr[run] >= 0x20 &&
               r->bytes.ptr[run] != '"' && r->bytes.ptr[run] != '\\')
            run++;
        buf_append(&r->text, r->bytes.ptr + r->at, run - r->at);
        r->at = run;
        if (run == r->bytes.len)
            return refuse(r, "a string without its end");
        if (r->bytes.ptr[run] == '"')
            break;
        if (r->bytes.ptr[run] != '\\')
            return refuse(r, "a control character in a string");
        r->at++;
        if (read_escape(r))
            return -1;
    }
    r->at++;
    return r->text.failed ? error_memory(r->tree.error) : 0;
}

static bool take_digits(struct reader *r)
{
    size_t from = r->at;

    while (peek(r) >= '0' && peek(r) <= '9')
        r->at++;
    return r->at > from;
}

static bool is_next(struct reader *r, const char *set)
{
    int c = peek(r);

    if (c <= 0 || !strchr(set, c))
        return false;
    r->at++;
    return true;
}

/* Point and exponent; *is_integer if there is neither. */
static int read_fraction(struct reader *r, bool *is_integer)
{
    *is_integer = true;
    if (is_next(r, ".")) {
        *is_integer = false;
        if (!take_digits(r))
            return refuse(r, "a number needs digits behind its point");
    }
    if (is_next(r, "eE")) {
        *is_integer = false;
        (void)is_next(r, "+-");
        if (!take_digits(r))
            return refuse(r, "a number needs digits in its exponent");
    }
    return 0;
}

/* RFC 8259 section 6. */
static int read_number(struct reader *r, struct document_node *node)
{
    size_t from = r->at;
    bool is_negative = is_next(r, "-"), is_integer;
    char text[JSON_NUMBER_MAX];
    uint64_t magnitude;

    if (!is_next(r, "0") && !take_digits(r))
        return refuse(r, "not a JSON value");
    if (read_fraction(r, &is_integer))
        return -1;
    if (r->at - from >= sizeof(text))
        return refuse(r, "a number that is too long");
    memcpy(text, r->bytes.ptr + from, r->at - from);
    text[r->at - from] = '\0';
    if (is_integer && str_to_u64(str_from(text + is_negative), &magnitude) &&
        magnitude <= INT64_MAX) {
        node->kind = DOCUMENT_INTEGER;
        node->as.integer = is_negative ? -(int64_t)magnitude : (int64_t)magnitude;
        return 0;
    }
    node->kind = DOCUMENT_FLOAT;
    node->as.number = strtod(text, NULL);
    return 0;
}

static const struct {
    struct str text;
    enum document_kind kind;
    bool value;
} words[] = {
    {STR_INIT("true"), DOCUMENT_BOOLEAN, true},
    {STR_INIT("false"), DOCUMENT_BOOLEAN, false},
    {STR_INIT("null"), DOCUMENT_NULL, false},
};

static int read_scalar(struct reader *r, struct document_node *node)
{
    struct str rest = str_slice(r->bytes, r->at, r->bytes.len);

    if (peek(r) == '"') {
        r->at++;
        return read_string(r) ? -1 : tree_string(&r->tree, buf_view(&r->text), node);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (str_starts(rest, words[i].text)) {
            node->kind = (uint8_t)words[i].kind;
            node->as.boolean = words[i].value;
            r->at += words[i].text.len;
            return 0;
        }
    return read_number(r, node);
}

static int read_value(struct reader *r)
{
    int c = peek(r);
    uint32_t line = r->line, start = column(r);
    struct document_node node = {.line = line, .column = start};

    if (c == '{' || c == '[') {
        r->at++;
        return tree_open(&r->tree, c == '{', line, start, STR_NONE);
    }
    if (read_scalar(r, &node))
        return -1;
    return tree_value(&r->tree, node, STR_NONE);
}

static int read_key(struct reader *r)
{
    uint32_t line = r->line, start = column(r);

    if (peek(r) != '"')
        return refuse(r, "expected a member's name in quotes");
    r->at++;
    if (read_string(r) || tree_key(&r->tree, buf_view(&r->text), line, start))
        return -1;
    skip_blanks(r);
    if (peek(r) != ':')
        return refuse(r, "expected ':'");
    r->at++;
    skip_blanks(r);
    return read_value(r);
}

/* Behind a value or an opening bracket: closes what ends here. Sets *more if an item is due. */
static int read_separator(struct reader *r, bool is_first, bool *more)
{
    const struct tree_level *level = &r->tree.levels[r->tree.depth - 1];
    int closing = level->is_map ? '}' : ']';

    *more = false;
    if (peek(r) == closing) {
        r->at++;
        return tree_close(&r->tree);
    }
    if (!is_first) {
        if (peek(r) != ',')
            return refuse(r, level->is_map ? "expected ',' or '}'" : "expected ',' or ']'");
        r->at++;
        skip_blanks(r);
    }
    *more = true;
    return 0;
}

static int read_all(struct reader *r)
{
    unsigned depth;

    skip_blanks(r);
    if (peek(r) < 0)
        return refuse(r, "the file is empty");
    if (read_value(r))
        return -1;
    for (depth = 0; r->tree.depth;) {
        bool more, is_first = r->tree.depth > depth;

        depth = r->tree.depth;
        skip_blanks(r);
        if (read_separator(r, is_first, &more))
            return -1;
        if (more && (r->tree.levels[r->tree.depth - 1].is_map ? read_key(r) : read_value(r)))
            return -1;
        if (!more)
            depth = r->tree.depth;
    }
    skip_blanks(r);
    return peek(r) < 0 ? 0 : refuse(r, "something follows the value");
}

/* Strings are checked as they stand: RFC 8259 section 8.1 wants UTF-8. */
static int check_utf8(struct reader *r)
{
    const unsigned char *p = (const unsigned char *)r->bytes.ptr;

    for (size_t i = 0; i < r->bytes.len;) {
        unsigned code;
        size_t step = utf8_sequence(p + i, r->bytes.len - i, &code);

        if (!step || !p[i]) {
            document_place_of_offset(r->bytes, i, &r->line, &(uint32_t){0});
            r->at = i;
            r->line_start = i;
            while (r->line_start && p[r->line_start - 1] != '\n')
                r->line_start--;
            return refuse(r, p[i] ? "bytes that are not UTF-8" : "a NUL byte");
        }
        i += step;
    }
    return 0;
}

int json_parse(const struct document_options *options, struct str bytes, struct document_node *root,
               struct error *e)
{
    struct reader r = {.bytes = bytes, .line = 1, .text = BUF_SECRET(SIZE_MAX / 2)};
    int rc = -1;

    if (tree_init(&r.tree, options, e))
        goto out;
    rc = check_utf8(&r) ? -1 : read_all(&r);
    if (!rc)
        *root = r.tree.root;
out:
    buf_free(&r.text);
    tree_fini(&r.tree);
    return rc;
}
