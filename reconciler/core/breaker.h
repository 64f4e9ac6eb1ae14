#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * The last guard before a CA, whatever goes wrong in deciding: the orders of an hour beside what
 * explains them. A name explains BREAKER_ORDERS_A_NAME of them, as many as the ladder of failures
 * (1, 10, 100 minutes) lets through in an hour; an outcome explains one more from its next date on,
 * for ladders and lifetimes that are shorter. What is beyond stops all orders for an hour. Orders
 * that are taken up again do not count. Pure; zeroed is closed and knows of nothing.
 */
#define BREAKER_ORDERS_A_NAME 3
#define BREAKER_ORDERS_SPARE 20 /* for people's own tries */
#define BREAKER_MINUTES 60
#define BREAKER_STOP_SECONDS 3600

struct breaker {
    int64_t minute; /* of the last look */
    size_t head;    /* its place in both rings */
    uint32_t ordered[2 * BREAKER_MINUTES];
    uint32_t explained[2 * BREAKER_MINUTES]; /* half of it is to come */
    int64_t until;                           /* nothing is ordered before; 0 = closed */
    uint64_t count, bound;                   /* when it stopped: orders, and those explained */
};

/* When the next order may go, `now` if it may: asked for each, with all names that are known. */
int64_t breaker_ask(struct breaker *b, uint64_t names, int64_t now);
/* It has gone. */
void breaker_count(struct breaker *b, int64_t now);
/* One more is to be expected from `at` on. */
void breaker_explain(struct breaker *b, int64_t at, int64_t now);
/* Until when everything stands still; 0: it does not. */
int64_t breaker_stopped_until(const struct breaker *b, int64_t now);
