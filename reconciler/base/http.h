#pragma once

#include <stdint.h>

#include "buf.h"
#include "str.h"

/*
 * An HTTP exchange as plain data, so that the floors which decide (acme) and the one which
 * acts (io/httpc) meet without knowing each other. Views belong to whoever made the struct.
 */
enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE };

#define HTTP_LINKS_MAX 8 /* Link lines of one answer; further ones are not looked at */

struct http_request {
    enum http_method method;
    struct str url;
    struct str named_by;     /* whose answer holds `url`: it is at a private address only if that
                                is; STR_NONE: a person wrote `url` */
    struct str content_type; /* of the body; STR_NONE without one */
    struct str body;
    struct str accept;  /* STR_NONE sends no Accept */
    size_t body_max;    /* bytes of answer that are let in */
    int64_t timeout_ms; /* for the whole exchange */
};

/* The answer, its headers already picked out by name; an absent header is STR_NONE. */
struct http_reply {
    int status;
    struct str content_type;
    struct str location;
    struct str replay_nonce;
    struct str retry_after;
    struct str date;
    struct str links[HTTP_LINKS_MAX]; /* Link header lines, in order */
    size_t link_count;
    struct str body;
};

const char *http_method_name(enum http_method method);

/*
 * Retry-After (RFC 9110 §10.2.3): delta-seconds or an HTTP-date, as unix seconds from `now`.
 * 0 where it is absent or unreadable; values before now give now; held to now + 30 days.
 */
int64_t http_retry_after(struct str value, int64_t now);
