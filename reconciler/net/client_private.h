#pragma once

#include <event2/event_struct.h>
#include <openssl/types.h>
#include <sys/queue.h>

#include "reconciler/base/map.h"
#include "reconciler/net/client.h"
#include "reconciler/net/exchange.h"
#include "reconciler/net/http1_flow.h"
#include "reconciler/net/stream.h"

/* What client.c and client_link.c share. Nobody else includes it. */
enum link_state {
    LINK_CONNECTS,
    LINK_SHAKES, /* hands: TLS */
    LINK_ASKS,   /* an exchange is going on */
    LINK_KEPT,
    LINK_GONE,
    LINK_STATE_COUNT
};

enum deadline { DEADLINE_NONE, DEADLINE_CONNECT, DEADLINE_READ, DEADLINE_WRITE, DEADLINE_KEPT };

TAILQ_HEAD(link_list, link);

/* Who is asked: shared by its connections, and gone with the last of them. */
struct place {
    struct sockaddr_storage address;
    socklen_t address_len;
    SSL_CTX *tls;
    char *server_name; /* NULL = none */
    struct str key;
    size_t count;          /* of its connections */
    struct link_list kept; /* oldest first */
    size_t kept_count;
};

/* A connection, and the exchange that goes on over it. */
struct link {
    struct exchange exchange; /* first: the one is found by the other */
    TAILQ_ENTRY(link) all;
    TAILQ_ENTRY(link) kept;    /* of all that are kept */
    TAILQ_ENTRY(link) sibling; /* of those of its place */
    struct client *client;
    struct place *place;
    enum link_state state;
    struct stream stream;
    struct buf in, request; /* the request's head, until it is answered */
    struct http1_scan scan;
    struct http1_inflow inflow;
    struct http1_outflow outflow;
    size_t head_size; /* of the answer's head that is being told */
    unsigned interim, turn;
    unsigned connect_ms, read_ms, write_ms;
    bool is_head;       /* the request's method is HEAD */
    bool is_repeatable; /* the request may be asked again where nothing is known of it */
    bool is_reused, is_heard;
    bool in_body, keep_alive;
    bool ends;  /* no more of the request's body will come */
    bool wants; /* bytes are waited for */
    bool is_running;
    enum deadline deadline;
    uint64_t moved, moved_before; /* bytes, both ways; when the deadline began */
    struct event read_event, write_event, timer;
};

struct client {
    struct client_options options;
    struct bio_method_st *method;
    struct map places;
    struct link_list all, kept; /* kept: oldest first */
    size_t count, kept_count;
};

/* A connection that is not connected yet, of no exchange. NULL: memory or descriptors are out. */
struct link *client_link_new(struct client *c, struct place *p) MUST_CHECK;
/* Tells whose exchange it carries that it is aborted. */
void client_link_free(struct link *l);
/* From the loop: who calls into an exchange is told nothing meanwhile. */
void client_link_go_on(struct link *l);
/* It waits for nothing more. */
void client_link_unplug(struct link *l);

/* Its exchange has ended: what is clean is kept, within bounds. */
void client_keep(struct link *l);
void client_unkeep(struct link *l);
/* Forgets a place that nobody is at. */
void client_leave(struct client *c, struct place *p);
