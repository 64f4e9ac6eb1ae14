#pragma once

#include <stdint.h>

#include "segment_maker.h"
#include "worker_rig.h"

/* What tests of workers serve, and the segments that say so. */

struct worker_names {
    struct segment_maker *maker;
    /* a.test, *.b.test, the default in RSA and ECDSA, kept.gate.test on demand */
    struct segment_name served[4];
};

struct worker_names *worker_names_new(void);
void worker_names_free(struct worker_names *n);

/* A worker that serves generation 1: segment 1 = names, 2 = the token `ours`, 3 = gate, 4 = routes. */
struct worker_rig *worker_names_start(struct worker_names *n,
                                      const struct worker_rig_options *options);

/* Sends a segment. */
void worker_names_send(struct worker_rig *w, uint64_t id, const struct segment_name *names,
                       size_t count);
void worker_names_send_token(struct worker_rig *w, uint64_t id, const char *token,
                             const char *answer);
/* It lets gate.test and *.gate.test through. */
void worker_names_send_gate(struct worker_rig *w, uint64_t id);
/* They claim route.test. */
void worker_names_send_routes(struct worker_rig *w, uint64_t id);

/* Is `expected` the CN that this handshake is served? "" = no handshake. */
bool worker_names_served(struct worker_rig *w, const struct worker_rig_tls *how,
                         const char *expected);
/* The same with an SNI, TLS 1.2 or 1.3. */
bool worker_names_serves(struct worker_rig *w, const char *sni, const char *expected);

/* Does an answer begin so? What is its body? NULL is an answer as well. */
bool worker_names_begins(const char *answer, const char *start);
const char *worker_names_body(const char *answer);
