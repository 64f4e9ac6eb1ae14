#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "str.h"

/*
 * Where the log's lines go: a descriptor whose reader may be slow, stand still or be gone, which
 * delays its writer by no more than LOG_SINK_WAIT_MS in a second. It may be shared with strangers,
 * so its file description is left as it is.
 */
#define LOG_SINK_WAIT_MS 50
/* How much a pipe should hold, so that a burst reaches a reader that is only slow. */
#define LOG_SINK_PIPE_BYTES (1 << 20)

struct log_sink {
    int fd;
    bool is_socket;    /* each write says that it does not wait */
    bool may_block;    /* nor can be told not to: it is looked at before each small write */
    bool owes_newline; /* a line was cut */
    int64_t second_ms; /* when `waited_ms` began to count */
    int64_t waited_ms;
};

/*
 * The sink for `fd`, which stays the caller's: a pipe, socket, terminal or file. Of what kind it is
 * is found out here, once.
 */
void log_sink_open(struct log_sink *s, int fd);
/*
 * Makes `fd` of this process, and of those it execs, one that does not wait: another description of
 * the same pipe or terminal. Sockets and files need none. Where it cannot be had (a pipe that is
 * another user's) all stays as it is, and log_sink_write is careful.
 */
void log_sink_detach(int fd);
/* One line with its end; waits for room only if it `may_wait`. False: it was not taken whole. */
bool log_sink_write(struct log_sink *s, struct str line, bool may_wait) MUST_CHECK;
/* What must be read, such as why nothing starts: waits for up to bound_ms. */
void log_sink_insist(struct log_sink *s, struct str text, int64_t bound_ms);
