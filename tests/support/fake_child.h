#pragma once

#include <stdbool.h>

/*
 * Children for the supervisor's tests, played by the test program itself, because the supervisor
 * execs its own binary. Each answers one request a connection and closes it:
 *   worker, on any listener     "worker SLOT PID\n"; with the byte 'h' sent first it holds the
 *                               connection until the byte 'g', then answers
 *   control, on a status socket a command line:
 *     info             "control PID again=0|1 hups=N environment=N channels=N watch=LINES\n"
 *     exit N           leaves with that code
 *     abort            dies by a signal
 *     kill SLOT [PID]  CHANNEL_WORKER_KILL, for the slot's pid unless another is given
 *     read PATH        "readable\n" or "denied\n"
 * Control's environment can hold FAKE_START=N (exit with N before being ready), =abort,
 * FAKE_STOP=ignore (CHANNEL_STOP and SIGTERM mean nothing), or FAKE_DEAF=1 (it never says that slot
 * 0 serves).
 */

/* Plays `argv` if it is one of these, or the watcher; *code gets what main returns. */
bool fake_child_run(int argc, char *const *argv, char *const *environment, int *code);
