#pragma once

#include <stdint.h>

struct control;
struct pass;

/*
 * What the clock alone changes: it was set, or is wrong; a stop of the breaker has passed. And the
 * sweep that counts names for conditions, which need not be counted with every outcome.
 */
void heed_begin(struct control *c);
void heed(struct control *c);

/*
 * May another order go? `now`, or until when none may, because more was ordered than can be
 * explained: then that is a condition.
 */
int64_t heed_breaker(struct pass *p, int64_t now);
