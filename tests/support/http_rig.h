#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "http_client.h"
#include "reconciler/base/buf.h"
#include "reconciler/net/exchange.h"
#include "reconciler/net/http_conn.h"

/* A server of plain connections whose one client is the test. */
struct event_base;

enum http_rig_mode { HTTP_RIG_ECHO, HTTP_RIG_LATER, HTTP_RIG_BIG };

#define HTTP_RIG_BIG_SIZE 100000 /* a response's body in that mode */

struct http_rig {
    struct event_base *base;
    struct http_server *server;
    struct http_client client;
    enum http_rig_mode mode;
    struct exchange *waiting; /* in mode LATER */
    size_t handled, closed, drained, crowded;
    struct buf bodies;           /* of all requests */
    char peer[INET6_ADDRSTRLEN]; /* of the last one, if IPv4 */
};

/* Without a connection yet. Ends the program where it cannot. */
struct http_rig *http_rig_new(enum http_rig_mode mode, struct http_limits limits);
/* With the client connected. */
struct http_rig *http_rig_open(enum http_rig_mode mode, struct http_limits limits);
void http_rig_free(struct http_rig *rig);

/* Opens a connection for any client; `options` without its descriptor. As http_conn_open. */
int http_rig_connect(struct http_rig *rig, struct http_conn_options options,
                     struct http_client *client);
void http_rig_drain(struct http_rig *rig);
/* Answers with this body. */
void http_rig_reply(struct exchange *x, struct str body);

/* http_client.h's, with the rig's own client. */
void http_rig_say(struct http_rig *rig, const char *text);
void http_rig_pump(struct http_rig *rig);
bool http_rig_got(const struct http_rig *rig, const char *text);
