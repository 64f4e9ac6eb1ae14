#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/str.h"

/*
 * HTTP/1.1 connections, plain or TLS, over TCP or a unix socket: one `http_server` is what a set of
 * connections shares (event base, handler, limits, deadlines); one `http_conn` is one of them.
 * It knows no routes and no certificates. One thread.
 */
struct event_base;
struct ssl_st;
struct exchange;
struct http_head;
struct http_conn;
struct http_server;

#define HTTP_CONN_OUTPUT_MAX (64 << 10)    /* unsent bytes above which no request is taken */
#define HTTP_CONN_RESPONSE_MAX (256 << 20) /* one response */
#define HTTP_CONN_PROGRESS_MIN (8 << 10)   /* bytes that a peer takes in limits.write_ms, or else */
#define HTTP_CONN_CROWDED_MS 60000         /* between two calls of `crowded` */
#define HTTP_CONN_TURN_MAX 4               /* requests, reads, pieces in one turn of the loop */
#define HTTP_SERVER_TURN_MAX 64            /* of all that had their own turn; deadlines that pass */

/* 0 in any of them takes the default in brackets. */
struct http_limits {
    size_t connections;    /* all together; a further one takes the place of one that lingers or
                              idles, else of the slowest; only where the handler has all, it is
                              closed at once (16384) */
    size_t per_address;    /* of one address (IPv6: one /64); unix sockets are free (4096) */
    unsigned handshake_ms; /* TLS handshake and PROXY header (10000) */
    unsigned head_ms;      /* a request's head, from its first byte to its last (10000) */
    unsigned idle_ms;      /* between requests (60000) */
    unsigned body_ms;      /* without HTTP_CONN_PROGRESS_MIN of a request's body (30000) */
    unsigned write_ms;     /* without HTTP_CONN_PROGRESS_MIN in sending (30000) */
    unsigned linger_ms;    /* for the peer to stop sending after a refusal (2000) */
    unsigned drain_ms;     /* http_server_drain: a new connection may still send a request (2000) */
    size_t body_discard;   /* bytes of a body that nobody takes are read and dropped; more closes
                              (1 MiB) */
    size_t body_keep;      /* bodies are gathered for the handler; more than that: 413. 0: they are
                              told as they come (0) */
};

struct http_server_options {
    struct event_base *base;
    struct http_limits limits;
    const char *product; /* Server header; kept as a pointer */
    void *context;       /* given to each function */
    /*
     * A request, its body to come (exchange_listen), or gathered where limits.body_keep says so.
     * Answer it now or later; who answers later listens to on_abort. `request` is gone when this
     * returns. An HTTP/1 connection takes no further request until it is answered.
     */
    void (*handle)(void *context, struct exchange *x, const struct http_head *request);
    /*
     * A request that the server refuses by itself: must call exchange_reply before it returns,
     * with `status`; the connection is closed behind it whatever the response says. `request` is
     * NULL where the head did not parse. NULL = the message as plain text.
     */
    void (*refuse)(void *context, struct exchange *x, unsigned status, const char *message,
                   const struct http_head *request);
    /* TLS only: the handshake is over, well or not. May be NULL. */
    void (*handshaken)(void *context, struct http_conn *conn, struct ssl_st *ssl, bool ok);
    /* At limits.connections: `closed` of them had to go, or were not let in, since the last call. May
     * be NULL. */
    void (*crowded)(void *context, size_t closed);
    /* The connection is about to be freed. May be NULL. */
    void (*closed)(void *context, struct http_conn *conn);
};

/* NULL when memory is out. */
struct http_server *http_server_new(const struct http_server_options *options) MUST_CHECK;
/* Closes every connection at once. NULL is fine. */
void http_server_free(struct http_server *server);
size_t http_server_connections(const struct http_server *server);
/*
 * From now on every response closes its connection. Idle ones that have been answered before are
 * closed at once, unless a request lies there to be read; new ones after limits.drain_ms. `drained`
 * is called once, from the loop, when none is left (also when there is none now).
 */
void http_server_drain(struct http_server *server, void (*drained)(void *context));
/* Behind http_server_drain: idle connections need not wait for limits.drain_ms. */
void http_server_hurry(struct http_server *server);

struct http_conn_options {
    int fd;             /* non-blocking; becomes the connection's, also on failure */
    struct ssl_st *ssl; /* NULL = plain; becomes the connection's (its app data too); server side,
                           descriptor not yet set */
    const struct sockaddr *peer;
    socklen_t peer_len;
    bool proxy_protocol; /* a PROXY header comes first and tells the peer */
    void *tag;           /* for the handler: http_conn_tag */
};

/*
 * Takes over an accepted descriptor. 0; -1 where a limit is reached or memory is out: it is closed
 * then.
 */
int http_conn_open(struct http_server *server, const struct http_conn_options *options) MUST_CHECK;

void *http_conn_tag(const struct http_conn *conn);
bool http_conn_is_tls(const struct http_conn *conn);
int http_conn_fd(const struct http_conn *conn); /* for SO_PEERCRED and the like */
/* The peer's address (the PROXY header's where there was one); AF_UNSPEC or AF_UNIX has no text. */
const struct sockaddr *http_conn_peer(const struct http_conn *conn);
/* clock_steady_ms when the last byte of the request's head was there. */
int64_t http_conn_began_ms(const struct http_conn *conn);
