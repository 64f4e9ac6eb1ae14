#include "tests/fakes/fake_time.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/time.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

static _Atomic int64_t steady_ns = 1000 * NS_PER_S;
static _Atomic int64_t ahead_ns =
    1800000000 * NS_PER_S; /* the machine's clock, of the steady one */

static int64_t now_ns(clockid_t id)
{
    bool is_wall = id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE;

    return atomic_load(&steady_ns) + (is_wall ? atomic_load(&ahead_ns) : 0);
}

/* In libc's place, for libraries too. */
__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *out)
{
    int64_t now = now_ns(id);

    *out = (struct timespec){.tv_sec = now / NS_PER_S, .tv_nsec = now % NS_PER_S};
    return 0;
}

__attribute__((visibility("default"))) int gettimeofday(struct timeval *restrict out,
                                                        void *restrict zone)
{
    int64_t now = now_ns(CLOCK_REALTIME);

    (void)zone;
    *out = (struct timeval){.tv_sec = now / NS_PER_S, .tv_usec = now % NS_PER_S / 1000};
    return 0;
}

__attribute__((visibility("default"))) time_t time(time_t *out)
{
    time_t now = now_ns(CLOCK_REALTIME) / NS_PER_S;

    if (out)
        *out = now;
    return now;
}

void fake_time_pass(int64_t ms)
{
    atomic_fetch_add(&steady_ns, ms * NS_PER_MS);
}

void fake_time_set(int64_t seconds)
{
    atomic_store(&ahead_ns, seconds * NS_PER_S - atomic_load(&steady_ns));
}
