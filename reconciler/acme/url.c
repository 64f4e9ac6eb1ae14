#include "reconciler/acme/url.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/acme/step.h"
#include "reconciler/base/buf.h"

static const struct str scheme = STR_INIT("https://");

/* Index of the first of these characters from `at` on; url.len where there is none. */
static size_t find_any(struct str url, const char *characters, size_t at)
{
    while (at < url.len && !strchr(characters, url.ptr[at]))
        at++;
    return at;
}

/* What lies between the scheme and the path. */
static struct str authority_of(struct str url)
{
    return str_slice(url, scheme.len, find_any(url, "/?#", scheme.len));
}

bool acme_url_is_usable(struct str url)
{
    struct str authority;

    if (url.len > ACME_URL_MAX || !str_equal_nocase(str_slice(url, 0, scheme.len), scheme))
        return false;
    for (size_t i = 0; i < url.len; i++)
        if (url.ptr[i] <= ' ' || url.ptr[i] > '~' || strchr("\"<>\\^`{|}", url.ptr[i]))
            return false;
    authority = authority_of(url);
    return authority.len && authority.ptr[0] != ':' && str_find(authority, '@', 0) == authority.len;
}

int acme_url_check(struct str url, const char *what, struct error *e)
{
    if (url.len > ACME_URL_MAX)
        return error_set(e, ERROR_PROTOCOL, "%s has %zu bytes, more than %d", what, url.len,
                         ACME_URL_MAX);
    return acme_url_is_usable(url) ? 0
                                   : error_set(e, ERROR_PROTOCOL, "%s is %s", what,
                                               url.len ? "not an https URL" : "missing");
}

/* RFC 3986 §5.2.4 for a path and what is behind it, in place; the new length. */
static size_t remove_dots(char *path, size_t len)
{
    size_t end = find_any((struct str){path, len}, "?", 0), in = 0, out = 0;

    while (in < end) {
        size_t next = find_any((struct str){path, end}, "/", in + 1);
        struct str part = {path + in, next - in};
        bool is_dot = str_equal_cstr(part, "/."), is_up = str_equal_cstr(part, "/..");

        while (is_up && out && path[--out] != '/')
            ;
        if (!is_dot && !is_up) {
            memmove(path + out, part.ptr, part.len);
            out += part.len;
        } else if (next == end) {
            path[out++] = '/';
        }
        in = next;
    }
    memmove(path + out, path + end, len - end);
    return out + len - end;
}

/* How much of the base stays in front of the reference (RFC 3986 §5.2.2). */
static size_t kept_of(struct str base, struct str reference)
{
    size_t start = scheme.len + authority_of(base).len, path = find_any(base, "?#", start);

    if (str_starts(reference, STR("//")))
        return scheme.len - 2;
    if (str_starts(reference, STR("/")))
        return start;
    if (str_starts(reference, STR("?")))
        return path;
    while (path > start && base.ptr[path - 1] != '/')
        path--;
    return path;
}

/* Does it begin with a scheme? */
static bool is_absolute(struct str reference)
{
    size_t colon = find_any(reference, ":/?#", 0);

    return colon < reference.len && reference.ptr[colon] == ':';
}

static char *join(struct str base, struct str reference)
{
    struct buf url = BUF_INIT(2 * ACME_URL_MAX + 2);
    size_t start;

    buf_str(&url, str_slice(base, 0, kept_of(base, reference)));
    if (reference.ptr[0] != '/' && url.len == scheme.len + authority_of(base).len)
        buf_char(&url, '/');
    buf_str(&url, reference);
    if (url.failed) {
        buf_free(&url);
        return NULL;
    }
    start = scheme.len + authority_of(buf_view(&url)).len;
    if (start < url.len && url.data[start] == '/')
        url.len = start + remove_dots(url.data + start, url.len - start);
    url.data[url.len] = '\0';
    return url.data;
}

char *acme_url_resolve(struct str reference, struct str base, const char *what, struct error *e)
{
    char *url;

    reference = str_slice(reference, 0, str_find(reference, '#', 0));
    if (!reference.len || reference.len > ACME_URL_MAX || is_absolute(reference))
        url = str_dup(reference);
    else
        url = join(base, reference);
    if (!url)
        return error_no_memory(e);
    if (acme_url_check(str_from(url), what, e)) {
        free(url);
        return NULL;
    }
    return url;
}
