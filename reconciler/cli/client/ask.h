#pragma once

#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"

/* Asking the running server, over the socket in its prefix. */

/* A server that is taking a large file up lets a question wait. */
#define ASK_TIMEOUT_MS 60000L

/*
 * GET `path` ("/status.json") from the server that runs with `prefix`. 0 with its body appended to
 * `body`, which bounds it; -1 with *e: ERROR_IO where nobody listens or we may not ask,
 * ERROR_TIMEOUT, ERROR_LIMIT, ERROR_PROTOCOL for an answer other than 200.
 */
int ask_server(const char *prefix, const char *path, struct buf *body, struct error *e) MUST_CHECK;

/* The same by POST, with `text` as the request's body. */
int ask_server_to(const char *prefix, const char *path, struct str text, struct buf *body,
                  struct error *e) MUST_CHECK;

/*
 * GET `url` (http or https), for a server that runs elsewhere. The same, but no redirect is
 * followed and no proxy asked.
 */
int ask_url(const char *url, struct buf *body, struct error *e) MUST_CHECK;
