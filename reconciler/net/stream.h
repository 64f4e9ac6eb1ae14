#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/buf.h"

/*
 * The bytes of one connection, plain or TLS. What is written gathers in `wire` and leaves by
 * stream_flush in one system call: a session ticket, a response and a close_notify cost one.
 * OpenSSL works on the descriptor through a BIO that never blocks on writing.
 */
struct ssl_st;
struct bio_method_st;

#define STREAM_OVERHEAD (1 << 20) /* TLS records around a response, tickets, alerts */

struct stream {
    int fd;
    struct ssl_st *ssl; /* NULL = plain */
    struct buf wire;    /* bytes for the socket */
    size_t sent;        /* of wire */
    uint64_t taken;     /* bytes that the socket took, of all there were */
    struct buf early;   /* bytes that were read before TLS began: they come first */
    bool is_drained;    /* the socket had no more, or is not to be asked again in this turn */
    bool is_ended;      /* end of file or a broken connection was met */
};

/* The kind of BIO that streams use; one serves all of them. NULL when memory is out. */
struct bio_method_st *stream_method_new(void) MUST_CHECK;
void stream_method_free(struct bio_method_st *method); /* NULL is fine */

/*
 * Takes `fd` and `ssl` (its side set, no BIO yet). `s` must not move. `max` bounds the wire. -1 when
 * memory is out: both are the caller's then, and there is nothing to release.
 */
int stream_init(struct stream *s, int fd, struct ssl_st *ssl, struct bio_method_st *method,
                size_t max) MUST_CHECK;
void stream_fini(struct stream *s); /* closes the descriptor */
/* Gives all of it to `to`, uninitialised; `s` is then nobody's. */
void stream_move(struct stream *to, struct stream *s);

/* To be called when the socket may have more to read. */
void stream_wake(struct stream *s);
/* Bytes of the socket itself, below TLS; returns as stream_read. */
long stream_receive(struct stream *s, char *to, size_t size) MUST_CHECK;
/* Gives back bytes that stream_receive took. -1 when memory is out. */
int stream_return(struct stream *s, const char *bytes, size_t size) MUST_CHECK;
/* 1 done, 0 more must come from the peer, -1 failed (ssl's error queue is cleared). */
int stream_handshake(struct stream *s) MUST_CHECK;
/* Bytes read; 0 nothing there now; -1 the peer has ended or broken it. */
long stream_read(struct stream *s, char *to, size_t size) MUST_CHECK;
/* Takes all of it; -1 when memory or `max` is out. */
int stream_write(struct stream *s, const char *bytes, size_t size) MUST_CHECK;
/* Says that nothing more will be written (close_notify). */
void stream_end(struct stream *s);
/* 1 all is sent, 0 the socket is full, -1 it is broken. *moved: something was sent. */
int stream_flush(struct stream *s, bool *moved) MUST_CHECK;
/* Bytes not sent yet. */
size_t stream_unsent(const struct stream *s);
/* Bytes of `wire` already sent may be dropped, its memory given back. */
void stream_relax(struct stream *s);
