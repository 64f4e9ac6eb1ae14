#include "http_conn.h"

#include <event2/event.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "address_count.h"
#include "http_private.h"
#include "proxy_protocol.h"
#include "reconciler/base/clock.h"

#define HEAD_READ_SIZE 4000
#define LINGER_BYTES_MAX (4 << 20)

void http_conn_finish(struct http_conn *conn)
{
    stream_end(&conn->stream);
    conn->state = HTTP_STATE_FLUSH;
}

void http_conn_unplug(struct http_conn *conn)
{
    event_del(&conn->read_event);
    event_del(&conn->write_event);
    conn->reads = conn->writes = false;
}

void http_conn_free(struct http_conn *conn)
{
    const struct http_server_options *o = &conn->server->options;

    http_exchange_forsake(conn, EXCHANGE_BROKEN);
    if (o->closed)
        o->closed(o->context, conn);
    http_server_forget(conn->server, conn);
    http_conn_unplug(conn);
    stream_fini(&conn->stream);
    buf_free(&conn->in);
    buf_free(&conn->kept);
    free(conn);
}

/* ---- steps: each goes on with one state; false = it can do no more now ---- */

static bool wants_more(struct http_conn *conn)
{
    long got = http1_fill(&conn->stream, &conn->in, HEAD_READ_SIZE);

    if (got < 0)
        http_conn_finish(conn);
    return got != 0;
}

static bool step_proxy(struct http_conn *conn)
{
    struct http_server *server = conn->server;
    char *room = buf_reserve(&conn->in, PROXY_PROTOCOL_MAX);
    long got = room ? stream_receive(&conn->stream, room, PROXY_PROTOCOL_MAX) : -1, size;

    if (got == 0)
        return false;
    conn->state = HTTP_STATE_GONE;
    if (got < 0)
        return true;
    buf_commit(&conn->in, (size_t)got);
    size = proxy_protocol_parse(buf_view(&conn->in), &conn->peer);
    if (size < 0)
        return true;
    conn->state = HTTP_STATE_PROXY;
    if (size == 0)
        return true;
    buf_consume(&conn->in, (size_t)size);
    conn->state = HTTP_STATE_HEAD;
    if (conn->stream.ssl) {
        conn->state = HTTP_STATE_HANDSHAKE;
        if (stream_return(&conn->stream, conn->in.data, conn->in.len))
            conn->state = HTTP_STATE_GONE;
        buf_free(&conn->in);
    }
    if (address_count_take(server->addresses, (struct sockaddr *)&conn->peer,
                           server->limits.per_address, &conn->address))
        conn->state = HTTP_STATE_GONE;
    return true;
}

static bool step_handshake(struct http_conn *conn)
{
    const struct http_server_options *o = &conn->server->options;
    int got = stream_handshake(&conn->stream);

    if (got == 0 && !conn->stream.is_ended)
        return false;
    if (o->handshaken)
        o->handshaken(o->context, conn, conn->stream.ssl, got == 1);
    conn->state = got == 1 ? HTTP_STATE_HEAD : HTTP_STATE_FLUSH; /* an alert may be under way */
    return true;
}

static void begin_request(struct http_conn *conn)
{
    struct str head = str_slice(buf_view(&conn->in), 0, conn->head_size);
    struct http1_fields fields;
    struct http_head request;
    enum http1_refusal refusal;

    conn->began_ms = clock_steady_ms();
    if (http1_parse_request(head, &fields, &request, &refusal)) {
        http_exchange_refuse(conn, http1_status(refusal), http1_message(refusal), NULL);
        return;
    }
    http_exchange_begin(conn, &request, head);
    buf_consume(&conn->in, conn->head_size);
    conn->head_size = 0;
}

bool http_conn_drains(struct http_conn *conn, size_t max)
{
    bool moved;

    if (stream_unsent(&conn->stream) <= max)
        return true;
    if (stream_flush(&conn->stream, &moved) < 0)
        conn->state = HTTP_STATE_GONE;
    conn->renews |= moved;
    return stream_unsent(&conn->stream) <= max;
}

static bool step_head(struct http_conn *conn)
{
    enum http1_refusal refusal;
    long size = 0;

    if (!http_conn_drains(conn, HTTP_CONN_OUTPUT_MAX))
        return false;
    if (conn->turn >= HTTP_CONN_TURN_MAX) {
        http_server_again(conn->server, conn);
        return false;
    }
    if (conn->in.len > conn->scan.at)
        size = http1_scan(&conn->scan, buf_view(&conn->in), &refusal);
    if (size == 0)
        return wants_more(conn);
    if (size > 0) {
        conn->head_size = (size_t)size;
        begin_request(conn);
    } else {
        conn->began_ms = clock_steady_ms();
        http_exchange_refuse(conn, http1_status(refusal), http1_message(refusal), NULL);
    }
    return true;
}

static bool step_flush(struct http_conn *conn)
{
    bool moved;
    int got = stream_flush(&conn->stream, &moved);

    conn->renews |= moved;
    if (got == 0)
        return false;
    conn->state = got > 0 && conn->must_linger ? HTTP_STATE_LINGER : HTTP_STATE_GONE;
    if (conn->state == HTTP_STATE_LINGER)
        shutdown(conn->stream.fd, SHUT_WR);
    return true;
}

/* A close with unread bytes would reset the connection, and the peer might miss the answer. */
static bool step_linger(struct http_conn *conn)
{
    char dropped[HEAD_READ_SIZE];
    long got = stream_receive(&conn->stream, dropped, sizeof(dropped));

    if (got == 0)
        return false;
    conn->dropped += got > 0 ? (size_t)got : 0;
    if (got < 0 || conn->dropped > LINGER_BYTES_MAX)
        conn->state = HTTP_STATE_GONE;
    return true;
}

/* NULL: nothing goes on. */
static bool (*const steps[HTTP_STATE_COUNT])(struct http_conn *conn) = {
    [HTTP_STATE_PROXY] = step_proxy, [HTTP_STATE_HANDSHAKE] = step_handshake,
    [HTTP_STATE_HEAD] = step_head,   [HTTP_STATE_EXCHANGE] = http_exchange_step,
    [HTTP_STATE_FLUSH] = step_flush, [HTTP_STATE_LINGER] = step_linger,
};

/* ---- waiting ---- */

static void toggle(struct event *event, bool *is_added, bool wanted)
{
    if (wanted == *is_added)
        return;
    if (wanted)
        event_add(event, NULL);
    else
        event_del(event);
    *is_added = wanted;
}

static bool reads_on(const struct http_conn *conn)
{
    if (conn->state == HTTP_STATE_EXCHANGE)
        return conn->flow == HTTP1_FLOW_WANTS;
    return conn->state != HTTP_STATE_FLUSH && stream_unsent(&conn->stream) <= HTTP_CONN_OUTPUT_MAX;
}

/* Nothing can be done now: what is it waiting for, and how long? */
static void wait_for_more(struct http_conn *conn)
{
    enum http_deadline deadline = http_server_deadline(conn);
    size_t unsent = stream_unsent(&conn->stream);

    if (deadline != conn->deadline || conn->renews)
        http_server_wait(conn->server, conn, deadline);
    conn->renews = false;
    toggle(&conn->read_event, &conn->reads, reads_on(conn) && !conn->is_again);
    toggle(&conn->write_event, &conn->writes, unsent > 0 && !conn->is_again);
    if (conn->state == HTTP_STATE_HEAD && !conn->in.len) {
        buf_free(&conn->in);
        stream_relax(&conn->stream);
    }
}

void http_conn_run(struct http_conn *conn)
{
    bool moved;

    conn->is_running = true;
    conn->turn = 0;
    stream_wake(&conn->stream);
    while (steps[conn->state] && steps[conn->state](conn))
        continue;
    if (conn->state != HTTP_STATE_GONE && stream_unsent(&conn->stream)) {
        if (stream_flush(&conn->stream, &moved) < 0)
            conn->state = HTTP_STATE_GONE;
        conn->renews |= moved;
    }
    conn->is_running = false;
    conn->server->work += 1 + conn->turn;
    if (conn->state == HTTP_STATE_GONE)
        http_conn_free(conn);
    else
        wait_for_more(conn);
}

void http_conn_expire(struct http_conn *conn)
{
    const struct http_server_options *o = &conn->server->options;
    bool is_late_request = (conn->deadline == HTTP_DEADLINE_HEAD && conn->in.len) ||
                           (conn->deadline == HTTP_DEADLINE_BODY && !conn->outflow.is_begun);

    conn->renews = true;
    http_exchange_forsake(conn, EXCHANGE_LATE);
    if (conn->state == HTTP_STATE_HANDSHAKE && o->handshaken)
        o->handshaken(o->context, conn, conn->stream.ssl, false);
    if (is_late_request) {
        conn->began_ms = clock_steady_ms();
        http_exchange_refuse(conn, 408, "Request timeout", NULL);
        return;
    }
    if (conn->deadline == HTTP_DEADLINE_HEAD || conn->deadline == HTTP_DEADLINE_IDLE ||
        conn->deadline == HTTP_DEADLINE_DRAIN)
        http_conn_finish(conn);
    else
        conn->state = HTTP_STATE_GONE;
    http_conn_run(conn);
}

static void on_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    http_conn_run(context);
}

/* ---- the outside ---- */

static struct http_conn *conn_new(struct http_server *server, const struct http_conn_options *o)
{
    struct http_conn *conn = calloc(1, sizeof(*conn));

    if (!conn)
        return NULL;
    conn->server = server;
    conn->deadline = HTTP_DEADLINE_NONE;
    conn->in = BUF_INIT(HTTP1_INPUT_MAX);
    conn->kept = BUF_SECRET(HTTP_CONN_RESPONSE_MAX);
    conn->tag = o->tag;
    if (o->ssl) {
        SSL_set_app_data(o->ssl, conn);
        SSL_set_accept_state(o->ssl);
    }
    conn->state = o->ssl ? HTTP_STATE_HANDSHAKE : HTTP_STATE_HEAD;
    if (o->proxy_protocol)
        conn->state = HTTP_STATE_PROXY;
    if (o->peer && o->peer_len <= sizeof(conn->peer))
        memcpy(&conn->peer, o->peer, o->peer_len);
    if (stream_init(&conn->stream, o->fd, o->ssl, server->method,
                    HTTP_CONN_RESPONSE_MAX + STREAM_OVERHEAD)) {
        free(conn);
        return NULL;
    }
    event_assign(&conn->read_event, server->options.base, o->fd, EV_READ | EV_PERSIST, on_event,
                 conn);
    event_assign(&conn->write_event, server->options.base, o->fd, EV_WRITE | EV_PERSIST, on_event,
                 conn);
    return conn;
}

int http_conn_open(struct http_server *server, const struct http_conn_options *o)
{
    struct http_conn *conn = NULL;
    struct address_peer *address = NULL;

    if (http_server_make_room(server) &&
        (o->proxy_protocol || !o->peer ||
         address_count_take(server->addresses, o->peer, server->limits.per_address, &address) == 0))
        conn = conn_new(server, o);
    if (!conn) {
        address_count_put(server->addresses, address);
        close(o->fd);
        SSL_free(o->ssl);
        return -1;
    }
    conn->address = address;
    server->count++;
    server->most = server->count > server->most ? server->count : server->most;
    TAILQ_INSERT_TAIL(&server->all, conn, all);
    wait_for_more(conn);
    return 0;
}

void *http_conn_tag(const struct http_conn *conn)
{
    return conn->tag;
}

bool http_conn_is_tls(const struct http_conn *conn)
{
    return conn->stream.ssl != NULL;
}

int http_conn_fd(const struct http_conn *conn)
{
    return conn->stream.fd;
}

const struct sockaddr *http_conn_peer(const struct http_conn *conn)
{
    return (const struct sockaddr *)&conn->peer;
}

int64_t http_conn_began_ms(const struct http_conn *conn)
{
    return conn->began_ms;
}
