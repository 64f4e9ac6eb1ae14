#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/str.h"

/*
 * One request with its response, whatever carries it: for a server's handler the request comes and
 * the response goes, for who asks as a client it is the other way round.
 *
 * A body is never held whole. What comes is told bit by bit, and no more is read than was taken;
 * what goes is accepted as far as there is room. So a side that does not read, or does not take,
 * costs EXCHANGE_WINDOW (and what one read brings), and no more.
 *
 * Who uses an exchange calls into it whenever it likes, from within what it is told too; nothing is
 * told from within a call. It is over, and not to be touched any more:
 *   on a server, when the response has been ended, or with on_abort;
 *   on a client, with on_end or on_abort;
 *   on both, behind exchange_abort and exchange_take_stream.
 * What of a request has not come when its response has ended is read and dropped, within bounds. A
 * response that has come before its request has gone ends both. One thread.
 */
struct exchange;
struct http_conn;
struct http_head;
struct stream;

#define EXCHANGE_WINDOW (64 << 10)   /* bytes on their way out, one way of one exchange */
#define EXCHANGE_FIELDS_MAX 8        /* a small answer's own header lines */
#define EXCHANGE_PIECE_MAX (4 << 20) /* of a body that is made while it is sent */

enum exchange_failure {
    EXCHANGE_UNREACHABLE, /* no connection could be made: nothing of the request has been seen */
    EXCHANGE_UNREACHABLE_LATE, /* the same, and it is not known why */
    EXCHANGE_LATE,             /* a deadline has passed */
    EXCHANGE_BROKEN            /* the other side has gone, or does not speak HTTP */
};

/* What is told. Each may be NULL; without on_body nothing of a body is taken. */
struct exchange_events {
    /*
     * A client's: the head of a response; views, gone when this returns. Those with a status below
     * 200 (a bounded number) come before the one that counts. Behind 101 there is a stream to be
     * taken from within this, or the exchange is broken.
     */
    void (*on_head)(void *context, struct exchange *x, const struct http_head *head);
    /*
     * The next bytes of the body: returns how many were taken. Where that is less, the rest comes
     * again behind exchange_resume.
     */
    size_t (*on_body)(void *context, struct exchange *x, struct str bytes);
    void (*on_end)(void *context, struct exchange *x);
    void (*on_abort)(void *context, struct exchange *x, enum exchange_failure why);
    /* There is room again, where exchange_send_body took less than all. */
    void (*on_writable)(void *context, struct exchange *x);
};

/* A header line of a response. Content-Length, Content-Type, Connection, Date, Server are not the
 * handler's. */
struct http_response_field {
    const char *name;
    struct str value;
};

/* A body that is made while it is sent: no more of it than a piece and a window is ever held. */
enum http_more {
    HTTP_MORE,  /* a piece was appended, and there is more */
    HTTP_LATER, /* nothing was: call exchange_resume when there is something */
    HTTP_END,   /* the last piece was appended; it may be empty */
    HTTP_BROKEN /* it cannot be ended: the client gets to see that */
};

struct http_source {
    void *context;
    /* Appends a piece of at most EXCHANGE_PIECE_MAX. Must not call into the exchange. */
    enum http_more (*more)(void *context, struct buf *out);
    /* Called once, when no more will be asked for, however that came. */
    void (*done)(void *context);
};

/* A whole answer of a handler's own. */
struct http_response {
    unsigned status;
    struct str content_type; /* STR_NONE sends no Content-Type */
    struct str body; /* copied, may quote the request; not sent to HEAD, nor with 204 and 304 */
    struct http_response_field fields[EXCHANGE_FIELDS_MAX];
    size_t field_count;
    const struct http_source *source; /* instead of `body`; copied. NULL = none */
    bool close;                       /* close the connection behind it */
};

/* What carries it: functions as those below. */
struct exchange_carrier {
    void (*reply)(struct exchange *x, const struct http_response *response);
    void (*send_head)(struct exchange *x, const struct http_head *head);
    size_t (*send_body)(struct exchange *x, struct str bytes);
    void (*send_end)(struct exchange *x);
    void (*resume)(struct exchange *x);
    void (*abort)(struct exchange *x);
    int (*take_stream)(struct exchange *x, struct stream *stream, struct buf *unread);
};

struct exchange {
    const struct exchange_carrier *carrier;
    const struct exchange_events *events; /* NULL: nobody listens */
    void *context;
    struct http_conn *conn; /* that a server's request came over; NULL = a client's */
};

/* Who is told from now on; `events` must stay. Somebody who waits for a body: 100 Continue. */
void exchange_listen(struct exchange *x, const struct exchange_events *events, void *context);

/* A server's: answers as a whole, once. The exchange may be gone when this returns. */
void exchange_reply(struct exchange *x, const struct http_response *response);
/*
 * A server's: status and fields of a response, and by content_length, is_chunked or is_open how its
 * body will end. 1xx may come before it. A client gives its request's when it asks. What frames the
 * message or names the connection is the carrier's: Connection (but for `upgrade`), Content-Length
 * (but in an answer to HEAD, or 304) and Transfer-Encoding among the fields are passed over.
 */
void exchange_send_head(struct exchange *x, const struct http_head *head);
/* How many of the bytes were accepted. Less than all: on_writable comes. More than the head said
 * breaks the exchange. */
size_t exchange_send_body(struct exchange *x, struct str bytes) MUST_CHECK;
/* The body is whole; also where there was none. */
void exchange_send_end(struct exchange *x);
/* What on_body left can be taken now; a source that said HTTP_LATER has something. */
void exchange_resume(struct exchange *x);
/* Ends it, and the connection or stream with it; nothing is told any more. */
void exchange_abort(struct exchange *x);
/*
 * Behind 101: the bytes themselves, from now on the caller's; `unread` gets what was read beyond the
 * head. -1: there are none to have, or memory is out.
 */
int exchange_take_stream(struct exchange *x, struct stream *stream, struct buf *unread) MUST_CHECK;
