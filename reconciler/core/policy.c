#include "reconciler/core/policy.h"

#include <libpsl.h>
#include <stddef.h>
#include <string.h>

#include "reconciler/base/hostname.h"

#define MINUTE ((int64_t)60)
#define DAY ((int64_t)86400)
#define SHORT_LIFETIME (10 * DAY)

/*
 * Dates far outside of what X.509 can say are pulled to these ends first, so that no sum or
 * difference of two of them leaves int64.
 */
#define INSTANT_MAX ((int64_t)1 << 60)

/* The longest duration that anything stated comes to; times JITTER_STEPS it still fits. */
#define DURATION_MAX ((int64_t)1 << 50)

#define JITTER_STEPS 2000

static int64_t bounded(int64_t seconds)
{
    if (seconds > INSTANT_MAX)
        return INSTANT_MAX;
    return seconds < -INSTANT_MAX ? -INSTANT_MAX : seconds;
}

/* `value` units of `unit` seconds, for a double that a file stated: any number, NaN counts as 0. */
static int64_t seconds_of(double value, int64_t unit)
{
    double seconds = value * (double)unit;

    if (!(seconds > 0))
        return 0;
    return seconds < (double)DURATION_MAX ? (int64_t)seconds : DURATION_MAX;
}

int64_t policy_lifetime(int64_t not_before, int64_t not_after)
{
    int64_t length = bounded(not_after) - bounded(not_before);

    return length < 0 ? 0 : length + 1;
}

bool policy_is_clock_wrong(const struct policy *policy, int64_t now)
{
    return now < policy->built_at;
}

/* How long before its end a certificate is due. */
static int64_t renewal_window(int64_t lifetime, const struct policy *policy,
                              enum policy_clamp *clamp)
{
    int64_t stated;

    *clamp = POLICY_NOT_CLAMPED;
    if (!policy->threshold_is_stated)
        return lifetime <= SHORT_LIFETIME ? lifetime / 2 : lifetime / 3;
    stated = seconds_of(policy->threshold_days, DAY);
    if (stated < lifetime / 20) {
        *clamp = POLICY_CLAMPED_LOW;
        return lifetime / 20;
    }
    if (stated > lifetime / 2) {
        *clamp = POLICY_CLAMPED_HIGH;
        return lifetime / 2;
    }
    return stated;
}

int64_t policy_jitter(int64_t lifetime, struct str name, const struct policy *policy)
{
    if (!policy->jitter_part)
        return 0;
    return (int64_t)(str_hash(name, policy->jitter_seed) %
                     (uint64_t)(bounded(lifetime) / policy->jitter_part + 1));
}

int64_t policy_renew_at(const struct policy_certificate *certificate, const struct policy *policy,
                        enum policy_clamp *clamp)
{
    enum policy_clamp ignored;
    int64_t lifetime = policy_lifetime(certificate->not_before, certificate->not_after);
    int64_t window = renewal_window(lifetime, policy, clamp ? clamp : &ignored);
    /* not_after is the last second of validity: `window` seconds are left at this instant. */
    int64_t renew_at = bounded(certificate->not_after) + 1 - window -
                       policy_jitter(lifetime, certificate->name, policy);
    int64_t ari_at = certificate->ari_at;

    return ari_at && ari_at < renew_at ? ari_at : renew_at;
}

bool policy_is_needless(int64_t renew_at, int64_t now)
{
    return renew_at <= now + POLICY_NEEDLESS_SECONDS;
}

/* The plain series, before limits and jitter. */
static int64_t backoff_base(unsigned failures)
{
    static const int64_t series[POLICY_DAILY_FAILURES] = {MINUTE, 10 * MINUTE, 100 * MINUTE, DAY};

    return series[failures < POLICY_DAILY_FAILURES ? failures - 1 : POLICY_DAILY_FAILURES - 1];
}

/* The stated fail_backoff_minutes in seconds; 0 or less counts as a minute, none is no floor. */
static int64_t backoff_floor(const struct policy *policy)
{
    int64_t floor;

    if (!policy->backoff_is_stated)
        return 0;
    floor = seconds_of(policy->backoff_minutes, MINUTE);
    return floor > 0 ? floor : MINUTE;
}

int64_t policy_retry_at(unsigned failures, int64_t failed_at, int64_t retry_at, int64_t lifetime,
                        struct str name, const struct policy *policy)
{
    int64_t delay, cap, floor, earliest, latest, step, at;

    if (!failures)
        return retry_at;
    cap = lifetime > 0 ? bounded(lifetime) / 10 : DURATION_MAX;
    if (cap <
        MINUTE) /* a certificate of seconds, by mistake or malice, must not make us hammer the CA */
        cap = MINUTE;
    floor = backoff_floor(policy);
    delay = backoff_base(failures);
    if (delay > cap)
        delay = cap;
    if (delay < floor)
        delay = floor;
    /* Where a bound holds the delay, the jitter goes to its inner side: a fleet stays spread. */
    earliest = delay - delay / 10 > floor ? delay - delay / 10 : floor;
    latest = delay + delay / 10 < cap || floor >= cap ? delay + delay / 10 : cap;
    step = (int64_t)(str_hash(name, policy->jitter_seed + failures) % (JITTER_STEPS + 1));
    at = bounded(failed_at) + earliest + (latest - earliest) * step / JITTER_STEPS;
    return at > retry_at ? at : retry_at;
}

int64_t policy_needless_until(unsigned count, int64_t issued_at, struct str name,
                              const struct policy *policy)
{
    struct policy with_floor = *policy;

    with_floor.backoff_is_stated = true;
    if (!policy->backoff_is_stated || !(policy->backoff_minutes > 1))
        with_floor.backoff_minutes = 1;
    return policy_retry_at(count, issued_at, 0, 0, name, &with_floor);
}

int64_t policy_hold_retry(int64_t asked, int64_t failed_at, int64_t ours, int64_t not_before,
                          int64_t not_after, const struct policy *policy)
{
    int64_t latest = bounded(failed_at) + DAY, gap;

    if (not_after) {
        /* The longest that the ladder makes the second of the two tries wait. */
        gap = policy_lifetime(not_before, not_after) / 10;
        gap = gap < DAY ? gap : DAY;
        gap = gap > backoff_floor(policy) ? gap : backoff_floor(policy);
        gap = gap > MINUTE ? gap : MINUTE;
        latest = bounded(not_after) - gap - gap / 10;
    }
    if (asked > latest)
        asked = latest;
    return asked > ours ? asked : ours;
}

struct str policy_registered_domain(struct str name)
{
    char text[HOSTNAME_MAX + 1];
    const char *domain;

    if (!name.len || name.len > HOSTNAME_MAX || hostname_is_ipv4(name))
        return name;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    domain = psl_registrable_domain(psl_builtin(), text);
    return domain ? str_slice(name, (size_t)(domain - text), name.len) : name;
}
