#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "reconciler/base/buf.h"

/*
 * A supervisor in a process of its own, out of a folder of its own, whose binary is a copy of the
 * running test program: so the children are tests/support/fake_child.h's.
 */
struct supervised {
    char folder[64];
    pid_t pid;                   /* 0 = does not run */
    int log;                     /* its stderr */
    struct buf text;             /* read from it so far, and not looked at yet */
    int proxy_port, status_port; /* the first ones that it logged */
};

/* Whether this process is one of those; *code is what main returns then. Call it first in main. */
bool supervised_play(int argc, char *const *argv, char *const *environment, int *code);

/* The folder with both programs. 0, or -1. */
int supervised_open(struct supervised *s);
/*
 * Starts it with these settings ("name=value") behind `proxy_listen=127.0.0.1:0`, one worker and
 * such, and with these variables, both NULL-terminated. 0, or -1.
 */
int supervised_start(struct supervised *s, const char *const *settings,
                     const char *const *variables);
/* The same up to the ports being known. */
int supervised_start_ready(struct supervised *s, const char *const *settings,
                           const char *const *variables);
/* Whether a line with all of `what` comes within a bound; lines before it are gone then. */
bool supervised_logs(struct supervised *s, const char *what);
/* The process' exit code, or 256 and the signal; -1 when it does not end within the bound. */
int supervised_wait(struct supervised *s, int bound_ms);
void supervised_close(struct supervised *s);

/* Sends `request` ("" for none) and reads one line. False without an answer within the bound. */
bool supervised_ask(int port, const char *request, char *line, size_t size);
/* A connection; -1 when refused. */
int supervised_connect(int port);
/* The pid in an answer of worker or control; 0 without an answer. */
pid_t supervised_who(int port, const char *request);
/* Whether the process is gone, or a zombie, within the bound. */
bool supervised_is_gone(pid_t pid);
/* Copies the test program over `name` in the folder: another file with the same contents. */
int supervised_install(const struct supervised *s, const char *name);
