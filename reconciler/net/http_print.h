#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "reconciler/base/buf.h"

/* Messages as bytes (RFC 9112 §2). Pure. */
struct http_head;
struct http_response;

#define HTTP_PRINT_DATE_SIZE 30 /* "Sun, 06 Nov 1994 08:49:37 GMT" and a NUL */

struct http_print {
    const char *date;    /* as http_print_date made it */
    const char *product; /* Server */
    bool keep_alive;
    bool is_head;    /* the body's length, not the body */
    bool is_chunked; /* the body comes behind it, in chunks */
};

/* Unix seconds as an IMF-fixdate (RFC 9110 §5.6.7). */
void http_print_date(int64_t seconds, char out[HTTP_PRINT_DATE_SIZE]);

/* Appends head and body. Failure shows as out->failed. */
void http_print(struct buf *out, const struct http_response *response,
                const struct http_print *how);

/*
 * Appends the head of a request (no status) or response as exchange_send_head takes it, its body
 * framed by content_length and is_chunked. `connection`: that field's value, STR_NONE for none.
 */
void http_print_head(struct buf *out, const struct http_head *head, struct str connection);
