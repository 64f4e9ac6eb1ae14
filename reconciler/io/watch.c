#include "reconciler/io/watch.h"

#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

struct watch {
    struct event *event;
    void (*look)(void *context);
    void *context;
};

/* What the lines say makes no difference: whichever it was, it is time to look. */
static void on_readable(int fd, short what, void *arg)
{
    struct watch *w = arg;
    char lines[512];
    ssize_t got = read(fd, lines, sizeof(lines));

    (void)what;
    if (got == 0)
        event_del(w->event); /* the supervisor keeps the other end: this is its death */
    if (got > 0)
        w->look(w->context);
}

struct watch *watch_new(struct event_base *base, int fd, void (*look)(void *context), void *context,
                        struct error *e)
{
    struct watch *w = calloc(1, sizeof(*w));

    if (!w)
        return error_no_memory(e);
    evutil_make_socket_nonblocking(fd);
    w->look = look;
    w->context = context;
    w->event = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, w);
    if (!w->event || event_add(w->event, NULL)) {
        watch_free(w);
        return error_no_memory(e);
    }
    return w;
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    if (w->event)
        event_free(w->event);
    free(w);
}
