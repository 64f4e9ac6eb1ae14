#include "reconciler/core/saved.h"

#include "reconciler/base/buf.h"

#define HOUR 3600
#define NAME_SHOWN_MAX ((size_t)1024)

/* An order for it is under way: the saved issue or renewal is being done. */
static bool is_being_done(const struct saved_action *saved, const struct action *fresh)
{
    return fresh->action == PLAN_WAIT && fresh->reason == REASON_ORDER_OPEN &&
           fresh->wanted == saved->action;
}

/* The name has another action than the saved one: has that one been carried out? */
static bool is_done(const struct saved_action *saved, const struct action *fresh)
{
    switch (saved->action) {
    case PLAN_ISSUE:
    case PLAN_RENEW:
        return fresh->action == PLAN_KEEP || is_being_done(saved, fresh);
    case PLAN_WAIT:
        return fresh->action == PLAN_KEEP;
    case PLAN_ADOPT:
        /* It may be due for renewal at once: that comes behind the adoption, not in its place. */
        return fresh->action == PLAN_KEEP || fresh->wanted == PLAN_RENEW;
    default:
        return false;
    }
}

const struct action *saved_find(const struct saved_action *saved, const struct plan *fresh)
{
    const struct subject further = {saved->name, subject_family(saved->key_type)};
    const struct action *found = plan_find(fresh, further),
                        *first = plan_find(fresh, subject_first(saved->name));

    /* A further one stands beside a first with the same kind of key until it is retired. */
    return found && (!first || found->action == saved->action || first->action != saved->action)
               ? found
               : first;
}

/* Would its order make another key now than the saved one? */
static bool is_of_other_key(const struct saved_action *saved, const struct action *fresh)
{
    bool is_made = fresh->action == PLAN_KEEP || fresh->action == PLAN_ADOPT;
    enum key_type type = saved->key_type ? plan_key_type(fresh) : KEY_NONE;

    if (!type || saved->key_type == type)
        return false;
    return saved->action == PLAN_ISSUE || saved->action == PLAN_RENEW ||
           (!is_made && (saved->action == PLAN_WAIT || saved->action == PLAN_BLOCK));
}

enum saved_verdict saved_judge(const struct saved_action *saved, const struct action *fresh)
{
    if (!fresh)
        return saved->action == PLAN_RETIRE ? SAVED_DONE : SAVED_DIFFERS;
    if (is_of_other_key(saved, fresh))
        return SAVED_DIFFERS;
    if (fresh->action == saved->action && fresh->overrides == saved->overrides)
        return SAVED_SAME;
    return is_done(saved, fresh) ? SAVED_DONE : SAVED_DIFFERS;
}

static int check_age(const struct saved_plan *saved, int64_t now, int64_t max_age_seconds,
                     struct error *e)
{
    /* Compared as sums of the smaller numbers: made_at comes from a file. */
    if (saved->made_at > now + SAVED_CLOCK_SKEW_SECONDS)
        return error_set(e, ERROR_INVALID, "the plan was made in the future");
    if (saved->made_at < now - max_age_seconds)
        return error_set(e, ERROR_INVALID, "the plan is older than %lld hours: make a new one",
                         (long long)(max_age_seconds / HOUR));
    return 0;
}

static int refuse(const struct saved_action *first, const struct action *fresh, size_t count,
                  struct error *e)
{
    struct buf name = BUF_INIT(NAME_SHOWN_MAX);
    bool other_key = fresh && is_of_other_key(first, fresh);

    buf_escaped(&name, first->name);
    error_set(e, ERROR_INVALID, "%.*s: the plan says %s%s%s, now it is %s%s%s",
              STR_ARG(buf_view(&name)), plan_action_name(first->action), other_key ? " with " : "",
              other_key ? key_type_name(first->key_type) : "",
              fresh ? plan_action_name(fresh->action) : "not listed", other_key ? " with " : "",
              other_key ? key_type_name(plan_key_type(fresh)) : "");
    if (count > 1)
        error_set(e, ERROR_INVALID, "%s; %zu more differ", e->message, count - 1);
    buf_free(&name);
    return -1;
}

static void append_deed(struct plan *plan, struct action *items, enum plan_action action,
                        const struct action *fresh)
{
    struct action deed = *fresh;

    deed.action = action;
    if (plan_is_deed(action))
        plan_append(plan, items, &deed);
}

int saved_compare(const struct saved_plan *saved, const struct plan *fresh, int64_t now,
                  int64_t max_age_seconds, struct arena *arena, struct plan **deeds,
                  struct error *e)
{
    struct plan *plan = arena_alloc(arena, sizeof(*plan));
    struct action *items = arena_array(arena, saved->count, sizeof(*items));
    const struct saved_action *first = NULL;
    size_t differing = 0;

    if (!plan || !items)
        return error_memory(e);
    if (check_age(saved, now, max_age_seconds, e))
        return -1;
    plan->items = items;
    for (size_t i = 0; i < saved->count; i++) {
        const struct action *now_is = saved_find(&saved->items[i], fresh);
        enum saved_verdict verdict = saved_judge(&saved->items[i], now_is);

        if (verdict == SAVED_SAME || (now_is && is_being_done(&saved->items[i], now_is)))
            append_deed(plan, items, saved->items[i].action, now_is);
        if (verdict == SAVED_DIFFERS && !differing++)
            first = &saved->items[i];
    }
    if (differing)
        return refuse(first, saved_find(first, fresh), differing, e);
    *deeds = plan;
    return 0;
}

bool saved_needs_approval(const struct action *a)
{
    if (a->wanted == PLAN_RENEW)
        return false;
    return a->wanted == PLAN_ISSUE || a->action == PLAN_RETIRE || a->overrides;
}

/* The first one of that name or behind it. */
static size_t lower_bound(const struct saved_plan *saved, struct str name)
{
    size_t low = 0, high = saved->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (str_compare(saved->items[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/*
 * A plan that is to be approved has the action itself, or a wait for it: of what needs approval,
 * only first certificates ever wait there.
 */
static bool is_approved(const struct saved_action *approved, const struct action *a)
{
    return (approved->action == a->wanted ||
            (approved->action == PLAN_WAIT && a->wanted == PLAN_ISSUE)) &&
           !is_of_other_key(approved, a) && (!a->overrides || approved->overrides);
}

bool saved_covers(const struct saved_plan *saved, const struct action *a)
{
    if (!saved_needs_approval(a))
        return true;
    for (size_t i = lower_bound(saved, a->subject.name);
         i < saved->count && str_equal(saved->items[i].name, a->subject.name); i++)
        if (is_approved(&saved->items[i], a))
            return true;
    return false;
}

/* An order that is under way is finished: the CA has its part of it already. */
static bool may_go_on(const struct saved_plan *approved, const struct action *a)
{
    if (a->action == PLAN_KEEP || a->action == PLAN_BLOCK || a->action == PLAN_NOTHING)
        return true;
    return (a->action == PLAN_WAIT && a->reason == REASON_ORDER_OPEN) || saved_covers(approved, a);
}

/* Not retired yet: what would be done if the file still asked for the name? */
static struct action stay(const struct saved_guard *g, const struct action *a,
                          struct desired_name *room)
{
    struct action would = {.action = PLAN_KEEP};

    *room = (struct desired_name){
        .subject = a->subject, .ca = g->ca, .key_type = a->observed->facts.key_type};
    if (g->ca->directory.len) /* else there is no CA to renew it */
        would = plan_decide(room, a->observed, g->policy, g->storage_usable, g->now);
    return would;
}

struct action saved_hold(const struct saved_guard *g, const struct action *a,
                         struct desired_name *room)
{
    struct action held = *a, would;

    if (may_go_on(g->approved, a))
        return held;
    held.action = PLAN_WAIT;
    held.reason = REASON_APPROVAL;
    held.at = 0;
    if (a->action != PLAN_RETIRE)
        return held;
    would = stay(g, a, room);
    return would.wanted == PLAN_RENEW ? would : held;
}

static struct plan *hold_all(const struct saved_guard *g, const struct plan *plan,
                             struct arena *arena)
{
    struct plan *made = arena_alloc(arena, sizeof(*made));
    struct action *items = arena_array(arena, plan->count, sizeof(*items));
    struct desired_name *rooms = arena_array(arena, plan->counts[PLAN_RETIRE], sizeof(*rooms));

    if (!made || !items || !rooms)
        return NULL;
    made->items = items;
    for (size_t i = 0; i < plan->count; i++) {
        struct action held = saved_hold(g, &plan->items[i], rooms);

        rooms += plan->items[i].action == PLAN_RETIRE;
        plan_append(made, items, &held);
    }
    return made;
}

int saved_hold_plan(const struct saved_guard *g, const struct plan *plan, struct arena *arena,
                    const struct plan **held, struct error *e)
{
    const struct plan *made = plan;

    if (g->approved)
        made = hold_all(g, plan, arena);
    if (!made)
        return error_memory(e);
    *held = made;
    return 0;
}
