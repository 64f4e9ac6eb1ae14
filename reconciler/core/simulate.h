#pragma once

#include "reconciler/core/reconcile.h"

/*
 * What would happen: the same reconcile_name as the server's on a clock that jumps from one due
 * time to the next, against a CA that issues at once, or is away. Pure.
 */

#define SIMULATE_DAYS_MAX 3660
#define SIMULATE_OUTAGES_MAX 16
/* Of certificates that are issued, unless something else is said or seen. */
#define SIMULATE_LIFETIME (90 * 86400)

/* From `start` seconds after the beginning, every order fails for `length` seconds. */
struct simulate_outage {
    int64_t start, length;
};

struct simulate_options {
    const struct desired *desired;
    const struct observed *observed;     /* how things stand at the beginning */
    const struct reconcile_rules *rules; /* the policy's jitter seed decides what chance decides */
    int64_t now;                         /* the beginning */
    unsigned days;                       /* 1 to SIMULATE_DAYS_MAX */
    int64_t lifetime;                    /* of new certificates, seconds; 0 = SIMULATE_LIFETIME */
    struct simulate_outage outages[SIMULATE_OUTAGES_MAX];
    size_t outage_count;
    /* NULL, or called for every order in the order in which they are sent. */
    void (*ordered)(void *context, int64_t at, const struct action *a, bool succeeded);
    void *context;
};

/* An order, as `ordered` hears of it. */
struct simulate_order {
    int64_t at;
    struct str name;
    bool is_renewal;
    bool failed;
};

struct simulate_day {
    uint32_t orders; /* sent, failed ones too */
    uint32_t failed;
};

enum simulate_fault {
    SIMULATE_EXPIRED, /* without a valid certificate after it had one */
    SIMULATE_TIGHT,   /* renewed with less than a twentieth of the lifetime left */
    SIMULATE_NEVER    /* has none at the end */
};

struct simulate_risk {
    struct str name;
    enum simulate_fault fault;
    int64_t since;           /* expired, tight: when; never: the beginning */
    enum plan_reason reason; /* what stands in its way at the end, or what it was renewed for */
};

struct simulation {
    unsigned days;
    int64_t start;
    const struct simulate_day *by_day;
    uint64_t orders, failed;
    unsigned peak_day; /* the first one with the most orders */
    bool has_slack;
    int64_t smallest_slack; /* of all renewals: what was left of the old certificate; negative: too
                               late */
    struct str slack_name;
    const struct simulate_risk *risks; /* sorted by name, each once, the worst of it */
    size_t risk_count;
    size_t names;
    const struct simulate_order
        *sequence; /* NULL, or all orders: whoever collects them puts it here */
};

/* In `arena`. 0; -1: memory, or ERROR_USAGE for days out of range. */
int simulate_run(const struct simulate_options *options, struct arena *arena,
                 struct simulation **simulation, struct error *e) MUST_CHECK;

/* "90d", "36h", "15m", "20s": more than nothing, at most SIMULATE_DAYS_MAX days. */
bool simulate_parse_duration(struct str text, int64_t *seconds);
/* "3d@10": three days from the tenth day on ("3d@10d", "3d@240h" too). */
bool simulate_parse_outage(struct str text, struct simulate_outage *outage);
