#include "check.h"

#include <string.h>

#include "spec/address.h"
#include "spec/kong_url.h"

static bool is_alphanumeric(char c)
{
    char l = str_lower(c);

    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9');
}

static bool is_high(char c)
{
    return (unsigned char)c >= 128 && (unsigned char)c <= 244;
}

static bool has(const char *set, char c)
{
    return c && strchr(set, c);
}

void check_uuid(struct str value, struct buf *why)
{
    bool is_fine = value.len == 36;

    for (size_t i = 0; is_fine && i < 36; i++) {
        char c = str_lower(value.ptr[i]);

        is_fine = i == 8 || i == 13 || i == 18 || i == 23
                      ? c == '-'
                      : (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    }
    if (!is_fine)
        buf_cstr(why, "expected a valid UUID");
}

void check_name(struct str value, struct buf *why)
{
    for (size_t i = 0; i < value.len; i++)
        if (!is_alphanumeric(value.ptr[i]) && !is_high(value.ptr[i]) &&
            !has(".-_~", value.ptr[i])) {
            buf_printf(why,
                       "invalid value '%.*s': the only accepted ascii characters are "
                       "alphanumerics or ., -, _, and ~",
                       STR_ARG(value));
            return;
        }
}

void check_tag(struct str value, struct buf *why)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];

        if ((c >= ' ' && c <= '~' && c != ',' && c != '/') || is_high(c))
            continue;
        buf_printf(why,
                   "invalid tag '%.*s': expected printable ascii (except `,` and `/`) or valid "
                   "utf-8 sequences",
                   STR_ARG(value));
        return;
    }
}

static void refuse_value(struct str value, struct buf *why)
{
    buf_printf(why, "invalid value: %.*s", STR_ARG(value));
}

void check_host(struct str value, struct buf *why)
{
    struct address address;
    enum address_fault fault = address_parse(value, &address);

    if (fault == ADDRESS_BAD_HOST)
        refuse_value(value, why);
    else if (fault == ADDRESS_BAD_PORT || address.has_port)
        buf_cstr(why, "must not have a port");
}

void check_host_and_port(struct str value, struct buf *why)
{
    struct address address;
    enum address_fault fault = address_parse(value, &address);

    if (fault == ADDRESS_BAD_PORT)
        buf_cstr(why, address_fault_text(fault, address.type));
    else if (fault)
        buf_printf(why, "%s: %.*s", address_fault_text(fault, address.type), STR_ARG(value));
}

void check_server_name(struct str value, struct buf *why)
{
    struct address address;
    enum address_fault fault = address_parse(value, &address);

    if (fault == ADDRESS_BAD_HOST)
        refuse_value(value, why);
    else if (fault == ADDRESS_FINE && address.type != ADDRESS_NAME)
        buf_cstr(why, "must not be an IP");
    else if (fault == ADDRESS_BAD_PORT || address.has_port)
        buf_cstr(why, "must not have a port");
}

/* With `word` for each star; the text of the answer is why's maximum at most. */
static void replace_stars(struct str value, const char *word, struct buf *out)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] == '*')
            buf_cstr(out, word);
        else
            buf_char(out, value.ptr[i]);
}

static size_t count_stars(struct str value)
{
    size_t count = 0;

    for (size_t i = 0; i < value.len; i++)
        count += value.ptr[i] == '*';
    return count;
}

void check_server_name_pattern(struct str value, struct buf *why)
{
    size_t star = str_find(value, '*', 0);
    struct buf plain = BUF_INIT(value.len + 16);

    if (star == value.len) {
        check_server_name(value, why);
        return;
    }
    if (star != 0 && star != value.len - 1) {
        buf_cstr(why, "wildcard must be leftmost or rightmost character");
        return;
    }
    if (count_stars(value) > 1) {
        buf_cstr(why, "only one wildcard must be specified");
        return;
    }
    replace_stars(value, "wildcard", &plain);
    check_server_name(buf_view(&plain), why);
    buf_free(&plain);
}

void check_host_pattern(struct str value, struct buf *why)
{
    struct buf plain = BUF_INIT(value.len + 16);
    size_t stars = count_stars(value);

    if (stars > 1) {
        buf_cstr(why, "invalid wildcard: must have at most one wildcard");
        return;
    }
    if (!stars) {
        check_host_and_port(value, why);
        return;
    }
    if (!str_starts(value, STR("*.")) && !str_ends(value, STR(".*"))) {
        buf_cstr(why, "invalid wildcard: must be placed at leftmost or rightmost label");
        return;
    }
    replace_stars(value, "abc", &plain);
    check_host_and_port(buf_view(&plain), why);
    buf_free(&plain);
}

void check_ip_or_cidr(struct str value, struct buf *why)
{
    if (!address_is_ip_or_cidr(value))
        buf_printf(why, "invalid ip or cidr range: '%.*s'", STR_ARG(value));
}

static bool is_hex(struct str s, size_t at)
{
    char c = at < s.len ? str_lower(s.ptr[at]) : 0;

    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* Is there a whole %XX at i? */
static bool is_escape(struct str s, size_t i)
{
    return i < s.len && s.ptr[i] == '%' && is_hex(s, i + 1) && is_hex(s, i + 2);
}

/* Kong quotes three bytes from the first bad one on, with whole escapes blanked out. */
void check_escapes(struct str value, struct buf *why)
{
    size_t bad = str_find(value, '%', 0);

    while (is_escape(value, bad))
        bad = str_find(value, '%', bad + 3);
    if (bad >= value.len)
        return;
    buf_cstr(why, "invalid url-encoded value: '%");
    for (size_t i = bad + 1, blank = 0; i < value.len && i < bad + 3; i++) {
        if (!blank && is_escape(value, i))
            blank = 3;
        buf_char(why, blank ? '_' : value.ptr[i]);
        blank -= blank > 0;
    }
    buf_char(why, '\'');
}

void check_path(struct str value, struct buf *why)
{
    if (!str_starts(value, STR("/"))) {
        buf_cstr(why, "should start with: /");
        return;
    }
    if (value.len > 1 && memmem(value.ptr, value.len, "//", 2)) {
        buf_cstr(why, "must not have empty segments");
        return;
    }
    for (size_t i = 0; i < value.len; i++)
        if (!is_alphanumeric(value.ptr[i]) && !has(".-_~/%:@!$&'()*+,;=", value.ptr[i])) {
            buf_printf(why,
                       "invalid path: '%.*s' (characters outside of the reserved list of RFC 3986 "
                       "found)",
                       STR_ARG(value));
            return;
        }
    check_escapes(value, why);
}

void check_method(struct str value, struct buf *why)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] < 'A' || value.ptr[i] > 'Z') {
            refuse_value(value, why);
            return;
        }
}

void check_header_name(struct str value, struct buf *why)
{
    for (size_t i = 0; i < value.len; i++)
        if (!is_alphanumeric(value.ptr[i]) && !has("-_", value.ptr[i])) {
            buf_printf(why,
                       "bad header name '%.*s', allowed characters are A-Z, a-z, 0-9, '_', and '-'",
                       STR_ARG(value));
            return;
        }
}

void check_cookie_name(struct str value, struct buf *why)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];

        if (c > ' ' && c != 0x7f && !has("()<>@,;:\\\"/?={}[]", c))
            continue;
        buf_cstr(why, "contains one or more invalid characters. ASCII control characters "
                      "(0-31;127), space, tab and the characters ()<>@,;:\\\"/?={}[] are not "
                      "allowed.");
        return;
    }
}

void check_url(struct str value, struct buf *why)
{
    struct kong_url url;

    if (!kong_url_parse(value, &url))
        buf_cstr(why, "could not parse url. invalid url");
    else if (!url.host.ptr)
        buf_cstr(why, "missing host in url");
    else if (!url.scheme.ptr)
        buf_cstr(why, "missing scheme in url");
}
