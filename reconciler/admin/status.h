#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"

struct event_base;
struct pages;

/*
 * The status listener (Kong's status API with /certificates beside it; design 6) and
 * prefix/control.sock, through which the verbs ask. HTTP only: what the pages say is pages.h's.
 */
struct status;

#define STATUS_BODY_MAX ((size_t)1 << 30) /* of a page, as who asks for it takes it */
#define STATUS_CONNECTIONS_MAX 256        /* to the status listener */
#define STATUS_SOCKET_CONNECTIONS_MAX 64  /* to control.sock */
/*
 * Of each of both, no more than half may wait while the source is busy, and so many more may have a
 * page with every name printed: whoever comes then is told 503. All others can be made to go, so
 * there is always room for a new connection, and for a probe or a verb that it brings.
 */
#define STATUS_WAITING_MAX ((STATUS_CONNECTIONS_MAX + STATUS_SOCKET_CONNECTIONS_MAX) / 2)
#define STATUS_PRINTINGS_MAX 16
#define STATUS_SOCKET "control.sock"

enum status_page {
    STATUS_PAGE_STATUS,       /* /status: Kong's */
    STATUS_PAGE_READY,        /* /status/ready: Kong's */
    STATUS_PAGE_CERTIFICATES, /* /certificates */
    STATUS_PAGE_EVERYTHING,   /* /status.json: what `reconcert status` prints */
    STATUS_PAGE_RETRY,        /* POST /retry, over control.sock alone: does it, then tells */
    STATUS_PAGE_COUNT
};

#define STATUS_NAME_MAX 255 /* of a name in the body of POST /retry; none = all */

struct status_source {
    void *context;
    /* What the pages tell of, as it is now. */
    struct pages (*pages)(void *context);
    /* Whether it changes right now: `pages` is not called meanwhile. */
    bool (*is_busy)(void *context, enum status_page page);
    /* Called once before STATUS_PAGE_RETRY tells what came of it, when it is not busy; `name` is
     * empty for all that failed. */
    void (*retry)(void *context, struct str name);
};

struct status_options {
    struct event_base *base;
    const int *listeners; /* stay the caller's */
    size_t listener_count;
    const char *prefix; /* NULL: no control.sock */
    const char *product;
    /* What a Host may be beside an IP address and localhost; none: any where not on loopback. */
    char *const *hosts;
    size_t host_count;
    struct status_source source;
};

struct status *status_new(const struct status_options *options, struct error *e) MUST_CHECK;
/* The socket under the prefix is made again: the folder it lay in may be gone. */
void status_renew_socket(struct status *s);
void status_free(struct status *s); /* removes the socket; NULL is fine */

/* The source is busy no more: answers those that wait. */
void status_resume(struct status *s);
