#include "http_conn.h"

#include <event2/event.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "address_count.h"
#include "http_private.h"
#include "reconciler/base/clock.h"

#define TICK_MS_MIN 5
#define TICK_MS_MAX 250
#define HTTP_SERVER_FLOOD_MIN 512 /* connections at once, after which memory is given back */

static const struct http_limits defaults = {.connections = 16384,
                                            .per_address = 4096,
                                            .handshake_ms = 10000,
                                            .head_ms = 10000,
                                            .idle_ms = 60000,
                                            .body_ms = 30000,
                                            .write_ms = 30000,
                                            .linger_ms = 2000,
                                            .drain_ms = 2000,
                                            .body_discard = 1 << 20};

static void fill_limits(struct http_limits *l)
{
    l->connections = l->connections ? l->connections : defaults.connections;
    l->per_address = l->per_address ? l->per_address : defaults.per_address;
    l->handshake_ms = l->handshake_ms ? l->handshake_ms : defaults.handshake_ms;
    l->head_ms = l->head_ms ? l->head_ms : defaults.head_ms;
    l->idle_ms = l->idle_ms ? l->idle_ms : defaults.idle_ms;
    l->body_ms = l->body_ms ? l->body_ms : defaults.body_ms;
    l->write_ms = l->write_ms ? l->write_ms : defaults.write_ms;
    l->linger_ms = l->linger_ms ? l->linger_ms : defaults.linger_ms;
    l->drain_ms = l->drain_ms ? l->drain_ms : defaults.drain_ms;
    l->body_discard = l->body_discard ? l->body_discard : defaults.body_discard;
}

static unsigned limit_of(const struct http_limits *l, enum http_deadline deadline)
{
    switch (deadline) {
    case HTTP_DEADLINE_HANDSHAKE:
        return l->handshake_ms;
    case HTTP_DEADLINE_HEAD:
        return l->head_ms;
    case HTTP_DEADLINE_IDLE:
        return l->idle_ms;
    case HTTP_DEADLINE_BODY:
        return l->body_ms;
    case HTTP_DEADLINE_WRITE:
        return l->write_ms;
    case HTTP_DEADLINE_LINGER:
        return l->linger_ms;
    case HTTP_DEADLINE_DRAIN:
        return l->drain_ms;
    case HTTP_DEADLINE_NONE:
        break;
    }
    return 0;
}

/* The queues are looked at that often: a deadline is late by no more than a quarter of itself. */
static unsigned tick_ms(const struct http_limits *l)
{
    unsigned ms = TICK_MS_MAX;

    for (int d = 0; d < HTTP_DEADLINE_COUNT; d++)
        if (limit_of(l, (enum http_deadline)d) / 4 < ms)
            ms = limit_of(l, (enum http_deadline)d) / 4;
    return ms < TICK_MS_MIN ? TICK_MS_MIN : ms;
}

static void start_ticking(struct http_server *server)
{
    unsigned ms = tick_ms(&server->limits);
    struct timeval every = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    if (!server->ticks && event_add(&server->tick, &every) == 0)
        server->ticks = true;
}

static void tell_drained(struct http_server *server)
{
    void (*drained)(void *context) = server->drained;

    if (!server->is_draining || server->count || !drained)
        return;
    server->drained = NULL;
    drained(server->options.context);
}

/* Many connections at once leave the heap in holes: behind them it goes back to the system. */
static void give_back(struct http_server *server)
{
    if (server->most < HTTP_SERVER_FLOOD_MIN || server->count > server->most / 4)
        return;
    malloc_trim(0);
    server->most = server->count;
}

static void go_on_next_turn(struct http_server *server)
{
    const struct timeval now = {0, 0};

    event_add(&server->again_event, &now);
}

/* Deadlines that pass together are no turn of their own: a crowd that stalled ends bit by bit. */
static void expire(struct http_server *server)
{
    int64_t now = clock_steady_ms();
    int left = HTTP_SERVER_TURN_MAX;

    for (int d = 0; d < HTTP_DEADLINE_COUNT; d++) {
        struct http_conn *conn;
        while ((conn = TAILQ_FIRST(&server->deadlines[d])) && conn->deadline_at_ms <= now) {
            if (left-- == 0) {
                go_on_next_turn(server);
                return;
            }
            http_conn_expire(conn);
        }
    }
}

static void tick(evutil_socket_t fd, short what, void *context)
{
    struct http_server *server = context;

    (void)fd;
    (void)what;
    expire(server);
    give_back(server);
    if (!server->count && server->ticks) {
        event_del(&server->tick);
        server->ticks = false;
    }
    tell_drained(server);
}

static void run_again(evutil_socket_t fd, short what, void *context)
{
    struct http_server *server = context;
    struct http_conn *conn;

    (void)fd;
    (void)what;
    server->work = 0;
    while (server->work < HTTP_SERVER_TURN_MAX && (conn = TAILQ_FIRST(&server->again))) {
        TAILQ_REMOVE(&server->again, conn, again);
        conn->is_again = false;
        http_conn_run(conn);
    }
    if (!TAILQ_EMPTY(&server->again))
        go_on_next_turn(server);
    expire(server);
    tell_drained(server);
}

struct http_server *http_server_new(const struct http_server_options *options)
{
    struct http_server *server = calloc(1, sizeof(*server));

    if (!server)
        return NULL;
    server->options = *options;
    server->limits = options->limits;
    fill_limits(&server->limits);
    server->scratch = BUF_INIT(HTTP_CONN_RESPONSE_MAX);
    TAILQ_INIT(&server->all);
    TAILQ_INIT(&server->again);
    for (int d = 0; d < HTTP_DEADLINE_COUNT; d++)
        TAILQ_INIT(&server->deadlines[d]);
    event_assign(&server->tick, options->base, -1, EV_PERSIST, tick, server);
    event_assign(&server->again_event, options->base, -1, 0, run_again, server);
    server->method = stream_method_new();
    server->addresses = address_count_new();
    if (!server->method || !server->addresses) {
        http_server_free(server);
        return NULL;
    }
    return server;
}

void http_server_free(struct http_server *server)
{
    struct http_conn *conn;

    if (!server)
        return;
    while ((conn = TAILQ_FIRST(&server->all)))
        http_conn_free(conn);
    event_del(&server->tick);
    event_del(&server->again_event);
    stream_method_free(server->method);
    address_count_free(server->addresses);
    buf_free(&server->scratch);
    free(server);
}

size_t http_server_connections(const struct http_server *server)
{
    return server->count;
}

/* It has been answered before, and no other request of it has come. */
static bool is_idle(const struct http_conn *conn)
{
    char byte;

    return conn->is_used && recv(conn->stream.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

void http_server_drain(struct http_server *server, void (*drained)(void *context))
{
    struct http_conn *conn, *next;

    server->is_draining = true;
    server->drained = drained;
    TAILQ_FOREACH(conn, &server->all, all)
    if (conn->state == HTTP_STATE_HEAD && !conn->in.len && !stream_unsent(&conn->stream))
        http_server_wait(server, conn, HTTP_DEADLINE_DRAIN);
    for (conn = TAILQ_FIRST(&server->deadlines[HTTP_DEADLINE_DRAIN]); conn; conn = next) {
        next = TAILQ_NEXT(conn, queued);
        if (is_idle(conn))
            http_conn_expire(conn);
    }
    go_on_next_turn(server);
}

void http_server_hurry(struct http_server *server)
{
    struct http_conn *conn;

    while ((conn = TAILQ_FIRST(&server->deadlines[HTTP_DEADLINE_DRAIN])))
        http_conn_expire(conn);
}

enum http_deadline http_server_deadline(const struct http_conn *conn)
{
    if (stream_unsent(&conn->stream))
        return HTTP_DEADLINE_WRITE;
    switch (conn->state) {
    case HTTP_STATE_PROXY:
    case HTTP_STATE_HANDSHAKE:
        return HTTP_DEADLINE_HANDSHAKE;
    case HTTP_STATE_HEAD:
        if (conn->in.len)
            return HTTP_DEADLINE_HEAD;
        if (conn->server->is_draining)
            return HTTP_DEADLINE_DRAIN;
        return conn->is_used ? HTTP_DEADLINE_IDLE : HTTP_DEADLINE_HEAD;
    case HTTP_STATE_EXCHANGE:
        return conn->flow == HTTP1_FLOW_WANTS ? HTTP_DEADLINE_BODY : HTTP_DEADLINE_NONE;
    case HTTP_STATE_LINGER:
        return HTTP_DEADLINE_LINGER;
    default:
        return HTTP_DEADLINE_NONE;
    }
}

static int64_t waits_since(const struct http_conn *conn)
{
    return conn->deadline_at_ms - limit_of(&conn->server->limits, conn->deadline);
}

/* Who lingers or idles goes first, the oldest of them, then who has kept us waiting for longest. */
static struct http_conn *victim(const struct http_server *server)
{
    static const enum http_deadline idle[] = {HTTP_DEADLINE_LINGER, HTTP_DEADLINE_DRAIN,
                                              HTTP_DEADLINE_IDLE};
    struct http_conn *found = NULL, *conn;

    for (size_t i = 0; i < ARRAY_LENGTH(idle) && !found; i++)
        found = TAILQ_FIRST(&server->deadlines[idle[i]]);
    if (found)
        return found;
    for (int d = 0; d < HTTP_DEADLINE_COUNT; d++) {
        conn = TAILQ_FIRST(&server->deadlines[d]);
        if (conn && (!found || waits_since(conn) < waits_since(found)))
            found = conn;
    }
    return found;
}

bool http_server_make_room(struct http_server *server)
{
    struct http_conn *conn = NULL;
    int64_t now = clock_steady_ms();

    if (server->count < server->limits.connections)
        return true;
    conn = victim(server);
    if (conn)
        http_conn_free(conn);
    server->crowded++;
    if (server->options.crowded &&
        (!server->crowded_at_ms || now - server->crowded_at_ms >= HTTP_CONN_CROWDED_MS)) {
        server->options.crowded(server->options.context, server->crowded);
        server->crowded_at_ms = now;
        server->crowded = 0;
    }
    return conn != NULL;
}

/* Bytes that moved so far, of what this deadline is about. */
static uint64_t progress(const struct http_conn *conn, enum http_deadline deadline)
{
    return deadline == HTTP_DEADLINE_BODY ? conn->inflow.seen : conn->stream.taken;
}

/* Does it still wait in the same queue, for a peer that gives or takes next to nothing? */
static bool is_crawling(const struct http_conn *conn, enum http_deadline deadline)
{
    return (deadline == HTTP_DEADLINE_WRITE || deadline == HTTP_DEADLINE_BODY) &&
           conn->deadline == deadline &&
           progress(conn, deadline) - conn->progress < HTTP_CONN_PROGRESS_MIN;
}

void http_server_wait(struct http_server *server, struct http_conn *conn,
                      enum http_deadline deadline)
{
    if (is_crawling(conn, deadline))
        return;
    conn->progress = progress(conn, deadline);
    if (conn->deadline != HTTP_DEADLINE_NONE)
        TAILQ_REMOVE(&server->deadlines[conn->deadline], conn, queued);
    conn->deadline = deadline;
    if (deadline == HTTP_DEADLINE_NONE)
        return;
    conn->deadline_at_ms = clock_steady_ms() + limit_of(&server->limits, deadline);
    TAILQ_INSERT_TAIL(&server->deadlines[deadline], conn, queued);
    start_ticking(server);
}

void http_server_again(struct http_server *server, struct http_conn *conn)
{
    if (conn->is_again)
        return;
    conn->is_again = true;
    TAILQ_INSERT_TAIL(&server->again, conn, again);
    go_on_next_turn(server);
}

void http_server_forget(struct http_server *server, struct http_conn *conn)
{
    http_server_wait(server, conn, HTTP_DEADLINE_NONE);
    if (conn->is_again)
        TAILQ_REMOVE(&server->again, conn, again);
    conn->is_again = false;
    TAILQ_REMOVE(&server->all, conn, all);
    server->count--;
    address_count_put(server->addresses, conn->address);
    conn->address = NULL;
    if (server->is_draining && !server->count)
        go_on_next_turn(server);
}

const char *http_server_date(struct http_server *server)
{
    int64_t now = clock_now();

    if (now != server->date_at) {
        http_print_date(now, server->date);
        server->date_at = now;
    }
    return server->date;
}
