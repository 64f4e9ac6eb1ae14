#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/buf.h"

/* The client's end of a socket pair, in the same loop as the server that it tests. */
struct event_base;

struct http_client {
    struct event_base *base; /* the server's */
    int fd;                  /* -1 = none */
    struct buf received;     /* NUL-terminated once anything came */
    bool is_closed;          /* by the server */
};

/* A pair of non-blocking sockets: returns the server's end; the other becomes the client's. */
int http_client_open(struct http_client *c, struct event_base *base);
void http_client_close(struct http_client *c); /* and forgets what was received */

/* Reads what is there; true when there was something. */
bool http_client_take(struct http_client *c);
/* Turns the loop until nothing moves any more. */
void http_client_pump(struct http_client *c);
/* Turns the loop until the server has closed the connection: its deadlines see to that. */
void http_client_pump_to_end(struct http_client *c);
/* Sends a text and pumps. */
void http_client_say(struct http_client *c, const char *text);
/* How often `text` was received; whether it was exactly once. */
size_t http_client_count(const struct http_client *c, const char *text);
bool http_client_got(const struct http_client *c, const char *text);
