#pragma once

#include "reconciler/core/budget.h"

/*
 * One bucket of a limit, as a single instant (the generic cell rate algorithm): it holds `count`
 * and refills one at a time, evenly; each draw moves the instant at which it will be full again.
 */
struct budget_bucket {
    struct str key;
    int64_t full_at;
    int64_t promised_at; /* the last time that budget_promise gave away; 0 = none */
};

/* The earliest instant, not before `now`, at which one more can be drawn. */
int64_t budget_bucket_when(const struct budget_bucket *bucket, const struct budget_limit *limit,
                           int64_t now);
void budget_bucket_take(struct budget_bucket *bucket, const struct budget_limit *limit, int64_t at);
/* When to look again, behind all that were told so before. Draws nothing. */
int64_t budget_bucket_promise(struct budget_bucket *bucket, const struct budget_limit *limit,
                              int64_t now);
uint32_t budget_bucket_left(const struct budget_bucket *bucket, const struct budget_limit *limit,
                            int64_t at);

/* Whom it counts for, "example.com": its key without the scope. */
struct str budget_bucket_subject(const struct budget_bucket *bucket);
