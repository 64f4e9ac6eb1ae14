#pragma once

#include "reconciler/control/approval.h"
#include "reconciler/control/configuration.h"
#include "reconciler/io/source.h"

/*
 * One look at the declarative files, or one sweep: everything that takes long, on the job thread.
 * Files are read and parsed while the loop goes on with its state; only putting in force what they
 * say borrows it. What comes of it is the loop's to put in place.
 */
enum reload_outcome {
    RELOAD_UNCHANGED,   /* the content is that of the generation in force */
    RELOAD_STILL_BAD,   /* ... of the file that was refused last */
    RELOAD_RESTLESS,    /* it was changed a moment ago: somebody may still be writing */
    RELOAD_UNREADABLE,  /* `error` says why */
    RELOAD_REFUSED,     /* `refused` has the problems */
    RELOAD_UNSUPPORTED, /* the file's storage is not in this build; `error` */
    RELOAD_READY,       /* `next` and `plan` are in force */
    RELOAD_SWEPT,       /* a sweep: `plan` */
    RELOAD_FAILED       /* memory, segments: `error` */
};

struct reload {
    /* what it is given */
    const struct configuration_state *state;
    const struct configuration *current; /* NULL: the first one */
    const struct loaded *refused;        /* the newest file if it was refused */
    bool sweep_only;
    bool is_forced; /* a reload even where nothing has changed */
    bool is_poll;   /* no event has said that the writer is done */
    bool needs_approval;
    const struct approval *approved; /* the one in force; NULL: never looked */
    bool from_last_good;
    int64_t now;
    bool goes_on; /* what was read is to be put in force */
    /* what it gives; reload_fini frees what the taker has not set to NULL */
    enum reload_outcome outcome;
    struct source_set *set; /* with RELOAD_READY: to be kept as the last good one */
    struct configuration *next;
    struct loaded *new_refused;
    struct configuration_plan plan;
    struct approval *approval;   /* NULL: as before, or none is needed */
    struct error approval_error; /* its file cannot be used; kind ERROR_NONE: it can */
    struct error error;
};

/*
 * Reads and parses; of the state it looks at the settings and the environment alone. Where the
 * reload goes on, reload_apply has to follow, with the state lent; else the outcome is there.
 * Neither fails: the outcome says it. For either thread.
 */
void reload_read(struct reload *r);
void reload_apply(struct reload *r);
void reload_fini(struct reload *r);
