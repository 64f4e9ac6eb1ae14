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

#define READ_SIZE 4000
#define INPUT_MAX (HTTP1_HEAD_MAX + HTTP1_TRAILER_MAX + 2 * READ_SIZE)
#define LINGER_BYTES_MAX (4 << 20)

/* ---- ends ---- */

/* Nothing more is read or answered: what is written is sent, then it is closed. */
static void finish(struct http_conn *conn)
{
    stream_end(&conn->stream);
    conn->state = HTTP_STATE_FLUSH;
}

static void answer_text(struct http_conn *conn, unsigned status, const char *message)
{
    struct http_response response = {.status = status,
                                     .content_type = STR("text/plain; charset=utf-8"),
                                     .body = str_from(message)};

    http_conn_reply(conn, &response);
}

static void refuse(struct http_conn *conn, unsigned status, const char *message,
                   const struct http_head *request)
{
    const struct http_server_options *o = &conn->server->options;

    conn->state = HTTP_STATE_HANDLER;
    conn->must_close = conn->must_linger = true;
    if (o->refuse)
        o->refuse(o->context, conn, status, message, request);
    else
        answer_text(conn, status, message);
}

static void end_source(struct http_conn *conn)
{
    if (conn->source.done)
        conn->source.done(conn->source.context);
    conn->source = (struct http_source){0};
}

void http_conn_free(struct http_conn *conn)
{
    const struct http_server_options *o = &conn->server->options;

    if (o->closed)
        o->closed(o->context, conn);
    end_source(conn);
    http_server_forget(conn->server, conn);
    event_del(&conn->read_event);
    event_del(&conn->write_event);
    stream_fini(&conn->stream);
    buf_free(&conn->in);
    buf_free(&conn->kept);
    free(conn);
}

/* ---- steps: each goes on with one state; false = it can do no more now ---- */

/* More bytes into `in`: > 0; 0 none now; -1 the peer is done. */
static long fill(struct http_conn *conn)
{
    char *room = buf_reserve(&conn->in, READ_SIZE);
    long got = room ? stream_read(&conn->stream, room, READ_SIZE) : -1;

    if (got > 0)
        buf_commit(&conn->in, (size_t)got);
    return got;
}

/* `fill` for a step that needs more. */
static bool wants_more(struct http_conn *conn)
{
    long got = fill(conn);

    if (got < 0)
        finish(conn);
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

/* Hands a whole request to the handler. */
static void dispatch(struct http_conn *conn, struct http_head *request)
{
    if (conn->kept.len)
        request->body = buf_view(&conn->kept);
    conn->state = HTTP_STATE_HANDLER;
    conn->turn++;
    conn->server->options.handle(conn->server->options.context, conn, request);
}

/* The same behind a body, whose head is parsed once more: it is cheaper than to keep it. */
static void dispatch_again(struct http_conn *conn)
{
    struct str head = str_slice(buf_view(&conn->in), 0, conn->head_size);
    struct http1_fields fields;
    struct http_head request;
    enum http1_refusal refusal;

    if (http1_parse_request(head, &fields, &request, &refusal))
        BUG("a head that parsed does not any more");
    dispatch(conn, &request);
}

/* What to do about the body that a head announces. */
static void begin_body(struct http_conn *conn, struct http_head *request)
{
    const struct http_limits *l = &conn->server->limits;

    http1_body_init(&conn->body, request);
    if (http1_body_is_complete(&conn->body)) {
        dispatch(conn, request);
    } else if (l->body_keep && request->content_length > l->body_keep) {
        refuse(conn, 413, "Payload too large", request);
    } else if (!l->body_keep &&
               (request->expects_continue || request->content_length > l->body_discard)) {
        /* It is not wanted: answer now, and close, since it may come or not (RFC 9110 §10.1.1). */
        conn->must_close = conn->must_linger = true;
        dispatch(conn, request);
    } else {
        struct str go_on = STR("HTTP/1.1 100 Continue\r\n\r\n");
        conn->state = HTTP_STATE_BODY;
        if (request->expects_continue && stream_write(&conn->stream, go_on.ptr, go_on.len))
            conn->state = HTTP_STATE_GONE;
    }
}

static void begin_request(struct http_conn *conn)
{
    struct str head = str_slice(buf_view(&conn->in), 0, conn->head_size);
    struct http1_fields fields;
    struct http_head request;
    enum http1_refusal refusal;

    conn->began_ms = clock_steady_ms();
    if (http1_parse_request(head, &fields, &request, &refusal)) {
        refuse(conn, http1_status(refusal), http1_message(refusal), NULL);
        return;
    }
    conn->is_head = request.is_head;
    conn->keep_alive = request.keep_alive;
    conn->is_old = request.minor == 0;
    begin_body(conn, &request);
}

/* May more be written? What is unsent goes first. */
static bool has_window(struct http_conn *conn)
{
    bool moved;

    if (stream_unsent(&conn->stream) <= HTTP_CONN_OUTPUT_MAX)
        return true;
    if (stream_flush(&conn->stream, &moved) < 0)
        conn->state = HTTP_STATE_GONE;
    conn->renews |= moved;
    return stream_unsent(&conn->stream) <= HTTP_CONN_OUTPUT_MAX;
}

static bool step_head(struct http_conn *conn)
{
    enum http1_refusal refusal;
    long size = 0;

    if (!has_window(conn))
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
        refuse(conn, http1_status(refusal), http1_message(refusal), NULL);
    }
    return true;
}

/* Counts, keeps or drops bytes of a body; false where it was too much and something was done. */
static bool take_data(struct http_conn *conn, struct str data)
{
    const struct http_limits *l = &conn->server->limits;

    conn->body_seen += data.len;
    if (l->body_keep) {
        if (conn->body_seen <= l->body_keep && buf_str(&conn->kept, data) == 0)
            return true;
        refuse(conn, 413, "Payload too large", NULL);
        return false;
    }
    if (conn->body_seen <= l->body_discard)
        return true;
    conn->must_close = conn->must_linger = true;
    dispatch_again(conn);
    return false;
}

static bool step_body(struct http_conn *conn)
{
    struct str rest = str_slice(buf_view(&conn->in), conn->head_size, conn->in.len), data;
    long used;

    if (http1_body_is_complete(&conn->body)) {
        dispatch_again(conn);
        return true;
    }
    used = http1_body_take(&conn->body, rest, &data);
    if (used < 0) {
        refuse(conn, 400, http1_message(HTTP1_BAD_REQUEST), NULL);
        return true;
    }
    if (used == 0)
        return wants_more(conn);
    if (!take_data(conn, data))
        return true;
    memmove(conn->in.data + conn->head_size, rest.ptr + used, rest.len - (size_t)used);
    conn->in.len -= (size_t)used;
    return true;
}

/* As a chunk (RFC 9112 §7.1) where chunks can be told. */
static int write_piece(struct http_conn *conn, const struct buf *piece)
{
    struct stream *s = &conn->stream;
    char size[24];
    int len = piece->len && !conn->is_old ? snprintf(size, sizeof(size), "%zx\r\n", piece->len) : 0;

    if (stream_write(s, size, (size_t)len) || stream_write(s, piece->data, piece->len))
        return -1;
    return stream_write(s, "\r\n", len ? 2 : 0);
}

static void end_stream(struct http_conn *conn)
{
    end_source(conn);
    conn->state = HTTP_STATE_HEAD;
    if (!conn->is_old && stream_write(&conn->stream, "0\r\n\r\n", 5))
        conn->state = HTTP_STATE_GONE;
    else if (conn->must_close)
        finish(conn);
}

static bool step_stream(struct http_conn *conn)
{
    struct buf piece = BUF_INIT(HTTP_CONN_PIECE_MAX);
    enum http_more more;

    if (!has_window(conn))
        return conn->state == HTTP_STATE_GONE;
    if (conn->turn++ >= HTTP_CONN_PIECES_MAX) {
        http_server_again(conn->server, conn);
        return false;
    }
    more = conn->source.more(conn->source.context, &piece);
    if (more == HTTP_BROKEN || piece.failed || write_piece(conn, &piece))
        conn->state = HTTP_STATE_GONE;
    else if (more == HTTP_END)
        end_stream(conn);
    conn->renews |= piece.len > 0;
    buf_free(&piece);
    return more != HTTP_LATER || conn->state == HTTP_STATE_GONE;
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
    char dropped[READ_SIZE];
    long got = stream_receive(&conn->stream, dropped, sizeof(dropped));

    if (got == 0)
        return false;
    conn->dropped += got > 0 ? (size_t)got : 0;
    if (got < 0 || conn->dropped > LINGER_BYTES_MAX)
        conn->state = HTTP_STATE_GONE;
    return true;
}

static bool step_none(struct http_conn *conn)
{
    (void)conn;
    return false;
}

static bool (*const steps[HTTP_STATE_COUNT])(struct http_conn *conn) = {
    [HTTP_STATE_PROXY] = step_proxy,  [HTTP_STATE_HANDSHAKE] = step_handshake,
    [HTTP_STATE_HEAD] = step_head,    [HTTP_STATE_BODY] = step_body,
    [HTTP_STATE_HANDLER] = step_none, [HTTP_STATE_STREAM] = step_stream,
    [HTTP_STATE_FLUSH] = step_flush,  [HTTP_STATE_LINGER] = step_linger,
    [HTTP_STATE_GONE] = step_none,
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

/* Nothing can be done now: what is it waiting for, and how long? */
static void wait_for_more(struct http_conn *conn)
{
    enum http_deadline deadline = http_server_deadline(conn);
    size_t unsent = stream_unsent(&conn->stream);

    if (deadline != conn->deadline || conn->renews)
        http_server_wait(conn->server, conn, deadline);
    conn->renews = false;
    toggle(&conn->read_event, &conn->reads,
           conn->state != HTTP_STATE_HANDLER && conn->state != HTTP_STATE_STREAM &&
               conn->state != HTTP_STATE_FLUSH && !conn->is_again &&
               unsent <= HTTP_CONN_OUTPUT_MAX);
    toggle(&conn->write_event, &conn->writes, unsent > 0);
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
    while (steps[conn->state](conn))
        continue;
    if (conn->state != HTTP_STATE_GONE && stream_unsent(&conn->stream)) {
        if (stream_flush(&conn->stream, &moved) < 0)
            conn->state = HTTP_STATE_GONE;
        conn->renews |= moved;
    }
    conn->is_running = false;
    if (conn->state == HTTP_STATE_GONE)
        http_conn_free(conn);
    else
        wait_for_more(conn);
}

void http_conn_expire(struct http_conn *conn)
{
    const struct http_server_options *o = &conn->server->options;
    bool is_late_request = (conn->deadline == HTTP_DEADLINE_HEAD && conn->in.len) ||
                           conn->deadline == HTTP_DEADLINE_BODY;

    conn->renews = true;
    if (conn->state == HTTP_STATE_HANDSHAKE && o->handshaken)
        o->handshaken(o->context, conn, conn->stream.ssl, false);
    if (is_late_request) {
        conn->began_ms = clock_steady_ms();
        refuse(conn, 408, "Request timeout", NULL);
        return;
    }
    if (conn->deadline == HTTP_DEADLINE_HEAD || conn->deadline == HTTP_DEADLINE_IDLE ||
        conn->deadline == HTTP_DEADLINE_DRAIN)
        finish(conn);
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

static int write_response(struct http_conn *conn, const struct http_response *response, bool close)
{
    struct http_server *server = conn->server;
    struct http_print how = {.date = http_server_date(server),
                             .product = server->options.product,
                             .keep_alive = !close,
                             .is_head = conn->is_head,
                             .is_chunked = response->source && !conn->is_old};
    struct stream *s = &conn->stream;
    int got;

    if (!s->ssl) {
        http_print(&s->wire, response, &how);
        return s->wire.failed ? -1 : 0;
    }
    http_print(&server->scratch, response, &how);
    got = server->scratch.failed ? -1 : stream_write(s, server->scratch.data, server->scratch.len);
    buf_clear(&server->scratch);
    if (server->scratch.cap > HTTP_CONN_OUTPUT_MAX)
        buf_free(&server->scratch);
    return got;
}

static bool closes(const struct http_conn *conn, const struct http_response *response)
{
    return conn->must_close || response->close || !conn->keep_alive || conn->server->is_draining ||
           (response->source && conn->is_old);
}

/* Only behind the response, which may quote the request. */
static void forget_request(struct http_conn *conn)
{
    buf_consume(&conn->in, conn->head_size);
    buf_free(&conn->kept);
    conn->head_size = 0;
    conn->scan = (struct http1_scan){0};
    conn->body_seen = 0;
    conn->is_head = false; /* what is refused next may have no method */
    conn->is_used = conn->renews = true;
}

void http_conn_reply(struct http_conn *conn, const struct http_response *response)
{
    bool close = closes(conn, response);

    if (conn->state != HTTP_STATE_HANDLER)
        BUG("an answer to no request");
    conn->state = response->source && !conn->is_head ? HTTP_STATE_STREAM : HTTP_STATE_HEAD;
    if (response->source)
        conn->source = *response->source;
    if (write_response(conn, response, close))
        conn->state = HTTP_STATE_GONE;
    else if (conn->state == HTTP_STATE_STREAM)
        conn->must_close = close;
    else if (close)
        finish(conn);
    if (conn->state != HTTP_STATE_STREAM)
        end_source(conn);
    forget_request(conn);
    if (!conn->is_running)
        http_conn_run(conn);
}

void http_conn_resume(struct http_conn *conn)
{
    if (!conn->is_running)
        http_conn_run(conn);
}

static struct http_conn *conn_new(struct http_server *server, const struct http_conn_options *o)
{
    struct http_conn *conn = calloc(1, sizeof(*conn));

    if (!conn)
        return NULL;
    conn->server = server;
    conn->deadline = HTTP_DEADLINE_NONE;
    conn->in = BUF_INIT(INPUT_MAX);
    conn->kept = BUF_SECRET(server->limits.body_keep);
    conn->tag = o->tag;
    if (o->ssl)
        SSL_set_app_data(o->ssl, conn);
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
