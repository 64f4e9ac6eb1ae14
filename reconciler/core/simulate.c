#include "reconciler/core/simulate.h"

#include <stdlib.h>

#include "reconciler/core/heap.h"

#define MINUTE ((int64_t)60)
#define HOUR ((int64_t)3600)
#define DAY ((int64_t)86400)

/* One name on its way through time. */
struct actor {
    const struct desired_name *desired;
    struct observed_name there;
    int64_t at; /* when it is looked at next */
    bool is_at_risk;
    struct simulate_risk risk;
};

struct run {
    const struct simulate_options *options;
    struct reconcile_rules rules; /* with a storage that works */
    int64_t end;
    struct actor *actors; /* in order of name */
    size_t count;
    struct heap queue;
    struct budget *budget; /* NULL: no limits */
    struct simulate_day *by_day;
    struct simulation *out;
};

/* Those of the same instant take turns by urgency. */
static bool before(const void *left, const void *right)
{
    const struct actor *x = left, *y = right;
    struct action a = {.subject = x->there.subject, .desired = x->desired, .observed = &x->there};
    struct action b = {.subject = y->there.subject, .desired = y->desired, .observed = &y->there};

    return x->at != y->at ? x->at < y->at : budget_plan_urgency(&a, &b) < 0;
}

static void look_at(struct run *r, struct actor *actor, int64_t at)
{
    if (!at || at >= r->end)
        return;
    actor->at = at;
    heap_push(&r->queue, actor);
}

static struct action decide(const struct run *r, const struct actor *actor, int64_t now)
{
    struct desired_name room; /* of names that are to be retired: there are none */

    return reconcile_name(&r->rules, actor->desired, &actor->there, &room, now);
}

/* ---- orders ---- */

static bool is_away(const struct simulate_options *options, int64_t now)
{
    int64_t since = now - options->now;

    for (size_t i = 0; i < options->outage_count; i++)
        if (since >= options->outages[i].start &&
            since - options->outages[i].start < options->outages[i].length)
            return true;
    return false;
}

static void note_risk(struct actor *actor, enum simulate_fault fault, int64_t since,
                      enum plan_reason reason)
{
    if (actor->is_at_risk && actor->risk.fault <= fault)
        return;
    actor->is_at_risk = true;
    actor->risk = (struct simulate_risk){actor->there.subject.name, fault, since, reason};
}

/* What was left of the certificate that is being replaced at `now`. */
static void note_slack(struct run *r, struct actor *actor, const struct action *a, int64_t now)
{
    const struct observed_name *o = &actor->there;
    int64_t slack = o->facts.not_after + 1 - now;

    if (!o->has_certificate)
        return;
    if (!r->out->has_slack || slack < r->out->smallest_slack) {
        r->out->has_slack = true;
        r->out->smallest_slack = slack;
        r->out->slack_name = o->subject.name;
    }
    if (slack <= 0)
        note_risk(actor, SIMULATE_EXPIRED, o->facts.not_after + 1, a->reason);
    else if (slack < policy_lifetime(o->facts.not_before, o->facts.not_after) / 20)
        note_risk(actor, SIMULATE_TIGHT, now, a->reason);
}

static int64_t next_lifetime(const struct run *r, const struct actor *actor)
{
    int64_t seen = actor->there.has_certificate ? policy_lifetime(actor->there.facts.not_before,
                                                                  actor->there.facts.not_after)
                                                : 0;

    if (r->options->lifetime)
        return r->options->lifetime;
    return seen > 0 ? seen : SIMULATE_LIFETIME;
}

static int succeed(struct run *r, struct actor *actor, const struct action *a, int64_t now,
                   struct error *e)
{
    const struct observed_name *o = &actor->there;
    unsigned failures = o->failure.count;
    struct budget_request request = budget_request_of(a, now);

    if (r->budget && !o->order_sent && budget_take(r->budget, &request, now, e))
        return -1;
    note_slack(r, actor, a, now);
    actor->there = (struct observed_name){.subject = o->subject,
                                          .has_certificate = true,
                                          .facts.not_before = now,
                                          .facts.not_after = now + next_lifetime(r, actor) - 1,
                                          .managed.issued_at = now,
                                          .managed.renewed = o->has_certificate,
                                          .directory = a->desired->ca->directory,
                                          .facts.key_type = a->desired->key_type,
                                          .managed.active = true};
    if (policy_is_needless(decide(r, actor, now).renew_at, now)) {
        actor->there.failure = (struct failure){.count = failures + 1,
                                                .failed_at = now,
                                                .kind = ERROR_NEEDLESS,
                                                .text = STR("due when it was issued")};
    }
    return 0;
}

/* A CA that cannot be reached: nothing is drawn from its limits. */
static void fail(struct actor *actor, int64_t now)
{
    actor->there.order_sent = false;
    actor->there.failure = (struct failure){.count = actor->there.failure.count + 1,
                                            .failed_at = now,
                                            .kind = ERROR_NETWORK,
                                            .text = STR("simulated outage")};
}

static int order(struct run *r, struct actor *actor, const struct action *a, int64_t now,
                 struct error *e)
{
    struct simulate_day *day = &r->by_day[(now - r->options->now) / DAY];
    bool succeeded = !is_away(r->options, now);

    day->orders++;
    day->failed += !succeeded;
    if (r->options->ordered)
        r->options->ordered(r->options->context, now, a, succeeded);
    if (succeeded)
        return succeed(r, actor, a, now, e);
    fail(actor, now);
    return 0;
}

/* ---- time ---- */

/* The next thing that happens to `actor`, at its time. */
static int step(struct run *r, struct actor *actor, struct error *e)
{
    int64_t now = actor->at, fits_at;
    struct action a = decide(r, actor, now);
    struct budget_request request;

    if (a.action == PLAN_ADOPT) {
        actor->there.managed.active = true;
        look_at(r, actor, now);
        return 0;
    }
    if (a.action != PLAN_ISSUE && a.action != PLAN_RENEW) {
        look_at(r, actor, a.at);
        return 0;
    }
    request = budget_request_of(&a, now);
    fits_at =
        r->budget && !actor->there.order_sent ? budget_promise(r->budget, &request, now) : now;
    if (fits_at == now && order(r, actor, &a, now, e))
        return -1;
    look_at(r, actor, fits_at);
    return 0;
}

/* ---- setting up, summing up ---- */

static void cast(struct run *r)
{
    const struct desired *desired = r->options->desired;
    const struct observed *observed = r->options->observed;

    for (size_t i = 0; i < desired->count; i++) {
        struct actor *actor = &r->actors[i];
        const struct observed_name *known;

        actor->desired = &desired->names[i];
        actor->there.subject = desired->names[i].subject;
        known =
            subject_find(observed->names, observed->count, sizeof(*known), actor->there.subject);
        if (known)
            actor->there = *known;
        /* An order that is under way ends at once, one way or the other, and has drawn already. */
        actor->there.order_sent = actor->there.order_open;
        actor->there.order_open = false;
    }
    r->count = desired->count;
}

/* What the last state of a name says about it. */
static void judge(struct run *r, struct actor *actor)
{
    const struct observed_name *o = &actor->there;
    struct action a = decide(r, actor, r->end);

    if (!o->has_certificate)
        note_risk(actor, SIMULATE_NEVER, r->options->now, a.reason);
    else if (o->facts.not_after < r->end)
        note_risk(actor, SIMULATE_EXPIRED, o->facts.not_after + 1, a.reason);
}

static int sum_up(struct run *r, struct arena *arena)
{
    struct simulation *out = r->out;
    struct simulate_risk *risks;

    for (size_t i = 0; i < r->count; i++) {
        judge(r, &r->actors[i]);
        out->risk_count += r->actors[i].is_at_risk;
    }
    risks = arena_array(arena, out->risk_count, sizeof(*risks));
    if (!risks)
        return -1;
    out->risks = risks;
    for (size_t i = 0; i < r->count; i++)
        if (r->actors[i].is_at_risk)
            *risks++ = r->actors[i].risk;
    for (unsigned day = 0; day < out->days; day++) {
        out->orders += r->by_day[day].orders;
        out->failed += r->by_day[day].failed;
        if (r->by_day[day].orders > r->by_day[out->peak_day].orders)
            out->peak_day = day;
    }
    return 0;
}

static int prepare(struct run *r, struct arena *arena, struct error *e)
{
    const struct simulate_options *options = r->options;
    const struct ca *ca = &options->desired->ca;

    r->out = arena_alloc(arena, sizeof(*r->out));
    r->by_day = arena_array(arena, options->days, sizeof(*r->by_day));
    r->actors = calloc(options->desired->count + 1, sizeof(*r->actors));
    r->queue = (struct heap){.items = calloc(options->desired->count + 1, sizeof(void *)),
                             .before = before};
    r->budget = ca->limits ? budget_new(ca->limits) : NULL;
    if (!r->out || !r->by_day || !r->actors || !r->queue.items || (ca->limits && !r->budget))
        return error_memory(e);
    *r->out = (struct simulation){.days = options->days,
                                  .start = options->now,
                                  .by_day = r->by_day,
                                  .names = options->desired->count};
    if (r->budget && budget_record_observed(r->budget, options->observed, ca, options->now, e))
        return -1;
    cast(r);
    for (size_t i = 0; i < r->count; i++)
        look_at(r, &r->actors[i], options->now);
    return 0;
}

int simulate_run(const struct simulate_options *options, struct arena *arena,
                 struct simulation **simulation, struct error *e)
{
    struct run r = {
        .options = options, .rules = *options->rules, .end = options->now + options->days * DAY};
    int rc;

    if (!options->days || options->days > SIMULATE_DAYS_MAX)
        return error_set(e, ERROR_USAGE, "a simulation takes 1 to %d days", SIMULATE_DAYS_MAX);
    r.rules.storage_usable = true;
    rc = prepare(&r, arena, e);
    while (rc == 0 && r.queue.count)
        rc = step(&r, heap_pop(&r.queue), e);
    if (rc == 0 && sum_up(&r, arena))
        rc = error_memory(e);
    free(r.actors);
    free(r.queue.items);
    budget_free(r.budget);
    if (rc)
        return -1;
    *simulation = r.out;
    return 0;
}

/* ---- what people type ---- */

bool simulate_parse_duration(struct str text, int64_t *seconds)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'d', DAY}, {'h', HOUR}, {'m', MINUTE}, {'s', 1}};
    uint64_t count;

    if (!text.len || !str_to_u64(str_slice(text, 0, text.len - 1), &count) || !count)
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++)
        if (text.ptr[text.len - 1] == units[i].letter) {
            if (count > (uint64_t)(SIMULATE_DAYS_MAX * DAY / units[i].seconds))
                return false;
            *seconds = (int64_t)count * units[i].seconds;
            return true;
        }
    return false;
}

bool simulate_parse_outage(struct str text, struct simulate_outage *outage)
{
    struct str start, length = str_cut(text, '@', &start);
    struct simulate_outage read;
    uint64_t days;

    if (!simulate_parse_duration(length, &read.length))
        return false;
    if (str_to_u64(start, &days) && days <= SIMULATE_DAYS_MAX)
        read.start = (int64_t)days * DAY;
    else if (!simulate_parse_duration(start, &read.start))
        return false;
    *outage = read;
    return true;
}
