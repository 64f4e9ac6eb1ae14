#include "kong_url.h"

#include <string.h>

static bool is_alphanumeric(char c)
{
    char l = str_lower(c);

    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9');
}

/* The scheme's length, or 0: a letter or digit, then letters, digits, + - . and a colon. */
static size_t scheme_length(struct str text)
{
    size_t i = 0;

    while (i < text.len &&
           (is_alphanumeric(text.ptr[i]) ||
            (i && (text.ptr[i] == '+' || text.ptr[i] == '-' || text.ptr[i] == '.'))))
        i++;
    return i && i < text.len && text.ptr[i] == ':' ? i : 0;
}

static void split_authority(struct str text, struct kong_url *url)
{
    size_t at = str_find(text, '@', 0), i;

    if (at < text.len)
        text = str_slice(text, at + 1, text.len);
    /* The port stands behind the last colon, unless a bracket follows it. */
    for (i = text.len; i > 0 && text.ptr[i - 1] != ':' && text.ptr[i - 1] != ']'; i--)
        ;
    if (i && text.ptr[i - 1] == ':') {
        url->port = str_slice(text, i, text.len);
        text = str_slice(text, 0, i - 1);
    }
    if (text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']')
        text = str_slice(text, 1, text.len - 1);
    if (text.len)
        url->host = text;
}

bool kong_url_parse(struct str text, struct kong_url *url)
{
    size_t len = scheme_length(text), end;
    struct str authority = STR_NONE;

    *url = (struct kong_url){0};
    if (!text.len)
        return false;
    if (len) {
        url->scheme = str_slice(text, 0, len);
        text = str_slice(text, len + 1, text.len);
    }
    if (str_starts(text, STR("//"))) {
        end = str_find(text, '/', 2);
        authority = str_slice(text, 2, end);
        text = str_slice(text, end, text.len);
    }
    for (end = 0; end < text.len && !strchr("#?;", text.ptr[end]);)
        end++;
    text = str_slice(text, 0, end);
    if (text.len)
        url->path = text;
    if (authority.ptr)
        split_authority(authority, url);
    return true;
}
