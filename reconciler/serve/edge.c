#include "edge.h"

#include <event2/event.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <unistd.h>

#include "challenge.h"
#include "reconciler/net/exchange.h"
#include "reconciler/net/http1.h"
#include "reconciler/net/http_conn.h"
#include "reconciler/net/http_listener.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/happening.h"
#include "reconciler/base/vec.h"
#include "reply.h"
#include "seen.h"
#include "tls.h"
#include "view.h"
#include "worker.h"

/* After a change, until parsed credentials that it retired go: many changes share one look. */
#define FORGET_SECONDS 10

/* A listener and what its connections need to know of it. */
struct door {
    struct edge *edge;
    const struct worker_listener *listener;
    struct http_listener *accepting; /* NULL before the first view and while draining */
};

/* A socket of another slot. */
struct covered {
    unsigned slot;
    int fd;
    struct http_listener *accepting;
};

struct covered_list vec(struct covered);

struct edge {
    struct edge_options options;
    struct http_server *server;
    struct tls *tls;
    struct challenge *challenge;
    struct reply *reply;
    struct seen *seen; /* names without a certificate that were told of */
    struct seen *kept; /* and those that have one, on demand */
    struct view *view; /* NULL until the first manifest */
    struct event *forget;
    bool is_draining;
    struct door doors[WORKER_LISTENERS_MAX];
    size_t door_count;
    struct covered_list covered;
};

/* ---- requests ---- */

static void answer_by_routes(struct edge *edge, const struct challenge_request *r)
{
    struct str host = {r->host, r->host_len};

    /* Until requests are proxied, what a route claims has no service that could be reached. */
    if (view_claims_host(edge->view, host, r->port))
        reply_error(edge->reply, r->exchange, 503, "no Service found with those values", r->type);
    else
        reply_error(edge->reply, r->exchange, 404, "no Route matched with those values", r->type);
}

static void fall_through(void *context, const struct challenge_request *request)
{
    answer_by_routes(context, request);
}

static void handle(void *context, struct exchange *x, const struct http_head *http)
{
    struct edge *edge = context;
    const struct door *door = http_conn_tag(x->conn);
    struct challenge_request r;

    counters_add(&edge->options.counters->requests, 1);
    r.exchange = x;
    r.host_len = http1_host(http, r.host, &r.port).len;
    r.port = r.port ? r.port : door->listener->port;
    r.type = reply_type(http, false);
    if (http_conn_is_tls(x->conn) || !challenge_take(edge->challenge, edge->view, &r, http))
        answer_by_routes(edge, &r);
}

static void refuse(void *context, struct exchange *x, unsigned status, const char *message,
                   const struct http_head *request)
{
    struct edge *edge = context;

    counters_add(&edge->options.counters->bad_requests, 1);
    reply_error(edge->reply, x, status, message, reply_type(request, true));
}

/* ---- connections ---- */

static void accepted(void *context, int fd, const struct sockaddr *peer, socklen_t peer_len)
{
    struct door *door = context;
    struct edge *edge = door->edge;
    struct http_conn_options options = {.fd = fd,
                                        .peer = peer,
                                        .peer_len = peer_len,
                                        .proxy_protocol = door->listener->proxy_protocol,
                                        .tag = door};

    counters_add(&edge->options.counters->connections_accepted, 1);
    if (door->listener->ssl) {
        options.ssl = tls_accept(edge->tls);
        if (!options.ssl) {
            close(fd);
            return;
        }
    }
    if (http_conn_open(edge->server, &options) == 0)
        counters_add(&edge->options.counters->connections_active, 1);
}

static void handshaken(void *context, struct http_conn *conn, SSL *ssl, bool ok)
{
    struct edge *edge = context;
    struct counters *counters = edge->options.counters;

    (void)conn;
    if (!ok) {
        counters_add(&counters->handshakes_failed, 1);
        return;
    }
    counters_add(&counters->handshakes, 1);
    if (SSL_session_reused(ssl))
        counters_add(&counters->handshakes_resumed, 1);
}

static void closed(void *context, struct http_conn *conn)
{
    struct edge *edge = context;

    (void)conn;
    counters_sub(&edge->options.counters->connections_active, 1);
    counters_add(&edge->options.counters->connections_handled, 1);
}

static void drained(void *context)
{
    struct edge *edge = context;

    edge->options.drained(edge->options.context);
}

static bool ask(void *context, struct str host, struct str token)
{
    struct edge *edge = context;

    return edge->options.token_miss(edge->options.context, host, token);
}

/* ---- names that only visitors ask for ---- */

static void tell_name(struct edge *edge, struct seen *seen, struct str name,
                      const struct address_block *from)
{
    int64_t now = clock_steady_ms();

    if (seen_has(seen, name, now) || !view_gate(edge->view, name))
        return;
    if (!seen_take(seen, from, now))
        counters_add(&edge->options.counters->demands_dropped, 1);
    else if (edge->options.sni_seen(edge->options.context, name, from))
        seen_mark(seen, name, now);
}

/* Who sent a PROXY header, where only some are believed: is it one of them? */
static bool is_believed(const struct worker_options *o, const struct address_block *sender)
{
    for (size_t i = 0; i < o->trusted_count; i++)
        if (address_block_meets(sender, o->trusted[i]))
            return true;
    return !o->trusted_count;
}

/* Whom a handshake counts for: nobody can make up addresses by a PROXY header. */
static struct address_block find_visitor(const struct edge *edge, const struct http_conn *conn)
{
    const struct door *door = http_conn_tag(conn);
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);
    struct address_block sender;

    if (!door->listener->proxy_protocol ||
        getpeername(http_conn_fd(conn), (struct sockaddr *)&address, &len))
        return address_block_of(http_conn_peer(conn));
    sender = address_block_of((struct sockaddr *)&address);
    return is_believed(edge->options.worker, &sender) ? address_block_of(http_conn_peer(conn))
                                                      : sender;
}

static void chosen(void *context, const struct tls_outcome *outcome)
{
    struct edge *edge = context;
    struct counters *counters = edge->options.counters;
    struct address_block from;

    counters_add(&counters->parsed_hits, outcome->hits);
    counters_add(&counters->parsed_misses, outcome->misses);
    counters_add(&counters->handshakes_default, outcome->is_default);
    if (!outcome->name.ptr || !(outcome->is_default || outcome->is_on_demand))
        return;
    from = find_visitor(edge, outcome->connection);
    tell_name(edge, outcome->is_default ? edge->seen : edge->kept, outcome->name, &from);
}

/* ---- life ---- */

static void crowded(void *context, size_t count)
{
    const struct edge *edge = context;

    happening_tell(HAPPENING_CONNECTIONS_CROWDED,
                   FIELDS(field_int("most", (int64_t)edge->options.connections),
                          field_int("closed", (int64_t)count)));
}

static void on_forget(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    tls_forget_retired(((struct edge *)context)->tls);
}

static int make_parts(struct edge *edge, struct error *e)
{
    const struct edge_options *o = &edge->options;
    struct http_server_options server = {
        .base = o->base,
        .limits = {.connections = o->connections, .per_address = WORKER_PER_ADDRESS_MAX},
        .product = o->worker->product,
        .context = edge,
        .handle = handle,
        .refuse = refuse,
        .handshaken = handshaken,
        .crowded = crowded,
        .closed = closed};
    struct tls_options tls = {.protocols = o->worker->ssl_protocols,
                              .protocol_count = o->worker->ssl_protocol_count,
                              .ciphers = o->worker->ssl_ciphers,
                              .prefer_server_ciphers = o->worker->ssl_prefer_server_ciphers,
                              .parsed_cache = o->worker->parsed_cache,
                              .context = edge,
                              .chosen = chosen};
    struct challenge_options challenge = {.base = o->base,
                                          .counters = o->counters,
                                          .context = edge,
                                          .ask = ask,
                                          .fall_through = fall_through};

    edge->tls = tls_new(&tls, e);
    if (!edge->tls)
        return -1;
    edge->reply = challenge.reply = reply_new();
    edge->seen = seen_new(SEEN_MS);
    edge->kept = seen_new(SEEN_KEPT_MS);
    edge->server = http_server_new(&server);
    edge->forget = evtimer_new(o->base, on_forget, edge);
    if (!edge->forget || !edge->reply || !edge->seen || !edge->kept || !edge->server)
        return error_memory(e);
    edge->challenge = challenge_new(&challenge);
    return edge->challenge ? 0 : error_memory(e);
}

struct edge *edge_new(const struct edge_options *options, struct error *e)
{
    struct edge *edge = calloc(1, sizeof(*edge));
    const struct worker_options *worker = options->worker;

    if (!edge)
        return error_no_memory(e);
    edge->options = *options;
    edge->door_count = worker->listener_count;
    for (size_t i = 0; i < edge->door_count; i++)
        edge->doors[i] = (struct door){.edge = edge, .listener = &worker->listeners[i]};
    if (make_parts(edge, e) == 0)
        return edge;
    edge_free(edge);
    return NULL;
}

static void end_cover(const struct covered *covered)
{
    http_listener_free(covered->accepting);
    close(covered->fd);
}

static void stop_accepting(struct edge *edge)
{
    for (size_t i = 0; i < edge->door_count; i++) {
        http_listener_free(edge->doors[i].accepting);
        edge->doors[i].accepting = NULL;
    }
    while (edge->covered.len)
        end_cover(&edge->covered.items[--edge->covered.len]);
    vec_free(&edge->covered);
}

void edge_free(struct edge *edge)
{
    if (!edge)
        return;
    stop_accepting(edge);
    if (edge->forget)
        event_free(edge->forget);
    http_server_free(edge->server);
    challenge_free(edge->challenge);
    tls_free(edge->tls);
    view_free(edge->view);
    reply_free(edge->reply);
    seen_free(edge->seen);
    seen_free(edge->kept);
    free(edge);
}

void edge_cover(struct edge *edge, unsigned slot, size_t address, int fd)
{
    struct http_listener_options options = {
        .base = edge->options.base, .fd = fd, .accepted = accepted};
    struct covered covered = {.slot = slot, .fd = fd};

    if (fd >= 0 && address < edge->door_count && edge->doors[address].accepting &&
        vec_reserve(&edge->covered) == 0) {
        options.context = &edge->doors[address];
        covered.accepting = http_listener_new(&options);
    }
    if (covered.accepting) {
        edge->covered.items[edge->covered.len++] = covered;
        return;
    }
    happening_tell(HAPPENING_LISTENER_FAILED, FIELDS(field_int("of_slot", slot)));
    if (fd >= 0)
        close(fd);
}

void edge_uncover(struct edge *edge, unsigned slot)
{
    size_t kept = 0;

    for (size_t i = 0; i < edge->covered.len; i++) {
        if (edge->covered.items[i].slot == slot)
            end_cover(&edge->covered.items[i]);
        else
            edge->covered.items[kept++] = edge->covered.items[i];
    }
    edge->covered.len = kept;
}

static void start_accepting(struct edge *edge)
{
    for (size_t i = 0; i < edge->door_count; i++) {
        struct door *door = &edge->doors[i];
        struct http_listener_options options = {.base = edge->options.base,
                                                .fd = door->listener->fd,
                                                .context = door,
                                                .accepted = accepted};
        if (door->accepting)
            continue;
        door->accepting = http_listener_new(&options);
        if (!door->accepting)
            happening_tell(HAPPENING_LISTENER_FAILED,
                           FIELDS(field_int("port", door->listener->port)));
    }
}

void edge_renew(struct edge *edge, struct view *view)
{
    const struct timeval in = {.tv_sec = FORGET_SECONDS};
    struct view *old = edge->view;

    edge->view = view;
    tls_set_view(edge->tls, view);
    atomic_store(&edge->options.counters->generation, view_generation(view));
    challenge_renew(edge->challenge, view);
    view_free(old);
    if (!event_pending(edge->forget, EV_TIMEOUT, NULL))
        event_add(edge->forget, &in);
    if (!edge->is_draining)
        start_accepting(edge);
}

void edge_set_ticket_keys(struct edge *edge, unsigned char (*keys)[CHANNEL_TICKET_KEY_SIZE],
                          size_t count)
{
    tls_set_ticket_keys(edge->tls, keys, count);
}

void edge_answer(struct edge *edge, struct str token, struct str answer)
{
    challenge_answer(edge->challenge, token, answer);
}

void edge_drain(struct edge *edge, bool is_quick)
{
    if (!edge->is_draining) {
        edge->is_draining = true;
        stop_accepting(edge);
        http_server_drain(edge->server, drained);
    }
    if (is_quick)
        http_server_hurry(edge->server);
}
