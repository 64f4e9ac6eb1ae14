#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/base/http.h"

struct event_base;
struct resolver;

/*
 * HTTPS requests on control's loop: libcurl's multi_socket, HTTP/2 where the other side has it, one
 * connection a host shared by all. Completions are pulled, so that who asks keeps its own pace.
 */
struct httpc;

#define HTTPC_HEADERS_MAX ((size_t)64 << 10) /* of one answer */
#define HTTPC_HEADER_LINE_MAX (100 << 10)    /* libcurl's CURL_MAX_HTTP_HEADER */
#define HTTPC_REDIRECTS_MAX 10
#define HTTPC_CONNECT_TIMEOUT_MS 10000

struct httpc_options {
    struct event_base *base;
    struct resolver *resolver;
    const char *trusted_certificate; /* PEM file of roots to trust; NULL = the system's alone */
    bool trusts_system;              /* beside those in the file */
    const char *user_agent;
    /* There is something for httpc_next; called once a turn of the loop. */
    void (*ready)(void *context);
    void *context;
};

struct httpc *httpc_new(const struct httpc_options *options, struct error *e) MUST_CHECK;
void httpc_free(struct httpc *h); /* what is under way is dropped; NULL is fine */

/*
 * Starts a request; everything it points to is copied. `cookie` comes back with the answer. GETs
 * follow redirects: https only, and to private addresses only if the first address was one, or that
 * of request->named_by. -1 with
 * *e when it cannot even start (bad URL, memory): nothing comes back then.
 */
int httpc_send(struct httpc *h, const struct http_request *request, uint64_t cookie,
               struct error *e) MUST_CHECK;

struct httpc_done {
    uint64_t cookie;
    bool ok;                 /* there is a reply, of whatever status; else `error` says why not */
    struct http_reply reply; /* valid until httpc_release */
    struct error error;      /* ERROR_NETWORK, ERROR_TIMEOUT, ERROR_LIMIT */
    void *transfer;          /* private */
};

/* The next finished exchange; false where there is none. Release each. */
bool httpc_next(struct httpc *h, struct httpc_done *done);
void httpc_release(struct httpc *h, struct httpc_done *done);
