#pragma once

#include "reconciler/base/buf.h"
#include "reconciler/net/http1.h"
#include "reconciler/net/http1_body.h"

/* The two ways of an exchange over one HTTP/1 connection: what its server and its client share. */
struct exchange;
struct http_head;
struct stream;

#define HTTP1_READ_SIZE 16384 /* of a body, at once: a TLS record */
#define HTTP1_INPUT_MAX (HTTP1_HEAD_MAX + HTTP1_TRAILER_MAX + 2 * HTTP1_READ_SIZE)

/* More bytes into `in`: > 0; 0 none now; -1 the peer is done. */
long http1_fill(struct stream *s, struct buf *in, size_t size) MUST_CHECK;

/* A message's body on its way in. */
struct http1_inflow {
    struct http1_body body;
    size_t pending; /* bytes at the front of the input that are body, and were not taken */
    uint64_t seen;  /* bytes of the body so far */
    bool is_told;   /* its end */
};

enum http1_flow {
    HTTP1_FLOW_ON,    /* it went on: ask again */
    HTTP1_FLOW_WANTS, /* bytes */
    HTTP1_FLOW_HELD,  /* until who is told takes more */
    HTTP1_FLOW_DONE,
    HTTP1_FLOW_BROKEN
};

void http1_inflow_init(struct http1_inflow *f, const struct http_head *head);
/* All of it has come, told or not. */
bool http1_inflow_is_whole(const struct http1_inflow *f);
/* One step with what `in` begins with, telling the listener of `x`; consumes what is used up. */
enum http1_flow http1_inflow_step(struct http1_inflow *f, struct buf *in, struct exchange *x);

/* A message's body on its way out. */
struct http1_outflow {
    uint64_t left; /* of what its head has announced */
    bool is_begun; /* its head is written */
    bool is_chunked;
    bool is_open; /* up to the end of the connection */
    bool is_mute; /* there is none, whatever is sent */
    bool is_ended;
    bool wants_room; /* something was not accepted */
};

/* Accepts what the stream's window has room for; -1 broken: memory, or more than announced. */
long http1_outflow_send(struct http1_outflow *f, struct stream *s, struct str bytes) MUST_CHECK;
/* The same past the window. */
int http1_outflow_put(struct http1_outflow *f, struct stream *s, struct str bytes) MUST_CHECK;
/* -1: broken, or less than announced. */
int http1_outflow_end(struct http1_outflow *f, struct stream *s) MUST_CHECK;
