#pragma once

#include <stdbool.h>

#include "crew.h"

/*
 * The kernel deals new connections out among the sockets of all slots, also of one whose worker is
 * gone: there they wait. So another worker accepts from them (CHANNEL_COVER), until control says
 * that the slot's own serves.
 */
#define COVER_RETRY_MS 100 /* while a channel is full */

/*
 * Brings about that each such slot, and no other, is covered by one that serves. To be called when
 * anything has changed; nothing to do, nothing done. True: not all could be, call it again soon.
 */
bool cover_slots(struct crew *c);
