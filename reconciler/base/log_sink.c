#include "log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"

#define SECOND_MS 1000

static bool waits_for_reader(mode_t mode)
{
    return S_ISFIFO(mode) || S_ISCHR(mode);
}

void log_sink_open(struct log_sink *s, int fd)
{
    const int flags = fcntl(fd, F_GETFL);
    struct stat st;

    *s = (struct log_sink){.fd = fd};
    if (flags < 0 || fstat(fd, &st))
        return;
    s->is_socket = S_ISSOCK(st.st_mode);
    s->may_block = waits_for_reader(st.st_mode) && !(flags & O_NONBLOCK);
}

void log_sink_detach(int fd)
{
    const int flags = fcntl(fd, F_GETFL);
    char path[32];
    struct stat st;
    int own;

    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || (flags & O_NONBLOCK) || fstat(fd, &st) ||
        !waits_for_reader(st.st_mode))
        return;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own < 0)
        return;
    /* Advice; one that holds more already is left alone. */
    if (S_ISFIFO(st.st_mode) && fcntl(own, F_GETPIPE_SZ) < LOG_SINK_PIPE_BYTES)
        (void)fcntl(own, F_SETPIPE_SZ, LOG_SINK_PIPE_BYTES);
    (void)dup2(own, fd);
    close(own);
}

static ssize_t put(const struct log_sink *s, const char *at, size_t len)
{
    struct pollfd room = {.fd = s->fd, .events = POLLOUT};

    if (s->is_socket)
        return send(s->fd, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (!s->may_block)
        return write(s->fd, at, len);
    /* A pipe with any room takes this much at once (pipe(7)). */
    if (poll(&room, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(s->fd, at, len < PIPE_BUF ? len : PIPE_BUF);
}

/* Waits until there is room, at most for *left_ms, of which it takes what that took. */
static bool wait_for_room(const struct log_sink *s, int64_t *left_ms)
{
    struct pollfd room = {.fd = s->fd, .events = POLLOUT};
    int64_t began = clock_steady_ms();
    int got = *left_ms > 0 ? poll(&room, 1, (int)*left_ms) : 0;
    int64_t took = clock_steady_ms() - began;

    /* Never nothing: some are said to have room, and have none for this. */
    *left_ms -= took > 0 ? took : 1;
    return got > 0 || (got < 0 && errno == EINTR);
}

/* How much of it was taken. */
static size_t put_all(const struct log_sink *s, struct str text, int64_t *left_ms)
{
    size_t done = 0;

    while (done < text.len) {
        ssize_t got = put(s, text.ptr + done, text.len - done);
        if (got > 0)
            done += (size_t)got;
        else if (got == 0 || (errno != EINTR && errno != EAGAIN && errno != ENOBUFS))
            break;
        else if (errno != EINTR && !wait_for_room(s, left_ms))
            break;
    }
    return done;
}

bool log_sink_write(struct log_sink *s, struct str line, bool may_wait)
{
    int64_t now = clock_steady_ms(), had, left;
    size_t done = 0;

    if (now - s->second_ms >= SECOND_MS) {
        s->second_ms = now;
        s->waited_ms = 0;
    }
    had = left = may_wait ? LOG_SINK_WAIT_MS - s->waited_ms : 0;
    if (s->owes_newline)
        s->owes_newline = put_all(s, STR("\n"), &left) == 0;
    if (!s->owes_newline) {
        done = put_all(s, line, &left);
        s->owes_newline = done > 0 && done < line.len;
    }
    if (may_wait)
        s->waited_ms += had - left;
    return done == line.len;
}

void log_sink_insist(struct log_sink *s, struct str text, int64_t bound_ms)
{
    put_all(s, text, &bound_ms);
}
