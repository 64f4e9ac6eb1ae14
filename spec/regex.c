#define PCRE2_CODE_UNIT_WIDTH 8

#include "regex.h"

#include <pcre2.h>
#include <string.h>

#define PCRE_MESSAGE_MAX 128

/* What begins with "(?" or "(*" and that engine does not know. The longer ones first. */
static const struct {
    struct str start;
    const char *what;
} groups[] = {
    {STR_INIT("(?="), "look-around"},     {STR_INIT("(?!"), "look-around"},
    {STR_INIT("(?<="), "look-around"},    {STR_INIT("(?<!"), "look-around"},
    {STR_INIT("(?*"), "look-around"},     {STR_INIT("(?<*"), "look-around"},
    {STR_INIT("(?>"), "an atomic group"}, {STR_INIT("(?|"), "a branch reset"},
    {STR_INIT("(?("), "a condition"},     {STR_INIT("(?P="), "a back-reference"},
    {STR_INIT("(?P>"), "a recursion"},    {STR_INIT("(?&"), "a recursion"},
    {STR_INIT("(?R"), "a recursion"},     {STR_INIT("(?C"), "a callout"},
    {STR_INIT("(?#"), "a comment"},       {STR_INIT("(?'"), "a quoted group name"},
    {STR_INIT("(*"), "a verb"},
};

/* Letters behind a backslash, outside of a class. */
static const struct {
    const char *letters;
    const char *what;
} escapes[] = {
    {"123456789gk", "a back-reference"},         {"K", "a match reset"},
    {"G", "an anchor of the last match"},        {"QE", "a quoted part"},
    {"0oCRXZhHVNce", "an escape of PCRE alone"},
};

static const char *escape_of(char c)
{
    for (size_t i = 0; i < ARRAY_LENGTH(escapes); i++)
        if (c && strchr(escapes[i].letters, c))
            return escapes[i].what;
    return NULL;
}

static const char *group_of(struct str rest)
{
    for (size_t i = 0; i < ARRAY_LENGTH(groups); i++)
        if (str_starts(rest, groups[i].start))
            return groups[i].what;
    /* (?1) (?-1) (?+1): recursion into a group by number; (?-i) is an option. */
    if (rest.len > 3 && str_starts(rest, STR("(?"))) {
        size_t i = rest.ptr[2] == '-' || rest.ptr[2] == '+' ? 3 : 2;

        if (rest.ptr[i] >= '0' && rest.ptr[i] <= '9')
            return "a recursion";
    }
    return NULL;
}

size_t regex_skip_class(struct str p, size_t i)
{
    i++;
    if (i < p.len && p.ptr[i] == '^')
        i++;
    if (i < p.len && p.ptr[i] == ']')
        i++;
    while (i < p.len && p.ptr[i] != ']') {
        if (p.ptr[i] == '[' && i + 1 < p.len && p.ptr[i + 1] == ':') {
            const char *end = memmem(p.ptr + i, p.len - i, ":]", 2);

            i = end ? (size_t)(end - p.ptr) + 2 : i + 1;
        } else {
            i += p.ptr[i] == '\\' ? 2 : 1;
        }
    }
    return i + 1;
}

const char *regex_foreign_construct(struct str p)
{
    const char *what = NULL;

    for (size_t i = 0; i < p.len && !what;) {
        if (p.ptr[i] == '\\') {
            what = i + 1 < p.len ? escape_of(p.ptr[i + 1]) : NULL;
            i += 2;
        } else if (p.ptr[i] == '[') {
            i = regex_skip_class(p, i);
        } else if (p.ptr[i] == '(') {
            what = group_of(str_slice(p, i, p.len));
            i += i + 1 < p.len && p.ptr[i + 1] == '?' ? 2 : 1;
        } else {
            i++;
        }
    }
    return what;
}

void regex_check(struct str pattern, struct buf *why)
{
    PCRE2_UCHAR message[PCRE_MESSAGE_MAX];
    PCRE2_SIZE offset;
    int code;
    const char *foreign;
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)pattern.ptr, pattern.len, PCRE2_ANCHORED, &code, &offset, NULL);

    if (!compiled) {
        pcre2_get_error_message(code, message, sizeof(message));
        buf_printf(why, "invalid regex: '%.*s' (PCRE returned: %s at %zu)", STR_ARG(pattern),
                   (const char *)message, offset);
        return;
    }
    pcre2_code_free(compiled);
    foreign = regex_foreign_construct(pattern);
    if (foreign)
        buf_printf(why, "invalid regex: '%.*s' (Kong's router does not have %s)", STR_ARG(pattern),
                   foreign);
}
