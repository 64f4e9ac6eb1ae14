#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/clock.h"
#include "reconciler/net/client.h"
#include "reconciler/net/exchange.h"
#include "reconciler/net/http_head.h"

/* The client, and a server that the test plays, in one loop. Ends the program where it cannot. */
struct event_base;
struct stream;

#define CLIENT_RIG_PATIENCE_MS 10000
#define CLIENT_OK "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"

struct client_rig {
    struct event_base *base;
    struct client *client;
    int listener, peer; /* peer: the last connection that came */
    struct sockaddr_in address;
    struct buf heard; /* by the server, since the last answer */
};

/* One exchange, as it was told. */
struct client_told {
    struct exchange *exchange; /* NULL: over, or none */
    struct buf body;
    unsigned statuses[CLIENT_INTERIM_MAX + 2];
    size_t heads, ends, aborts, writables;
    enum exchange_failure why;
    struct stream *takes; /* behind 101 */
    struct buf unread;
};

/* Turns the loop until that holds; the test is over where it does not come. */
#define CLIENT_UNTIL(rig, holds)                                                          \
    do {                                                                                  \
        int64_t until_ = clock_steady_ms() + CLIENT_RIG_PATIENCE_MS;                      \
        while (!(holds)) {                                                                \
            if (clock_steady_ms() > until_) {                                             \
                fprintf(stderr, "%s:%d: nothing came: %s\n", __func__, __LINE__, #holds); \
                abort();                                                                  \
            }                                                                             \
            event_base_loop((rig)->base, EVLOOP_NONBLOCK);                                \
        }                                                                                 \
    } while (0)

struct client_rig *client_rig_new(struct client_options options); /* without its base */
void client_rig_free(struct client_rig *rig);

/* Has a new connection come? It is the peer then. */
bool client_rig_is_met(struct client_rig *rig);
/* Has this come last, on the connection that there is? */
bool client_rig_hears(struct client_rig *rig, const char *end);
bool client_rig_is_closed(struct client_rig *rig);
void client_rig_answer(struct client_rig *rig, const char *text);
void client_rig_hang_up(struct client_rig *rig);

struct client_destination client_rig_place(const struct client_rig *rig);
/* Asks for /x?y; the rest is the request's. told_free when it is over. */
struct client_told *client_rig_ask_at(struct client_rig *rig, const struct client_destination *to,
                                      struct http_head request);
struct client_told *client_rig_ask(struct client_rig *rig, const char *method);
void client_rig_forget(struct client_told *t);
/* A whole GET that is answered well: on a new connection, and on the one that there is. */
void client_rig_get(struct client_rig *rig);
void client_rig_get_again(struct client_rig *rig);
