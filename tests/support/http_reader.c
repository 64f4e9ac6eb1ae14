#include "http_reader.h"

#include "reconciler/net/http1_body.h"

struct reader {
    struct http_reading how;
    struct http1_scan scan;
    struct http1_body body;
    bool in_body;
    struct http_reader_outcome o;
};

static long take_head(struct reader *r, struct str view)
{
    struct http1_fields fields;
    struct http_head head;
    long used = view.len ? http1_scan(&r->scan, view, &r->o.refusal) : 0;
    struct str bytes = str_slice(view, 0, used > 0 ? (size_t)used : 0);

    if (used <= 0)
        return used;
    if (r->how.is_of_responses ? http1_parse_response(bytes, r->how.is_head, &fields, &head)
                               : http1_parse_request(bytes, &fields, &head, &r->o.refusal))
        return -1;
    if (r->how.check)
        r->how.check(&head);
    http1_body_init(&r->body, &head);
    r->in_body = true;
    r->o.keep_alive = head.keep_alive;
    r->o.status = head.status;
    return used;
}

static long take_body(struct reader *r, struct str view)
{
    struct str data;
    long used = http1_body_take(&r->body, view, &data);

    r->o.body_bytes += used > 0 ? data.len : 0;
    return used;
}

static void end_message(struct reader *r)
{
    r->o.messages++;
    r->in_body = false;
    r->scan = (struct http1_scan){0};
}

struct http_reader_outcome http_reader_read(struct str bytes, struct http_reading how)
{
    struct reader r = {.how = how};
    size_t step = how.step ? how.step : bytes.len;

    /* What it does not use is given again, with more. */
    for (size_t have = 0;;) {
        struct str view = str_slice(bytes, r.o.used, have);
        long used = r.in_body ? take_body(&r, view) : take_head(&r, view);
        r.o.is_refused = used < 0;
        if (used < 0)
            return r.o;
        r.o.used += (size_t)used;
        if (r.in_body && http1_body_is_complete(&r.body))
            end_message(&r);
        else if (used == 0 && have == bytes.len)
            break;
        else if (used == 0)
            have = have + step < bytes.len ? have + step : bytes.len;
    }
    if (r.in_body && http1_body_close(&r.body))
        end_message(&r);
    r.o.is_incomplete = r.in_body || r.o.used < bytes.len;
    return r.o;
}
