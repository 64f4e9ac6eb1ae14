/* A client's connection, from its socket to the end of an exchange. */
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <unistd.h>

#include "client_private.h"
#include "http1.h"
#include "http_head.h"
#include "reconciler/base/ip.h"

#define TURN_MAX 32 /* reads of one connection in one turn of the loop */

void client_link_unplug(struct link *l)
{
    event_del(&l->read_event);
    event_del(&l->write_event);
    event_del(&l->timer);
}

static void forsake(struct link *l, enum exchange_failure why)
{
    const struct exchange_events *events = l->exchange.events;

    l->exchange.events = NULL;
    if (events && events->on_abort)
        events->on_abort(l->exchange.context, &l->exchange, why);
}

void client_link_free(struct link *l)
{
    struct client *c = l->client;
    bool moved;

    forsake(l, EXCHANGE_BROKEN);
    if (l->state == LINK_KEPT) {
        client_unkeep(l);
        stream_end(&l->stream);
        (void)!stream_flush(&l->stream, &moved);
    }
    client_link_unplug(l);
    stream_fini(&l->stream);
    TAILQ_REMOVE(&c->all, l, all);
    c->count--;
    l->place->count--;
    client_leave(c, l->place);
    buf_free(&l->in);
    buf_free(&l->request);
    free(l);
}

static void fail(struct link *l, enum exchange_failure why)
{
    l->state = LINK_GONE;
    forsake(l, why);
}

static SSL *make_tls(const struct place *p)
{
    SSL *ssl = SSL_new(p->tls);
    unsigned char ip[IP_BYTES_MAX];
    bool is_ip = ip_parse(str_from(p->server_name), ip); /* RFC 6066 §3: none there */

    if (ssl && p->server_name &&
        ((!is_ip && !SSL_set_tlsext_host_name(ssl, p->server_name)) ||
         !SSL_set1_host(ssl, p->server_name))) {
        SSL_free(ssl);
        return NULL;
    }
    if (ssl)
        SSL_set_connect_state(ssl);
    return ssl;
}

static void on_event(evutil_socket_t fd, short what, void *context);
static void on_deadline(evutil_socket_t fd, short what, void *context);

/* A new socket, not connected yet. */
static int open_stream(struct link *l)
{
    const struct place *p = l->place;
    SSL *ssl = p->tls ? make_tls(p) : NULL;
    int fd = socket(p->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || (p->tls && !ssl) ||
        stream_init(&l->stream, fd, ssl, l->client->method, EXCHANGE_WINDOW + STREAM_OVERHEAD)) {
        SSL_free(ssl);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    if (p->address.ss_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    event_assign(&l->read_event, l->client->options.base, fd, EV_READ | EV_PERSIST, on_event, l);
    event_assign(&l->write_event, l->client->options.base, fd, EV_WRITE | EV_PERSIST, on_event, l);
    l->state = LINK_CONNECTS;
    l->is_reused = false;
    return 0;
}

struct link *client_link_new(struct client *c, struct place *p)
{
    struct link *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    l->client = c;
    l->place = p;
    l->in = BUF_INIT(HTTP1_INPUT_MAX);
    l->request = BUF_INIT(2 * HTTP1_HEAD_MAX);
    if (open_stream(l)) {
        free(l);
        return NULL;
    }
    event_assign(&l->timer, c->options.base, -1, 0, on_deadline, l);
    TAILQ_INSERT_TAIL(&c->all, l, all);
    c->count++;
    p->count++;
    return l;
}

void client_link_go_on(struct link *l)
{
    if (!l->is_running)
        event_active(&l->write_event, EV_WRITE, 0);
}

/* It died. Once more, on a new connection, where that can do no harm? */
static void die(struct link *l)
{
    bool again = l->is_reused && !l->is_heard && l->is_repeatable;

    if (!again) {
        fail(l, EXCHANGE_BROKEN);
        return;
    }
    event_del(&l->read_event);
    event_del(&l->write_event);
    stream_fini(&l->stream);
    l->stream = (struct stream){.fd = -1};
    if (open_stream(l))
        fail(l, EXCHANGE_UNREACHABLE);
}

/* ---- steps: each goes on with one state; false = it can do no more now ---- */

static bool step_connect(struct link *l)
{
    const struct place *p = l->place;

    if (connect(l->stream.fd, (const struct sockaddr *)&p->address, p->address_len) == 0 ||
        errno == EISCONN)
        l->state = LINK_SHAKES;
    else if (errno == EINPROGRESS || errno == EALREADY || errno == EINTR)
        return false;
    else
        fail(l, EXCHANGE_UNREACHABLE);
    return true;
}

static bool step_handshake(struct link *l)
{
    int got = l->stream.ssl ? stream_handshake(&l->stream) : 1;

    if (got == 0 && !l->stream.is_ended)
        return false;
    l->state = LINK_ASKS;
    if (got != 1)
        fail(l, EXCHANGE_UNREACHABLE);
    else if (stream_write(&l->stream, l->request.data, l->request.len) ||
             (l->ends && http1_outflow_end(&l->outflow, &l->stream)))
        fail(l, EXCHANGE_BROKEN);
    return true;
}

/* More bytes into `in`; false: none are there now. */
static bool read_more(struct link *l)
{
    long got;

    if (l->turn++ >= TURN_MAX) {
        event_active(&l->read_event, EV_READ, 0);
        l->wants = true;
        return false;
    }
    got = http1_fill(&l->stream, &l->in, HTTP1_READ_SIZE);
    if (got > 0) {
        l->is_heard = true;
        l->moved += (uint64_t)got;
    } else if (got < 0 && !(l->in_body && http1_body_close(&l->inflow.body))) {
        die(l);
    }
    l->wants = got == 0;
    return got != 0;
}

/* Tells a head. What is asked for behind 101 is a stream, and must have been taken. */
static void take_head(struct link *l, const struct http_head *head)
{
    struct exchange *x = &l->exchange;

    if (head->status >= 200) {
        l->in_body = true;
        l->keep_alive = head->keep_alive;
        http1_inflow_init(&l->inflow, head);
    } else if (++l->interim > CLIENT_INTERIM_MAX) {
        fail(l, EXCHANGE_BROKEN);
        return;
    }
    if (x->events && x->events->on_head)
        x->events->on_head(x->context, x, head);
    if (head->status == 101 && l->state == LINK_ASKS)
        fail(l, EXCHANGE_BROKEN);
}

static bool read_head(struct link *l)
{
    struct http1_fields fields;
    struct http_head head;
    enum http1_refusal refusal;
    long size = 0;

    if (l->in.len > l->scan.at)
        size = http1_scan(&l->scan, buf_view(&l->in), &refusal);
    if (size == 0)
        return read_more(l);
    l->head_size = size > 0 ? (size_t)size : 0;
    if (size < 0 || http1_parse_response(str_slice(buf_view(&l->in), 0, l->head_size), l->is_head,
                                         &fields, &head)) {
        fail(l, EXCHANGE_BROKEN);
        return true;
    }
    take_head(l, &head);
    buf_consume(&l->in, l->head_size);
    l->head_size = 0;
    l->scan = (struct http1_scan){0};
    return true;
}

static bool read_body(struct link *l)
{
    enum http1_flow flow = http1_inflow_step(&l->inflow, &l->in, &l->exchange);

    if (l->state != LINK_ASKS)
        return true;
    switch (flow) {
    case HTTP1_FLOW_ON:
        return true;
    case HTTP1_FLOW_WANTS:
        return read_more(l);
    case HTTP1_FLOW_DONE:
        client_keep(l);
        return true;
    case HTTP1_FLOW_BROKEN:
        fail(l, EXCHANGE_BROKEN);
        return true;
    case HTTP1_FLOW_HELD:
        break;
    }
    return false;
}

static void flush(struct link *l)
{
    bool moved;

    if (stream_unsent(&l->stream) && stream_flush(&l->stream, &moved) < 0)
        die(l);
}

static bool write_on(struct link *l)
{
    const struct exchange *x = &l->exchange;

    if (!l->outflow.wants_room)
        return false;
    flush(l);
    if (l->state != LINK_ASKS || stream_unsent(&l->stream) > EXCHANGE_WINDOW / 2)
        return l->state != LINK_ASKS;
    l->outflow.wants_room = false;
    if (x->events && x->events->on_writable)
        x->events->on_writable(x->context, &l->exchange);
    return true;
}

static bool step_ask(struct link *l)
{
    bool goes_on;

    l->wants = false;
    goes_on = l->in_body ? read_body(l) : read_head(l);
    if (l->state == LINK_ASKS)
        goes_on |= write_on(l);
    return goes_on || l->state != LINK_ASKS;
}

/* Nobody has asked for what comes: but for TLS' own it is the end. */
static bool step_kept(struct link *l)
{
    char byte;

    if (stream_read(&l->stream, &byte, 1) != 0) {
        client_unkeep(l);
        l->state = LINK_GONE;
    }
    return false;
}

static bool (*const steps[LINK_STATE_COUNT])(struct link *l) = {[LINK_CONNECTS] = step_connect,
                                                                [LINK_SHAKES] = step_handshake,
                                                                [LINK_ASKS] = step_ask,
                                                                [LINK_KEPT] = step_kept};

/* ---- waiting ---- */

static enum deadline find_deadline(const struct link *l)
{
    if (l->state == LINK_CONNECTS || l->state == LINK_SHAKES)
        return DEADLINE_CONNECT;
    if (stream_unsent(&l->stream))
        return DEADLINE_WRITE;
    if (l->state == LINK_KEPT)
        return DEADLINE_KEPT;
    return l->wants && l->outflow.is_ended ? DEADLINE_READ : DEADLINE_NONE;
}

static void set_deadline(struct link *l)
{
    const unsigned ms[] = {[DEADLINE_CONNECT] = l->connect_ms,
                           [DEADLINE_READ] = l->read_ms,
                           [DEADLINE_WRITE] = l->write_ms,
                           [DEADLINE_KEPT] = l->client->options.kept_ms};
    enum deadline deadline = find_deadline(l);
    uint64_t moved = l->moved + l->stream.taken;
    struct timeval in;

    if (deadline == l->deadline && (deadline == DEADLINE_CONNECT || moved == l->moved_before))
        return;
    l->deadline = deadline;
    l->moved_before = moved;
    in = (struct timeval){.tv_sec = ms[deadline] / 1000, .tv_usec = ms[deadline] % 1000 * 1000};
    if (deadline == DEADLINE_NONE)
        event_del(&l->timer);
    else
        event_add(&l->timer, &in);
}

static void wait_for(struct event *event, bool wanted)
{
    if (wanted)
        event_add(event, NULL);
    else
        event_del(event);
}

static void run(struct link *l)
{
    l->is_running = true;
    l->turn = 0;
    stream_wake(&l->stream);
    while (steps[l->state] && steps[l->state](l))
        continue;
    if (l->state == LINK_SHAKES || l->state == LINK_ASKS)
        flush(l);
    l->is_running = false;
    if (l->state == LINK_GONE) {
        client_link_free(l);
        return;
    }
    set_deadline(l);
    wait_for(&l->read_event, l->state == LINK_SHAKES || l->state == LINK_KEPT || l->wants);
    wait_for(&l->write_event, l->state == LINK_CONNECTS || stream_unsent(&l->stream));
}

static void on_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    run(context);
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
    struct link *l = context;
    enum exchange_failure why =
        l->deadline == DEADLINE_CONNECT ? EXCHANGE_UNREACHABLE_LATE : EXCHANGE_LATE;

    (void)fd;
    (void)what;
    forsake(l, why);
    client_link_free(l);
}
