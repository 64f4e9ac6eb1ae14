#include "client.h"

#include <openssl/ssl.h>
#include <stdlib.h>

#include "client_private.h"
#include "http1.h"
#include "http_print.h"

#define KEY_MAX 1024

/* ---- places ---- */

static struct str place_key(const void *item)
{
    return ((const struct place *)item)->key;
}

static void place_free(struct place *p)
{
    free(p->server_name);
    free((char *)p->key.ptr);
    free(p);
}

static struct place *place_new(const struct client_destination *to, struct str key)
{
    struct place *p = to->address_len <= sizeof(p->address) ? calloc(1, sizeof(*p)) : NULL;

    if (!p)
        return NULL;
    memcpy(&p->address, to->address, to->address_len);
    p->address_len = to->address_len;
    p->tls = to->tls;
    p->server_name = to->server_name.len ? str_dup(to->server_name) : NULL;
    p->key = (struct str){str_dup(key), key.len};
    TAILQ_INIT(&p->kept);
    if (p->key.ptr && (p->server_name || !to->server_name.len))
        return p;
    place_free(p);
    return NULL;
}

static struct place *find_place(struct client *c, const struct client_destination *to)
{
    struct buf key = BUF_INIT(KEY_MAX);
    struct place *p = NULL;

    buf_append(&key, &to->tls, sizeof(to->tls));
    buf_append(&key, &to->address_len, sizeof(to->address_len));
    buf_append(&key, to->address, to->address_len);
    buf_str(&key, to->server_name);
    if (!key.failed)
        p = map_find(&c->places, buf_view(&key));
    if (!p && !key.failed) {
        p = place_new(to, buf_view(&key));
        if (p && map_put(&c->places, p)) {
            place_free(p);
            p = NULL;
        }
    }
    buf_free(&key);
    return p;
}

void client_leave(struct client *c, struct place *p)
{
    if (p->count)
        return;
    map_take(&c->places, p->key);
    place_free(p);
}

/* ---- what is kept ---- */

void client_unkeep(struct link *l)
{
    TAILQ_REMOVE(&l->client->kept, l, kept);
    TAILQ_REMOVE(&l->place->kept, l, sibling);
    l->client->kept_count--;
    l->place->kept_count--;
}

void client_keep(struct link *l)
{
    struct client *c = l->client;

    l->exchange.events = NULL;
    buf_free(&l->request);
    if (!l->keep_alive || !l->outflow.is_ended || l->in.len || stream_unsent(&l->stream)) {
        l->state = LINK_GONE;
        return;
    }
    buf_free(&l->in);
    stream_relax(&l->stream);
    if (l->place->kept_count >= c->options.kept_per_destination)
        client_link_free(TAILQ_FIRST(&l->place->kept));
    else if (c->kept_count >= c->options.kept)
        client_link_free(TAILQ_FIRST(&c->kept));
    l->state = LINK_KEPT;
    TAILQ_INSERT_TAIL(&c->kept, l, kept);
    TAILQ_INSERT_TAIL(&l->place->kept, l, sibling);
    c->kept_count++;
    l->place->kept_count++;
}

/* ---- the exchange ---- */

static struct link *link_of(struct exchange *x)
{
    return (struct link *)x;
}

static size_t send_body(struct exchange *x, struct str bytes)
{
    struct link *l = link_of(x);
    long put;

    if (l->state != LINK_ASKS) {
        l->outflow.wants_room = true;
        return 0;
    }
    put = http1_outflow_send(&l->outflow, &l->stream, bytes);
    if (put < 0)
        l->state = LINK_GONE;
    client_link_go_on(l);
    return put < 0 ? 0 : (size_t)put;
}

static void send_end(struct exchange *x)
{
    struct link *l = link_of(x);

    if (l->state == LINK_GONE || l->outflow.is_ended)
        return;
    l->ends = true;
    if (l->state == LINK_ASKS && http1_outflow_end(&l->outflow, &l->stream))
        l->state = LINK_GONE;
    client_link_go_on(l);
}

static void resume(struct exchange *x)
{
    client_link_go_on(link_of(x));
}

static void abandon(struct exchange *x)
{
    link_of(x)->state = LINK_GONE;
    client_link_go_on(link_of(x));
}

static int take_stream(struct exchange *x, struct stream *stream, struct buf *unread)
{
    struct link *l = link_of(x);

    if (l->state != LINK_ASKS || !l->head_size || l->in_body ||
        buf_str(unread, str_slice(buf_view(&l->in), l->head_size, l->in.len)))
        return -1;
    client_link_unplug(l);
    stream_move(stream, &l->stream);
    x->events = NULL;
    l->state = LINK_GONE;
    return 0;
}

static const struct exchange_carrier carrier = {.send_body = send_body,
                                                .send_end = send_end,
                                                .resume = resume,
                                                .abort = abandon,
                                                .take_stream = take_stream};

static bool is_idempotent(struct str method)
{
    static const struct str methods[] = {STR_INIT("GET"), STR_INIT("HEAD"),   STR_INIT("OPTIONS"),
                                         STR_INIT("PUT"), STR_INIT("DELETE"), STR_INIT("TRACE")};

    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++)
        if (str_equal(method, methods[i]))
            return true;
    return false;
}

static unsigned or_default(unsigned ms)
{
    return ms ? ms : CLIENT_DEADLINE_MS;
}

static int begin(struct link *l, const struct client_destination *to,
                 const struct http_head *request)
{
    bool has_body = request->content_length || request->is_chunked;

    l->connect_ms = or_default(to->connect_ms);
    l->read_ms = or_default(to->read_ms);
    l->write_ms = or_default(to->write_ms);
    l->is_head = str_equal(request->method, STR("HEAD"));
    l->is_repeatable = is_idempotent(request->method) && !has_body;
    l->is_heard = l->in_body = l->keep_alive = l->ends = false;
    l->interim = 0;
    l->scan = (struct http1_scan){0};
    l->inflow = (struct http1_inflow){0};
    l->outflow = (struct http1_outflow){.is_begun = true,
                                        .is_ended = !has_body,
                                        .is_chunked = request->is_chunked,
                                        .left = request->content_length};
    http_print_head(&l->request, request, STR_NONE);
    if (l->request.failed)
        return -1;
    if (l->state == LINK_ASKS)
        return stream_write(&l->stream, l->request.data, l->request.len);
    return 0;
}

/* A kept one, the latest, that the other side has not closed. */
static struct link *reuse(struct place *p)
{
    struct link *l;
    char byte;

    while ((l = TAILQ_LAST(&p->kept, link_list)) &&
           recv(l->stream.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
        client_link_free(l);
    if (!l)
        return NULL;
    client_unkeep(l);
    l->state = LINK_ASKS;
    l->is_reused = true;
    return l;
}

struct exchange *client_ask(struct client *c, const struct client_destination *to,
                            const struct http_head *request, const struct exchange_events *events,
                            void *context)
{
    struct place *p = find_place(c, to);
    struct link *l = NULL;

    if (!p)
        return NULL;
    p->count++; /* it stays while connections of it go */
    l = reuse(p);
    if (!l)
        l = client_link_new(c, p);
    p->count--;
    if (!l) {
        client_leave(c, p);
        return NULL;
    }
    l->exchange = (struct exchange){.carrier = &carrier};
    if (begin(l, to, request)) {
        client_link_free(l);
        return NULL;
    }
    l->exchange.events = events;
    l->exchange.context = context;
    client_link_go_on(l);
    return &l->exchange;
}

/* ---- life ---- */

struct client *client_new(const struct client_options *options)
{
    struct client *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->options = *options;
    c->options.kept = options->kept ? options->kept : 512;
    c->options.kept_per_destination =
        options->kept_per_destination ? options->kept_per_destination : 64;
    c->options.kept_ms = options->kept_ms ? options->kept_ms : 60000;
    c->places = MAP_INIT(place_key, 0);
    TAILQ_INIT(&c->all);
    TAILQ_INIT(&c->kept);
    c->method = stream_method_new();
    if (c->method)
        return c;
    free(c);
    return NULL;
}

void client_free(struct client *c)
{
    struct link *l;

    if (!c)
        return;
    while ((l = TAILQ_FIRST(&c->all)))
        client_link_free(l);
    map_free(&c->places);
    stream_method_free(c->method);
    free(c);
}

size_t client_connections(const struct client *c)
{
    return c->count;
}

size_t client_kept(const struct client *c)
{
    return c->kept_count;
}
