#pragma once

#include "reconciler/base/error.h"
#include "reconciler/issue/issuance_private.h"

/* One task's steps: journal, order, request, challenge, end. Private to issuance.c. */

/*
 * Unix ms by which orders and the session wait. It follows the steady clock as long as a batch
 * runs: setting the machine's clock neither holds a poll up nor ends its patience.
 */
int64_t step_now_ms(const struct issuance *i);
/* Takes over the machine's clock; only while no task waits by the old one. */
void step_set_clock(struct issuance *i);
/* Have a look in the next turn of the loop. */
void step_wake(void *context);
/* The task's next step may leave with its batch. */
void step_ready(struct task *t);
/* Its outcome waits to be handed out. */
void step_end(struct task *t);
void step_fail(struct task *t, const struct error *e);
/* Lets the released leave, as many as there is room for. */
void step_pump(struct issuance *i);
