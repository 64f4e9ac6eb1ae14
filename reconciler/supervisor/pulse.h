#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether a child that should beat every second (CHANNEL_BEAT) is still alive. Its silence is
 * counted only as far as we looked: where all of us stood still (a machine that sleeps, a frozen
 * container, Ctrl-Z), nobody is to blame.
 */
#define PULSE_LOOK_MS 1000  /* to be looked at this often */
#define PULSE_LOST_MS 25000 /* so much silence, and it is taken for dead */

struct pulse {
    int64_t looked_ms;
    int64_t silent_ms;
};

/* It has just begun, or has beaten. */
void pulse_felt(struct pulse *p, int64_t now_ms);
bool pulse_is_lost(struct pulse *p, int64_t now_ms);
