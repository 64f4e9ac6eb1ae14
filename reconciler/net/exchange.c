#include "exchange.h"

void exchange_listen(struct exchange *x, const struct exchange_events *events, void *context)
{
    x->events = events;
    x->context = context;
    if (events && events->on_body)
        x->carrier->resume(x);
}

void exchange_reply(struct exchange *x, const struct http_response *response)
{
    x->carrier->reply(x, response);
}

void exchange_send_head(struct exchange *x, const struct http_head *head)
{
    x->carrier->send_head(x, head);
}

size_t exchange_send_body(struct exchange *x, struct str bytes)
{
    return x->carrier->send_body(x, bytes);
}

void exchange_send_end(struct exchange *x)
{
    x->carrier->send_end(x);
}

void exchange_resume(struct exchange *x)
{
    x->carrier->resume(x);
}

void exchange_abort(struct exchange *x)
{
    x->events = NULL;
    x->carrier->abort(x);
}

int exchange_take_stream(struct exchange *x, struct stream *stream, struct buf *unread)
{
    return x->carrier->take_stream(x, stream, unread);
}
