#pragma once

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "reconciler/base/channel.h"
#include "reconciler/base/counters.h"

/*
 * A real worker in a child process, and this side of its channel as control. Everything that waits
 * gives up after WORKER_RIG_MS and ends the program.
 */
#define WORKER_RIG_MS 20000

struct worker_rig {
    pid_t pid;
    int channel, lifeline; /* our ends; -1 = closed */
    struct counters *counters;
    uint16_t plain_port, tls_port, plain6_port, proxy_port; /* loopback; plain6 0 without IPv6 */
    int listeners[4];
    uint64_t session;
};

struct worker_rig_options {
    const char *const *protocols;
    size_t protocol_count;
    const char *ciphers; /* of TLS 1.2 */
};

/* Starts a worker; `options` NULL = defaults. It has said nothing yet. */
struct worker_rig *worker_rig_new(const struct worker_rig_options *options);
/* Kills it if it still runs. */
void worker_rig_free(struct worker_rig *w);

/* The next message of the worker that is of `type`; others are dropped. */
void worker_rig_expect(struct worker_rig *w, enum channel_type type, struct channel_message *m);
void worker_rig_send(struct worker_rig *w, struct channel_message *m, int fd);
/* HELLO, RESET, HELLO: a session begins. */
void worker_rig_greet(struct worker_rig *w);
/* Sends a segment's descriptor under an id. */
void worker_rig_segment(struct worker_rig *w, uint64_t id, int fd);
/* Sends a manifest of `count` ids; does not wait. */
void worker_rig_manifest(struct worker_rig *w, uint64_t generation, const uint64_t *ids,
                         size_t count);
/* Waits for ACK of that generation. */
void worker_rig_acknowledged(struct worker_rig *w, uint64_t generation);
/* Waits until it has left: its exit code, -1 when a signal ended it. */
int worker_rig_wait(struct worker_rig *w);

/* ---- clients: blocking sockets with a deadline ---- */

int worker_rig_connect(uint16_t port, int family);
/* Sends `text` to a plain port and gives back all that comes until it is closed; free it. */
char *worker_rig_ask(uint16_t port, int family, const char *text);

struct worker_rig_tls {
    const char *sni; /* NULL = none */
    int min_version, max_version;
    const char *sigalgs;
    const unsigned char *alpn; /* wire format */
    size_t alpn_len;
    struct ssl_session_st *session; /* to resume */
};

/* A handshake; NULL when it fails. Close with worker_rig_hang_up. */
SSL *worker_rig_handshake(uint16_t port, const struct worker_rig_tls *how);
/* One request over it; the answer is to be freed, NULL when the connection is gone. */
char *worker_rig_exchange(SSL *ssl, const char *text);
void worker_rig_hang_up(SSL *ssl);
/* The served leaf's CN. */
void worker_rig_name(SSL *ssl, char *out, size_t size);
