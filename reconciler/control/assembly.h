#pragma once

#include <event2/event.h>

#include "reconciler/base/error.h"
#include "reconciler/control/control_private.h"
#include "reconciler/feed/workers.h"
#include "reconciler/issue/issuance.h"
#include "reconciler/admin/status.h"

/* Puts the control process together and takes it apart. */

/* Whom the parts call; all get the struct control. */
struct assembly_calls {
    event_callback_fn turn, poll, sweep, beat, hangup, terminate, lifeline, supervisor;
    void (*wake)(void *context);
    void (*look)(void *context);                   /* the watcher has seen something */
    void (*http)(void *context);                   /* answers can be taken from httpc */
    struct workers_options workers;                /* its functions */
    void (*served)(void *context, uint64_t owner); /* receivers have its challenges */
    struct issuance_options issuance;              /* the same */
    struct status_source status;                   /* the same */
};

/* Opens everything. -1 with *e: close it all the same. */
int assembly_open(struct control *c, const struct assembly_calls *calls,
                  struct error *e) MUST_CHECK;
/* Ends the job thread, then frees all that is there, in order. */
void assembly_close(struct control *c);
