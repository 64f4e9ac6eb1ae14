/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * reconcert-watch [--lifeline=DESCRIPTOR] [--] PATH...
 *
 * Says "ready" on stdout when the paths are watched, and "changed" after each burst of changes has
 * gone quiet; either only means "look soon". Ends when nobody reads stdout any more, or at the end
 * of file of the lifeline.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "chain.h"

#define QUIET_MS 100       /* without an event: the burst is over */
#define BURST_MS 1000      /* a burst that does not end is reported this often */
#define TRY_AGAIN_MS 60000 /* where there was no inotify to be had */

#define EXIT_WRONG_USAGE 64

static int64_t steady_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A full pipe holds lines enough to make its reader look. False when there is no reader any more.
 */
static bool tell(const char *line)
{
    ssize_t n;

    do
        n = write(STDOUT_FILENO, line, strlen(line));
    while (n < 0 && errno == EINTR);
    return n >= 0 || errno == EAGAIN;
}

struct watcher {
    struct chain *chain;
    int fd; /* of inotify; -1 = none to be had now */
    int lifeline;
    int64_t first, last; /* of the burst that is going on; 0 = none is */
    int64_t retry_at;    /* while fd is -1 */
};

static void arm(struct watcher *w)
{
    w->fd = chain_arm(w->chain);
    w->first = 0;
    w->retry_at = w->fd < 0 ? steady_ms() + TRY_AGAIN_MS : INT64_MAX;
}

/* When there is something to say; INT64_MAX = when something happens. */
static int64_t due(const struct watcher *w)
{
    int64_t quiet = w->last + QUIET_MS, longest = w->first + BURST_MS;

    if (!w->first)
        return w->retry_at;
    return quiet < longest ? quiet : longest;
}

/* False when it is time to leave. */
static bool wait_for_events(struct watcher *w)
{
    struct pollfd polled[] = {{.fd = w->fd, .events = POLLIN},
                              {.fd = STDOUT_FILENO},
                              {.fd = w->lifeline, .events = POLLIN}};
    int64_t now = steady_ms(), at = due(w), wait = at == INT64_MAX ? -1 : at - now;

    if (at != INT64_MAX && wait < 0)
        wait = 0;
    if (poll(polled, sizeof(polled) / sizeof(*polled), (int)wait) < 0)
        return errno == EINTR;
    if ((polled[1].revents & (POLLERR | POLLNVAL)) || polled[2].revents)
        return false;
    if (polled[0].revents && chain_drain(w->chain)) {
        w->last = steady_ms();
        w->first = w->first ? w->first : w->last;
    }
    return true;
}

static void run(struct watcher *w)
{
    bool alive;

    arm(w);
    alive = tell("ready\n");
    while (alive && wait_for_events(w))
        if (steady_ms() >= due(w)) {
            /* Armed again first: what changes after the line is read will be another line. */
            arm(w);
            alive = tell("changed\n");
        }
}

/* The lifeline's number from its argument; -1 where it is none. */
static int parse_lifeline(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);

    return *text && !*end && n >= 0 && n < 1 << 20 && fcntl((int)n, F_GETFD) >= 0 ? (int)n : -1;
}

int main(int argc, char **argv)
{
    static const char option[] = "--lifeline=";
    struct watcher w = {.fd = -1, .lifeline = -1};
    int at = 1;

    if (at < argc && strncmp(argv[at], option, strlen(option)) == 0) {
        w.lifeline = parse_lifeline(argv[at] + strlen(option));
        if (w.lifeline < 0) {
            fprintf(stderr, "reconcert-watch: %s: not an open descriptor\n", argv[at]);
            return EXIT_WRONG_USAGE;
        }
        at++;
    }
    if (at < argc && strcmp(argv[at], "--") == 0)
        at++;
    if (at >= argc) {
        fprintf(stderr, "usage: reconcert-watch [--lifeline=DESCRIPTOR] [--] PATH...\n");
        return EXIT_WRONG_USAGE;
    }
    /* A terminal sends it to all of its processes; ours ends with the lifeline. */
    sigaction(SIGQUIT, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    w.chain = chain_new((const char *const *)argv + at, (size_t)(argc - at));
    if (!w.chain) {
        fprintf(stderr, "reconcert-watch: out of memory\n");
        return 1;
    }
    if (fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK) < 0)
        fprintf(stderr, "reconcert-watch: stdout: %s\n", strerror(errno));
    run(&w);
    chain_free(w.chain);
    return 0;
}
