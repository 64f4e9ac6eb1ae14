#pragma once

#include <sys/socket.h>

#include "reconciler/base/attr.h"

/* An accept loop on one listening socket, TCP or unix. */
struct event_base;
struct http_listener;

#define HTTP_LISTENER_BATCH 64      /* connections taken in one turn of the loop */
#define HTTP_LISTENER_TELL_MS 60000 /* between two reports of a pause */
#define HTTP_LISTENER_PAUSE_MS 100  /* out of descriptors: the queue waits that long */

struct http_listener_options {
    struct event_base *base;
    int fd; /* listening, non-blocking; stays the caller's */
    void *context;
    /* A new connection: `fd` is non-blocking and close-on-exec, and the callee's. */
    void (*accepted)(void *context, int fd, const struct sockaddr *peer, socklen_t peer_len);
};

/*
 * Sets TCP_NODELAY on a TCP socket (accepted ones inherit it) and begins to accept. NULL when
 * memory is out. Running out of descriptors pauses it and is logged as `accept_paused`.
 */
struct http_listener *http_listener_new(const struct http_listener_options *options) MUST_CHECK;
/* Stops accepting; the descriptor stays open. NULL is fine. */
void http_listener_free(struct http_listener *listener);
