#include "stream.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RELAX_SIZE 16384 /* bytes sent, that are not worth a move before */

static long take_early(struct stream *s, char *to, size_t size)
{
    size_t part = s->early.len < size ? s->early.len : size;

    memcpy(to, s->early.data, part);
    buf_consume(&s->early, part);
    if (!s->early.len)
        buf_free(&s->early);
    return (long)part;
}

long stream_receive(struct stream *s, char *to, size_t size)
{
    ssize_t got;

    if (s->early.len)
        return take_early(s, to, size);
    if (s->is_ended)
        return -1;
    if (s->is_drained)
        return 0;
    do
        got = recv(s->fd, to, size, 0);
    while (got < 0 && errno == EINTR);
    if (got > 0) {
        /* Less than asked for: the next recv would only say EAGAIN; epoll tells when to ask. */
        s->is_drained = (size_t)got < size;
        return got;
    }
    if (got < 0 && errno == EAGAIN) {
        s->is_drained = true;
        return 0;
    }
    s->is_ended = true;
    return -1;
}

/* ---- the BIO ---- */

static int bio_read(BIO *bio, char *to, size_t size, size_t *got)
{
    struct stream *s = BIO_get_data(bio);
    long n = stream_receive(s, to, size);

    BIO_clear_retry_flags(bio);
    if (n == 0)
        BIO_set_retry_read(bio);
    if (n <= 0)
        return n == 0 ? -1 : 0;
    *got = (size_t)n;
    return 1;
}

static int bio_write(BIO *bio, const char *bytes, size_t size, size_t *put)
{
    struct stream *s = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (buf_append(&s->wire, bytes, size))
        return 0;
    *put = size;
    return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    struct stream *s = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF)
        return s->is_ended;
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *stream_method_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stream");

    if (!method || !BIO_meth_set_read_ex(method, bio_read) ||
        !BIO_meth_set_write_ex(method, bio_write) || !BIO_meth_set_ctrl(method, bio_ctrl)) {
        BIO_meth_free(method);
        return NULL;
    }
    return method;
}

void stream_method_free(BIO_METHOD *method)
{
    BIO_meth_free(method);
}

/* ---- the stream ---- */

int stream_init(struct stream *s, int fd, SSL *ssl, BIO_METHOD *method, size_t max)
{
    BIO *bio;

    *s = (struct stream){.fd = fd, .ssl = ssl, .wire = BUF_INIT(max), .early = BUF_INIT(max)};
    if (!ssl)
        return 0;
    bio = BIO_new(method);
    if (!bio)
        return -1;
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return 0;
}

void stream_fini(struct stream *s)
{
    SSL_free(s->ssl);
    buf_free(&s->wire);
    buf_free(&s->early);
    close(s->fd);
}

void stream_move(struct stream *to, struct stream *s)
{
    *to = *s;
    if (to->ssl) {
        BIO_set_data(SSL_get_rbio(to->ssl), to);
        SSL_set_app_data(to->ssl, NULL);
    }
    *s = (struct stream){.fd = -1};
}

void stream_wake(struct stream *s)
{
    s->is_drained = false;
}

int stream_return(struct stream *s, const char *bytes, size_t size)
{
    return buf_append(&s->early, bytes, size);
}

int stream_handshake(struct stream *s)
{
    int got;

    ERR_clear_error();
    got = SSL_do_handshake(s->ssl);
    if (got == 1) {
        SSL_certs_clear(s->ssl); /* a long connection outlives the name's key */
        return 1;
    }
    if (SSL_get_error(s->ssl, got) == SSL_ERROR_WANT_READ && !s->wire.failed)
        return 0;
    ERR_clear_error();
    return -1;
}

long stream_read(struct stream *s, char *to, size_t size)
{
    size_t got;
    int error;

    if (!s->ssl)
        return stream_receive(s, to, size);
    ERR_clear_error();
    if (SSL_read_ex(s->ssl, to, size, &got))
        return (long)got;
    error = SSL_get_error(s->ssl, 0);
    if (error == SSL_ERROR_WANT_READ)
        return 0;
    ERR_clear_error();
    s->is_ended = true;
    return -1;
}

int stream_write(struct stream *s, const char *bytes, size_t size)
{
    size_t put;

    if (!s->ssl)
        return buf_append(&s->wire, bytes, size);
    if (!size)
        return 0;
    ERR_clear_error();
    if (SSL_write_ex(s->ssl, bytes, size, &put) && put == size && !s->wire.failed)
        return 0;
    ERR_clear_error();
    return -1;
}

void stream_end(struct stream *s)
{
    if (!s->ssl || !SSL_is_init_finished(s->ssl))
        return;
    ERR_clear_error();
    /* 0: ours is sent, the peer's is not awaited. After a fatal error it sends nothing. */
    if (SSL_shutdown(s->ssl) < 0)
        ERR_clear_error();
}

/* Who never takes all would have all kept that he ever took. */
static void forget_sent(struct stream *s)
{
    if (s->sent < RELAX_SIZE || s->sent < s->wire.len / 2)
        return;
    buf_consume(&s->wire, s->sent);
    s->sent = 0;
}

int stream_flush(struct stream *s, bool *moved)
{
    *moved = false;
    while (s->sent < s->wire.len) {
        size_t left = s->wire.len - s->sent;
        ssize_t put = send(s->fd, s->wire.data + s->sent, left, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno == EAGAIN)
            return 0;
        if (put < 0) {
            s->is_ended = true;
            return -1;
        }
        s->sent += (size_t)put;
        s->taken += (size_t)put;
        *moved = true;
        forget_sent(s);
    }
    s->sent = 0;
    buf_clear(&s->wire);
    return 1;
}

size_t stream_unsent(const struct stream *s)
{
    return s->wire.len - s->sent;
}

void stream_relax(struct stream *s)
{
    if (stream_unsent(s) == 0) {
        s->sent = 0;
        buf_free(&s->wire);
    }
}
