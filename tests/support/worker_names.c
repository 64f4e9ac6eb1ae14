#include "worker_names.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void send_and_close(struct worker_rig *w, uint64_t id, int fd, const struct error *e)
{
    if (fd < 0) {
        fprintf(stderr, "worker_names: %s\n", e->message);
        abort();
    }
    worker_rig_segment(w, id, fd);
    close(fd);
}

void worker_names_send(struct worker_rig *w, uint64_t id, const struct segment_name *names,
                       size_t count)
{
    struct error e = {0};

    send_and_close(w, id, segment_write_names(names, count, NULL, &e), &e);
}

void worker_names_send_token(struct worker_rig *w, uint64_t id, const char *token,
                             const char *answer)
{
    struct segment_challenge t = {CHALLENGE_HTTP_01, str_from(token), str_from(answer)};
    struct error e = {0};

    send_and_close(w, id, segment_write_challenges(&t, 1, NULL, &e), &e);
}

void worker_names_send_gate(struct worker_rig *w, uint64_t id)
{
    static const struct str domains[] = {STR_INIT("gate.test"), STR_INIT("*.gate.test")};
    const struct segment_gate gate = {.is_open = true, .domains = domains, .domain_count = 2};
    struct error e = {0};

    send_and_close(w, id, segment_write_gate(&gate, NULL, &e), &e);
}

void worker_names_send_routes(struct worker_rig *w, uint64_t id)
{
    static const struct str hosts[] = {STR_INIT("route.test")};
    const struct segment_routes routes = {.hosts = hosts, .host_count = 1};
    struct error e = {0};

    send_and_close(w, id, segment_write_routes(&routes, NULL, &e), &e);
}

struct worker_names *worker_names_new(void)
{
    struct worker_names *n = calloc(1, sizeof(*n));

    if (!n)
        abort();
    n->maker = segment_maker_new("test issuer");
    n->served[0] = segment_maker_name(n->maker, "a.test", "a.test", KEY_P256);
    n->served[1] = segment_maker_name(n->maker, "*.b.test", "wild.b.test", KEY_P256);
    n->served[2] = segment_maker_name(n->maker, "", "localhost", KEY_RSA_2048);
    n->served[2].credentials[1] = segment_maker_credential(n->maker, "localhost", KEY_P256);
    n->served[2].count = 2;
    n->served[3] = segment_maker_name(n->maker, "kept.gate.test", "kept.gate.test", KEY_P256);
    n->served[3].on_demand = true;
    return n;
}

void worker_names_free(struct worker_names *n)
{
    segment_maker_free(n->maker);
    free(n);
}

struct worker_rig *worker_names_start(struct worker_names *n,
                                      const struct worker_rig_options *options)
{
    static const uint64_t ids[] = {1, 2, 3, 4};
    struct worker_rig *w = worker_rig_new(options);

    worker_rig_greet(w);
    worker_names_send(w, 1, n->served, ARRAY_LENGTH(n->served));
    worker_names_send_token(w, 2, "ours", "ours.thumb");
    worker_names_send_gate(w, 3);
    worker_names_send_routes(w, 4);
    worker_rig_manifest(w, 1, ids, 4);
    worker_rig_acknowledged(w, 1);
    return w;
}

bool worker_names_served(struct worker_rig *w, const struct worker_rig_tls *how,
                         const char *expected)
{
    SSL *ssl = worker_rig_handshake(w->tls_port, how);
    char name[100] = "";

    if (ssl) {
        worker_rig_name(ssl, name, sizeof(name));
        worker_rig_hang_up(ssl);
    }
    if (strcmp(name, expected) != 0)
        fprintf(stderr, "%s: \"%s\" instead of \"%s\"\n", how->sni ? how->sni : "no SNI", name,
                expected);
    return strcmp(name, expected) == 0;
}

bool worker_names_serves(struct worker_rig *w, const char *sni, const char *expected)
{
    const struct worker_rig_tls how = {
        .sni = sni, .min_version = TLS1_2_VERSION, .max_version = TLS1_3_VERSION};

    return worker_names_served(w, &how, expected);
}

bool worker_names_begins(const char *answer, const char *start)
{
    return answer && strncmp(answer, start, strlen(start)) == 0;
}

const char *worker_names_body(const char *answer)
{
    const char *body = answer ? strstr(answer, "\r\n\r\n") : NULL;

    return body ? body + 4 : "";
}
