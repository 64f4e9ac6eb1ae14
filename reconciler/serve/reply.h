#pragma once

#include "reconciler/base/attr.h"
#include "reconciler/base/str.h"
#include "reconciler/serve/answer.h"

/* Kong's answers: error bodies with their headers and a request id. */
struct exchange;
struct http_head;
struct reply;

#define REPLY_ACCEPTS_MAX 4 /* Accept lines of one request that are looked at */

struct reply *reply_new(void) MUST_CHECK; /* NULL when memory is out */
void reply_free(struct reply *r);         /* NULL is fine */

/*
 * The media type to answer this request with: its Accept, else `absent`. Answers that are nginx's
 * in Kong (`by_nginx`) go by the request's Content-Type too, and are plain text at last.
 */
enum answer_type reply_type(const struct http_head *request, bool by_nginx);
/* Kong's error: status, message, X-Kong-* headers. The exchange may be gone when it returns. */
void reply_error(struct reply *r, struct exchange *x, unsigned status, const char *message,
                 enum answer_type type);
/* A plain text of exactly these bytes. The same. */
void reply_text(struct exchange *x, unsigned status, struct str text);
