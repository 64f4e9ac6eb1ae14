#include "http_print.h"

#include <stdio.h>

#include "exchange.h"
#include "http_head.h"
#include "reconciler/base/clock.h"

static const struct {
    unsigned status;
    const char *reason;
} reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Payload Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {500, "Internal Server Error"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

static const char *reason_of(unsigned status)
{
    for (size_t i = 0; i < ARRAY_LENGTH(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

/* From RFC 3339 text, so that no time zone file is asked for. */
void http_print_date(int64_t seconds, char out[HTTP_PRINT_DATE_SIZE])
{
    static const char days[] = "ThuFriSatSunMonTueWed", /* 1970-01-01 was a Thursday */
        months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const struct clock_text when = clock_text(seconds);
    const char *text = when.text;
    unsigned month = (unsigned)(text[5] - '0') * 10 + (unsigned)(text[6] - '0') - 1;
    int64_t day = seconds / 86400 - (seconds % 86400 < 0);
    int weekday = (int)((day % 7 + 7) % 7);

    snprintf(out, HTTP_PRINT_DATE_SIZE, "%.3s, %.2s %.3s %.4s %.8s GMT", days + weekday * 3,
             text + 8, months + month * 3, text, text + 11);
}

static void print_field(struct buf *out, struct str name, struct str value)
{
    buf_str(out, name);
    buf_str(out, STR(": "));
    buf_str(out, value);
    buf_str(out, STR("\r\n"));
}

void http_print(struct buf *out, const struct http_response *response, const struct http_print *how)
{
    /* RFC 9110 §8.6: no Content-Length with 204; 304 has none of its own. */
    bool has_body = response->status != 204 && response->status != 304;

    buf_printf(out, "HTTP/1.1 %u %s\r\n", response->status, reason_of(response->status));
    print_field(out, STR("Date"), str_from(how->date));
    if (response->content_type.ptr)
        print_field(out, STR("Content-Type"), response->content_type);
    print_field(out, STR("Connection"), how->keep_alive ? STR("keep-alive") : STR("close"));
    if (how->is_chunked)
        print_field(out, STR("Transfer-Encoding"), STR("chunked"));
    else if (has_body && !response->source)
        buf_printf(out, "Content-Length: %zu\r\n", response->body.len);
    for (size_t i = 0; i < response->field_count; i++)
        print_field(out, str_from(response->fields[i].name), response->fields[i].value);
    if (how->product)
        print_field(out, STR("Server"), str_from(how->product));
    buf_str(out, STR("\r\n"));
    if (has_body && !how->is_head)
        buf_str(out, response->body);
}

/* What frames the message, or names the connection: the printer's own. */
static bool is_framing(const struct http_head *head, const struct http_field *field)
{
    bool is_mute = head->status && (head->is_head || head->status == 304);

    if (str_equal_nocase(field->name, STR("Connection")))
        return !str_equal_nocase(field->value, STR("upgrade"));
    if (str_equal_nocase(field->name, STR("Content-Length")))
        return !is_mute;
    return str_equal_nocase(field->name, STR("Transfer-Encoding"));
}

/* RFC 9110 §8.6: who could have sent a body and does not says so. */
static bool has_length(const struct http_head *head)
{
    static const struct str methods[] = {STR_INIT("POST"), STR_INIT("PUT"), STR_INIT("PATCH")};

    if (head->is_chunked || head->is_open)
        return false;
    if (head->status)
        return !head->is_head && head->status >= 200 && head->status != 204 && head->status != 304;
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++)
        if (str_equal(head->method, methods[i]))
            return true;
    return head->content_length > 0;
}

void http_print_head(struct buf *out, const struct http_head *head, struct str connection)
{
    if (head->status)
        buf_printf(out, "HTTP/1.1 %u %s\r\n", head->status, reason_of(head->status));
    else
        buf_printf(out, "%.*s %.*s HTTP/1.1\r\nHost: %.*s\r\n", STR_ARG(head->method),
                   STR_ARG(head->target), STR_ARG(head->authority));
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *f = &head->fields[i];
        if (is_framing(head, f) || (!head->status && str_equal_nocase(f->name, STR("Host"))))
            continue;
        print_field(out, f->name, f->value);
    }
    if (connection.ptr)
        print_field(out, STR("Connection"), connection);
    if (head->is_chunked)
        print_field(out, STR("Transfer-Encoding"), STR("chunked"));
    else if (has_length(head))
        buf_printf(out, "Content-Length: %llu\r\n", (unsigned long long)head->content_length);
    buf_str(out, STR("\r\n"));
}
