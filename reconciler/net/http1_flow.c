#include "http1_flow.h"

#include <stdio.h>

#include "exchange.h"
#include "http_head.h"
#include "stream.h"

long http1_fill(struct stream *s, struct buf *in, size_t size)
{
    char *room = buf_reserve(in, size);
    long got = room ? stream_read(s, room, size) : -1;

    if (got > 0)
        buf_commit(in, (size_t)got);
    return got;
}

void http1_inflow_init(struct http1_inflow *f, const struct http_head *head)
{
    *f = (struct http1_inflow){0};
    http1_body_init(&f->body, head);
}

bool http1_inflow_is_whole(const struct http1_inflow *f)
{
    return !f->pending && http1_body_is_complete(&f->body);
}

static enum http1_flow tell_body(struct http1_inflow *f, struct buf *in, struct exchange *x)
{
    size_t taken;

    if (!x->events || !x->events->on_body)
        return HTTP1_FLOW_HELD;
    taken = x->events->on_body(x->context, x, str_slice(buf_view(in), 0, f->pending));
    buf_consume(in, taken);
    f->pending -= taken;
    return f->pending ? HTTP1_FLOW_HELD : HTTP1_FLOW_ON;
}

static enum http1_flow tell_end(struct http1_inflow *f, struct exchange *x)
{
    if (!f->is_told && x->events && x->events->on_end) {
        f->is_told = true;
        x->events->on_end(x->context, x);
    }
    return HTTP1_FLOW_DONE;
}

enum http1_flow http1_inflow_step(struct http1_inflow *f, struct buf *in, struct exchange *x)
{
    struct str data;
    long used;

    if (f->pending)
        return tell_body(f, in, x);
    if (http1_body_is_complete(&f->body))
        return tell_end(f, x);
    used = http1_body_take(&f->body, buf_view(in), &data);
    if (used <= 0)
        return used ? HTTP1_FLOW_BROKEN : HTTP1_FLOW_WANTS;
    f->pending = data.len; /* all that was used, or nothing */
    f->seen += data.len;
    if (!data.len)
        buf_consume(in, (size_t)used);
    return HTTP1_FLOW_ON;
}

/* As a chunk (RFC 9112 §7.1) where chunks can be told. */
int http1_outflow_put(struct http1_outflow *f, struct stream *s, struct str bytes)
{
    char size[24];
    int len = f->is_chunked ? snprintf(size, sizeof(size), "%zx\r\n", bytes.len) : 0;

    if (f->is_mute || !bytes.len)
        return 0;
    if (!f->is_chunked && !f->is_open) {
        if (bytes.len > f->left)
            return -1;
        f->left -= bytes.len;
    }
    if (stream_write(s, size, (size_t)len) || stream_write(s, bytes.ptr, bytes.len))
        return -1;
    return stream_write(s, "\r\n", len ? 2 : 0);
}

long http1_outflow_send(struct http1_outflow *f, struct stream *s, struct str bytes)
{
    size_t unsent = stream_unsent(s),
           room = unsent < EXCHANGE_WINDOW ? EXCHANGE_WINDOW - unsent : 0;
    struct str part = str_slice(bytes, 0, f->is_mute ? bytes.len : room);

    f->wants_room |= part.len < bytes.len;
    return http1_outflow_put(f, s, part) ? -1 : (long)part.len;
}

int http1_outflow_end(struct http1_outflow *f, struct stream *s)
{
    f->is_ended = true;
    if (f->is_mute)
        return 0;
    if (f->is_chunked)
        return stream_write(s, "0\r\n\r\n", 5);
    return f->is_open || !f->left ? 0 : -1;
}
