#include "http_rig.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdlib.h>

#include "reconciler/net/http1.h"

void http_rig_reply(struct exchange *x, struct str body)
{
    struct http_response response = {
        .status = 200, .content_type = STR("text/plain"), .body = body};

    response.fields[response.field_count++] = (struct http_response_field){"X-A", STR("b")};
    exchange_reply(x, &response);
}

static void forget(void *context, struct exchange *x, enum exchange_failure why)
{
    struct http_rig *rig = context;

    (void)x;
    (void)why;
    rig->waiting = NULL;
}

static void wait_for_test(struct http_rig *rig, struct exchange *x)
{
    static const struct exchange_events events = {.on_abort = forget};

    rig->waiting = x;
    exchange_listen(x, &events, rig);
}

static void handle(void *context, struct exchange *x, const struct http_head *request)
{
    static const char big[HTTP_RIG_BIG_SIZE];
    struct http_rig *rig = context;
    const struct sockaddr *peer = http_conn_peer(x->conn);

    rig->handled++;
    buf_str(&rig->bodies, request->body);
    if (peer->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, rig->peer,
                  sizeof(rig->peer));
    if (rig->mode == HTTP_RIG_LATER)
        wait_for_test(rig, x);
    else
        http_rig_reply(x,
                       rig->mode == HTTP_RIG_BIG ? (struct str){big, sizeof(big)} : request->path);
}

static void closed(void *context, struct http_conn *conn)
{
    struct http_rig *rig = context;

    (void)conn;
    rig->closed++;
}

static void crowded(void *context, size_t closed_for_room)
{
    struct http_rig *rig = context;

    rig->crowded += closed_for_room;
}

static void drained(void *context)
{
    struct http_rig *rig = context;

    rig->drained++;
}

struct http_rig *http_rig_new(enum http_rig_mode mode, struct http_limits limits)
{
    struct http_rig *rig = calloc(1, sizeof(*rig));
    struct http_server_options options = {.limits = limits,
                                          .product = "test/1",
                                          .context = rig,
                                          .handle = handle,
                                          .crowded = crowded,
                                          .closed = closed};

    rig->base = options.base = event_base_new();
    rig->server = http_server_new(&options);
    rig->bodies = BUF_INIT(1 << 20);
    rig->client = (struct http_client){.base = rig->base, .fd = -1};
    rig->mode = mode;
    if (!rig->base || !rig->server)
        abort();
    return rig;
}

int http_rig_connect(struct http_rig *rig, struct http_conn_options options,
                     struct http_client *client)
{
    options.fd = http_client_open(client, rig->base);
    return http_conn_open(rig->server, &options);
}

struct http_rig *http_rig_open(enum http_rig_mode mode, struct http_limits limits)
{
    struct http_rig *rig = http_rig_new(mode, limits);

    if (http_rig_connect(rig, (struct http_conn_options){0}, &rig->client))
        abort();
    return rig;
}

void http_rig_free(struct http_rig *rig)
{
    http_client_close(&rig->client);
    http_server_free(rig->server);
    event_base_free(rig->base);
    buf_free(&rig->bodies);
    free(rig);
}

void http_rig_drain(struct http_rig *rig)
{
    http_server_drain(rig->server, drained);
}

void http_rig_say(struct http_rig *rig, const char *text)
{
    http_client_say(&rig->client, text);
}

void http_rig_pump(struct http_rig *rig)
{
    http_client_pump(&rig->client);
}

bool http_rig_got(const struct http_rig *rig, const char *text)
{
    return http_client_got(&rig->client, text);
}
