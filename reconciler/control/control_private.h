#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/counters.h"
#include "reconciler/base/error.h"
#include "reconciler/control/condition.h"
#include "reconciler/control/control.h"
#include "reconciler/control/configuration.h"
#include "reconciler/control/heart.h"
#include "reconciler/control/pass.h"
#include "reconciler/control/reload.h"

/* What the control process consists of. Private to control.c, assembly.c, intake.c
 * and answer.c. */

/* What prefix.c knows. */
struct prefix_care {
    bool is_looking;  /* the job thread has `open` */
    bool is_checking; /* the storage is asked whether it is there */
    bool is_gone;     /* what was found before writing anew; `error` says why */
    bool is_lost;     /* it could not be written anew */
    unsigned losses;  /* how often in a row */
    bool wants_restore;
    bool has_vanished; /* seen since it was last there */
    struct error error;
    char open[ERROR_MESSAGE_MAX]; /* who else may write the prefix; "" = nobody */
    struct source_set *keeping;   /* being written as the last good one; the disk's thread has it */
    struct source_set *kept_next; /* to be written behind it */
};

struct control {
    const struct control_options *options;
    struct event_base *base;
    struct event *events[8];
    size_t event_count;
    struct heart heart;
    struct event *turn, *due, *storage_retry, *poll;

    struct storage *storage;
    bool is_loaded; /* the store is ours: it has what the storage had */
    bool is_unloadable;
    struct error load_error; /* why, of is_unloadable */
    struct chain_pool *chains;
    struct store *store;
    struct index *index;
    struct declared *declared;
    struct job_thread *jobs;
    struct job_thread *disk; /* for what waits for it; it may stand still for minutes */
    struct resolver *resolver;
    struct httpc *httpc;
    struct feed *feed;
    struct challenge_board *board;
    struct workers *workers;
    struct publisher *publisher;
    struct journal *journal;
    struct issuance *issuance;
    struct demands *demands;
    struct status *status;
    struct watch *watch;
    const struct counters *counters[CONTROL_WORKERS_MAX];

    struct configuration_state state;
    struct configuration *generation; /* in force */
    unsigned hashing;                 /* configurations whose hash is being computed */
    struct loaded *refused;           /* the newest file, if it was refused */
    struct pass pass;
    struct approval *approval;      /* NULL: none is needed, or never looked */
    struct configuration_plan plan; /* being carried out */
    size_t plan_cursor;
    struct conditions conditions;
    char storage_error[ERROR_MESSAGE_MAX];
    int64_t declared_until; /* declared certificates that ended before have been told of */
    struct prefix_care care;

    int64_t clock_offset_ms; /* the machine's clock less the steady one, at the last poll */
    struct reload reload;
    bool is_reading; /* the job thread has the reload, not the state; no other one begins */
    bool is_read;    /* ... and what it has read waits for a turn */
    bool is_lent;    /* the job thread has the state: nothing of it is touched here */
    bool wants_reload, wants_sweep, is_forced;
    bool is_polled;    /* the reload that is wanted is a poll's alone */
    unsigned restless; /* polls in a row that found the file being written */
    bool is_stopping;
    bool is_done; /* nothing is left to do, and the supervisor knows */
};
