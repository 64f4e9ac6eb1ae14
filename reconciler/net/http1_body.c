#include "http1_body.h"

#include "http1.h"

enum {
    BODY_DONE,
    BODY_OPEN,
    BODY_LENGTH,
    BODY_CHUNK_LINE,
    BODY_CHUNK_DATA,
    BODY_CHUNK_END,
    BODY_TRAILER
};

#define CHUNK_DIGITS_MAX 15 /* of a size: below 2^60 */

void http1_body_init(struct http1_body *body, const struct http_head *head)
{
    *body = (struct http1_body){.left = head->content_length};
    if (head->is_chunked)
        body->state = BODY_CHUNK_LINE;
    else if (head->is_open)
        body->state = BODY_OPEN;
    else
        body->state = head->content_length ? BODY_LENGTH : BODY_DONE;
}

bool http1_body_close(struct http1_body *body)
{
    if (body->state == BODY_OPEN)
        body->state = BODY_DONE;
    return body->state == BODY_DONE;
}

bool http1_body_is_complete(const struct http1_body *body)
{
    return body->state == BODY_DONE;
}

/* A whole line without its CRLF: 1; 0 its end is not there yet; -1 over `max`, or a bare LF. */
static int take_line(struct str bytes, size_t max, struct str *line)
{
    size_t end = str_find(bytes, '\n', 0);

    if (end >= bytes.len)
        return bytes.len > max + 1 ? -1 : 0;
    if (end == 0 || bytes.ptr[end - 1] != '\r' || end - 1 > max)
        return -1;
    *line = str_slice(bytes, 0, end - 1);
    return 1;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = str_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* chunk-size [chunk-ext] (RFC 9112 §7.1); extensions are skipped, blanks around the size refused.
 */
static int parse_chunk_line(struct http1_body *body, struct str line)
{
    uint64_t size = 0;
    size_t i = 0;

    for (; i < line.len && hex_digit(line.ptr[i]) >= 0; i++) {
        if (i == CHUNK_DIGITS_MAX)
            return -1;
        size = size << 4 | (uint64_t)hex_digit(line.ptr[i]);
    }
    if (i == 0 || (i < line.len && line.ptr[i] != ';'))
        return -1;
    body->extensions += line.len - i;
    if (body->extensions > HTTP1_EXTENSIONS_MAX || !http1_is_value(str_slice(line, i, line.len)))
        return -1;
    body->left = size;
    body->state = size ? BODY_CHUNK_DATA : BODY_TRAILER;
    return 0;
}

static int parse_trailer_line(struct http1_body *body, struct str line)
{
    struct http_field dropped;

    body->trailer += line.len + 2;
    if (!line.len)
        body->state = BODY_DONE;
    else if (body->trailer > HTTP1_TRAILER_MAX || http1_parse_field(line, &dropped))
        return -1;
    return 0;
}

static long take_data(struct http1_body *body, struct str bytes, struct str *data)
{
    *data = str_slice(bytes, 0, body->left < bytes.len ? (size_t)body->left : bytes.len);
    body->left -= data->len;
    if (!body->left)
        body->state = body->state == BODY_LENGTH ? BODY_DONE : BODY_CHUNK_END;
    return (long)data->len;
}

long http1_body_take(struct http1_body *body, struct str bytes, struct str *data)
{
    struct str line;
    int got;

    *data = STR("");
    switch (body->state) {
    case BODY_OPEN:
        *data = bytes;
        return (long)bytes.len;
    case BODY_LENGTH:
    case BODY_CHUNK_DATA:
        return take_data(body, bytes, data);
    case BODY_CHUNK_END:
        if (bytes.len < 2)
            return bytes.len && bytes.ptr[0] != '\r' ? -1 : 0;
        if (!str_starts(bytes, STR("\r\n")))
            return -1;
        body->state = BODY_CHUNK_LINE;
        return 2;
    case BODY_CHUNK_LINE:
        got = take_line(bytes, HTTP1_CHUNK_LINE_MAX, &line);
        if (got < 1)
            return got;
        return parse_chunk_line(body, line) ? -1 : (long)line.len + 2;
    case BODY_TRAILER:
        got = take_line(bytes, HTTP1_TRAILER_MAX, &line);
        if (got < 1)
            return got;
        return parse_trailer_line(body, line) ? -1 : (long)line.len + 2;
    default:
        return 0;
    }
}
