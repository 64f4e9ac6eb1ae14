#include "reconciler/admin/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "reconciler/admin/pages.h"
#include "reconciler/base/address_block.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/happening.h"
#include "reconciler/base/hostname.h"
#include "reconciler/base/json_out.h"
#include "reconciler/net/exchange.h"
#include "reconciler/net/http1.h"
#include "reconciler/net/http_conn.h"
#include "reconciler/net/http_listener.h"

#define STATUS_REQUEST_BODY_MAX 4096

static const char *const paths[STATUS_PAGE_COUNT] = {
    [STATUS_PAGE_STATUS] = "/status",
    [STATUS_PAGE_READY] = "/status/ready",
    [STATUS_PAGE_CERTIFICATES] = "/certificates",
    [STATUS_PAGE_EVERYTHING] = "/status.json",
    [STATUS_PAGE_RETRY] = "/retry",
};

/* What the network's connections share, or control.sock's: neither takes the other's room. */
struct door {
    struct status *status;
    struct http_server *server;
    size_t connections_max;
    size_t waiting, printings;
};

struct waiting {
    struct door *door;
    struct exchange *exchange;
    enum status_page page;
    bool is_begun; /* what is to be done for it has been asked for */
    char name[STATUS_NAME_MAX + 1];
};

/* A long page on its way to one connection. */
struct printing {
    LIST_ENTRY(printing) all;
    struct door *door;
    struct exchange *exchange;
    struct pages_cursor cursor;
    bool is_late; /* it waits for the source */
};

struct status {
    struct status_options options;
    LIST_HEAD(, printing) printings;
    struct door network, local;
    struct http_listener **listeners;
    size_t listener_count;
    int prefix, socket; /* -1 = none */
    bool is_draining;   /* POST /status/ready status=draining */
    struct waiting waiting[STATUS_WAITING_MAX];
    size_t waiting_count;
};

/* ---- answers ---- */

static void reply_json(struct exchange *x, unsigned status, struct str body,
                       const struct http_response_field *field)
{
    struct http_response r = {
        .status = status, .content_type = STR("application/json; charset=utf-8"), .body = body};

    if (field)
        r.fields[r.field_count++] = *field;
    exchange_reply(x, &r);
}

static void reply_message(struct exchange *x, unsigned status, const char *message,
                          const struct http_response_field *field)
{
    struct buf body = BUF_INIT(1024);
    struct json_out j = json_out_compact(&body);

    json_out_object(&j);
    json_out_member_cstr(&j, "message", message);
    json_out_end(&j);
    reply_json(x, status, buf_view(&body), field);
    buf_free(&body);
}

static void reply_busy(struct exchange *x)
{
    static const struct http_response_field soon = {"Retry-After", STR("1")};

    reply_message(x, 503, "busy", &soon);
}

/* False while the source is busy with it. */
static bool is_ready(struct status *s, struct waiting *w)
{
    const struct status_source *source = &s->options.source;

    if (source->is_busy(source->context, w->page))
        return false;
    if (w->page != STATUS_PAGE_RETRY || w->is_begun)
        return true;
    w->is_begun = true;
    source->retry(source->context, str_from(w->name));
    return !source->is_busy(source->context, w->page);
}

static enum http_more print_more(void *context, struct buf *out)
{
    struct printing *x = context;
    const struct status_source *source = &x->door->status->options.source;
    struct pages pages;

    x->is_late = source->is_busy(source->context, x->cursor.page);
    if (x->is_late)
        return HTTP_LATER;
    pages = source->pages(source->context);
    return pages_more(&pages, &x->cursor, clock_now(), out) ? HTTP_MORE : HTTP_END;
}

static void end_printing(void *context)
{
    struct printing *x = context;

    LIST_REMOVE(x, all);
    x->door->printings--;
    free(x);
}

static void answer_long(struct status *s, const struct waiting *w)
{
    struct http_response r = {.status = 200,
                              .content_type = STR("application/json; charset=utf-8")};
    struct printing *x = w->door->printings < STATUS_PRINTINGS_MAX ? calloc(1, sizeof(*x)) : NULL;
    const struct http_source source = {x, print_more, end_printing};

    if (!x) {
        reply_busy(w->exchange);
        return;
    }
    x->door = w->door;
    x->door->printings++;
    x->exchange = w->exchange;
    pages_begin(&x->cursor, w->page);
    LIST_INSERT_HEAD(&s->printings, x, all);
    r.source = &source;
    exchange_reply(w->exchange, &r);
}

static bool is_long(enum status_page page)
{
    return page == STATUS_PAGE_CERTIFICATES || page == STATUS_PAGE_EVERYTHING;
}

static void answer(struct status *s, const struct waiting *w)
{
    struct buf body = BUF_INIT(STATUS_BODY_MAX);
    struct pages pages;
    unsigned status;

    if (w->page == STATUS_PAGE_READY && s->is_draining) {
        reply_message(w->exchange, 503, "draining", NULL);
        return;
    }
    if (is_long(w->page)) {
        answer_long(s, w);
        return;
    }
    pages = s->options.source.pages(s->options.source.context);
    status = w->page == STATUS_PAGE_RETRY
                 ? pages_print_failed(&pages, str_from(w->name), clock_now(), &body)
                 : pages_print(&pages, w->page, &body);
    if (body.failed)
        reply_message(w->exchange, 500, "An unexpected error occurred", NULL);
    else
        reply_json(w->exchange, status, buf_view(&body), NULL);
    buf_free(&body);
}

static struct waiting take_waiting(struct status *s, size_t i)
{
    struct waiting w = s->waiting[i];

    s->waiting[i] = s->waiting[--s->waiting_count];
    w.door->waiting--;
    return w;
}

/* Who asked has gone. */
static void forget(void *context, struct exchange *x, enum exchange_failure why)
{
    struct status *s = context;
    size_t i = 0;

    (void)why;
    while (s->waiting[i].exchange != x)
        i++;
    take_waiting(s, i);
}

static const struct exchange_events waiting = {.on_abort = forget};

static void answer_soon(struct waiting *w)
{
    struct status *s = w->door->status;

    if (is_ready(s, w))
        answer(s, w);
    else if (w->door->waiting == w->door->connections_max / 2)
        reply_busy(w->exchange);
    else {
        s->waiting[s->waiting_count++] = *w;
        w->door->waiting++;
        exchange_listen(w->exchange, &waiting, s);
    }
}

/* ---- requests ---- */

static bool find_page(struct str path, enum status_page *page)
{
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    for (int i = 0; i < STATUS_PAGE_COUNT; i++)
        if (str_equal_cstr(path, paths[i])) {
            *page = (enum status_page)i;
            return true;
        }
    return false;
}

/* Kong's drain switch: status=draining as form or JSON. */
static void post_ready(struct status *s, struct exchange *x, struct str body)
{
    struct http_response r = {.status = 204};

    if (!memmem(body.ptr ? body.ptr : "", body.len, "draining", 8)) {
        reply_message(x, 400, "status: expected one of: draining", NULL);
        return;
    }
    s->is_draining = true;
    exchange_reply(x, &r);
}

static void post_retry(struct door *door, struct exchange *x, struct str name)
{
    struct waiting w = {.door = door, .exchange = x, .page = STATUS_PAGE_RETRY};

    if (name.len > STATUS_NAME_MAX) {
        reply_message(x, 400, "the name is too long", NULL);
        return;
    }
    if (name.len)
        memcpy(w.name, name.ptr, name.len);
    answer_soon(&w);
}

static const char *const allowed[STATUS_PAGE_COUNT] = {
    [STATUS_PAGE_READY] = "GET, HEAD, POST",
    [STATUS_PAGE_RETRY] = "POST",
};

/* Is it one of our own addresses that only this machine reaches? */
static bool is_on_loopback(const struct http_conn *conn)
{
    struct sockaddr_storage own = {0};
    socklen_t len = sizeof(own);
    struct address_block block;

    if (getsockname(http_conn_fd(conn), (struct sockaddr *)&own, &len))
        return true;
    block = address_block_of((const struct sockaddr *)&own);
    return address_block_meets(&block, "127.0.0.0/8") || address_block_meets(&block, "::1");
}

/*
 * A web page that a browser on this machine shows may have its name resolve to us (DNS rebinding):
 * what we say is not for it.
 */
static bool is_host_allowed(const struct status *s, const struct http_conn *conn,
                            const struct http_head *request)
{
    char room[HTTP1_HOST_MAX + 1];
    uint16_t port;
    struct str host = http1_host(request, room, &port);

    if (http_conn_peer(conn)->sa_family == AF_UNIX || !host.len || hostname_is_ipv4(host) ||
        host.ptr[0] == '[' || str_equal_cstr(host, "localhost"))
        return true;
    for (size_t i = 0; i < s->options.host_count; i++)
        if (str_equal_nocase(host, str_from(s->options.hosts[i])))
            return true;
    return !s->options.host_count && !is_on_loopback(conn);
}

static void route(struct door *door, struct exchange *x, const struct http_head *request,
                  enum status_page page)
{
    bool is_get = str_equal(request->method, STR("GET")) || request->is_head;
    bool is_post = str_equal(request->method, STR("POST"));

    if (page == STATUS_PAGE_READY && is_post)
        post_ready(door->status, x, request->body);
    else if (page == STATUS_PAGE_RETRY && is_post)
        post_retry(door, x, request->body);
    else if (!is_get || page == STATUS_PAGE_RETRY)
        reply_message(x, 405, "Method not allowed",
                      &(struct http_response_field){
                          "Allow", str_from(allowed[page] ? allowed[page] : "GET, HEAD")});
    else
        answer_soon(&(struct waiting){.door = door, .exchange = x, .page = page});
}

static void handle(void *context, struct exchange *x, const struct http_head *request)
{
    struct door *door = context;
    enum status_page page;

    if (!is_host_allowed(door->status, x->conn, request))
        reply_message(x, 403, "this Host is not in acme_admin_hosts", NULL);
    else if (!find_page(request->path, &page) ||
             (page == STATUS_PAGE_RETRY && http_conn_peer(x->conn)->sa_family != AF_UNIX))
        reply_message(x, 404, "Not found", NULL);
    else
        route(door, x, request, page);
}

static void refuse(void *context, struct exchange *x, unsigned status, const char *message,
                   const struct http_head *request)
{
    (void)context;
    (void)request;
    reply_message(x, status, message, NULL);
}

/* All that waits for the source; each may go, and wait again. */
static void go_on_printing(struct status *s)
{
    struct printing *x, *next;

    for (x = LIST_FIRST(&s->printings); x; x = next) {
        next = LIST_NEXT(x, all);
        if (x->is_late)
            exchange_resume(x->exchange);
    }
}

void status_resume(struct status *s)
{
    go_on_printing(s);
    while (s->waiting_count) {
        struct waiting w;

        if (!is_ready(s, &s->waiting[0]))
            return;
        w = take_waiting(s, 0);
        answer(s, &w);
    }
}

/* ---- connections ---- */

/* Over the unix socket only we ourselves and root may ask. */
static bool is_peer_allowed(int fd, const struct sockaddr *peer)
{
    struct ucred who;
    socklen_t len = sizeof(who);

    if (peer->sa_family != AF_UNIX)
        return true;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
           (who.uid == 0 || who.uid == geteuid());
}

static void crowded(void *context, size_t count)
{
    const struct door *door = context;

    happening_tell(HAPPENING_CONNECTIONS_CROWDED,
                   FIELDS(field_int("most", (int64_t)door->connections_max),
                          field_int("closed", (int64_t)count)));
}

static void accepted(void *context, int fd, const struct sockaddr *peer, socklen_t peer_len)
{
    struct door *door = context;
    const struct http_conn_options options = {.fd = fd, .peer = peer, .peer_len = peer_len};

    if (!is_peer_allowed(fd, peer)) {
        happening_tell(HAPPENING_CONTROL_SOCKET_REFUSED, NULL);
        close(fd);
        return;
    }
    (void)!http_conn_open(door->server, &options); /* crowded tells */
}

/* Bound through the directory's descriptor: a prefix may be longer than a socket address. */
static int open_socket(struct status *s, struct error *e)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    mode_t before;
    int rc;

    s->prefix = open(s->options.prefix, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (s->prefix < 0)
        return error_errno(e, ERROR_IO, errno, "%s", s->options.prefix);
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", s->prefix,
             STATUS_SOCKET);
    s->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlinkat(s->prefix, STATUS_SOCKET, 0); /* a leftover: we hold the prefix' lock */
    before = umask(0177);
    rc = s->socket < 0 || bind(s->socket, (const struct sockaddr *)&address, sizeof(address)) ||
         listen(s->socket, STATUS_SOCKET_CONNECTIONS_MAX);
    umask(before);
    return rc ? error_errno(e, ERROR_IO, errno, "%s/%s", s->options.prefix, STATUS_SOCKET) : 0;
}

static int listen_on(struct door *door, int fd)
{
    struct status *s = door->status;
    const struct http_listener_options options = {
        .base = s->options.base, .fd = fd, .context = door, .accepted = accepted};
    struct http_listener *l;

    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    l = http_listener_new(&options);
    if (l)
        s->listeners[s->listener_count++] = l;
    return l ? 0 : -1;
}

/* On a disk that is full or read-only there is no socket, and no reason not to serve. */
static int listen_on_socket(struct status *s, struct error *e)
{
    struct error why;

    if (open_socket(s, &why) == 0)
        return listen_on(&s->local, s->socket) ? error_memory(e) : 0;
    happening_tell_error(HAPPENING_CONTROL_SOCKET_MISSING, &why, NULL);
    if (s->socket >= 0)
        close(s->socket);
    s->socket = -1;
    return 0;
}

/* The socket's listener is the first where there is a socket. */
void status_renew_socket(struct status *s)
{
    struct http_listener *first;
    struct error e;

    if (!s->options.prefix)
        return;
    if (s->socket >= 0) {
        http_listener_free(s->listeners[0]);
        s->listeners[0] = s->listeners[--s->listener_count];
        close(s->socket);
        s->socket = -1;
    }
    if (s->prefix >= 0)
        close(s->prefix);
    if (listen_on_socket(s, &e))
        happening_tell_error(HAPPENING_CONTROL_SOCKET_MISSING, &e, NULL);
    if (s->socket < 0)
        return;
    first = s->listeners[0];
    s->listeners[0] = s->listeners[s->listener_count - 1];
    s->listeners[s->listener_count - 1] = first;
}

static int open_door(struct status *s, struct door *door, size_t connections_max)
{
    *door = (struct door){.status = s, .connections_max = connections_max};
    door->server = http_server_new(&(struct http_server_options){
        .base = s->options.base,
        .limits = {.connections = connections_max, .body_keep = STATUS_REQUEST_BODY_MAX},
        .product = s->options.product,
        .crowded = crowded,
        .context = door,
        .handle = handle,
        .refuse = refuse});
    return door->server ? 0 : -1;
}

struct status *status_new(const struct status_options *options, struct error *e)
{
    struct status *s = calloc(1, sizeof(*s));
    int rc = 0;

    if (!s)
        return error_no_memory(e);
    s->options = *options;
    s->prefix = s->socket = -1;
    s->listeners = calloc(options->listener_count + 1, sizeof(struct http_listener *));
    if (!s->listeners || open_door(s, &s->network, STATUS_CONNECTIONS_MAX) ||
        open_door(s, &s->local, STATUS_SOCKET_CONNECTIONS_MAX))
        rc = error_memory(e);
    if (rc == 0 && options->prefix)
        rc = listen_on_socket(s, e);
    for (size_t i = 0; rc == 0 && i < options->listener_count; i++)
        rc = listen_on(&s->network, options->listeners[i]) ? error_memory(e) : 0;
    if (rc == 0)
        return s;
    status_free(s);
    return NULL;
}

void status_free(struct status *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->listener_count; i++)
        http_listener_free(s->listeners[i]);
    http_server_free(s->network.server);
    http_server_free(s->local.server);
    if (s->socket >= 0) {
        close(s->socket);
        unlinkat(s->prefix, STATUS_SOCKET, 0);
    }
    if (s->prefix >= 0)
        close(s->prefix);
    free(s->listeners);
    free(s);
}
