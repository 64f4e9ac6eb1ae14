#include "channel.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHANNEL_BUFFER_BYTES (4 << 20)

/* What is on the wire: the head, and the union cut to what the type uses. */
static size_t message_size(uint32_t type)
{
    const struct channel_message *m = NULL;
    size_t head = offsetof(struct channel_message, u);

    switch ((enum channel_type)type) {
    case CHANNEL_RESET:
    case CHANNEL_READY:
    case CHANNEL_BEAT:
    case CHANNEL_STOP:
    case CHANNEL_PREFIX:
    case CHANNEL_DRAINS:
        return head;
    case CHANNEL_HELLO:
        return head + sizeof(m->u.hello);
    case CHANNEL_SEGMENT:
        return head + sizeof(m->u.segment);
    case CHANNEL_MANIFEST:
        return head + sizeof(m->u.manifest);
    case CHANNEL_TICKET_KEYS_SET:
        return head + sizeof(m->u.tickets);
    case CHANNEL_ACK:
        return head + sizeof(m->u.ack);
    case CHANNEL_SNI_SEEN:
        return head + sizeof(m->u.sni);
    case CHANNEL_TOKEN_ANSWER:
    case CHANNEL_TOKEN_MISS:
        return head + sizeof(m->u.token);
    case CHANNEL_COVER:
    case CHANNEL_UNCOVER:
        return head + sizeof(m->u.cover);
    case CHANNEL_WORKER_KILL:
    case CHANNEL_WORKER_READY:
        return head + sizeof(m->u.worker);
    case CHANNEL_SLOT:
        return head + sizeof(m->u.slot);
    }
    return 0;
}

int channel_send(int channel, const struct channel_message *m, int fd, struct error *e)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct channel_message copy = *m;
    struct iovec part = {.iov_base = &copy, .iov_len = message_size(m->type)};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

    if (!part.iov_len)
        BUG("channel message of unknown type");
    copy.format = CHANNEL_FORMAT;
    if (fd >= 0) {
        struct cmsghdr *c;
        header.msg_control = control.bytes;
        header.msg_controllen = sizeof(control.bytes);
        c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    while (sendmsg(channel, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno == EINTR)
            continue;
        /* The last: too many descriptors wait in channels to be taken. */
        if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS)
            return 1;
        return error_errno(e, ERROR_IO, errno, "channel");
    }
    return 0;
}

/* The first attached descriptor; any further ones are closed. */
static int take_descriptor(struct msghdr *header)
{
    int fd = -1;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < count; i++) {
            int got;
            memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (fd < 0)
                fd = got;
            else
                close(got);
        }
    }
    return fd;
}

static bool ends(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static bool is_sound(const struct channel_message *m, size_t size)
{
    if (size != message_size(m->type))
        return false;
    switch ((enum channel_type)m->type) {
    case CHANNEL_MANIFEST:
        return m->u.manifest.count <= CHANNEL_SEGMENTS_MAX;
    case CHANNEL_TICKET_KEYS_SET:
        return m->u.tickets.count <= CHANNEL_TICKET_KEYS;
    case CHANNEL_SNI_SEEN:
        return ends(m->u.sni.name, sizeof(m->u.sni.name));
    case CHANNEL_TOKEN_ANSWER:
    case CHANNEL_TOKEN_MISS:
        return ends(m->u.token.name, sizeof(m->u.token.name)) &&
               ends(m->u.token.token, sizeof(m->u.token.token)) &&
               ends(m->u.token.answer, sizeof(m->u.token.answer));
    default:
        return true;
    }
}

/* The size of the next message, were it larger than *m; *fd gets an attached descriptor or -1. */
static ssize_t take_bytes(int channel, struct channel_message *m, int *fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(4 * sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = m, .iov_len = sizeof(*m)};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    ssize_t got;

    do
        got = recvmsg(channel, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC);
    while (got < 0 && errno == EINTR);
    *fd = got >= 0 ? take_descriptor(&header) : -1;
    return got;
}

/* What an empty message and an end look like alike. */
static bool is_gone(int channel)
{
    struct pollfd polled = {.fd = channel, .events = POLLRDHUP};

    return poll(&polled, 1, 0) == 1;
}

int channel_receive(int channel, struct channel_message *m, int *fd, struct error *e)
{
    ssize_t got;

    memset(m, 0, sizeof(*m));
    got = take_bytes(channel, m, fd);
    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got < 0)
        return error_errno(e, ERROR_IO, errno, "channel");
    if (got == 0 && *fd < 0 && is_gone(channel))
        return error_set(e, ERROR_IO, "channel: the other end is gone");
    if ((size_t)got >= offsetof(struct channel_message, session) && m->format != CHANNEL_FORMAT) {
        m->type = 0;
        return 1;
    }
    if ((size_t)got >= offsetof(struct channel_message, u) && is_sound(m, (size_t)got))
        return 1;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return error_set(e, ERROR_PROTOCOL, "channel: a broken message of %zd bytes", got);
}

int channel_pair(int ends_out[2], struct error *e)
{
    const int size = CHANNEL_BUFFER_BYTES;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends_out))
        return error_errno(e, ERROR_IO, errno, "socketpair");
    for (int i = 0; i < 2; i++)
        setsockopt(ends_out[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    return 0;
}
