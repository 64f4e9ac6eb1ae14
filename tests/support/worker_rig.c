#include "worker_rig.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/log.h"
#include "reconciler/serve/worker.h"

#define ANSWER_MAX 65536

static void fail(const char *what)
{
    perror(what);
    abort();
}

/* ---- the worker ---- */

static int listen_on(int family, uint16_t *port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool is_ipv6 = family == AF_INET6;
    struct sockaddr *address = is_ipv6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in;
    socklen_t len = is_ipv6 ? sizeof(in6) : sizeof(in);
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *port = 0;
    if (fd < 0 || bind(fd, address, len) || listen(fd, 128) || getsockname(fd, address, &len)) {
        if (!is_ipv6)
            fail("listen");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    *port = ntohs(is_ipv6 ? in6.sin6_port : in.sin_port);
    return fd;
}

static void run_worker(struct worker_rig *w, const struct worker_rig_options *o, int channel,
                       int lifeline, int counters)
{
    struct worker_listener listeners[4];
    struct worker_options options = {.channel = channel,
                                     .lifeline = lifeline,
                                     .counters = counters,
                                     .listeners = listeners,
                                     .product = "reconcert/test"};
    const uint16_t ports[] = {w->plain_port, w->tls_port, w->proxy_port, w->plain6_port};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(w->channel);
    close(w->lifeline);
    for (size_t i = 0; i < 4; i++)
        if (w->listeners[i] >= 0)
            listeners[options.listener_count++] =
                (struct worker_listener){.fd = w->listeners[i],
                                         .port = ports[i],
                                         .ssl = i == 1,
                                         .http2 = i == 1,
                                         .proxy_protocol = i == 2};
    if (o) {
        options.ssl_protocols = o->protocols;
        options.ssl_protocol_count = o->protocol_count;
        options.ssl_ciphers = o->ciphers;
    }
    log_open("worker-0", LOG_CRIT, LOG_KEY_VALUE);
    _exit(worker_run(&options));
}

struct worker_rig *worker_rig_new(const struct worker_rig_options *options)
{
    struct worker_rig *w = calloc(1, sizeof(*w));
    int channel[2], lifeline[2], counters = memfd_create("counters", MFD_CLOEXEC);
    struct error e;

    if (!w || channel_pair(channel, &e) || pipe2(lifeline, O_CLOEXEC) || counters < 0 ||
        ftruncate(counters, COUNTERS_PAGE_SIZE))
        fail("worker_rig");
    w->listeners[0] = listen_on(AF_INET, &w->plain_port);
    w->listeners[1] = listen_on(AF_INET, &w->tls_port);
    w->listeners[2] = listen_on(AF_INET, &w->proxy_port);
    w->listeners[3] = listen_on(AF_INET6, &w->plain6_port);
    w->channel = channel[0];
    w->lifeline = lifeline[1];
    w->counters = mmap(NULL, COUNTERS_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, counters, 0);
    if (w->counters == MAP_FAILED)
        fail("counters");
    w->pid = fork();
    if (w->pid < 0)
        fail("fork");
    if (w->pid == 0)
        run_worker(w, options, channel[1], lifeline[0], counters);
    close(channel[1]);
    close(lifeline[0]);
    close(counters);
    return w;
}

int worker_rig_wait(struct worker_rig *w)
{
    int status;

    if (waitpid(w->pid, &status, 0) != w->pid)
        fail("waitpid");
    w->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void worker_rig_free(struct worker_rig *w)
{
    if (w->pid) {
        kill(w->pid, SIGKILL);
        worker_rig_wait(w);
    }
    for (size_t i = 0; i < 4; i++)
        if (w->listeners[i] >= 0)
            close(w->listeners[i]);
    if (w->channel >= 0)
        close(w->channel);
    if (w->lifeline >= 0)
        close(w->lifeline);
    munmap(w->counters, COUNTERS_PAGE_SIZE);
    free(w);
}

/* ---- the channel ---- */

void worker_rig_expect(struct worker_rig *w, enum channel_type type, struct channel_message *m)
{
    int64_t until = clock_steady_ms() + WORKER_RIG_MS;

    for (;;) {
        struct pollfd p = {.fd = w->channel, .events = POLLIN};
        struct error e;
        int fd, got = channel_receive(w->channel, m, &fd, &e);
        if (got < 0)
            fail(e.message);
        if (got == 1 && m->type == type)
            return;
        if (clock_steady_ms() > until)
            fail("no such message of the worker");
        if (got == 0)
            poll(&p, 1, 100);
    }
}

void worker_rig_send(struct worker_rig *w, struct channel_message *m, int fd)
{
    struct error e;

    if (!m->session)
        m->session = w->session;
    if (channel_send(w->channel, m, fd, &e))
        fail("channel");
}

void worker_rig_greet(struct worker_rig *w)
{
    static const uint64_t first = 41;
    struct channel_message m, reset = {.type = CHANNEL_RESET};

    if (!w->session)
        worker_rig_expect(w, CHANNEL_HELLO, &m);
    w->session = w->session ? w->session + 1 : first;
    worker_rig_send(w, &reset, -1);
    do
        worker_rig_expect(w, CHANNEL_HELLO, &m);
    while (m.session != w->session);
}

void worker_rig_segment(struct worker_rig *w, uint64_t id, int fd)
{
    struct channel_message m = {.type = CHANNEL_SEGMENT, .u.segment.id = id};

    worker_rig_send(w, &m, fd);
}

void worker_rig_manifest(struct worker_rig *w, uint64_t generation, const uint64_t *ids,
                         size_t count)
{
    struct channel_message m = {.type = CHANNEL_MANIFEST};

    m.u.manifest.generation = generation;
    m.u.manifest.count = (uint32_t)count;
    for (size_t i = 0; i < count; i++)
        m.u.manifest.ids[i] = ids[i];
    worker_rig_send(w, &m, -1);
}

void worker_rig_acknowledged(struct worker_rig *w, uint64_t generation)
{
    struct channel_message m;

    do
        worker_rig_expect(w, CHANNEL_ACK, &m);
    while (m.u.ack.generation != generation);
}

/* ---- clients ---- */

int worker_rig_connect(uint16_t port, int family)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT, .sin6_port = htons(port)};
    const struct timeval patience = {.tv_sec = WORKER_RIG_MS / 1000};
    bool is_ipv6 = family == AF_INET6;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
        connect(fd, is_ipv6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in,
                is_ipv6 ? sizeof(in6) : sizeof(in)))
        fail("connect");
    return fd;
}

char *worker_rig_ask(uint16_t port, int family, const char *text)
{
    char *answer = calloc(1, ANSWER_MAX);
    int fd = worker_rig_connect(port, family);
    size_t len = 0;
    ssize_t got;

    if (!answer || send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
        fail("send");
    while (len + 1 < ANSWER_MAX && (got = recv(fd, answer + len, ANSWER_MAX - 1 - len, 0)) > 0)
        len += (size_t)got;
    close(fd);
    return answer;
}

static SSL_CTX *client_context(const struct worker_rig_tls *how)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (!context || !SSL_CTX_set_min_proto_version(context, how->min_version) ||
        !SSL_CTX_set_max_proto_version(context, how->max_version) ||
        (how->sigalgs && !SSL_CTX_set1_sigalgs_list(context, how->sigalgs)) ||
        (how->alpn && SSL_CTX_set_alpn_protos(context, how->alpn, (unsigned)how->alpn_len)))
        fail("SSL_CTX");
    /* What a context keeps dies with it. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    return context;
}

SSL *worker_rig_handshake(uint16_t port, const struct worker_rig_tls *how)
{
    SSL_CTX *context = client_context(how);
    SSL *ssl = SSL_new(context);
    int fd = worker_rig_connect(port, AF_INET);

    if (!ssl || !SSL_set_fd(ssl, fd) || (how->sni && !SSL_set_tlsext_host_name(ssl, how->sni)) ||
        (how->session && !SSL_set_session(ssl, how->session)))
        fail("SSL");
    SSL_CTX_free(context);
    if (SSL_connect(ssl) == 1)
        return ssl;
    ERR_clear_error();
    worker_rig_hang_up(ssl);
    return NULL;
}

/* Is the answer whole? By its Content-Length. */
static bool is_whole(const char *answer, size_t len)
{
    const char *body = strstr(answer, "\r\n\r\n"), *field = strstr(answer, "Content-Length: ");

    return body && field &&
           len >=
               (size_t)(body + 4 - answer) + strtoul(field + strlen("Content-Length: "), NULL, 10);
}

char *worker_rig_exchange(SSL *ssl, const char *text)
{
    char *answer = calloc(1, ANSWER_MAX);
    size_t len = 0;

    if (!answer)
        fail("calloc");
    if (SSL_write(ssl, text, (int)strlen(text)) > 0)
        while (len + 1 < ANSWER_MAX && !is_whole(answer, len)) {
            int got = SSL_read(ssl, answer + len, (int)(ANSWER_MAX - 1 - len));
            if (got <= 0)
                break;
            len += (size_t)got;
        }
    ERR_clear_error();
    if (is_whole(answer, len))
        return answer;
    free(answer);
    return NULL;
}

void worker_rig_hang_up(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    char rest[4096];

    SSL_shutdown(ssl);
    ERR_clear_error();
    SSL_free(ssl);
    /* When the worker has closed it too, its counters are up to date. */
    shutdown(fd, SHUT_WR);
    while (recv(fd, rest, sizeof(rest), 0) > 0)
        continue;
    close(fd);
}

void worker_rig_name(SSL *ssl, char *out, size_t size)
{
    X509 *leaf = SSL_get0_peer_certificate(ssl);

    out[0] = '\0';
    if (leaf)
        X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, out, (int)size);
}
