#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/str.h"

/* The head of a request or of a response, whatever carries it (RFC 9110 §6.2). Views. */
#define HTTP_FIELDS_MAX 128 /* header lines */

struct http_field {
    struct str name;
    struct str value; /* without blanks at its ends */
};

struct http_head {
    struct str method;    /* of a request, and so are the next six */
    struct str target;    /* as sent */
    struct str path;      /* of the target, up to `?`; "*" for OPTIONS * */
    struct str query;     /* behind `?`, STR_NONE without one */
    struct str authority; /* host[:port] of an absolute target, else the Host field; STR_NONE in
                             HTTP/1.0 without it */
    bool is_head;
    bool expects_continue;   /* Expect: 100-continue with a body to come */
    unsigned status;         /* of a response; 0: it is a request */
    unsigned minor;          /* HTTP/1.minor: 0 or 1 */
    bool keep_alive;         /* its sender lets the connection go on (RFC 9112 §9.3) */
    bool is_chunked;         /* the body's end is not known ahead */
    bool is_open;            /* a response whose body ends with the connection */
    uint64_t content_length; /* of the body that follows: 0 behind what has none */
    struct str body; /* filled by http_conn when it was told to keep bodies; else STR_NONE */
    size_t field_count;
    const struct http_field *fields;
};

/* The only field of that name (any case): its value; STR_NONE where there is none or several. */
struct str http_head_field(const struct http_head *head, const char *name);
