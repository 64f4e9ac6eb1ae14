#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "crew.h"
#include "reconciler/base/vec.h"

/*
 * A new binary in place of this one (SIGUSR2). The old one tries it as a child, which must read the
 * state that it would get; then execs it. The new one replaces the children: control first, for it
 * holds the lock on the prefix until it is gone, then the workers slot by slot.
 */
enum upgrade_stage {
    UPGRADE_NONE,
    UPGRADE_CONTROL_LEAVES,
    UPGRADE_CONTROL_STARTS, /* until its CHANNEL_READY */
    UPGRADE_WORKERS,        /* each until its CHANNEL_WORKER_READY */
};

#define UPGRADE_HEAR_MS 50    /* old workers are listened to this often, */
#define UPGRADE_HEAR_MAX 1024 /* so many messages of each */

/* A worker of the old binary that drains. */
struct upgrade_leaving {
    pid_t pid;
    int64_t kill_ms;
    size_t slot;
    bool accepts; /* or holds idle connections, as far as we know */
};

struct upgrade_leaving_list vec(struct upgrade_leaving);

/* Zero it first; upgrade_fini any time. */
struct upgrade {
    enum upgrade_stage stage;
    int64_t control_kill_ms; /* in UPGRADE_CONTROL_LEAVES */
    size_t next_slot;        /* in UPGRADE_WORKERS */
    struct upgrade_leaving_list leaving;
    pid_t probe; /* the new binary that is tried; 0 = none */
    int64_t probe_kill_ms;
};

void upgrade_fini(struct upgrade *u);
/* The old binary: tries the new one. What cannot be is logged, and all goes on. */
void upgrade_begin(struct upgrade *u, struct crew *c);
/* The new binary: begins to replace the children of a crew that handover_read filled. */
void upgrade_take_over(struct upgrade *u, struct crew *c);

/* What happens on the way. */
void upgrade_control_ready(struct upgrade *u, struct crew *c);
void upgrade_worker_ready(struct upgrade *u, struct crew *c, size_t slot);
/* An old one before its turn: nobody serves its slot until the new one does. */
void upgrade_old_worker_died(struct crew *c, size_t slot);
/* Whether that was the old control, and the new one is now due. */
bool upgrade_control_died(struct upgrade *u, struct crew *c);
/* Reads what old workers say (CHANNEL_DRAINS); to be called when upgrade_next_due has come. */
void upgrade_hear(struct upgrade *u, struct crew *c);
/*
 * What to call `pid` in the log if it was one of its own, else NULL. When a tried binary was good,
 * execs it (and comes back only if that fails), unless the crew `is_stopping`.
 */
const char *upgrade_died(struct upgrade *u, struct crew *c, pid_t pid, int status,
                         bool is_stopping);

int64_t upgrade_next_due(const struct upgrade *u); /* RESTART_NEVER = nothing */
void upgrade_kill_due(struct upgrade *u, struct crew *c, int64_t now_ms);
/* To the workers that drain and the binary that is tried. */
void upgrade_signal(const struct upgrade *u, int number);
bool upgrade_has_processes(const struct upgrade *u);
