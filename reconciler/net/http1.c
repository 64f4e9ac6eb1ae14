#include "http1.h"

#include <string.h>

#include "reconciler/base/hostname.h"

enum { IN_TOKEN = 1, IN_TARGET = 2, IN_VALUE = 4, IN_HOST = 8, IN_ADDRESS = 16 };

/*
 * What each byte may be part of: tokens (RFC 9110 §5.6.2), a request target (visible, no fragment),
 * a field value (RFC 9110 §5.5), a host name, an IPv6 address. Bytes above ASCII may stand in
 * targets and values: Kong passes them on, and they split nothing.
 */
static const unsigned char classes[256] = {
    0,  0,  0,  0,  0,  0,  0,  0,  0,  4,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
    0,  0,  0,  0,  0,  0,  0,  0,  4,  7,  6,  5,  7,  7,  7,  7,  6,  6,  7,  7,  6,  15, 31, 6,
    31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 22, 6,  6,  6,  6,  6,  6,  31, 31, 31, 31, 31, 31, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6,  6,  6,  7,  15,
    7,  31, 31, 31, 31, 31, 31, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 6,  7,  6,  15, 0,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,
    6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,
    6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,
    6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,
    6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,
    6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,
};

static bool is_in(char c, unsigned what)
{
    return (classes[(unsigned char)c] & what) != 0;
}

static bool is_all(struct str s, unsigned what)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_in(s.ptr[i], what))
            return false;
    return true;
}

/* Eight bytes at a time: none below 0x20 and none 0x7f; else is_all decides, for tabs. */
bool http1_is_value(struct str s)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones * 0x80;
    uint64_t odd = 0, word, del;
    size_t i = 0;

    for (; i + 8 <= s.len; i += 8) {
        memcpy(&word, s.ptr + i, 8);
        del = word ^ (ones * 0x7f);
        odd |= ((word - ones * 0x20) & ~word & tops) | ((del - ones) & ~del & tops);
    }
    for (; i < s.len; i++)
        odd |= !is_in(s.ptr[i], IN_VALUE);
    return !odd || is_all(s, IN_VALUE);
}

unsigned http1_status(enum http1_refusal refusal)
{
    switch (refusal) {
    case HTTP1_URI_TOO_LONG:
        return 414;
    case HTTP1_EXPECTATION_FAILED:
        return 417;
    case HTTP1_OK:
    case HTTP1_BAD_REQUEST:
    case HTTP1_HEAD_TOO_LARGE:
        break;
    }
    return 400;
}

const char *http1_message(enum http1_refusal refusal)
{
    switch (refusal) {
    case HTTP1_HEAD_TOO_LARGE:
        return "Request header or cookie too large";
    case HTTP1_URI_TOO_LONG:
        return "URI too long";
    case HTTP1_EXPECTATION_FAILED:
        return "Expectation failed";
    case HTTP1_OK:
    case HTTP1_BAD_REQUEST:
        break;
    }
    return "Bad request";
}

/* ---- where a head ends ---- */

static int refuse(enum http1_refusal *refusal, enum http1_refusal why)
{
    *refusal = why;
    return -1;
}

/* Too long for what it is, whether its end has come yet or not? */
static int check_length(const struct http1_scan *scan, size_t len, enum http1_refusal *refusal)
{
    if (!scan->has_line)
        return len > HTTP1_LINE_MAX ? refuse(refusal, HTTP1_URI_TOO_LONG) : 0;
    if (len > HTTP1_FIELD_LINE_MAX || scan->lines > HTTP_FIELDS_MAX)
        return refuse(refusal, HTTP1_HEAD_TOO_LARGE);
    return 0;
}

/*
 * One whole line, its LF at `end`. 1: the head ends with it. RFC 9112 §2.2 lets a recipient take a
 * bare LF; what lies in front of others may not.
 */
static int scan_line(struct http1_scan *scan, struct str bytes, size_t end,
                     enum http1_refusal *refusal)
{
    size_t len = end - scan->line_start;

    if (len == 0 || bytes.ptr[end - 1] != '\r')
        return refuse(refusal, HTTP1_BAD_REQUEST);
    len--;
    scan->at = scan->line_start = end + 1;
    if (len == 0 && scan->has_line)
        return 1;
    if (len == 0)
        return end >= HTTP1_BLANK_MAX ? refuse(refusal, HTTP1_BAD_REQUEST) : 0;
    scan->lines += scan->has_line;
    if (check_length(scan, len, refusal))
        return -1;
    scan->has_line = true;
    return 0;
}

long http1_scan(struct http1_scan *scan, struct str bytes, enum http1_refusal *refusal)
{
    int got = 0;

    /* A TLS hello or other noise on a plain port need not wait for a deadline. */
    if (scan->at == 0 && bytes.len && bytes.ptr[0] != '\r' && !is_in(bytes.ptr[0], IN_TOKEN))
        return refuse(refusal, HTTP1_BAD_REQUEST);
    while (got == 0) {
        size_t end = str_find(bytes, '\n', scan->at);
        if (end >= bytes.len)
            break;
        got = scan_line(scan, bytes, end, refusal);
    }
    if (got < 0)
        return -1;
    if (got == 0)
        scan->at = bytes.len;
    if (scan->at > HTTP1_HEAD_MAX)
        return refuse(refusal, HTTP1_HEAD_TOO_LARGE);
    if (got == 1)
        return (long)scan->at;
    return check_length(scan, bytes.len - scan->line_start, refusal);
}

/* ---- authority ---- */

/* Where the host of an authority ends: before the colon, or behind the bracket; 0 = it is none. */
static size_t host_end(struct str authority)
{
    size_t end;

    if (!authority.len || authority.ptr[0] != '[') {
        end = str_find(authority, ':', 0);
        return is_all(str_slice(authority, 0, end), IN_HOST) ? end : 0;
    }
    end = str_find(authority, ']', 0);
    for (size_t i = 1; i < end; i++)
        if (!is_in(authority.ptr[i], IN_ADDRESS))
            return 0;
    return end < authority.len && end > 2 ? end + 1 : 0;
}

/* Splits host and port; -1 where it is not `host [":" [digits]]` with a host that names something.
 */
static int split_authority(struct str authority, struct str *host, uint16_t *port)
{
    size_t end = host_end(authority);
    struct str digits = str_slice(authority, end + 1, authority.len);
    uint64_t number = 0;

    if (end == 0 || end > HTTP1_HOST_MAX)
        return -1;
    if (end < authority.len && (authority.ptr[end] != ':' || digits.len > 5))
        return -1;
    if (digits.len && (!str_to_u64(digits, &number) || number > UINT16_MAX))
        return -1;
    *host = str_slice(authority, 0, end);
    *port = (uint16_t)number;
    return 0;
}

struct str http1_host(const struct http_head *request, char *host, uint16_t *port)
{
    struct str found = STR("");

    *port = 0;
    if (request->authority.len && split_authority(request->authority, &found, port))
        found = STR("");
    return hostname_lower(found, host);
}

/* ---- request line ---- */

static int split_path(struct str rest, struct http_head *r)
{
    r->path = str_cut(rest, '?', &r->query);
    if (!r->path.len) /* http://a?b (RFC 9110 §4.2.3) */
        r->path = STR("/");
    return r->path.ptr[0] == '/' ? 0 : -1;
}

/* RFC 9112 §3.2: origin, absolute and asterisk form. CONNECT has no business here. */
static int parse_target(struct http_head *r)
{
    static const struct str schemes[] = {STR_INIT("http://"), STR_INIT("https://")};
    struct str target = r->target;

    if (!target.len || !is_all(target, IN_TARGET))
        return -1;
    if (target.ptr[0] == '/')
        return split_path(target, r);
    if (str_equal(target, STR("*"))) {
        r->path = target;
        return str_equal(r->method, STR("OPTIONS")) ? 0 : -1;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++) {
        struct str rest = str_slice(target, schemes[i].len, target.len);
        size_t slash = str_find(rest, '/', 0), query = str_find(rest, '?', 0);
        size_t end = slash < query ? slash : query;
        if (!str_equal_nocase(str_slice(target, 0, schemes[i].len), schemes[i]))
            continue;
        r->authority = str_slice(rest, 0, end);
        return r->authority.len ? split_path(str_slice(rest, end, rest.len), r) : -1;
    }
    return -1;
}

static int parse_version(struct str version, struct http_head *h)
{
    h->minor = str_equal(version, STR("HTTP/1.1"));
    return h->minor || str_equal(version, STR("HTTP/1.0")) ? 0 : -1;
}

static int parse_request_line(struct str line, struct http_head *r)
{
    struct str rest, version;

    r->method = str_cut(line, ' ', &rest);
    r->target = str_cut(rest, ' ', &version);
    if (!r->method.len || r->method.len > HTTP1_METHOD_MAX || !is_all(r->method, IN_TOKEN))
        return -1;
    if (parse_version(version, r))
        return -1;
    r->is_head = str_equal(r->method, STR("HEAD"));
    return parse_target(r);
}

/* ---- fields ---- */

/* What the fields that frame a message say. */
struct framing {
    struct http1_fields *fields;
    size_t hosts, lengths, codings, expectations;
    bool says_close, says_keep_alive;
};

static int take_host(struct http_head *r, struct framing *f, struct str value)
{
    struct str host;
    uint16_t port;

    if (f->hosts++ || split_authority(value, &host, &port))
        return -1;
    if (!r->authority.ptr) /* an absolute target wins (RFC 9112 §3.2.2) */
        r->authority = value;
    return 0;
}

static int take_length(struct http_head *r, struct framing *f, struct str value)
{
    if (f->lengths++ || value.len > 19 || !str_to_u64(value, &r->content_length) ||
        r->content_length > INT64_MAX)
        return -1;
    return 0;
}

static int take_coding(struct http_head *r, struct framing *f, struct str value)
{
    r->is_chunked = true;
    return f->codings++ || !str_equal_nocase(value, STR("chunked")) ? -1 : 0;
}

static int take_connection(struct http_head *r, struct framing *f, struct str value)
{
    (void)r;
    while (value.ptr) {
        struct str option = str_trim(str_cut(value, ',', &value));
        f->says_close |= str_equal_nocase(option, STR("close"));
        f->says_keep_alive |= str_equal_nocase(option, STR("keep-alive"));
    }
    return 0;
}

static int take_expect(struct http_head *r, struct framing *f, struct str value)
{
    f->expectations++;
    r->expects_continue = str_equal_nocase(value, STR("100-continue"));
    return 0;
}

static const struct {
    struct str name;
    int (*take)(struct http_head *h, struct framing *f, struct str value);
    bool is_of_requests;
} takers[] = {{STR_INIT("Host"), take_host, true},
              {STR_INIT("Connection"), take_connection, false},
              {STR_INIT("Content-Length"), take_length, false},
              {STR_INIT("Transfer-Encoding"), take_coding, false},
              {STR_INIT("Expect"), take_expect, true}};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

int http1_parse_field(struct str line, struct http_field *field)
{
    const char *p = line.ptr, *end = line.ptr + line.len;

    while (p < end && is_in(*p, IN_TOKEN))
        p++;
    if (p == line.ptr || p == end || *p != ':')
        return -1;
    field->name = (struct str){line.ptr, (size_t)(p - line.ptr)};
    p++;
    while (p < end && is_blank(*p))
        p++;
    while (p < end && is_blank(end[-1]))
        end--;
    field->value = (struct str){p, (size_t)(end - p)};
    return http1_is_value(field->value) ? 0 : -1;
}

/* Does one of `takers` want this field? Then what it says. */
static int take_field(struct http_head *r, struct framing *f, const struct http_field *field)
{
    for (size_t i = 0; i < ARRAY_LENGTH(takers); i++)
        if (field->name.len == takers[i].name.len && str_equal_nocase(field->name, takers[i].name))
            return takers[i].is_of_requests && r->status ? 0 : takers[i].take(r, f, field->value);
    return 0;
}

static int parse_fields(struct str lines, struct http_head *r, struct framing *f)
{
    const char *p = lines.ptr, *end = lines.ptr + lines.len;

    r->fields = f->fields->items;
    while (end - p > 2) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        struct http_field *field = &f->fields->items[r->field_count];
        if (r->field_count == HTTP_FIELDS_MAX || !lf || lf == p ||
            http1_parse_field((struct str){p, (size_t)(lf - 1 - p)}, field) ||
            take_field(r, f, field))
            return -1;
        r->field_count++;
        p = lf + 1;
    }
    return 0;
}

/* RFC 9112 §6.3: one way to tell where the body ends. §9.3: and whether the connection does. */
static int judge_framing(struct http_head *h, const struct framing *f)
{
    h->keep_alive = !f->says_close && (h->minor == 1 || f->says_keep_alive);
    return !f->codings || (!f->lengths && h->minor == 1) ? 0 : -1;
}

/* RFC 9110 §10.1.1: HTTP/1.0 has no expectations. */
static int judge_expectation(struct http_head *r, const struct framing *f,
                             enum http1_refusal *refusal)
{
    if (r->minor == 1 && (f->expectations > 1 || (f->expectations && !r->expects_continue)))
        return refuse(refusal, HTTP1_EXPECTATION_FAILED);
    r->expects_continue &= r->minor == 1 && (r->is_chunked || r->content_length);
    return 0;
}

/* The first line of a head, without its CRLF; -1 where there is none. */
static int cut_line(struct str head, struct str *line, struct str *fields)
{
    size_t end = str_find(head, '\n', 0);

    if (end < 1 || end >= head.len)
        return -1;
    *line = str_slice(head, 0, end - 1);
    *fields = str_slice(head, end + 1, head.len);
    return 0;
}

int http1_parse_request(struct str bytes, struct http1_fields *fields, struct http_head *r,
                        enum http1_refusal *refusal)
{
    struct framing f = {.fields = fields};
    struct str line, lines, host;
    uint16_t port;

    *r = (struct http_head){0};
    while (str_starts(bytes, STR("\r\n")))
        bytes = str_slice(bytes, 2, bytes.len);
    if (cut_line(bytes, &line, &lines) || parse_request_line(line, r) ||
        (r->authority.ptr && split_authority(r->authority, &host, &port)) ||
        parse_fields(lines, r, &f) || judge_framing(r, &f) ||
        (r->minor == 1 && f.hosts != 1)) /* RFC 9112 §3.2 */
        return refuse(refusal, HTTP1_BAD_REQUEST);
    return judge_expectation(r, &f, refusal);
}

/* ---- responses ---- */

/* HTTP-version SP status-code SP [reason-phrase] (RFC 9112 §4); many leave the last blank out. */
static int parse_status_line(struct str line, struct http_head *r)
{
    struct str rest, reason;
    struct str code = str_cut(line, ' ', &rest);
    uint64_t status;

    if (parse_version(code, r))
        return -1;
    code = str_cut(rest, ' ', &reason);
    if (code.len != 3 || !str_to_u64(code, &status) || status < 100 || !http1_is_value(reason))
        return -1;
    r->status = (unsigned)status;
    return 0;
}

static bool has_body(const struct http_head *r, bool is_head)
{
    return !is_head && r->status >= 200 && r->status != 204 && r->status != 304;
}

/*
 * RFC 9112 §6.1, §6.3: what has no body, whatever its fields say, and what has no other end than the
 * connection's. Who announces a body where none can be may send it: nothing behind it is trusted.
 */
static int find_body(struct http_head *r, const struct framing *f, bool is_head)
{
    if (r->status < 200 && (f->lengths || f->codings))
        return -1;
    if (r->status == 204 && (r->content_length || f->codings))
        r->keep_alive = false;
    if (!has_body(r, is_head)) {
        r->is_chunked = false;
        r->content_length = 0;
    } else if (!f->lengths && !f->codings) {
        r->is_open = true;
        r->keep_alive = false;
    }
    return 0;
}

int http1_parse_response(struct str bytes, bool is_head, struct http1_fields *fields,
                         struct http_head *r)
{
    struct framing f = {.fields = fields};
    struct str line, lines;

    *r = (struct http_head){0};
    if (cut_line(bytes, &line, &lines) || parse_status_line(line, r) ||
        parse_fields(lines, r, &f) || judge_framing(r, &f) || find_body(r, &f, is_head))
        return -1;
    return 0;
}
