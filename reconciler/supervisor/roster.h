#pragma once

#include <stdbool.h>

#include "crew.h"

/*
 * Control waits for the workers before it tells a CA of a challenge, so it has to know who there
 * is: it is told of each slot (CHANNEL_SLOT) whose worker, or channel, or old binary's worker has
 * changed.
 */
#define ROSTER_RETRY_MS 50 /* while its channel is full */

/*
 * Tells control what it has not been told yet. To be called when anything has changed; nothing to
 * do, nothing done. True: not all could be told, call it again soon.
 */
bool roster_tell(struct crew *c);
