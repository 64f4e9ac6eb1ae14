#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/str.h"

/*
 * HTTP/1.1 as a client, plain or TLS, on the caller's loop: asks on a connection that was kept, or on
 * a new one, and tells by the exchange's events. Connections whose exchange ended well are kept for
 * the next one to the same destination: a bounded number, for a bounded time.
 *
 * A kept connection may have been closed by the other side meanwhile. Where it dies before a byte of
 * the answer, and the request has an idempotent method and no body, it is asked once more on a new
 * connection (RFC 9110 §9.2.2, RFC 9112 §9.3.1); nothing else is repeated. One thread.
 */
struct client;
struct event_base;
struct exchange;
struct exchange_events;
struct http_head;
struct ssl_ctx_st;

#define CLIENT_DEADLINE_MS 60000
#define CLIENT_INTERIM_MAX 8 /* answers below 200 before the one that counts */

/* 0 in any of them takes the default in brackets. */
struct client_options {
    struct event_base *base;
    size_t kept;                 /* connections without an exchange, all together (512) */
    size_t kept_per_destination; /* (64) */
    unsigned kept_ms;            /* each (60000) */
};

struct client_destination {
    const struct sockaddr *address; /* copied */
    socklen_t address_len;
    struct ssl_ctx_st *tls; /* NULL = plain; must outlive the client. It says what is verified */
    struct str server_name; /* or address: for SNI, and to be verified; STR_NONE = none */
    /* Without a byte, each; 0 = CLIENT_DEADLINE_MS. Who does not take or give of a body is not
     * waited for by these. */
    unsigned connect_ms; /* TCP and TLS, in all */
    unsigned read_ms;
    unsigned write_ms;
};

/* NULL when memory is out. */
struct client *client_new(const struct client_options *options) MUST_CHECK;
/* What goes on is aborted, and told so. NULL is fine. */
void client_free(struct client *c);

/*
 * Asks: method, target, authority and fields of `request`, copied; a body follows, by
 * exchange_send_body and exchange_send_end, where its content_length or is_chunked say so. Nothing
 * is told before this returns. NULL: memory or descriptors are out.
 */
struct exchange *client_ask(struct client *c, const struct client_destination *to,
                            const struct http_head *request, const struct exchange_events *events,
                            void *context) MUST_CHECK;

size_t client_connections(const struct client *c);
size_t client_kept(const struct client *c); /* of them, without an exchange */
