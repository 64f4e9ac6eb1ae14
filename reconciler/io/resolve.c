#include "reconciler/io/resolve.h"

#include <ares.h>
#include <event2/event.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "reconciler/base/ip.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/str.h"

#define RESOLVE_TRY_MS 3000
#define RESOLVE_TRIES 3
/* Kept at least this long, so that a batch asks once, and at most that long. */
#define RESOLVE_KEEP_MIN_MS 5000
#define RESOLVE_KEEP_MAX_MS 300000
#define RESOLVE_CACHE_MAX 64

struct answer {
    char host[256];
    char addresses[RESOLVE_TEXT_MAX];
    int64_t until_ms;
};

struct watched_socket {
    LIST_ENTRY(watched_socket) link;
    ares_socket_t fd;
    struct event *event;
};

struct resolver {
    struct event_base *base;
    ares_channel channel;
    struct event *timer;
    LIST_HEAD(, watched_socket) sockets;
    struct answer cache[RESOLVE_CACHE_MAX];
    size_t next_slot;
};

struct question {
    struct resolver *resolver;
    char host[256];
    void (*found)(void *context, const char *addresses, const struct error *e);
    void *context;
};

static void arm_timer(struct resolver *r)
{
    struct timeval most = {1, 0}, room;
    struct timeval *wait = ares_timeout(r->channel, &most, &room);

    event_add(r->timer, wait);
}

static void on_timer(int fd, short what, void *arg)
{
    struct resolver *r = arg;

    (void)fd;
    (void)what;
    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    if (!LIST_EMPTY(&r->sockets))
        arm_timer(r);
}

static void on_socket(int fd, short what, void *arg)
{
    struct resolver *r = arg;

    ares_process_fd(r->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
                    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
}

static void drop_socket(struct watched_socket *s)
{
    LIST_REMOVE(s, link);
    if (s->event)
        event_free(s->event);
    free(s);
}

/* c-ares tells which of its sockets wait for what. */
static void on_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct resolver *r = arg;
    struct watched_socket *s;
    short what = (short)(EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));

    LIST_FOREACH(s, &r->sockets, link)
    if (s->fd == fd)
        break;
    if (s)
        drop_socket(s);
    if (!readable && !writable)
        return;
    s = calloc(1, sizeof(*s));
    if (!s)
        return; /* the try times out */
    s->fd = fd;
    LIST_INSERT_HEAD(&r->sockets, s, link);
    s->event = event_new(r->base, fd, what, on_socket, r);
    if (s->event)
        event_add(s->event, NULL);
    arm_timer(r);
}

struct resolver *resolver_new(struct event_base *base, const struct resolve_options *options,
                              struct error *e)
{
    struct ares_options with = {
        .timeout = RESOLVE_TRY_MS, .tries = RESOLVE_TRIES, .sock_state_cb = on_state};
    struct resolver *r = calloc(1, sizeof(*r));
    int rc;

    if (!r)
        return error_no_memory(e);
    r->base = base;
    LIST_INIT(&r->sockets);
    with.sock_state_cb_data = r;
    /* c-ares 1.18 takes a hosts file only from this variable, read with ARES_AI_ENVHOSTS. */
    if (options->hosts_file)
        setenv("CARES_HOSTS", options->hosts_file, 1);
    rc = ares_library_init(ARES_LIB_INIT_ALL);
    if (rc == ARES_SUCCESS)
        rc = ares_init_options(&r->channel, &with,
                               ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
    if (rc == ARES_SUCCESS && options->servers)
        rc = ares_set_servers_ports_csv(r->channel, options->servers);
    r->timer = evtimer_new(base, on_timer, r);
    if (rc == ARES_SUCCESS && r->timer)
        return r;
    error_set(e, ERROR_USAGE, "the resolver cannot start: %s", ares_strerror(rc));
    resolver_free(r);
    return NULL;
}

void resolver_free(struct resolver *r)
{
    if (!r)
        return;
    if (r->channel)
        ares_destroy(r->channel);
    while (!LIST_EMPTY(&r->sockets))
        drop_socket(LIST_FIRST(&r->sockets));
    if (r->timer)
        event_free(r->timer);
    ares_library_cleanup();
    free(r);
}

/* The addresses as text, IPv6 in brackets; the smallest TTL of them in *ttl. */
static void print_addresses(const struct ares_addrinfo *info, char *out, size_t size, int *ttl)
{
    size_t len = 0, count = 0;

    out[0] = '\0';
    for (const struct ares_addrinfo_node *n = info->nodes; n; n = n->ai_next) {
        char text[NI_MAXHOST];
        bool is_v6 = n->ai_family == AF_INET6;
        if (count == RESOLVE_ADDRESSES_MAX ||
            getnameinfo(n->ai_addr, n->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST))
            continue;
        if (len + strlen(text) + 4 > size)
            break;
        len += (size_t)snprintf(out + len, size - len, is_v6 ? "%s[%s]" : "%s%s", count ? "," : "",
                                text);
        if (!count++ || n->ai_ttl < *ttl)
            *ttl = n->ai_ttl;
    }
}

static void remember(struct resolver *r, const char *host, const char *addresses, int ttl)
{
    struct answer *a = &r->cache[r->next_slot++ % RESOLVE_CACHE_MAX];
    int64_t keep = (int64_t)ttl * 1000;

    keep = keep < RESOLVE_KEEP_MIN_MS ? RESOLVE_KEEP_MIN_MS : keep;
    keep = keep > RESOLVE_KEEP_MAX_MS ? RESOLVE_KEEP_MAX_MS : keep;
    snprintf(a->host, sizeof(a->host), "%s", host);
    snprintf(a->addresses, sizeof(a->addresses), "%s", addresses);
    a->until_ms = clock_steady_ms() + keep;
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct question *q = arg;
    char addresses[RESOLVE_TEXT_MAX] = "";
    struct error e;
    int ttl = 0;

    (void)timeouts;
    if (status == ARES_SUCCESS)
        print_addresses(info, addresses, sizeof(addresses), &ttl);
    if (info)
        ares_freeaddrinfo(info);
    if (addresses[0]) {
        remember(q->resolver, q->host, addresses, ttl);
        q->found(q->context, addresses, NULL);
    } else {
        error_set(&e, status == ARES_ETIMEOUT ? ERROR_TIMEOUT : ERROR_NETWORK,
                  "cannot resolve %s: %s", q->host,
                  status == ARES_SUCCESS ? "no address" : ares_strerror(status));
        q->found(q->context, NULL, &e);
    }
    free(q);
}

static const char *find_remembered(const struct resolver *r, const char *host)
{
    int64_t now = clock_steady_ms();

    for (size_t i = 0; i < RESOLVE_CACHE_MAX; i++)
        if (r->cache[i].until_ms > now && strcmp(r->cache[i].host, host) == 0)
            return r->cache[i].addresses;
    return NULL;
}

void resolver_find(struct resolver *r, const char *host,
                   void (*found)(void *context, const char *addresses, const struct error *e),
                   void *context)
{
    const struct ares_addrinfo_hints hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_ENVHOSTS};
    const char *known = find_remembered(r, host);
    unsigned char bytes[IP_BYTES_MAX];
    struct question *q;
    struct error e;

    if (ip_parse(str_from(host), bytes))
        known = host;
    else if (strcmp(host, "localhost") == 0 || str_ends(str_from(host), STR(".localhost")))
        known = "127.0.0.1,[::1]";
    if (known) {
        found(context, known, NULL);
        return;
    }
    q = calloc(1, sizeof(*q));
    if (!q || strlen(host) >= sizeof(q->host)) {
        free(q);
        error_set(&e, ERROR_NETWORK, "cannot resolve a name of %zu bytes", strlen(host));
        found(context, NULL, &e);
        return;
    }
    q->resolver = r;
    memcpy(q->host, host, strlen(host) + 1);
    q->found = found;
    q->context = context;
    ares_getaddrinfo(r->channel, host, NULL, &hints, on_answer, q);
}
