#include <stdint.h>
#include <stdlib.h>

#include "reconciler/net/http1.h"
#include "reconciler/net/http1_body.h"

/*
 * HTTP/1 requests, read whole and piece by piece: the verdict, the requests and the bodies must not
 * depend on how the bytes come in, and what was accepted must be framed in one way only.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    size_t requests, body_bytes, used;
    bool is_refused;
    enum http1_refusal refusal;
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_request(const struct http1_request *r)
{
    char host[HTTP1_HOST_MAX + 1];
    size_t hosts = 0, lengths = 0, codings = 0;
    uint16_t port;
    struct str name;

    for (size_t i = 0; i < r->field_count; i++) {
        hosts += str_equal_nocase(r->fields[i].name, STR("Host"));
        lengths += str_equal_nocase(r->fields[i].name, STR("Content-Length"));
        codings += str_equal_nocase(r->fields[i].name, STR("Transfer-Encoding"));
        check(http1_is_value(r->fields[i].value));
        check(str_find(r->fields[i].value, '\n', 0) == r->fields[i].value.len);
    }
    check(r->minor == 0 || hosts == 1);
    check(hosts <= 1 && lengths + codings <= 1);
    check(r->is_chunked == (codings == 1) && (r->minor == 1 || !codings));
    name = http1_host(r, host, &port);
    check(name.len <= HTTP1_HOST_MAX && host[name.len] == '\0');
    check(r->minor == 0 || name.len > 0);
    check(r->path.len && (r->path.ptr[0] == '/' || r->path.ptr[0] == '*'));
}

/* Reads in pieces of `step` bytes, as a connection would. */
static struct outcome read_all(struct str bytes, size_t step, struct http1_request *r)
{
    struct outcome o = {0};
    struct http1_scan scan = {0};
    struct http1_body body = {0};
    bool in_body = false;

    for (size_t have = 0;;) {
        struct str view = str_slice(bytes, o.used, have), piece = STR("");
        long used = 0;
        if (in_body)
            used = http1_body_take(&body, view, &piece);
        else if (view.len)
            used = http1_scan(&scan, view, &o.refusal);
        check(used <= (long)view.len);
        if (used > 0 && !in_body) {
            in_body = http1_parse(str_slice(view, 0, (size_t)used), r, &o.refusal) == 0;
            if (!in_body)
                used = -1;
            else
                check_request(r);
            http1_body_init(&body, r);
        }
        o.is_refused = used < 0;
        if (o.is_refused)
            return o;
        o.used += (size_t)used;
        o.body_bytes += piece.len;
        if (in_body && http1_body_is_complete(&body)) {
            o.requests++;
            in_body = false;
            scan = (struct http1_scan){0};
        }
        if (used > 0)
            continue;
        if (have == bytes.len)
            return o;
        have = have + step < bytes.len ? have + step : bytes.len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t steps[] = {1, 7, 64};
    struct str bytes = {(const char *)data, size};
    struct http1_request *r = malloc(sizeof(*r));
    struct outcome whole = read_all(bytes, size ? size : 1, r);

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct outcome o = read_all(bytes, steps[i], r);
        check(o.requests == whole.requests && o.is_refused == whole.is_refused);
        check(o.is_refused || o.body_bytes == whole.body_bytes);
    }
    free(r);
    return 0;
}
