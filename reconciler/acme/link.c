#include "reconciler/acme/link.h"

#include <string.h>

#include "reconciler/base/buf.h"

#define LINK_VALUE_MAX 256 /* of a parameter; a longer one is none that we know */

/* Behind what is in `characters` (or, `until`, before the first that is). */
static struct str skip(struct str s, const char *characters, bool until)
{
    size_t at = 0;

    while (at < s.len && (s.ptr[at] && strchr(characters, s.ptr[at])) != until)
        at++;
    return str_slice(s, at, s.len);
}

static struct str before(struct str whole, struct str rest)
{
    return str_slice(whole, 0, whole.len - rest.len);
}

/* A quoted-string, unquoted, or a token (RFC 9110 §5.6). */
static struct str take_value(struct str rest, struct buf *value)
{
    size_t at = 1;

    if (!rest.len || rest.ptr[0] != '"') {
        struct str end = skip(rest, ";,", true);

        buf_str(value, str_trim(before(rest, end)));
        return end;
    }
    for (; at < rest.len && rest.ptr[at] != '"'; at++) {
        at += rest.ptr[at] == '\\' && at + 1 < rest.len;
        buf_char(value, rest.ptr[at]);
    }
    return str_slice(rest, at + 1, rest.len);
}

static bool names_alternate(struct str types)
{
    struct str type;

    while (types.ptr) {
        type = str_cut(types, ' ', &types);
        if (str_equal_nocase(type, STR("alternate")))
            return true;
    }
    return false;
}

/* The parameters behind a target, up to the comma; of several rel the first one counts. */
static struct str take_parameters(struct str rest, struct acme_link *link)
{
    bool has_rel = false, has_anchor = false;

    while ((rest = skip(rest, " \t", false)).len && rest.ptr[0] != ',') {
        struct str start = skip(rest, "; \t", false), end = skip(start, "=;, \t", true);
        struct str name = before(start, end);
        struct buf value = BUF_INIT(LINK_VALUE_MAX);

        rest = skip(end, " \t", false);
        if (rest.len && rest.ptr[0] == '=')
            rest = take_value(skip(str_slice(rest, 1, rest.len), " \t", false), &value);
        if (!has_rel && str_equal_nocase(name, STR("rel"))) {
            has_rel = true;
            link->is_alternate = !value.failed && names_alternate(buf_view(&value));
        }
        has_anchor |= str_equal_nocase(name, STR("anchor"));
        buf_free(&value);
    }
    link->is_alternate &= !has_anchor;
    return rest;
}

bool acme_link_next(struct str *rest, struct acme_link *link)
{
    struct str target, end;

    while ((*rest = skip(*rest, " \t,", false)).len) {
        *link = (struct acme_link){0};
        if (rest->ptr[0] != '<') {
            *rest = take_parameters(*rest, link);
            continue;
        }
        target = str_slice(*rest, 1, rest->len);
        end = skip(target, ">", true);
        if (!end.len) {
            *rest = STR_NONE;
            return false;
        }
        link->target = str_trim(before(target, end));
        *rest = take_parameters(str_slice(end, 1, end.len), link);
        return true;
    }
    return false;
}
