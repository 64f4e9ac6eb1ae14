#ifndef SERVE_HTTP1_H
#define SERVE_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/str.h"

/*
 * HTTP/1 requests (RFC 9112), strictly: what two readers could understand differently is refused.
 * Pure: bytes in, views out, no allocation.
 */
#define HTTP1_LINE_MAX 8192       /* request line: 414 */
#define HTTP1_FIELD_LINE_MAX 8192 /* one header line */
#define HTTP1_HEAD_MAX 32768      /* request line and headers together */
#define HTTP1_FIELDS_MAX 128      /* header lines */
#define HTTP1_METHOD_MAX 32
#define HTTP1_HOST_MAX 255
#define HTTP1_BLANK_MAX 4          /* bytes of empty lines in front of a request (RFC 9112 §2.2) */
#define HTTP1_CHUNK_LINE_MAX 256   /* a chunk's size and its extensions */
#define HTTP1_EXTENSIONS_MAX 16384 /* all chunk extensions of one body */
#define HTTP1_TRAILER_MAX 8192     /* all trailer lines of one body; they are dropped */

/* Why a request is refused: each has a status and Kong's message, see http1_status. */
enum http1_refusal {
    HTTP1_OK,
    HTTP1_BAD_REQUEST,        /* 400 */
    HTTP1_HEAD_TOO_LARGE,     /* 400, Kong's "Request header or cookie too large" */
    HTTP1_URI_TOO_LONG,       /* 414 */
    HTTP1_EXPECTATION_FAILED, /* 417 */
};

unsigned http1_status(enum http1_refusal refusal);
const char *http1_message(enum http1_refusal refusal);

struct http1_field {
    struct str name;
    struct str value; /* without blanks at its ends */
};

/* A request's head; views into the bytes that were parsed. */
struct http1_request {
    struct str method;
    struct str target;    /* as sent */
    struct str path;      /* of the target, up to `?`; "*" for OPTIONS * */
    struct str query;     /* behind `?`, STR_NONE without one */
    struct str authority; /* host[:port] of an absolute target, else the Host field; STR_NONE in
                             HTTP/1.0 without it */
    unsigned minor;       /* HTTP/1.minor: 0 or 1 */
    bool keep_alive;      /* what the client wants (RFC 9112 §9.3) */
    bool is_head;
    bool expects_continue; /* Expect: 100-continue with a body to come */
    bool is_chunked;
    uint64_t content_length;
    struct http1_field fields[HTTP1_FIELDS_MAX];
    size_t field_count;
    struct str body; /* filled by http_conn when it was told to keep bodies; else STR_NONE */
};

/* Looks for the end of a head in bytes that arrive bit by bit; zero it for each request. */
struct http1_scan {
    size_t at;         /* bytes looked at */
    size_t line_start; /* of the line being looked at */
    size_t lines;      /* complete ones, the empty ones in front not counted */
    bool has_line;     /* the request line is complete */
};

/*
 * Length of the head (empty lines in front and behind included) once `bytes` holds all of it, 0
 * when more is needed, -1 when it is refused already. `bytes` must begin with what was there
 * before.
 */
long http1_scan(struct http1_scan *scan, struct str bytes, enum http1_refusal *refusal) MUST_CHECK;

/* Parses a whole head as http1_scan found it. 0, or -1 with *refusal and *request undefined. */
int http1_parse(struct str head, struct http1_request *request,
                enum http1_refusal *refusal) MUST_CHECK;

/* The only field of that name (any case): its value; STR_NONE where there is none or several. */
struct str http1_field(const struct http1_request *request, const char *name);

/*
 * Host and port of `authority`: lower case into `host` (HTTP1_HOST_MAX + 1 bytes, NUL-terminated),
 * a trailing dot and the port stripped, IPv6 brackets kept; *port 0 where there is none.
 */
struct str http1_host(const struct http1_request *request, char *host, uint16_t *port);

/* A body on its way in; zero it, then http1_body_init. */
struct http1_body {
    uint64_t left;     /* bytes of the body, or of the chunk */
    size_t extensions; /* bytes of chunk extensions so far */
    size_t trailer;    /* bytes of trailer lines so far */
    uint8_t state;
};

void http1_body_init(struct http1_body *body, const struct http1_request *request);
bool http1_body_is_complete(const struct http1_body *body);
/*
 * Takes bytes from the front of `bytes`: returns how many it used (0 = it needs more than is
 * there), or -1 when the chunking is broken. *data gets the body bytes among them (maybe none).
 * Call it until it is complete or returns 0. Trailers are checked and dropped.
 */
long http1_body_take(struct http1_body *body, struct str bytes, struct str *data) MUST_CHECK;

#endif
