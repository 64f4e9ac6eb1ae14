#pragma once

#include <event2/event_struct.h>
#include <sys/queue.h>

#include "reconciler/net/http1.h"
#include "reconciler/net/exchange.h"
#include "reconciler/net/http1_flow.h"
#include "reconciler/net/http_conn.h"
#include "reconciler/net/http_print.h"
#include "reconciler/net/stream.h"

/* What http_server.c, http_conn.c and http_exchange.c share. Nobody else includes it. */
struct address_count;
struct address_peer;

/* What a connection waits for; each has its deadline, the same for all, so a queue stays sorted. */
enum http_deadline {
    HTTP_DEADLINE_HANDSHAKE,
    HTTP_DEADLINE_HEAD,
    HTTP_DEADLINE_IDLE,
    HTTP_DEADLINE_BODY,
    HTTP_DEADLINE_WRITE,
    HTTP_DEADLINE_LINGER,
    HTTP_DEADLINE_DRAIN, /* idle, while the server drains */
    HTTP_DEADLINE_NONE,  /* the handler works on it; no queue */
    HTTP_DEADLINE_COUNT = HTTP_DEADLINE_NONE
};

enum http_state {
    HTTP_STATE_PROXY,     /* a PROXY header is to come */
    HTTP_STATE_HANDSHAKE, /* TLS */
    HTTP_STATE_HEAD,      /* a request's head, or nothing yet */
    HTTP_STATE_EXCHANGE,  /* a handler has the request, or what of it is dropped still comes */
    HTTP_STATE_FLUSH,     /* the last response is on its way */
    HTTP_STATE_LINGER,    /* all is sent; what still comes is dropped */
    HTTP_STATE_GONE,      /* to be freed */
    HTTP_STATE_COUNT
};

struct http_conn {
    TAILQ_ENTRY(http_conn) all;
    TAILQ_ENTRY(http_conn) queued; /* in a deadline's queue */
    TAILQ_ENTRY(http_conn) again;  /* in the server's list of those that go on next turn */
    struct http_server *server;
    struct stream stream;
    struct event read_event, write_event;
    enum http_state state;
    enum http_deadline deadline;
    int64_t deadline_at_ms;
    struct exchange exchange;
    struct http1_inflow inflow;
    struct http1_outflow outflow;
    enum http1_flow flow; /* what the body on its way in waits for */
    struct buf in;        /* what was read and not used: a head, or what of a body was not taken */
    struct buf kept;      /* a head with its body, where it is gathered; or an answer held back */
    size_t kept_head;     /* bytes of kept that are the head */
    size_t head_size;     /* of the request being begun */
    struct http1_scan scan;
    uint64_t discarded; /* bytes of a body that nobody took */
    uint64_t progress;  /* bytes that had moved when its deadline began */
    size_t dropped;     /* bytes while lingering */
    int64_t began_ms;
    unsigned turn;        /* what it did in this turn: requests, reads, pieces */
    bool is_running;      /* http_conn_run is on the stack */
    bool is_again;        /* in the server's list */
    bool is_head;         /* the request's method is HEAD */
    bool keep_alive;      /* the client wants it */
    bool is_old;          /* the request is of HTTP/1.0: no chunks */
    bool awaits_continue; /* before it sends its body */
    bool is_late;         /* the source has nothing yet */
    bool must_close;      /* behind the response being made */
    bool must_linger;
    bool is_used;              /* a request has been answered */
    bool renews;               /* its deadline begins anew */
    bool reads, writes;        /* which events are added */
    struct http_source source; /* of the body that is being made */
    struct address_peer *address;
    struct sockaddr_storage peer;
    void *tag;
};

TAILQ_HEAD(http_conn_list, http_conn);

struct http_server {
    struct http_server_options options;
    struct http_limits limits; /* without zeros */
    struct bio_method_st *method;
    struct address_count *addresses;
    struct http_conn_list all;
    struct http_conn_list again;
    size_t work; /* requests, reads and pieces since run_again began */
    struct http_conn_list deadlines[HTTP_DEADLINE_COUNT];
    size_t count;
    struct buf scratch; /* a TLS response on its way into its record */
    struct event tick, again_event;
    bool ticks;
    bool is_draining;
    void (*drained)(void *context);
    size_t crowded; /* connections that went for room, or found none, since it was told */
    int64_t crowded_at_ms;
    size_t most; /* connections at once since memory was given back */
    int64_t date_at;
    char date[HTTP_PRINT_DATE_SIZE];
};

/* Goes on with a connection as far as it gets. It may be freed when this returns. */
void http_conn_run(struct http_conn *conn);
/* Its deadline has passed. The same. */
void http_conn_expire(struct http_conn *conn);
/* Takes it out of everything and frees it. */
void http_conn_free(struct http_conn *conn);
/* Nothing more is read or answered: what is written is sent, then it is closed. */
void http_conn_finish(struct http_conn *conn);
/* Are no more than `max` bytes unsent, now that what can be sent is? */
bool http_conn_drains(struct http_conn *conn, size_t max);
/* It waits for its socket no more. */
void http_conn_unplug(struct http_conn *conn);

/* A request: views of `head`, its bytes. */
void http_exchange_begin(struct http_conn *conn, const struct http_head *request, struct str head);
void http_exchange_refuse(struct http_conn *conn, unsigned status, const char *message,
                          const struct http_head *request);
/* Goes on both ways; false: it can do no more now. */
bool http_exchange_step(struct http_conn *conn);
/* It is over: the next request may come. */
void http_exchange_next(struct http_conn *conn);
/* It will not be ended; who has the request is told. */
void http_exchange_forsake(struct http_conn *conn, enum exchange_failure why);

/* What it waits for as it stands. */
enum http_deadline http_server_deadline(const struct http_conn *conn);
/* For one more connection; where all are taken, somebody goes. False: nobody can. */
bool http_server_make_room(struct http_server *server);
/* Puts it into that deadline's queue, from now on. */
void http_server_wait(struct http_server *server, struct http_conn *conn,
                      enum http_deadline deadline);
/* Has http_conn_run called in the loop's next turn. */
void http_server_again(struct http_server *server, struct http_conn *conn);
void http_server_forget(struct http_server *server, struct http_conn *conn);
/* The Date of this second. */
const char *http_server_date(struct http_server *server);
