#include <stdint.h>
#include <stdlib.h>

#include "reconciler/net/http1.h"
#include "tests/support/http_reader.h"

/*
 * HTTP/1 requests and responses, read whole and piece by piece: the verdict, the messages and the
 * bodies must not depend on how the bytes come in, and what was accepted must be framed in one way
 * only.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* How often that field is there. */
static size_t count(const struct http_head *head, struct str name)
{
    size_t found = 0;

    for (size_t i = 0; i < head->field_count; i++)
        found += str_equal_nocase(head->fields[i].name, name);
    return found;
}

static void check_head(const struct http_head *head)
{
    size_t lengths = count(head, STR("Content-Length")),
           codings = count(head, STR("Transfer-Encoding"));

    for (size_t i = 0; i < head->field_count; i++) {
        check(http1_is_value(head->fields[i].value));
        check(str_find(head->fields[i].value, '\n', 0) == head->fields[i].value.len);
    }
    check(lengths + codings <= 1 && (head->minor == 1 || !codings));
    check(!head->is_chunked || codings == 1);
    check(!head->content_length || lengths == 1);
}

static void check_request(const struct http_head *r)
{
    char host[HTTP1_HOST_MAX + 1];
    size_t hosts = count(r, STR("Host"));
    uint16_t port;
    struct str name;

    check_head(r);
    check(hosts <= 1 && (r->minor == 0 || hosts == 1));
    check(r->is_chunked == (count(r, STR("Transfer-Encoding")) == 1) && !r->is_open);
    name = http1_host(r, host, &port);
    check(name.len <= HTTP1_HOST_MAX && host[name.len] == '\0');
    check(r->minor == 0 || name.len > 0);
    check(r->path.len && (r->path.ptr[0] == '/' || r->path.ptr[0] == '*'));
}

static void check_response(const struct http_head *r)
{
    check_head(r);
    check(r->status >= 100 && r->status <= 999);
    check((r->is_chunked != 0) + (r->content_length != 0) + r->is_open <= 1);
    check(!r->is_open || !r->keep_alive);
    check((r->status >= 200 && r->status != 204 && r->status != 304) ||
          (!r->is_chunked && !r->content_length && !r->is_open));
}

static void read_in_pieces(struct str bytes, struct http_reading how)
{
    static const size_t steps[] = {1, 7, 64};
    struct http_reader_outcome whole = http_reader_read(bytes, how);

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct http_reader_outcome o;
        how.step = steps[i];
        o = http_reader_read(bytes, how);
        check(o.messages == whole.messages && o.is_refused == whole.is_refused);
        check(o.is_refused || o.body_bytes == whole.body_bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};

    read_in_pieces(bytes, (struct http_reading){.check = check_request});
    for (int is_head = 0; is_head < 2; is_head++)
        read_in_pieces(bytes, (struct http_reading){.is_of_responses = true,
                                                    .is_head = is_head,
                                                    .check = check_response});
    return 0;
}
