#include "http_client.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVED_MAX (64 << 20)
#define CHUNK 65536

int http_client_open(struct http_client *c, struct event_base *base)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends))
        abort();
    *c = (struct http_client){.base = base, .fd = ends[0], .received = BUF_INIT(RECEIVED_MAX)};
    return ends[1];
}

void http_client_close(struct http_client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    buf_free(&c->received);
}

bool http_client_take(struct http_client *c)
{
    bool any = false;

    while (c->fd >= 0 && !c->is_closed) {
        char *room = buf_reserve(&c->received, CHUNK);
        ssize_t got = room ? recv(c->fd, room, CHUNK, 0) : -1;
        if (got < 0 && errno == EAGAIN)
            break;
        any = true;
        if (got <= 0)
            c->is_closed = true;
        else
            buf_commit(&c->received, (size_t)got);
    }
    return any;
}

void http_client_pump(struct http_client *c)
{
    for (int quiet = 0; quiet < 3; quiet++) {
        event_base_loop(c->base, EVLOOP_NONBLOCK);
        if (http_client_take(c))
            quiet = 0;
    }
}

void http_client_pump_to_end(struct http_client *c)
{
    while (!c->is_closed) {
        event_base_loop(c->base, EVLOOP_ONCE);
        http_client_take(c);
    }
}

void http_client_say(struct http_client *c, const char *text)
{
    size_t len = strlen(text);

    while (len) {
        ssize_t put = send(c->fd, text, len, MSG_NOSIGNAL);
        if (put > 0) {
            text += put;
            len -= (size_t)put;
        } else if (errno == EAGAIN) {
            event_base_loop(c->base, EVLOOP_NONBLOCK);
            http_client_take(c);
        } else {
            return;
        }
    }
    http_client_pump(c);
}

size_t http_client_count(const struct http_client *c, const char *text)
{
    size_t count = 0;

    for (const char *p = c->received.data; p && (p = strstr(p, text)); p++)
        count++;
    return count;
}

bool http_client_got(const struct http_client *c, const char *text)
{
    return http_client_count(c, text) == 1;
}
