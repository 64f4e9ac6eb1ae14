#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/str.h"

struct http_head;

/* Bodies of HTTP/1 messages (RFC 9112 §6, §7), strictly. Pure. */
#define HTTP1_CHUNK_LINE_MAX 256   /* a chunk's size and its extensions */
#define HTTP1_EXTENSIONS_MAX 16384 /* all chunk extensions of one body */
#define HTTP1_TRAILER_MAX 8192     /* all trailer lines of one body; they are dropped */

/* A body on its way in. */
struct http1_body {
    uint64_t left;     /* bytes of the body, or of the chunk */
    size_t extensions; /* bytes of chunk extensions so far */
    size_t trailer;    /* bytes of trailer lines so far */
    uint8_t state;
};

void http1_body_init(struct http1_body *body, const struct http_head *head);
bool http1_body_is_complete(const struct http1_body *body);
/*
 * Takes bytes from the front of `bytes`: returns how many it used (0 = it needs more than is
 * there), or -1 when the chunking is broken. *data gets the body bytes among them (maybe none).
 * Call it until it is complete or returns 0. Trailers are checked and dropped.
 */
long http1_body_take(struct http1_body *body, struct str bytes, struct str *data) MUST_CHECK;
/* The connection has ended: was that the body's end? Else it was cut. */
bool http1_body_close(struct http1_body *body) MUST_CHECK;
