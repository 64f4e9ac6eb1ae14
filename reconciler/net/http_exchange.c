/* A server's exchanges over HTTP/1: http_conn.c reads heads, and goes on with what is here. */
#include <event2/event.h>
#include <openssl/ssl.h>

#include "http_private.h"
#include "reconciler/base/clock.h"

static const struct exchange_carrier carrier;

static void write_scratch(struct http_conn *conn)
{
    struct buf *scratch = &conn->server->scratch;

    if (scratch->failed || stream_write(&conn->stream, scratch->data, scratch->len))
        conn->state = HTTP_STATE_GONE;
    buf_clear(scratch);
    if (scratch->cap > HTTP_CONN_OUTPUT_MAX)
        buf_free(scratch);
}

/* From the loop: who calls into an exchange is told nothing meanwhile. */
static void go_on_soon(struct http_conn *conn)
{
    if (!conn->is_running)
        http_server_again(conn->server, conn);
}

static void end_source(struct http_conn *conn)
{
    if (conn->source.done)
        conn->source.done(conn->source.context);
    conn->source = (struct http_source){0};
}

void http_exchange_forsake(struct http_conn *conn, enum exchange_failure why)
{
    struct exchange *x = &conn->exchange;
    const struct exchange_events *events = x->events;

    x->events = NULL;
    if (events && events->on_abort)
        events->on_abort(x->context, x, why);
    end_source(conn);
}

/* ---- ends ---- */

void http_exchange_next(struct http_conn *conn)
{
    conn->state = HTTP_STATE_HEAD;
    conn->exchange.events = NULL;
    conn->scan = (struct http1_scan){0};
    conn->is_head = false; /* what is refused next may have no method */
}

/* May the rest of the request's body be read and dropped? */
static bool is_droppable(const struct http_conn *conn)
{
    return !conn->awaits_continue && conn->inflow.body.left <= conn->server->limits.body_discard;
}

static void end_answer(struct http_conn *conn)
{
    bool is_whole = http1_inflow_is_whole(&conn->inflow);

    conn->outflow.is_ended = conn->is_used = conn->renews = true;
    end_source(conn);
    if (conn->must_close || (!is_whole && !is_droppable(conn))) {
        conn->must_linger |= !is_whole;
        http_conn_finish(conn);
    } else if (is_whole) {
        http_exchange_next(conn);
    }
}

/* An answer that was held back behind a body which nobody asked for. */
static void release_answer(void *context, struct exchange *x)
{
    struct http_conn *conn = context;

    (void)x;
    conn->outflow.is_begun = true;
    if (stream_write(&conn->stream, conn->kept.data, conn->kept.len))
        conn->state = HTTP_STATE_GONE;
    else
        end_answer(conn);
    buf_free(&conn->kept);
}

static size_t drop_body(void *context, struct exchange *x, struct str bytes)
{
    struct http_conn *conn = context;

    conn->discarded += bytes.len;
    if (conn->discarded <= conn->server->limits.body_discard)
        return bytes.len;
    conn->must_close = conn->must_linger = true;
    if (conn->outflow.is_begun)
        http_conn_finish(conn);
    else
        release_answer(conn, x);
    return bytes.len;
}

/* Who answered is told nothing more; the rest of the body is dropped, behind the answer or before. */
static void release(struct http_conn *conn, bool is_held)
{
    static const struct exchange_events dropping = {.on_body = drop_body},
                                        holding = {.on_body = drop_body, .on_end = release_answer};

    conn->exchange.events = is_held ? &holding : &dropping;
    conn->exchange.context = conn;
}

/* ---- requests ---- */

static void begin(struct http_conn *conn)
{
    conn->state = HTTP_STATE_EXCHANGE;
    conn->exchange = (struct exchange){.carrier = &carrier, .conn = conn};
    conn->outflow = (struct http1_outflow){0};
    conn->flow = HTTP1_FLOW_ON;
    conn->discarded = 0;
}

static void answer_text(struct http_conn *conn, unsigned status, const char *message)
{
    struct http_response response = {.status = status,
                                     .content_type = STR("text/plain; charset=utf-8"),
                                     .body = str_from(message)};

    exchange_reply(&conn->exchange, &response);
}

void http_exchange_refuse(struct http_conn *conn, unsigned status, const char *message,
                          const struct http_head *request)
{
    const struct http_server_options *o = &conn->server->options;

    begin(conn);
    buf_free(&conn->kept);
    conn->must_close = conn->must_linger = true;
    if (o->refuse)
        o->refuse(o->context, &conn->exchange, status, message, request);
    else
        answer_text(conn, status, message);
}

static void dispatch(struct http_conn *conn, const struct http_head *request)
{
    begin(conn);
    conn->turn++;
    conn->server->options.handle(conn->server->options.context, &conn->exchange, request);
}

/* A small body for a handler that wants it whole: behind its head, which is parsed once more. */
static size_t gather_body(void *context, struct exchange *x, struct str bytes)
{
    struct http_conn *conn = context;

    (void)x;
    if (conn->inflow.seen > conn->server->limits.body_keep || buf_str(&conn->kept, bytes))
        http_exchange_refuse(conn, 413, "Payload too large", NULL);
    return bytes.len;
}

static void end_gathering(void *context, struct exchange *x)
{
    struct http_conn *conn = context;
    struct str kept = buf_view(&conn->kept);
    struct http1_fields fields;
    struct http_head request;
    enum http1_refusal refusal;

    (void)x;
    if (http1_parse_request(str_slice(kept, 0, conn->kept_head), &fields, &request, &refusal))
        BUG("a head that parsed does not any more");
    request.body = str_slice(kept, conn->kept_head, kept.len);
    dispatch(conn, &request);
    buf_free(&conn->kept);
}

static void gather(struct http_conn *conn, const struct http_head *request, struct str head)
{
    static const struct exchange_events gathering = {.on_body = gather_body,
                                                     .on_end = end_gathering};

    begin(conn);
    conn->exchange.events = &gathering;
    conn->exchange.context = conn;
    conn->kept_head = head.len;
    if (request->content_length > conn->server->limits.body_keep || buf_str(&conn->kept, head))
        http_exchange_refuse(conn, 413, "Payload too large", request);
}

void http_exchange_begin(struct http_conn *conn, const struct http_head *request, struct str head)
{
    conn->is_head = request->is_head;
    conn->keep_alive = request->keep_alive;
    conn->is_old = request->minor == 0;
    conn->awaits_continue = request->expects_continue;
    http1_inflow_init(&conn->inflow, request);
    if (conn->server->limits.body_keep && !http1_inflow_is_whole(&conn->inflow))
        gather(conn, request, head);
    else
        dispatch(conn, request);
}

/* ---- going on ---- */

static bool has_listener(const struct http_conn *conn)
{
    return conn->exchange.events && conn->exchange.events->on_body;
}

/* More of the body is to come; who waits for a word has it as soon as somebody listens. */
static bool read_more(struct http_conn *conn)
{
    struct str go_on = STR("HTTP/1.1 100 Continue\r\n\r\n");
    long got;

    if (conn->awaits_continue && !has_listener(conn)) {
        conn->flow = HTTP1_FLOW_HELD;
        return false;
    }
    if (conn->awaits_continue && !conn->outflow.is_begun &&
        stream_write(&conn->stream, go_on.ptr, go_on.len))
        conn->state = HTTP_STATE_GONE;
    conn->awaits_continue = false;
    got = http1_fill(&conn->stream, &conn->in, HTTP1_READ_SIZE);
    conn->turn++;
    conn->renews |= got > 0;
    if (got < 0) {
        http_exchange_forsake(conn, EXCHANGE_BROKEN);
        http_conn_finish(conn);
    }
    return got != 0;
}

static void fail(struct http_conn *conn)
{
    bool is_answered = conn->outflow.is_begun;

    http_exchange_forsake(conn, EXCHANGE_BROKEN);
    if (conn->outflow.is_ended)
        http_conn_finish(conn);
    else if (is_answered)
        conn->state = HTTP_STATE_GONE;
    else
        http_exchange_refuse(conn, 400, http1_message(HTTP1_BAD_REQUEST), NULL);
}

static bool read_on(struct http_conn *conn)
{
    conn->flow = http1_inflow_step(&conn->inflow, &conn->in, &conn->exchange);
    if (conn->state != HTTP_STATE_EXCHANGE)
        return true;
    switch (conn->flow) {
    case HTTP1_FLOW_WANTS:
        return read_more(conn);
    case HTTP1_FLOW_BROKEN:
        fail(conn);
        return true;
    case HTTP1_FLOW_DONE:
        if (conn->outflow.is_ended)
            http_exchange_next(conn);
        return conn->state != HTTP_STATE_EXCHANGE;
    case HTTP1_FLOW_ON:
    case HTTP1_FLOW_HELD:
        break;
    }
    return conn->flow == HTTP1_FLOW_ON;
}

static void make_piece(struct http_conn *conn)
{
    struct buf piece = BUF_INIT(EXCHANGE_PIECE_MAX);
    enum http_more more = conn->source.more(conn->source.context, &piece);

    conn->turn++;
    conn->is_late = more == HTTP_LATER;
    if (more == HTTP_BROKEN || piece.failed ||
        http1_outflow_put(&conn->outflow, &conn->stream, buf_view(&piece)))
        conn->state = HTTP_STATE_GONE;
    else if (more == HTTP_END)
        exchange_send_end(&conn->exchange);
    conn->renews |= piece.len > 0;
    buf_free(&piece);
}

static bool write_on(struct http_conn *conn)
{
    const struct exchange *x = &conn->exchange;

    if (conn->source.more && !conn->is_late && http_conn_drains(conn, EXCHANGE_WINDOW)) {
        make_piece(conn);
        return true;
    }
    if (!conn->outflow.wants_room || !http_conn_drains(conn, EXCHANGE_WINDOW / 2))
        return false;
    conn->outflow.wants_room = false;
    conn->turn++;
    if (x->events && x->events->on_writable)
        x->events->on_writable(x->context, &conn->exchange);
    return true;
}

bool http_exchange_step(struct http_conn *conn)
{
    bool goes_on;

    if (conn->turn >= HTTP_CONN_TURN_MAX) {
        http_server_again(conn->server, conn);
        return false;
    }
    goes_on = read_on(conn);
    if (conn->state == HTTP_STATE_EXCHANGE)
        goes_on |= write_on(conn);
    return goes_on || conn->state != HTTP_STATE_EXCHANGE;
}

/* ---- answers ---- */

/* How the body of an answer will end. */
static struct http1_outflow frame(const struct http_conn *conn, const struct http_head *head)
{
    bool is_endless = head->is_chunked || head->is_open;

    return (struct http1_outflow){.left = head->content_length,
                                  .is_begun = true,
                                  .is_mute =
                                      conn->is_head || head->status == 204 || head->status == 304,
                                  .is_chunked = is_endless && !conn->is_old,
                                  .is_open = is_endless && conn->is_old};
}

static void begin_answer(struct http_conn *conn, const struct http_head *head, bool close)
{
    if (conn->state != HTTP_STATE_EXCHANGE || conn->outflow.is_begun)
        BUG("an answer to no request");
    conn->outflow = frame(conn, head);
    /* A body that was not asked for may come or not (RFC 9110 §10.1.1). */
    if (!http1_inflow_is_whole(&conn->inflow) && !has_listener(conn) && !is_droppable(conn))
        conn->must_close = conn->must_linger = true;
    conn->must_close |=
        close || !conn->keep_alive || conn->server->is_draining || conn->outflow.is_open;
}

/* The whole of an answer, or its head where its body is made while it is sent. */
static void print_answer(struct http_conn *conn, const struct http_response *response,
                         struct buf *to)
{
    struct http_server *server = conn->server;

    http_print(to, response,
               &(struct http_print){.date = http_server_date(server),
                                    .product = server->options.product,
                                    .keep_alive = !conn->must_close,
                                    .is_head = conn->is_head,
                                    .is_chunked = conn->outflow.is_chunked});
    if (to->failed)
        conn->state = HTTP_STATE_GONE;
    else if (to == &server->scratch)
        write_scratch(conn);
}

/* A body that nobody asked for is read before its answer is sent: it may be refused yet. */
static bool is_held_back(const struct http_conn *conn, const struct http_response *response)
{
    return !http1_inflow_is_whole(&conn->inflow) && !has_listener(conn) && is_droppable(conn) &&
           !response->source && !conn->must_linger;
}

static void reply(struct exchange *x, const struct http_response *response)
{
    struct http_conn *conn = x->conn;
    const struct http_head head = {.status = response->status, .is_chunked = response->source};
    bool is_held;

    begin_answer(conn, &head, response->close);
    is_held = is_held_back(conn, response);
    release(conn, is_held);
    conn->is_late = false;
    if (is_held) {
        print_answer(conn, response, &conn->kept);
        conn->outflow.is_begun = false;
    } else {
        print_answer(conn, response,
                     conn->stream.ssl ? &conn->server->scratch : &conn->stream.wire);
        if (response->source)
            conn->source = *response->source;
        if (conn->state == HTTP_STATE_EXCHANGE && (!response->source || conn->outflow.is_mute))
            end_answer(conn);
    }
    if (!conn->is_running)
        http_conn_run(conn);
}

static void send_head(struct exchange *x, const struct http_head *given)
{
    struct http_conn *conn = x->conn;
    struct http_head head = *given;
    bool is_interim = head.status < 200 && head.status != 101;
    struct str connection = STR_NONE;

    if (conn->state == HTTP_STATE_GONE || (is_interim && conn->is_old))
        return;
    head.is_head = conn->is_head;
    if (!is_interim)
        begin_answer(conn, &head, head.status == 101);
    if (head.status >= 200)
        connection = conn->must_close ? STR("close") : STR("keep-alive");
    head.is_chunked = conn->outflow.is_chunked && !conn->outflow.is_mute;
    head.is_open = conn->outflow.is_open;
    http_print_head(&conn->server->scratch, &head, connection);
    write_scratch(conn);
    go_on_soon(conn);
}

static size_t send_body(struct exchange *x, struct str bytes)
{
    struct http_conn *conn = x->conn;
    long put;

    if (conn->state == HTTP_STATE_GONE)
        return 0;
    put = http1_outflow_send(&conn->outflow, &conn->stream, bytes);
    if (put < 0)
        conn->state = HTTP_STATE_GONE;
    conn->renews |= put > 0;
    go_on_soon(conn);
    return put < 0 ? 0 : (size_t)put;
}

static void send_end(struct exchange *x)
{
    struct http_conn *conn = x->conn;

    if (conn->state == HTTP_STATE_GONE)
        return;
    release(conn, false);
    if (http1_outflow_end(&conn->outflow, &conn->stream))
        conn->state = HTTP_STATE_GONE;
    else
        end_answer(conn);
    go_on_soon(conn);
}

static void resume(struct exchange *x)
{
    x->conn->is_late = false;
    go_on_soon(x->conn);
}

static void abandon(struct exchange *x)
{
    x->conn->state = HTTP_STATE_GONE;
    go_on_soon(x->conn);
}

static int take_stream(struct exchange *x, struct stream *stream, struct buf *unread)
{
    struct http_conn *conn = x->conn;
    struct str rest = str_slice(buf_view(&conn->in), conn->head_size, conn->in.len);

    if (conn->state != HTTP_STATE_EXCHANGE || !conn->outflow.is_begun || buf_str(unread, rest))
        return -1;
    http_conn_unplug(conn);
    stream_move(stream, &conn->stream);
    x->events = NULL;
    abandon(x);
    return 0;
}

static const struct exchange_carrier carrier = {.reply = reply,
                                                .send_head = send_head,
                                                .send_body = send_body,
                                                .send_end = send_end,
                                                .resume = resume,
                                                .abort = abandon,
                                                .take_stream = take_stream};
