#pragma once

#include "reconciler/control/control_private.h"

/*
 * Puts in place what a reload or a sweep came to: the generation, its plan, the conditions. What it
 * takes is set to NULL in `r`; the caller frees the rest.
 */
void intake_take(struct control *c, struct reload *r);
/* Why the first load came to nothing, as events. */
void intake_log_refused(const struct reload *r);
