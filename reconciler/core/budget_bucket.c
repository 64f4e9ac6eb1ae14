#include "reconciler/core/budget_bucket.h"

/* Rounded up: a refill that we believe in too early is a refusal. */
static int64_t interval_of(const struct budget_limit *limit)
{
    return (limit->seconds + limit->count - 1) / limit->count;
}

int64_t budget_bucket_when(const struct budget_bucket *bucket, const struct budget_limit *limit,
                           int64_t now)
{
    int64_t at = bucket->full_at - (int64_t)(limit->count - 1) * interval_of(limit);

    return at > now ? at : now;
}

void budget_bucket_take(struct budget_bucket *bucket, const struct budget_limit *limit, int64_t at)
{
    int64_t from = bucket->full_at > at ? bucket->full_at : at;

    bucket->full_at = from + interval_of(limit);
}

int64_t budget_bucket_promise(struct budget_bucket *bucket, const struct budget_limit *limit,
                              int64_t now)
{
    int64_t at = budget_bucket_when(bucket, limit, now);

    if (bucket->promised_at > now && bucket->promised_at + interval_of(limit) > at)
        at = bucket->promised_at + interval_of(limit);
    bucket->promised_at = at;
    return at;
}

uint32_t budget_bucket_left(const struct budget_bucket *bucket, const struct budget_limit *limit,
                            int64_t at)
{
    int64_t interval = interval_of(limit), missing;

    if (bucket->full_at <= at)
        return limit->count;
    missing = (bucket->full_at - at + interval - 1) / interval;
    return missing < (int64_t)limit->count ? limit->count - (uint32_t)missing : 0;
}

struct str budget_bucket_subject(const struct budget_bucket *bucket)
{
    return str_slice(bucket->key, 1, bucket->key.len);
}
