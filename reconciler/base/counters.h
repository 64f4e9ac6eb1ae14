#pragma once

#include <stdatomic.h>
#include <stdint.h>

/*
 * One shared page per worker slot: the supervisor makes it (memfd), the worker counts, control and
 * the status listener read. It outlives the worker, so totals grow over restarts; the gauges are
 * set to 0 by a worker that starts. Add with counters_add; only the worker of the slot writes.
 */
struct counters {
    _Atomic uint64_t connections_accepted;
    _Atomic uint64_t connections_active; /* gauge */
    _Atomic uint64_t connections_handled;
    _Atomic uint64_t requests;
    _Atomic uint64_t handshakes;
    _Atomic uint64_t handshakes_failed;
    _Atomic uint64_t handshakes_resumed;
    _Atomic uint64_t handshakes_default; /* served the default certificate */
    _Atomic uint64_t challenges_answered;
    _Atomic uint64_t challenges_missed;
    _Atomic uint64_t bad_requests;
    _Atomic uint64_t messages_dropped; /* the channel was full */
    _Atomic uint64_t parsed_hits;      /* cache of parsed credentials */
    _Atomic uint64_t parsed_misses;
    _Atomic uint64_t generation; /* gauge: the newest one this worker serves */
    /* New ones at the end: over an upgrade two builds share the page. */
    _Atomic uint64_t demands_dropped; /* names that control was not told of: too many a second */
};

#define COUNTERS_PAGE_SIZE 4096

static inline void counters_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline void counters_sub(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_sub_explicit(counter, n, memory_order_relaxed);
}

static inline uint64_t counters_get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}
