#include "listeners.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/ip.h"
#include "reconciler/supervisor/port_owner.h"

#define LISTENERS_FREE_PORTS 1024 /* and above: for everybody (ip(7)) */
#define LISTENERS_OWNER_MAX 200   /* bytes about who has a port */
#define DEFER_ACCEPT_S 1          /* nginx' value for `deferred` */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool is_ipv6(const struct settings_listen *l)
{
    return strchr(l->address, ':') != NULL;
}

static void print_address(const struct settings_listen *l, struct buf *out)
{
    buf_printf(out, is_ipv6(l) ? "[%s]:%u" : "%s:%u", l->address, (unsigned)l->port);
}

static int fail(struct error *e, int number, const struct settings_listen *l)
{
    struct buf text = BUF_INIT(256);

    print_address(l, &text);
    error_errno(e, ERROR_IO, number, "cannot listen on %s", text.data ? text.data : "an address");
    if (number == EACCES && l->port && l->port < LISTENERS_FREE_PORTS)
        error_suffix(e, "; ports below %d need root or CAP_NET_BIND_SERVICE", LISTENERS_FREE_PORTS);
    buf_free(&text);
    return -1;
}

static socklen_t fill(const struct settings_listen *l, union address *a)
{
    *a = (union address){0};
    if (is_ipv6(l)) {
        a->v6.sin6_family = AF_INET6;
        a->v6.sin6_port = htons(l->port);
        inet_pton(AF_INET6, l->address, &a->v6.sin6_addr);
        return sizeof(a->v6);
    }
    a->v4.sin_family = AF_INET;
    a->v4.sin_port = htons(l->port);
    inet_pton(AF_INET, l->address, &a->v4.sin_addr);
    return sizeof(a->v4);
}

static int set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value));
}

/* Set on the listener: what it accepts inherits them. */
static int set_options(int fd, const struct settings_listen *l)
{
    if (set(fd, IPPROTO_TCP, TCP_NODELAY, 1))
        return -1;
    if (l->deferred && set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, DEFER_ACCEPT_S))
        return -1;
    if (l->so_keepalive_set && set(fd, SOL_SOCKET, SO_KEEPALIVE, l->so_keepalive))
        return -1;
    if (l->so_keepalive_idle_s && set(fd, IPPROTO_TCP, TCP_KEEPIDLE, l->so_keepalive_idle_s))
        return -1;
    if (l->so_keepalive_interval_s &&
        set(fd, IPPROTO_TCP, TCP_KEEPINTVL, l->so_keepalive_interval_s))
        return -1;
    return l->so_keepalive_count && set(fd, IPPROTO_TCP, TCP_KEEPCNT, l->so_keepalive_count);
}

/* A bound socket, or -1 with errno. SO_REUSEADDR lets us have ports whose last user just left. */
static int bind_socket(const struct settings_listen *l, bool is_shared)
{
    union address a;
    socklen_t size = fill(l, &a);
    int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int number;

    if (fd < 0)
        return -1;
    if (set(fd, SOL_SOCKET, SO_REUSEADDR, 1) == 0 &&
        (!is_shared || set(fd, SOL_SOCKET, SO_REUSEPORT, 1) == 0) &&
        (a.any.sa_family != AF_INET6 ||
         set(fd, IPPROTO_IPV6, IPV6_V6ONLY, !l->ipv6only_set || l->ipv6only) == 0) &&
        bind(fd, &a.any, size) == 0)
        return fd;
    number = errno;
    close(fd);
    errno = number;
    return -1;
}

/* A listening socket; the port that the kernel picked goes into *l. */
static int open_socket(struct settings_listen *l, bool is_shared, struct error *e)
{
    int fd = bind_socket(l, is_shared);
    union address a;
    socklen_t size = sizeof(a);

    if (fd < 0)
        return fail(e, errno, l);
    if (set_options(fd, l) || listen(fd, l->backlog ? l->backlog : LISTENERS_BACKLOG) ||
        getsockname(fd, &a.any, &size)) {
        fail(e, errno, l);
        close(fd);
        return -1;
    }
    l->port = ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
    return fd;
}

static bool is_numeric(const struct settings_listen *l)
{
    unsigned char bytes[IP_BYTES_MAX];

    return ip_parse(str_from(l->address), bytes) != 0;
}

static int append(struct settings_listens *list, const struct settings_listen *l, struct error *e)
{
    if (list->count == SETTINGS_LISTEN_MAX)
        return error_set(e, ERROR_USAGE, "more than %d addresses to listen on",
                         SETTINGS_LISTEN_MAX);
    list->items[list->count++] = *l;
    return 0;
}

/* Whether this machine can bind the address at all, in use or not. */
static bool is_possible(const struct settings_listen *l)
{
    struct settings_listen any_port = *l;
    int fd;

    any_port.port = 0;
    fd = bind_socket(&any_port, false);
    if (fd < 0)
        return errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL;
    close(fd);
    return true;
}

/* All addresses of a name that this machine can have, as in nginx. */
static int append_resolved(struct settings_listens *list, const struct settings_listen *l,
                           struct error *e)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int code = getaddrinfo(l->address, NULL, &hints, &found), rc = 0;
    size_t before = list->count;

    if (code)
        return error_set(e, ERROR_IO, "cannot listen on %s: %s", l->address, gai_strerror(code));
    for (const struct addrinfo *a = found; rc == 0 && a; a = a->ai_next) {
        struct settings_listen one = *l;
        if (getnameinfo(a->ai_addr, a->ai_addrlen, one.address, sizeof(one.address), NULL, 0,
                        NI_NUMERICHOST) == 0 &&
            is_numeric(&one) && is_possible(&one))
            rc = append(list, &one, e);
    }
    freeaddrinfo(found);
    if (rc == 0 && list->count == before)
        rc = error_set(e, ERROR_IO, "cannot listen on %s: it has no address here", l->address);
    return rc;
}

/* Names become addresses; defaults that this machine cannot have are left out. */
static int settle(struct settings_listens *list, struct error *e)
{
    struct settings_listens *out = calloc(1, sizeof(*out));
    int rc = 0;

    if (!out)
        return error_memory(e);
    for (size_t i = 0; rc == 0 && i < list->count; i++) {
        const struct settings_listen *l = &list->items[i];
        if (!is_numeric(l))
            rc = append_resolved(out, l, e);
        else if (l->is_default && is_ipv6(l) && !is_possible(l))
            happening_tell(HAPPENING_LISTENER_SKIPPED,
                           FIELDS(field_cstr("address", l->address), field_int("port", l->port),
                                  field_cstr("because", "this machine has no IPv6")));
        else
            rc = append(out, l, e);
    }
    if (rc == 0)
        *list = *out;
    free(out);
    return rc;
}

/* Without SO_REUSEPORT, which would let a second instance of ours in beside the first. */
static void probe(const struct settings_listens *list, struct buf *in_use, size_t *count,
                  uint16_t *first)
{
    for (size_t i = 0; i < list->count; i++) {
        int fd = list->items[i].port ? bind_socket(&list->items[i], false) : -1;
        if (fd >= 0) {
            close(fd);
            continue;
        }
        if (!list->items[i].port || errno != EADDRINUSE)
            continue;
        if (!*count)
            *first = list->items[i].port;
        buf_cstr(in_use, (*count)++ ? ", " : "");
        print_address(&list->items[i], in_use);
    }
}

/* Who holds the prefix, as its lock says it: the supervisor whose control has written that. 0:
 * none.
 */
static long owner_of(const char *prefix)
{
    char path[PATH_MAX];
    long control = 0, parent = 0;
    FILE *f;

    snprintf(path, sizeof(path), "%s/lock", prefix);
    f = fopen(path, "re");
    if (f && fscanf(f, "%18ld", &control) != 1)
        control = 0;
    if (f)
        fclose(f);
    snprintf(path, sizeof(path), "/proc/%ld/stat", control);
    f = control > 0 ? fopen(path, "re") : NULL;
    if (f && fscanf(f, "%*d (%*[^)]) %*c %18ld", &parent) != 1)
        parent = 0;
    if (f)
        fclose(f);
    return parent;
}

/* One of ours, or whoever has the first of the ports. */
static void say_owner(const char *prefix, uint16_t port, struct error *e)
{
    struct buf text = BUF_INIT(LISTENERS_OWNER_MAX);
    long owner = owner_of(prefix);

    if (owner > 1) {
        error_suffix(e, "; process %ld uses %.60s", owner, prefix);
        return;
    }
    port_owner_print(port, &text);
    error_suffix(e, "; %u is held by %s", (unsigned)port,
                 text.data ? text.data : "another process");
    buf_free(&text);
}

static int refuse_in_use(const struct settings *s, struct error *e)
{
    struct buf text = BUF_INIT(64 * 2 * SETTINGS_LISTEN_MAX);
    size_t count = 0;
    uint16_t first = 0;

    probe(&s->proxy_listen, &text, &count, &first);
    probe(&s->status_listen, &text, &count, &first);
    if (count > 1)
        error_set(e, ERROR_IN_USE, "addresses %.400s%s are in use", text.data ? text.data : "",
                  text.len > 400 ? " ..." : "");
    else if (count)
        error_set(e, ERROR_IN_USE, "address %s is in use", text.data ? text.data : "");
    if (count)
        say_owner(s->prefix, first, e);
    buf_free(&text);
    return count ? -1 : 0;
}

static int *new_sockets(size_t count)
{
    int *fds = calloc(count ? count : 1, sizeof(*fds));

    for (size_t i = 0; fds && i < count; i++)
        fds[i] = -1;
    return fds;
}

int listeners_open(struct listeners *l, struct settings *s, size_t slot_count, struct error *e)
{
    if (settle(&s->proxy_listen, e) || settle(&s->status_listen, e) || refuse_in_use(s, e))
        return -1;
    l->slot_count = slot_count;
    l->address_count = s->proxy_listen.count;
    l->status_count = s->status_listen.count;
    l->fds = new_sockets(slot_count * l->address_count);
    l->status = new_sockets(l->status_count);
    if (!l->fds || !l->status)
        return error_memory(e);
    for (size_t i = 0; i < slot_count * l->address_count; i++) {
        l->fds[i] = open_socket(&s->proxy_listen.items[i % l->address_count], true, e);
        if (l->fds[i] < 0)
            return -1;
    }
    for (size_t i = 0; i < l->status_count; i++) {
        l->status[i] = open_socket(&s->status_listen.items[i], false, e);
        if (l->status[i] < 0)
            return -1;
    }
    return 0;
}

static void log_list(const struct settings_listens *list, const char *purpose)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct settings_listen *l = &list->items[i];
        happening_tell(HAPPENING_LISTENING,
                       FIELDS(field_cstr("address", l->address), field_int("port", l->port),
                              field_bool("ssl", l->ssl), field_cstr("for", purpose)));
    }
}

void listeners_log(const struct settings *s)
{
    log_list(&s->proxy_listen, "proxy");
    log_list(&s->status_listen, "status");
}

static void close_sockets(int **fds, size_t count)
{
    for (size_t i = 0; *fds && i < count; i++)
        if ((*fds)[i] >= 0)
            close((*fds)[i]);
    free(*fds);
    *fds = NULL;
}

void listeners_close(struct listeners *l)
{
    close_sockets(&l->fds, l->slot_count * l->address_count);
    close_sockets(&l->status, l->status_count);
    *l = (struct listeners){0};
}
