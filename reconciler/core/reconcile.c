#include "reconciler/core/reconcile.h"

#include "reconciler/core/breaker.h"

int reconcile_desire(const struct reconcile_options *options, const struct reconcile_source *source,
                     struct arena *arena, struct desired **desired, struct error *e)
{
    struct desired_options how = options->asked;

    if (source->demands(source->context, options->now, arena, &how, e))
        return -1;
    return desired_make(options->model, &how, arena, desired, e);
}

/* What stands in the way of an order that is due, beside the name's own past. */
static void hold_back(const struct reconcile_rules *rules, struct action *a, int64_t now)
{
    int64_t limited_until = a->observed ? a->observed->limited_until : 0;

    if (!plan_is_order(a) || (!rules->stopped_until && limited_until <= now))
        return;
    a->action = PLAN_WAIT;
    a->reason = rules->stopped_until ? REASON_BREAKER : REASON_BUDGET;
    a->at = rules->stopped_until ? rules->stopped_until : limited_until;
}

static struct saved_guard guard_of(const struct reconcile_rules *rules, int64_t now)
{
    return (struct saved_guard){.approved = rules->approved,
                                .policy = &rules->policy,
                                .ca = rules->ca,
                                .storage_usable = rules->storage_usable,
                                .now = now};
}

struct action reconcile_name(const struct reconcile_rules *rules,
                             const struct desired_name *desired,
                             const struct observed_name *observed, struct desired_name *room,
                             int64_t now)
{
    const struct saved_guard guard = guard_of(rules, now);
    struct action a = plan_decide(desired, observed, &rules->policy, rules->storage_usable, now);

    if (rules->approved)
        a = saved_hold(&guard, &a, room);
    hold_back(rules, &a, now);
    return a;
}

static int open_budget(const struct reconcile_options *options, struct arena *arena,
                       struct reconciliation *r, struct error *e)
{
    const struct ca *ca = &r->desired->ca;

    if (!ca->limits)
        return 0;
    r->budget = budget_new(ca->limits);
    if (!r->budget)
        return error_memory(e);
    if (budget_record_observed(r->budget, r->observed, ca, options->now, e))
        return -1;
    if (!options->is_foretold)
        return budget_draw_open(r->budget, r->plan, options->now, e);
    return budget_plan(r->budget, r->plan, options->now, arena, &r->plan, e);
}

int reconcile_make(const struct reconcile_options *options, const struct reconcile_source *source,
                   struct arena *arena, struct reconciliation *r, struct error *e)
{
    struct desired *desired;
    struct saved_guard guard;
    struct plan *plan;

    *r = (struct reconciliation){.desired = options->desired};
    if (!r->desired) {
        if (reconcile_desire(options, source, arena, &desired, e))
            return -1;
        r->desired = desired;
    }
    r->rules = (struct reconcile_rules){
        .policy = plan_policy(r->desired, options->built_at),
        .ca = &r->desired->ca,
        .approved = options->approved,
        .stopped_until =
            options->breaker ? breaker_stopped_until(options->breaker, options->now) : 0,
    };
    r->rules.policy.config = options->config;
    if (source->observe(source->context, &r->rules.policy, arena, &r->observed, e))
        return -1;
    r->rules.storage_usable = r->observed->storage_usable;
    plan_heed_account(&r->rules.policy, r->rules.ca, r->observed, options->now);
    guard = guard_of(&r->rules, options->now);
    if (plan_make(r->desired, r->observed, &r->rules.policy, options->now, arena, &plan, e) ||
        saved_hold_plan(&guard, plan, arena, &r->plan, e))
        return -1;
    return open_budget(options, arena, r, e);
}

void reconcile_fini(struct reconciliation *r)
{
    budget_free(r->budget);
    *r = (struct reconciliation){0};
}
