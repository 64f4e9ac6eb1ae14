#include "http_listener.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/happening.h"

struct http_listener {
    struct http_listener_options options;
    struct event readable, resume;
    int64_t told_ms; /* that it paused; 0 = never */
};

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Level-triggered, it would be called again and again: let connections wait in the queue instead.
 */
static void pause_accepting(struct http_listener *l, int error)
{
    const struct timeval pause = {.tv_usec = HTTP_LISTENER_PAUSE_MS * 1000};
    struct error e;

    event_del(&l->readable);
    event_add(&l->resume, &pause);
    if (l->told_ms && clock_steady_ms() - l->told_ms < HTTP_LISTENER_TELL_MS)
        return;
    l->told_ms = clock_steady_ms();
    error_errno(&e, ERROR_IO, error, "accept");
    happening_tell_error(HAPPENING_ACCEPT_PAUSED, &e,
                         FIELDS(field_int("ms", HTTP_LISTENER_PAUSE_MS)));
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct http_listener *l = context;

    (void)what;
    for (int i = 0; i < HTTP_LISTENER_BATCH; i++) {
        struct sockaddr_storage peer;
        socklen_t peer_len = sizeof(peer);
        int got =
            accept4((int)fd, (struct sockaddr *)&peer, &peer_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (got >= 0) {
            l->options.accepted(l->options.context, got, (struct sockaddr *)&peer, peer_len);
            continue;
        }
        if (is_shortage(errno))
            pause_accepting(l, errno);
        /* The others are errors of a connection that is gone already (accept(2)). */
        if (errno == EAGAIN || is_shortage(errno))
            return;
    }
}

static void on_resume(evutil_socket_t fd, short what, void *context)
{
    struct http_listener *l = context;

    (void)fd;
    (void)what;
    event_add(&l->readable, NULL);
}

struct http_listener *http_listener_new(const struct http_listener_options *options)
{
    struct http_listener *l = calloc(1, sizeof(*l));
    const int one = 1;

    if (!l)
        return NULL;
    l->options = *options;
    /* Fails on a unix socket, which has no Nagle either. */
    (void)setsockopt(options->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    event_assign(&l->readable, options->base, options->fd, EV_READ | EV_PERSIST, on_readable, l);
    event_assign(&l->resume, options->base, -1, 0, on_resume, l);
    if (event_add(&l->readable, NULL)) {
        free(l);
        return NULL;
    }
    return l;
}

void http_listener_free(struct http_listener *l)
{
    if (!l)
        return;
    event_del(&l->readable);
    event_del(&l->resume);
    free(l);
}
