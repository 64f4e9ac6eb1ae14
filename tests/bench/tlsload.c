/*
 * tlsload PORT NAMES[/STEP] SECONDS CONNECTIONS [PID...]: full TLS 1.3 handshakes (P-256 certificates,
 * X25519, nothing resumed), each with one GET, at names h0000000.bench.test on, drawn at random
 * (with STEP: of every STEP-th name). A second of warming up comes first. Prints what was done, and
 * the CPU time of the given processes:
 *
 *   {"done": N, "failed": N, "wrong": N, "fallen": N, "seconds": S, "cpu": S, "p50_ms": M,
 *    "p99_ms": M}
 *
 * "fallen" are the wrong ones whose name had been served rightly by the time that they began.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "leaf.h"

#define SAMPLES 4000000
#define EVENTS 256
#define SOURCES 40 /* addresses of 127/8 to come from: one has too few ports */
#define WARM_SECONDS 1.0
#define TIMEOUT_SECONDS 10.0

struct conn {
    int fd; /* -1 = free */
    SSL *ssl;
    bool asked, answered;
    double began;
    unsigned number;
    bool was_right; /* another one of this name had its own certificate before this one began */
    char name[LEAF_NAME_SIZE];
};

struct load {
    SSL_CTX *context;
    int epoll;
    uint16_t port;
    unsigned names, step, sources;
    struct conn *conns;
    size_t conn_count;
    bool counts; /* the warming up is over */
    unsigned long done, failed, wrong, fallen;
    float *samples;
    bool *right; /* by number: has had its own certificate */
    unsigned seed;
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_of(char *const *pids)
{
    double ticks = (double)sysconf(_SC_CLK_TCK), total = 0;
    char path[64], line[1024];

    for (; *pids; pids++) {
        unsigned long user = 0, system = 0;
        const char *fields = NULL;
        FILE *f;
        snprintf(path, sizeof(path), "/proc/%.20s/stat", *pids);
        f = fopen(path, "r");
        if (f && fgets(line, sizeof(line), f))
            fields = strrchr(line, ')');
        if (fields && sscanf(fields + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                             &user, &system) == 2)
            total += (double)(user + system) / ticks;
        if (f)
            fclose(f);
    }
    return total;
}

static void finish(struct load *l, struct conn *c, bool good)
{
    if (l->counts && good && l->done < SAMPLES)
        l->samples[l->done] = (float)((now() - c->began) * 1000);
    if (l->counts)
        *(good ? &l->done : &l->failed) += 1;
    SSL_free(c->ssl);
    close(c->fd);
    *c = (struct conn){.fd = -1};
}

static void begin(struct load *l, struct conn *c)
{
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(c->fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + l->sources++ % SOURCES);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(l->port);
    c->began = now();
    c->number = (unsigned)rand_r(&l->seed) % l->names / l->step * l->step;
    c->was_right = l->right[c->number];
    leaf_name(c->number, c->name);
    c->ssl = SSL_new(l->context);
    SSL_set_fd(c->ssl, c->fd);
    SSL_set_tlsext_host_name(c->ssl, c->name);
    SSL_set_connect_state(c->ssl);
    epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event);
    if (bind(c->fd, (const struct sockaddr *)&from, sizeof(from)) ||
        (connect(c->fd, (const struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS))
        finish(l, c, false);
}

/* Is an SSL call that returned `rc` only waiting for the other side? */
static bool waits(SSL *ssl, int rc)
{
    int why = SSL_get_error(ssl, rc);

    ERR_clear_error();
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
}

static bool is_named(SSL *ssl, const char *name)
{
    X509 *leaf = SSL_get0_peer_certificate(ssl);
    char seen[80] = "";

    X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, seen, sizeof(seen));
    return strcmp(seen, name) == 0;
}

static void ask(struct load *l, struct conn *c)
{
    char text[128];
    int n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
                     c->name);

    if (is_named(c->ssl, c->name)) {
        l->right[c->number] = true;
    } else if (l->counts) {
        l->wrong++;
        l->fallen += c->was_right;
    }
    c->asked = SSL_write(c->ssl, text, n) == n;
}

static void step(struct load *l, struct conn *c)
{
    static char bytes[65536];
    int rc = 1;

    if (!c->asked) {
        rc = SSL_do_handshake(c->ssl);
        if (rc == 1)
            ask(l, c);
        else if (!waits(c->ssl, rc))
            finish(l, c, false);
        if (c->fd < 0 || !c->asked)
            return;
    }
    while ((rc = SSL_read(c->ssl, bytes, sizeof(bytes))) > 0)
        c->answered = c->answered || memcmp(bytes, "HTTP/1.", 7) == 0;
    if (!waits(c->ssl, rc))
        finish(l, c, c->answered);
}

static void expire(struct load *l)
{
    double t = now();

    for (size_t i = 0; i < l->conn_count; i++)
        if (l->conns[i].fd >= 0 && t - l->conns[i].began > TIMEOUT_SECONDS)
            finish(l, &l->conns[i], false);
}

/* Keeps all connections busy until `end`. */
static void run(struct load *l, double end)
{
    struct epoll_event events[EVENTS];

    while (now() < end) {
        int n;
        for (size_t i = 0; i < l->conn_count; i++)
            if (l->conns[i].fd < 0)
                begin(l, &l->conns[i]);
        n = epoll_wait(l->epoll, events, EVENTS, 50);
        for (int i = 0; i < n; i++)
            step(l, events[i].data.ptr);
        expire(l);
    }
}

static SSL_CTX *make_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set1_groups_list(context, "X25519");
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    return context;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static double percentile(const struct load *l, double part)
{
    return l->done ? (double)l->samples[(size_t)(part * (double)(l->done - 1))] : 0;
}

int main(int argc, char **argv)
{
    struct load l = {.seed = 1};
    double seconds, began, cpu;
    char *step;

    if (argc < 5)
        return 64;
    l.port = (uint16_t)strtoul(argv[1], NULL, 10);
    l.names = (unsigned)strtoul(argv[2], &step, 10);
    l.step = *step == '/' ? (unsigned)strtoul(step + 1, NULL, 10) : 1;
    seconds = strtod(argv[3], NULL);
    l.conn_count = strtoul(argv[4], NULL, 10);
    l.context = make_context();
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    l.conns = calloc(l.conn_count, sizeof(struct conn));
    l.samples = calloc(SAMPLES, sizeof(float));
    l.right = calloc(l.names, sizeof(bool));
    for (size_t i = 0; i < l.conn_count; i++)
        l.conns[i].fd = -1;
    run(&l, now() + WARM_SECONDS);
    l.counts = true;
    began = now();
    cpu = cpu_of(argv + 5);
    run(&l, began + seconds);
    cpu = cpu_of(argv + 5) - cpu;
    seconds = now() - began;
    qsort(l.samples, l.done, sizeof(float), by_size);
    printf("{\"done\": %lu, \"failed\": %lu, \"wrong\": %lu, \"fallen\": %lu, \"seconds\": %.3f, "
           "\"cpu\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n",
           l.done, l.failed, l.wrong, l.fallen, seconds, cpu, percentile(&l, 0.5),
           percentile(&l, 0.99));
    return 0;
}
