#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/attr.h"
#include "reconciler/net/http_head.h"

/*
 * HTTP/1 (RFC 9112), requests and responses, strictly: what two readers could understand
 * differently is refused. Pure: bytes in, views out, no allocation.
 */
#define HTTP1_LINE_MAX 8192       /* request or status line: 414 */
#define HTTP1_FIELD_LINE_MAX 8192 /* one header line */
#define HTTP1_HEAD_MAX 32768      /* that line and headers together */
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

/* What the fields of a parsed head lie in. */
struct http1_fields {
    struct http_field items[HTTP_FIELDS_MAX];
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

/*
 * Parse a whole head as http1_scan found it, into views of it and of `fields`. 0, or -1 with
 * *refusal and *head undefined. Whether a response has a body goes by what was asked for: `is_head`,
 * the request's method was HEAD (RFC 9112 §6.3).
 */
int http1_parse_request(struct str bytes, struct http1_fields *fields, struct http_head *head,
                        enum http1_refusal *refusal) MUST_CHECK;
int http1_parse_response(struct str bytes, bool is_head, struct http1_fields *fields,
                         struct http_head *head) MUST_CHECK;

/*
 * Host and port of `authority`: lower case into `host` (HTTP1_HOST_MAX + 1 bytes, NUL-terminated),
 * a trailing dot and the port stripped, IPv6 brackets kept; *port 0 where there is none.
 */
struct str http1_host(const struct http_head *request, char *host, uint16_t *port);

/* name ":" OWS value OWS (RFC 9112 §5.1); folding and a blank before the colon are refused. */
int http1_parse_field(struct str line, struct http_field *field) MUST_CHECK;
/* Only what a field value may hold: no controls but tabs. */
bool http1_is_value(struct str s);
