#pragma once

#include <stdbool.h>
#include <stdint.h>

/* When what died starts again: after 0, 0.1, 1, then 5 s; from 0 again if it had lived for a while.
 */
#define RESTART_SETTLED_MS 10000
#define RESTART_NEVER INT64_MAX

struct restart {
    unsigned deaths; /* in a row, each after a short life */
    int64_t started_ms;
    int64_t
        due_ms; /* while it does not run: when it is to be started; RESTART_NEVER = not by itself */
};

/* To be called when the process starts, and with the same clock when it has died. */
void restart_started(struct restart *r, int64_t now_ms);
void restart_died(struct restart *r, int64_t now_ms);
/* How long after its death now it would start again. */
int64_t restart_delay_ms(const struct restart *r, int64_t now_ms);
