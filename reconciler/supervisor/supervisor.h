#pragma once

#include <stdbool.h>

#include "reconciler/base/attr.h"

struct error;
struct settings;

/*
 * `reconcert run` itself: opens every listener, starts control, the workers and reconcert-watch by
 * exec, restarts what dies, and replaces the lot with a new binary on SIGUSR2. It parses nothing
 * from outside but the settings.
 *
 * Children are internal verbs of the same binary; main hands them over before it looks at anything
 * else (LIST is base/descriptor.h's):
 *
 *   reconcert control --fds=LIST [--again|--once]
 *       supervisor, lifeline, settings, tickets, watch (absent where no file is watched),
 *       status.I, channel.I, counters.I
 *   reconcert worker --fds=LIST --slot=N
 *       channel, lifeline, settings, counters, listen.I
 *   reconcert resume --fds=LIST [--probe] -- ARGUMENTS...
 *       supervisor_resume: the new binary takes over
 *   reconcert-watch --lifeline=N -- PATH...
 *       lines on stdout: "ready", "changed"
 *
 * The settings in the memfd are the effective ones: skipped listeners are gone from them and a port
 * 0 has become the one that the kernel picked, so listen.I always belongs to proxy_listen.items[I].
 * Workers get those that they use, and no other. Only control gets the environment, stdin and
 * stdout; the others have an empty one and /dev/null. All share stderr.
 *
 * --again tells control that this server has been ready before: a bad file must not end it now, so
 * it starts from the last good one. Without it, control exits 1 (or 64) for what cannot start, and
 * supervisor_run ends everything with that code; with it, or killed by a signal, it is restarted.
 * --once tells it to do what is approved, and to say so when nothing is left to do.
 *
 * Signals that children get, beside SIGKILL when a bound is over. SIGINT, SIGHUP, SIGUSR1, SIGUSR2
 * and SIGPIPE are ignored when they start: a terminal's Ctrl-C reaches the supervisor alone.
 *
 *   worker   SIGQUIT, SIGTERM = stop accepting, finish what runs, exit 0; SIGALRM = the same at
 *            once
 *   control  CHANNEL_STOP or SIGTERM = finish, exit 0; SIGHUP = forced reload
 *   watcher  SIGTERM = leave
 *
 * A child that reads end of file from `lifeline` leaves.
 *
 * Each control and each worker that starts has a channel that nobody had before it; control is told
 * of each slot's (CHANNEL_SLOT, roster.h). In an upgrade a worker of the old binary keeps serving
 * its last generation, hears nothing more, and is drained when control says CHANNEL_WORKER_READY
 * with the new worker's pid. Between its start and that, both accept from the same sockets. Control
 * is told when the old one accepts no more (CHANNEL_DRAINS, or its death), for a CA must not be
 * answered by it.
 *
 * While a slot has no worker that serves, another accepts from its sockets (supervisor/cover.h).
 *
 * reconcert-watch is looked for beside our own binary; without it changes are found by polling.
 */
struct supervisor_options {
    char *const *environment;     /* for control */
    const char *const *arguments; /* argv from argv[1], kept for the process list over an upgrade */
    /* For `apply`: control says CHANNEL_STOP when nothing is left to do, and supervisor_run ends
     * with 0. No upgrade meanwhile. */
    bool leaves_when_idle;
    /* NULL, or called once the prefix is there and ours, before anything is started; -1 ends it. */
    int (*prepare)(void *context, struct error *e);
    void *context;
};

/* Not SIGTERM: a service manager may send that to all of our processes, and it means to drain. */
#define SUPERVISOR_HURRY_SIGNAL SIGALRM
#define SUPERVISOR_DRAIN_MS 30000 /* SIGTERM, SIGQUIT: until what still runs is killed */
#define SUPERVISOR_QUICK_MS 3000  /* SIGINT: the same */
#define SUPERVISOR_ECHO_MS 1000   /* the same signal once more within this is no second one */
#define SUPERVISOR_START_TRIES 5  /* deaths by a signal before the first CHANNEL_READY */
#define SUPERVISOR_PROBE_MS 10000 /* for a new binary to show that it reads our state */

/*
 * Runs until it is told to stop; returns the process' exit code: 0 after SIGTERM, SIGQUIT or
 * SIGINT, control's when it could not start, 1 when we could not (logged as `start_failed`). To be
 * called from a process without other threads. Opens the log itself.
 */
int supervisor_run(const struct settings *s, const struct supervisor_options *o) MUST_CHECK;

/*
 * The verb `resume`: argv[0] is "resume". Takes over from the binary that exec'd us. With --probe
 * only reads the state and returns 0 when it could go on with it. Otherwise as supervisor_run.
 */
int supervisor_resume(int argc, char *const *argv, char *const *environment) MUST_CHECK;
