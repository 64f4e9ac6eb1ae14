#pragma once

#include <stddef.h>

#include "reconciler/settings/settings.h"

/* The control process: the loop and the pass (design 4). */

#define CONTROL_WORKERS_MAX 256
#define CONTROL_LISTENERS_MAX 64

/* Descriptors that the supervisor hands over; -1 where there is none. */
struct control_options {
    const struct settings *settings;
    char *const *environment; /* for {vault://env/...} references */
    int supervisor;           /* channel to the supervisor */
    int lifeline;             /* end of file: the supervisor is gone, leave */
    int watch;                /* reading end of reconcert-watch's lines */
    int tickets;              /* memfd: keys of session tickets (feed/tickets.h) */
    size_t worker_count;
    int workers[CONTROL_WORKERS_MAX];  /* channels */
    int counters[CONTROL_WORKERS_MAX]; /* memfds of base/counters.h */
    size_t status_count;
    int status[CONTROL_LISTENERS_MAX]; /* listening sockets of status_listen */
    bool leaves_when_idle;             /* only what is approved is done, then all ends */
    bool is_restart; /* an earlier control of this supervisor was ready before: start from the last
                        good file */
};

/*
 * Returns the process' exit code: 0 after CHANNEL_STOP or a gone supervisor, 1 when starting
 * failed.
 */
int control_run(const struct control_options *options);
