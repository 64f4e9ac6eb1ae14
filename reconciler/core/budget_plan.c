#include "reconciler/core/budget.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/core/budget_bucket.h"
#include "reconciler/core/heap.h"

/* An order of the plan that is to find its time. */
struct candidate {
    struct action *action;
    struct budget_request request;
    struct budget_bucket *buckets[BUDGET_SCOPE_COUNT]; /* NULL: no such limit holds it */
    int64_t release;                                   /* not before: what its own name allows */
    size_t rank;                                       /* 0 = the most urgent */
};

/* The candidates of one registered domain, one behind the other. */
struct lane {
    struct candidate *next, *end;
    int64_t ready_at; /* of its first candidate, as far as domain and name go */
};

struct staggering {
    struct budget *budget;
    const struct budget_limits *limits;
    struct budget_bucket *orders; /* NULL: no such limit */
    struct candidate *candidates;
    size_t count;
    struct lane *lanes;
    size_t lane_count;
    struct heap by_time, by_rank;
    int64_t now;
};

/* ---- who comes first ---- */

static bool sooner(const void *left, const void *right)
{
    const struct lane *a = left, *b = right;

    if (a->ready_at != b->ready_at)
        return a->ready_at < b->ready_at;
    return a->next->rank < b->next->rank;
}

static bool more_urgent(const void *left, const void *right)
{
    const struct lane *a = left, *b = right;

    return a->next->rank < b->next->rank;
}

static int64_t ready_at(const struct heap *h)
{
    return ((const struct lane *)h->items[0])->ready_at;
}

struct urgency budget_plan_urgency_of(const struct action *a)
{
    bool is_named = a->desired->place_count > 0;

    if (a->observed && a->observed->has_certificate && (is_named || a->reason != REASON_EXPIRED))
        return (struct urgency){URGENCY_RENEWAL, a->observed->facts.not_after};
    return (struct urgency){.kind = is_named ? URGENCY_DECLARED : URGENCY_DEMANDED};
}

int budget_plan_urgency(const struct action *a, const struct action *b)
{
    const struct urgency first = budget_plan_urgency_of(a), second = budget_plan_urgency_of(b);
    int order = urgency_compare(&first, &second);

    return order ? order : subject_compare(&a->subject, &b->subject);
}

static int by_urgency(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;

    return budget_plan_urgency(a->action, b->action);
}

static struct budget_bucket *domain_of(const struct candidate *c)
{
    return c->buckets[BUDGET_DOMAIN];
}

static int by_lane(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;

    if (domain_of(a) != domain_of(b)) {
        if (!domain_of(a) || !domain_of(b))
            return domain_of(a) ? 1 : -1;
        return str_compare(domain_of(a)->key, domain_of(b)->key);
    }
    if (a->release != b->release)
        return a->release < b->release ? -1 : 1;
    return a->rank < b->rank ? -1 : a->rank > b->rank;
}

/* ---- taking turns ---- */

static const struct budget_limit *limit_of(const struct staggering *s, enum budget_scope scope)
{
    return &s->limits->scopes[scope];
}

static int64_t bucket_when(const struct staggering *s, const struct budget_bucket *bucket,
                           enum budget_scope scope, int64_t from)
{
    return bucket ? budget_bucket_when(bucket, limit_of(s, scope), from) : from;
}

static void renew_ready(const struct staggering *s, struct lane *lane)
{
    lane->ready_at = bucket_when(s, domain_of(lane->next), BUDGET_DOMAIN, lane->next->release);
}

/* What every limit says of this order, just before it draws on them at `at`. */
static void write_note(const struct staggering *s, const struct candidate *c, int64_t at,
                       struct budget_note *note)
{
    for (int i = 0; i < BUDGET_SCOPE_COUNT; i++) {
        enum budget_scope scope = (enum budget_scope)i;
        const struct budget_limit *limit = limit_of(s, scope);
        const struct budget_bucket *bucket = c->buckets[scope];
        struct budget_bucket after;

        if (!bucket)
            continue;
        after = *bucket;
        if (scope != BUDGET_FAILURES)
            budget_bucket_take(&after, limit, at);
        note->draws[note->count++] =
            (struct budget_draw){.scope = scope,
                                 .of = budget_bucket_subject(bucket),
                                 .count = limit->count,
                                 .seconds = limit->seconds,
                                 .left = budget_bucket_left(&after, limit, at),
                                 .fits_at = budget_bucket_when(bucket, limit, s->now)};
    }
}

/* A failure that may come is not drawn ahead; it is recorded when it has happened. */
static void draw(const struct staggering *s, const struct candidate *c, int64_t at)
{
    for (int scope = 0; scope < BUDGET_SCOPE_COUNT; scope++)
        if (scope != BUDGET_FAILURES && c->buckets[scope])
            budget_bucket_take(c->buckets[scope], limit_of(s, (enum budget_scope)scope), at);
}

/* Gives the candidate its time. */
static int settle(const struct staggering *s, struct candidate *c, int64_t at, struct arena *arena,
                  struct error *e)
{
    struct budget_note *note = arena_alloc(arena, sizeof(*note));

    if (!note)
        return error_memory(e);
    write_note(s, c, at, note);
    draw(s, c, at);
    c->action->budget = note;
    if (at > s->now) {
        c->action->wanted = c->action->action;
        c->action->action = PLAN_WAIT;
        c->action->reason = REASON_BUDGET;
        c->action->at = at;
    }
    return 0;
}

/*
 * Time runs: at each step the account's limit or a lane says when the next order can go, and of all
 * lanes that are ready by then the most urgent one goes. Draws are thus made in order of time,
 * which the buckets' arithmetic needs.
 */
static int run(struct staggering *s, struct arena *arena, struct error *e)
{
    int64_t clock = s->now;

    for (size_t i = 0; i < s->lane_count; i++) {
        renew_ready(s, &s->lanes[i]);
        heap_push(&s->by_time, &s->lanes[i]);
    }
    while (s->by_time.count || s->by_rank.count) {
        struct lane *lane;

        if (!s->by_rank.count && ready_at(&s->by_time) > clock)
            clock = ready_at(&s->by_time);
        clock = bucket_when(s, s->orders, BUDGET_ORDERS, clock);
        while (s->by_time.count && ready_at(&s->by_time) <= clock)
            heap_push(&s->by_rank, heap_pop(&s->by_time));
        lane = heap_pop(&s->by_rank);
        if (settle(s, lane->next, clock, arena, e))
            return -1;
        if (++lane->next < lane->end) {
            renew_ready(s, lane);
            heap_push(&s->by_time, lane);
        }
    }
    return 0;
}

/* ---- setting up ---- */

/* Finds its buckets, once: a registered domain is dear. Then what the name's own limits allow. */
static int set_release(struct staggering *s, struct candidate *c)
{
    static const enum budget_scope own[] = {BUDGET_SET, BUDGET_FAILURES};

    for (int i = 0; i < BUDGET_SCOPE_COUNT; i++) {
        enum budget_scope scope = (enum budget_scope)i;

        if (!budget_draws_on(s->limits, &c->request, scope))
            continue;
        c->buckets[scope] = budget_bucket_of(s->budget, scope, c->request.name);
        if (!c->buckets[scope])
            return -1;
    }
    c->release = s->now;
    for (size_t i = 0; i < ARRAY_LENGTH(own); i++)
        c->release = bucket_when(s, c->buckets[own[i]], own[i], c->release);
    return 0;
}

/*
 * Orders that draw on neither account nor domain go as soon as their name allows; the others stay
 * and are put into lanes.
 */
static int release_exempt(struct staggering *s, struct arena *arena, struct error *e)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->count; i++) {
        struct candidate *c = &s->candidates[i];

        c->rank = i;
        if (set_release(s, c))
            return error_memory(e);
        if (domain_of(c) || c->buckets[BUDGET_ORDERS])
            s->candidates[kept++] = *c;
        else if (settle(s, c, c->release, arena, e))
            return -1;
    }
    s->count = kept;
    return 0;
}

/* Without a domain's limit each candidate is a lane of its own. */
static void make_lanes(struct staggering *s)
{
    qsort(s->candidates, s->count, sizeof(*s->candidates), by_lane);
    for (size_t i = 0; i < s->count; i++) {
        struct candidate *c = &s->candidates[i];

        if (i && domain_of(c) && domain_of(c - 1) == domain_of(c))
            s->lanes[s->lane_count - 1].end = c + 1;
        else
            s->lanes[s->lane_count++] = (struct lane){.next = c, .end = c + 1};
    }
}

int budget_draw_open(struct budget *b, const struct plan *plan, int64_t now, struct error *e)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct action *a = &plan->items[i];
        struct budget_request r;

        if (a->action != PLAN_WAIT || a->reason != REASON_ORDER_OPEN ||
            (a->observed && a->observed->order_sent))
            continue;
        r = budget_request_of(a, now);
        if (budget_take(b, &r, now, e))
            return -1;
    }
    return 0;
}

static int stagger(struct staggering *s, struct arena *arena, struct error *e)
{
    qsort(s->candidates, s->count, sizeof(*s->candidates), by_urgency);
    if (s->limits->scopes[BUDGET_ORDERS].count) {
        s->orders = budget_bucket_of(s->budget, BUDGET_ORDERS, STR(""));
        if (!s->orders)
            return error_memory(e);
    }
    if (release_exempt(s, arena, e))
        return -1;
    make_lanes(s);
    return run(s, arena, e);
}

static struct plan *copy_plan(const struct plan *plan, struct arena *arena, struct action **items)
{
    struct plan *copy = arena_alloc(arena, sizeof(*copy));

    *items = arena_array(arena, plan->count, sizeof(**items));
    if (!copy || !*items)
        return NULL;
    memcpy(*items, plan->items, plan->count * sizeof(**items));
    copy->items = *items;
    return copy;
}

static int prepare(struct staggering *s, size_t orders, struct action *items, size_t count)
{
    s->candidates = calloc(orders, sizeof(*s->candidates));
    s->lanes = calloc(orders, sizeof(*s->lanes));
    s->by_time = (struct heap){.items = calloc(orders, sizeof(void *)), .before = sooner};
    s->by_rank = (struct heap){.items = calloc(orders, sizeof(void *)), .before = more_urgent};
    if (!s->candidates || !s->lanes || !s->by_time.items || !s->by_rank.items)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (plan_is_order(&items[i]))
            s->candidates[s->count++] = (struct candidate){
                .action = &items[i], .request = budget_request_of(&items[i], s->now)};
    return 0;
}

int budget_plan(struct budget *b, const struct plan *plan, int64_t now, struct arena *arena,
                const struct plan **fitting, struct error *e)
{
    struct staggering s = {.budget = b, .limits = budget_limits_in(b), .now = now};
    size_t orders = plan->counts[PLAN_ISSUE] + plan->counts[PLAN_RENEW];
    struct action *items;
    struct plan *copy;
    int rc = -1;

    if (!orders) {
        *fitting = plan;
        return 0;
    }
    copy = copy_plan(plan, arena, &items);
    if (!copy || prepare(&s, orders, items, plan->count))
        error_memory(e);
    else if (budget_draw_open(b, plan, now, e) == 0)
        rc = stagger(&s, arena, e);
    free(s.candidates);
    free(s.lanes);
    free(s.by_time.items);
    free(s.by_rank.items);
    if (rc)
        return -1;
    for (size_t i = 0; i < plan->count; i++)
        plan_append(copy, items, &items[i]);
    *fitting = copy;
    return 0;
}
