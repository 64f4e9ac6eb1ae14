#pragma once

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
#define HTTP1_BLANK_MAX 4 /* bytes of empty lines in front of a request (RFC 9112 §2.2) */

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
    struct str body; /* filled by http_conn when it was told to keep bodies; else STR_NONE */
    size_t field_count;
    struct http1_field fields[HTTP1_FIELDS_MAX];
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

/* name ":" OWS value OWS (RFC 9112 §5.1); folding and a blank before the colon are refused. */
int http1_parse_field(struct str line, struct http1_field *field) MUST_CHECK;
/* Only what a field value may hold: no controls but tabs. */
bool http1_is_value(struct str s);
