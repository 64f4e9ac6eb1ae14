#include "scalar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Longer texts are strings, whatever they look like. */
#define SCALAR_NUMBER_MAX 128

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int digit_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c = str_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

static void set_boolean(struct document_node *node, bool value)
{
    node->kind = DOCUMENT_BOOLEAN;
    node->as.boolean = value;
}

static void set_float(struct document_node *node, double value)
{
    node->kind = DOCUMENT_FLOAT;
    node->as.number = value;
}

/* Integers are doubles in Lua; what does not fit int64 keeps that meaning. */
static void set_number(struct document_node *node, double approximate, uint64_t exact,
                       bool is_exact, bool is_negative)
{
    if (is_exact)
        approximate = (double)exact;
    if (!is_exact || exact > INT64_MAX) {
        set_float(node, is_negative ? -approximate : approximate);
        return;
    }
    node->kind = DOCUMENT_INTEGER;
    node->as.integer = is_negative ? -(int64_t)exact : (int64_t)exact;
}

static bool is_null(struct str s)
{
    return s.len == 0 || (s.len == 1 && s.ptr[0] == '~') || str_equal(s, STR("null")) ||
           str_equal(s, STR("Null")) || str_equal(s, STR("NULL"));
}

static bool resolve_null(struct str s, struct document_node *node)
{
    if (!is_null(s))
        return false;
    node->kind = DOCUMENT_NULL;
    return true;
}

static const struct {
    struct str forms[3];
    bool value;
} booleans[] = {
    {{STR_INIT("true"), STR_INIT("True"), STR_INIT("TRUE")}, true},
    {{STR_INIT("false"), STR_INIT("False"), STR_INIT("FALSE")}, false},
    {{STR_INIT("yes"), STR_INIT("Yes"), STR_INIT("YES")}, true},
    {{STR_INIT("no"), STR_INIT("No"), STR_INIT("NO")}, false},
    {{STR_INIT("on"), STR_INIT("On"), STR_INIT("ON")}, true},
    {{STR_INIT("off"), STR_INIT("Off"), STR_INIT("OFF")}, false},
};

static bool resolve_boolean(struct str s, struct document_node *node)
{
    if (s.len < 2 || s.len > 5)
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(booleans); i++)
        for (size_t k = 0; k < 3; k++)
            if (str_equal(s, booleans[i].forms[k])) {
                set_boolean(node, booleans[i].value);
                return true;
            }
    return false;
}

/* Digits of `base` and underscores, at least one digit and that first. */
static bool read_digits(struct str s, unsigned base, double *approximate, uint64_t *exact,
                        bool *is_exact)
{
    *approximate = 0;
    *exact = 0;
    *is_exact = true;
    if (!s.len || digit_value(s.ptr[0]) >= (int)base)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit;

        if (s.ptr[i] == '_')
            continue;
        digit = (unsigned)digit_value(s.ptr[i]);
        if (digit >= base)
            return false;
        *approximate = *approximate * base + digit;
        if (*exact > (UINT64_MAX - digit) / base)
            *is_exact = false;
        *exact = *exact * base + digit;
    }
    return true;
}

static struct str skip_underscores(struct str s)
{
    while (s.len && s.ptr[0] == '_')
        s = str_slice(s, 1, s.len);
    return s;
}

/* [0-9]+:[0-9][:0-9]* */
static bool is_sexagesimal(struct str s)
{
    size_t colon = str_find(s, ':', 0);

    if (!colon || colon + 1 >= s.len || !is_digit(s.ptr[colon + 1]))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_digit(s.ptr[i]) && s.ptr[i] != ':')
            return false;
    return true;
}

/* Groups of digits between colons, in base 60. */
static bool read_sexagesimal(struct str s, double *value)
{
    if (!is_sexagesimal(s))
        return false;
    *value = 0;
    while (s.ptr) {
        struct str group = str_cut(s, ':', &s);
        double digits = 0;

        for (size_t i = 0; i < group.len; i++)
            digits = digits * 10 + (group.ptr[i] - '0');
        if (group.len)
            *value = *value * 60 + digits;
    }
    return true;
}

static bool resolve_sexagesimal(struct str s, bool is_negative, struct document_node *node)
{
    size_t dot = str_find(s, '.', 0);
    double value;

    if (!read_sexagesimal(str_slice(s, 0, dot), &value))
        return false;
    if (dot == s.len) {
        set_number(node, value, value < 1e18 ? (uint64_t)value : 0, value < 1e18, is_negative);
        return true;
    }
    if (dot + 1 == s.len)
        return false;
    for (size_t i = dot + 1; i < s.len; i++)
        if (!is_digit(s.ptr[i]))
            return false;
    value += strtod(s.ptr + dot, NULL);
    set_float(node, is_negative ? -value : value);
    return true;
}

/* What strtod takes whole once underscores are out, with a point or an exponent in it. */
static bool resolve_float(struct str s, struct document_node *node)
{
    char text[SCALAR_NUMBER_MAX + 1];
    size_t len = 0;
    bool has_mark = false;
    char *end;
    double value;

    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == '_')
            continue;
        has_mark |= c == '.' || c == 'e' || c == 'E';
        if (!is_digit(c) && !strchr("+-.abcdefABCDEFxXpP", c))
            return false;
        text[len++] = c;
    }
    text[len] = '\0';
    if (!has_mark || !len)
        return false;
    value = strtod(text, &end);
    if (*end || end == text || !strpbrk(text, "0123456789"))
        return false;
    set_float(node, value);
    return true;
}

static bool resolve_special(struct str s, struct document_node *node)
{
    bool is_negative = s.len && s.ptr[0] == '-';
    struct str word = s;

    if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+'))
        word = str_slice(s, 1, s.len);
    if (str_equal(word, STR(".inf")) || str_equal(word, STR(".Inf")) ||
        str_equal(word, STR(".INF"))) {
        set_float(node, is_negative ? -INFINITY : INFINITY);
        return true;
    }
    if (str_equal(s, STR(".nan")) || str_equal(s, STR(".NaN")) || str_equal(s, STR(".NAN"))) {
        set_float(node, NAN);
        return true;
    }
    return false;
}

static bool resolve_integer(struct str s, struct document_node *node)
{
    bool is_negative = s.ptr[0] == '-', is_exact;
    struct str rest = s.ptr[0] == '-' || s.ptr[0] == '+' ? str_slice(s, 1, s.len) : s;
    double approximate;
    uint64_t exact;
    bool found;

    if (str_starts(rest, STR("0x")))
        found = read_digits(skip_underscores(str_slice(rest, 2, rest.len)), 16, &approximate,
                            &exact, &is_exact);
    else if (str_starts(rest, STR("0b")) && rest.len > 3)
        found = read_digits(skip_underscores(str_slice(rest, 2, rest.len)), 2, &approximate, &exact,
                            &is_exact);
    else
        found = (rest.len > 1 && rest.ptr[0] == '0' &&
                 read_digits(skip_underscores(str_slice(rest, 1, rest.len)), 8, &approximate,
                             &exact, &is_exact)) ||
                read_digits(skip_underscores(rest), 10, &approximate, &exact, &is_exact);
    if (found)
        set_number(node, approximate, exact, is_exact, is_negative);
    return found;
}

static bool resolve_number(struct str s, struct document_node *node)
{
    struct str rest = s;
    bool is_negative = s.ptr[0] == '-';

    if (s.len > SCALAR_NUMBER_MAX)
        return false;
    if (resolve_integer(s, node) || resolve_float(s, node) || resolve_special(s, node))
        return true;
    if (s.ptr[0] == '-' || s.ptr[0] == '+')
        rest = str_slice(s, 1, s.len);
    return resolve_sexagesimal(rest, is_negative, node);
}

bool scalar_resolve(struct str text, struct document_node *node)
{
    if (!text.len)
        return resolve_null(text, node);
    switch (text.ptr[0]) {
    case '~':
    case 'n':
    case 'N':
        return resolve_null(text, node) || resolve_boolean(text, node);
    case 't':
    case 'T':
    case 'f':
    case 'F':
    case 'y':
    case 'Y':
    case 'o':
    case 'O':
        return resolve_boolean(text, node);
    case '+':
    case '-':
    case '.':
    case '_':
        return resolve_number(text, node);
    default:
        return is_digit(text.ptr[0]) && resolve_number(text, node);
    }
}

#define TAG_PREFIX "tag:yaml.org,2002:"

static bool resolve_tagged_boolean(struct str text, struct document_node *node)
{
    if (text.len == 1 && strchr("yYnN", text.ptr[0])) {
        set_boolean(node, str_lower(text.ptr[0]) == 'y');
        return true;
    }
    return resolve_boolean(text, node);
}

static bool resolve_tagged_number(struct str text, bool is_float, struct document_node *node)
{
    if (!text.len || !resolve_number(text, node))
        return false;
    return is_float || node->kind == DOCUMENT_INTEGER;
}

int scalar_resolve_tagged(const char *tag, struct str text, struct document_node *node)
{
    const char *name = tag + sizeof(TAG_PREFIX) - 1;
    bool found;

    if (strncmp(tag, TAG_PREFIX, sizeof(TAG_PREFIX) - 1) != 0)
        return 1;
    if (strcmp(name, "null") == 0 || strcmp(name, "str") == 0) {
        node->kind = name[0] == 'n' ? DOCUMENT_NULL : DOCUMENT_STRING;
        return 0;
    }
    if (strcmp(name, "bool") == 0)
        found = resolve_tagged_boolean(text, node);
    else if (strcmp(name, "int") == 0 || strcmp(name, "float") == 0)
        found = resolve_tagged_number(text, name[0] == 'f', node);
    else
        return 1;
    return found ? 0 : -1;
}
