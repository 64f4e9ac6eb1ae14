#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/attr.h"

/*
 * The worker process: accepts on the slot's listeners, serves certificates by SNI, answers http-01
 * challenges and Kong's errors. It knows nothing but what control sends over the channel
 * (base/channel.h): sealed segments, manifests and ticket keys.
 */

#define WORKER_LISTENERS_MAX 64
#define WORKER_DRAIN_MS 30000 /* SIGQUIT, SIGTERM: until what still runs is cut off */
#define WORKER_QUICK_MS 2500  /* SIGALRM: the same */
#define WORKER_CONNECTIONS_MAX 16384
#define WORKER_PER_ADDRESS_MAX 4096 /* connections of one peer address */

/* A bound, listening, non-blocking socket of this slot. */
struct worker_listener {
    int fd;
    bool ssl;
    bool http2;          /* taken; h2 is offered only once it is served */
    bool proxy_protocol; /* each connection begins with a PROXY header, version 1 or 2 */
    uint16_t port;
};

/* Descriptors stay the caller's, but for listeners, which a drain closes; all must live until
 * worker_run returns. */
struct worker_options {
    unsigned slot;
    int channel;  /* to control */
    int lifeline; /* end of file: the supervisor is gone, leave at once; -1 = none */
    int counters; /* memfd of one base/counters.h page; -1 = count for nobody */
    const struct worker_listener *listeners;
    size_t listener_count;
    const char *const *ssl_protocols; /* "TLSv1.2", "TLSv1.3"; other words are ignored */
    size_t ssl_protocol_count;
    const char *ssl_ciphers; /* of TLS 1.2, OpenSSL's syntax; NULL = the library's */
    bool ssl_prefer_server_ciphers;
    size_t parsed_cache; /* slots of parsed credentials, about 8 KB each; 0 = a small one */
    /* Whose PROXY headers tell visitors apart; none = everybody's do. */
    char *const *trusted;
    size_t trusted_count;
    const char *product; /* Server header: "reconcert/1.0" */
};

/*
 * Serves until told to leave; returns the process' exit code: 0 after a drain or a lost supervisor,
 * 1 when it cannot start (logged as `worker_failed`). Accepts nothing before it has mapped its
 * first whole manifest. To be called from a process without other threads: it takes over SIGTERM,
 * SIGQUIT and SIGALRM, ignores SIGINT and SIGPIPE, and locks the process into its sandbox.
 */
int worker_run(const struct worker_options *options) MUST_CHECK;
