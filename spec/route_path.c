#include "route_path.h"

#include <string.h>

#include "spec/check.h"
#include "spec/regex.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = str_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that %XX at i stands for, or -1. */
static int escaped_byte(struct str s, size_t i)
{
    if (s.ptr[i] != '%' || i + 2 >= s.len || hex(s.ptr[i + 1]) < 0 || hex(s.ptr[i + 2]) < 0)
        return -1;
    return hex(s.ptr[i + 1]) << 4 | hex(s.ptr[i + 2]);
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c & ~0x20) : c;
}

static bool is_in(const char *set, int c)
{
    return c && strchr(set, c);
}

/* Writes to out, which has room for as many bytes as s has. */
static size_t decode(struct str s, char *out)
{
    size_t len = 0;

    for (size_t i = 0; i < s.len; i++) {
        int byte = escaped_byte(s, i);

        if (byte < 0) {
            out[len++] = s.ptr[i];
        } else if (is_in("!*'();:@&=+$,/?%#[]", byte)) {
            out[len++] = '%';
            out[len++] = upper(s.ptr[i + 1]);
            out[len++] = upper(s.ptr[i + 2]);
            i += 2;
        } else {
            out[len++] = (char)byte;
            i += 2;
        }
    }
    return len;
}

/* Length of a leading dot segment: what is cut, and whether the segment before it goes too. */
static size_t dot_segment(struct str s, bool *pops, bool *is_last)
{
    *pops = str_starts(s, STR("/../")) || str_equal(s, STR("/.."));
    *is_last = str_equal(s, STR("/.")) || str_equal(s, STR("/.."));
    if (str_equal(s, STR(".")) || str_equal(s, STR("..")))
        return s.len;
    if (*is_last)
        return s.len - 1; /* the slash stays */
    if (str_starts(s, STR("../")) || str_starts(s, STR("/../")))
        return 3;
    if (str_starts(s, STR("./")) || str_starts(s, STR("/./")))
        return 2;
    return str_starts(s, STR("//")) ? 1 : 0;
}

/* RFC 3986 section 5.2.4 in place, slashes merged. */
static size_t remove_dots(char *text, size_t len)
{
    size_t out = 0, in = 0;

    while (in < len) {
        struct str rest = {text + in, len - in};
        bool pops, is_last;
        size_t cut = dot_segment(rest, &pops, &is_last);

        if (pops) {
            while (out > 0 && text[out - 1] != '/')
                out--;
            out -= out > 0;
        }
        if (is_last) {
            text[out++] = '/';
            break;
        }
        if (cut) {
            in += cut;
            continue;
        }
        do
            text[out++] = text[in++];
        while (in < len && text[in] != '/');
    }
    return out;
}

struct str route_path_normalize(struct arena *arena, struct str path)
{
    struct str copy = arena_str(arena, path);
    char *text = (char *)(uintptr_t)copy.ptr;

    if (!text)
        return STR_NONE;
    copy.len = decode(path, text);
    copy.len = remove_dots(text, copy.len);
    text[copy.len] = '\0';
    return copy;
}

/* Bytes that mean something in a regex get their backslash when they are decoded. */
static struct str migrate_regex(struct arena *arena, struct str path)
{
    struct buf out = BUF_INIT(2 * path.len + 2);
    struct str result;

    buf_char(&out, '~');
    for (size_t i = 0; i < path.len; i++) {
        int byte = escaped_byte(path, i);

        if (byte < 0) {
            buf_char(&out, path.ptr[i]);
            continue;
        }
        if (is_in("!#$%&'()*+,/:;=?@[]", byte)) {
            buf_char(&out, '%');
            buf_char(&out, upper(path.ptr[i + 1]));
            buf_char(&out, upper(path.ptr[i + 2]));
        } else {
            if (is_in(".^-{}\\|", byte))
                buf_char(&out, '\\');
            buf_char(&out, (char)byte);
        }
        i += 2;
    }
    result = out.failed ? STR_NONE : arena_str(arena, buf_view(&out));
    buf_free(&out);
    return result;
}

struct str route_path_migrate(struct arena *arena, struct str path)
{
    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i], l = str_lower(c);

        if (!(l >= 'a' && l <= 'z') && !(c >= '0' && c <= '9') && !is_in("-._~/%", c))
            return migrate_regex(arena, path);
    }
    return route_path_normalize(arena, path);
}

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i], l = str_lower(c);

        if (!(l >= 'a' && l <= 'z') && !(c >= '0' && c <= '9') && !is_in(".-_~/%:@!$&'()*+,;=", c))
            return false;
    }
    return true;
}

/* As Kong, only where all characters are those of RFC 3986. */
static bool has_bad_escape(struct str s, struct buf *why)
{
    if (is_plain(s))
        check_escapes(s, why);
    return why->len > 0;
}

static void check_prefix(struct str value, struct buf *why)
{
    struct str plain = value;
    char *text;
    size_t len;

    /* Most paths have nothing to normalize. */
    if (str_find(value, '%', 0) == value.len && !memmem(value.ptr, value.len, "/.", 2))
        return;
    if (has_bad_escape(value, why))
        return;
    text = str_dup(plain);
    if (!text) {
        buf_cstr(why, "out of memory");
        return;
    }
    len = remove_dots(text, decode(value, text));
    if (!str_equal(value, (struct str){text, len}))
        buf_printf(why, "non-normalized path, consider use '%.*s' instead", (int)len, text);
    free(text);
}

void route_path_check(struct str value, struct buf *why)
{
    bool is_regex = str_starts(value, STR("~/"));

    if (value.len > 1 && memmem(value.ptr, value.len, "//", 2))
        buf_cstr(why, "must not have empty segments");
    else if (!is_regex && !str_starts(value, STR("/")))
        buf_cstr(why, "should start with: / (fixed path) or ~/ (regex path)");
    else if (is_regex)
        regex_check(str_slice(value, 1, value.len), why);
    else
        check_prefix(value, why);
}
