#pragma once

#include <stdint.h>

#include "attr.h"
#include "str.h"

/*
 * Reading the clocks is for the shell (control, serve, io, cli) only; pure floors get `now` as a
 * parameter and may use clock_text and clock_parse alone.
 */
int64_t clock_now(void);       /* unix seconds, CLOCK_REALTIME */
int64_t clock_now_ms(void);    /* unix milliseconds */
int64_t clock_steady_ms(void); /* CLOCK_MONOTONIC milliseconds, for deadlines */
/* A day before this program was built: a clock that says less is wrong. */
int64_t clock_built_at(void);

/* RFC 3339 in UTC, "2026-11-24T02:57:00Z"; years outside 0..9999 are clamped. */
struct clock_text {
    char text[21];
};

struct clock_text clock_text(int64_t seconds);
/*
 * RFC 3339 date-time with Z or an offset, lower-case t and z too, fractions cut off (RFC 3339
 * §5.6). 0, or -1 when it is anything else.
 */
int clock_parse(struct str text, int64_t *seconds) MUST_CHECK;
