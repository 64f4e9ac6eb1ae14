#include "reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "reconciler/net/exchange.h"
#include "reconciler/net/http_head.h"
#include "reconciler/net/http_conn.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/clock.h"

#define ID_BYTES 16
#define POOL_SIZE (256 * ID_BYTES) /* what getrandom is asked for at once */
#define BODY_MAX 4096

struct reply {
    unsigned char pool[POOL_SIZE];
    size_t left; /* bytes of pool not used yet */
    struct buf body;
};

struct reply *reply_new(void)
{
    struct reply *r = calloc(1, sizeof(*r));

    if (r)
        r->body = BUF_INIT(BODY_MAX);
    return r;
}

void reply_free(struct reply *r)
{
    if (!r)
        return;
    buf_free(&r->body);
    free(r);
}

static const unsigned char *next_id(struct reply *r)
{
    /* An id is for reading logs: what is there of randomness is good enough. */
    if (!r->left) {
        (void)!getrandom(r->pool, sizeof(r->pool), GRND_NONBLOCK);
        r->left = sizeof(r->pool);
    }
    r->left -= ID_BYTES;
    return r->pool + r->left;
}

enum answer_type reply_type(const struct http_head *request, bool by_nginx)
{
    struct str accepts[REPLY_ACCEPTS_MAX];
    size_t count = 0;

    for (size_t i = 0; request && i < request->field_count && count < REPLY_ACCEPTS_MAX; i++)
        if (str_equal_nocase(request->fields[i].name, STR("Accept")))
            accepts[count++] = request->fields[i].value;
    if (!count && by_nginx && request) {
        accepts[0] = http_head_field(request, "Content-Type");
        count = accepts[0].ptr != NULL;
    }
    return answer_negotiate(accepts, count, by_nginx ? ANSWER_PLAIN : ANSWER_JSON);
}

void reply_error(struct reply *r, struct exchange *x, unsigned status, const char *message,
                 enum answer_type type)
{
    struct http_response response = {.status = status, .content_type = answer_content_type(type)};
    char id[ANSWER_ID_SIZE], latency[24];
    int64_t began = http_conn_began_ms(x->conn);

    answer_id(next_id(r), id);
    buf_clear(&r->body);
    answer_body(&r->body, type, message, id);
    response.body = buf_view(&r->body);
    snprintf(latency, sizeof(latency), "%lld", (long long)(clock_steady_ms() - began));
    response.fields[0] = (struct http_response_field){"X-Kong-Response-Latency", str_from(latency)};
    response.fields[1] = (struct http_response_field){"X-Kong-Request-Id", str_from(id)};
    response.field_count = 2;
    exchange_reply(x, &response);
}

void reply_text(struct exchange *x, unsigned status, struct str text)
{
    struct http_response response = {
        .status = status, .content_type = STR("text/plain; charset=utf-8"), .body = text};

    exchange_reply(x, &response);
}
