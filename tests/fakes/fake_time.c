#include "tests/fakes/fake_time.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

static _Atomic int64_t passed_ns; /* both clocks */
static _Atomic int64_t set_ns;    /* the machine's alone */

static int64_t machine_ns(clockid_t id)
{
    struct timespec t = {0};

    syscall(SYS_clock_gettime, id, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static int64_t now_ns(clockid_t id)
{
    bool is_wall = id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE;

    return machine_ns(id) + atomic_load(&passed_ns) + (is_wall ? atomic_load(&set_ns) : 0);
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
    atomic_fetch_add(&passed_ns, ms * NS_PER_MS);
}

void fake_time_set(int64_t seconds)
{
    atomic_fetch_add(&set_ns, seconds * NS_PER_S - now_ns(CLOCK_REALTIME));
}
