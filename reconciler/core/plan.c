#include "reconciler/core/plan.h"

/* Behind a failure that lies ahead of the clock, what a CA asked for beyond this was never meant.
 */
#define RETRY_AT_MAX ((int64_t)31 * 86400)

static const char *const action_names[PLAN_ACTION_COUNT] = {
    [PLAN_ISSUE] = "issue", [PLAN_RENEW] = "renew", [PLAN_ADOPT] = "adopt",   [PLAN_KEEP] = "keep",
    [PLAN_WAIT] = "wait",   [PLAN_BLOCK] = "block", [PLAN_RETIRE] = "retire",
};

const char *plan_action_name(enum plan_action action)
{
    return action < PLAN_ACTION_COUNT ? action_names[action] : "nothing";
}

enum plan_action plan_action_from(struct str name)
{
    int action = 0;

    while (action < PLAN_ACTION_COUNT && !str_equal_cstr(name, action_names[action]))
        action++;
    return (enum plan_action)action;
}

struct policy plan_policy(const struct desired *desired, int64_t built_at)
{
    const struct acme *acme = desired->acme;
    struct policy policy = {.jitter_part = POLICY_JITTER_PART, .built_at = built_at};

    if (acme) {
        policy.threshold_is_stated = acme->renew_threshold_is_stated;
        policy.threshold_days = acme->renew_threshold_days;
        policy.backoff_is_stated = acme->fail_backoff_is_stated;
        policy.backoff_minutes = acme->fail_backoff_minutes;
    }
    return policy;
}

/* The last second of validity still counts (RFC 5280 §4.1.2.5). */
static bool has_expired(const struct observed_name *o, int64_t now)
{
    return now > o->facts.not_after || o->facts.not_after < o->facts.not_before;
}

/* One that had begun by our own clock when it came has begun, if the clock was set back since. */
static bool has_begun(const struct observed_name *o, int64_t now)
{
    return o->facts.not_before <= now || o->facts.not_before <= o->managed.issued_at;
}

bool plan_is_early(const struct observed_name *o, const struct policy *policy, int64_t now)
{
    return !has_begun(o, now) && o->facts.not_before <= o->facts.not_after &&
           !policy_is_clock_wrong(policy, now);
}

bool plan_is_good(const struct observed_name *o, const struct policy *policy, int64_t now)
{
    return o && o->has_certificate && !o->managed.revoked &&
           (policy_is_clock_wrong(policy, now) || (has_begun(o, now) && !has_expired(o, now)));
}

/*
 * Issued by another CA than the one in use: the file's api_uri was changed, from staging to
 * production, say, or acme_server came or went. Such a certificate is drift: it is never adopted or
 * renewed, a new one is ordered at once. One that is in the index stays there until then, because a
 * move between two good CAs must not take a site down.
 */
static bool is_foreign(const struct action *a)
{
    return !ca_has_issued(a->desired->ca, a->observed->directory);
}

/* A client would take the one that is there, and it is no drift. */
static bool is_good_here(const struct action *a, const struct policy *policy, int64_t now)
{
    return plan_is_good(a->observed, policy, now) && !is_foreign(a);
}

bool plan_is_forgiven(const struct observed_name *o, const struct ca *ca,
                      const struct policy *policy)
{
    const struct failure *f = &o->failure;

    if (!f->count)
        return false;
    return !ca_has_issued(ca, o->failure_directory) ||
           (f->permanent && f->config.len && policy->config.len &&
            !str_equal(f->config, policy->config));
}

/* Do its failures hold it back at all? */
static bool has_to_wait(const struct observed_name *o, const struct ca *ca,
                        const struct policy *policy)
{
    return o && !o->failure.waived && !plan_is_forgiven(o, ca, policy);
}

enum plan_reason plan_block_reason(enum desired_block block)
{
    static const enum plan_reason reasons[DESIRED_BLOCK_COUNT] = {
        [DESIRED_NOT_PUBLIC] = REASON_NOT_PUBLIC,
        [DESIRED_NO_ACCOUNT_KEY] = REASON_NO_ACCOUNT_KEY,
        [DESIRED_UNRESOLVED] = REASON_UNRESOLVED,
        [DESIRED_TOS] = REASON_TOS,
        [DESIRED_NO_CA_CERTIFICATE] = REASON_NO_CA_CERTIFICATE,
        [DESIRED_STORAGE] = REASON_STORAGE_UNSUPPORTED,
        [DESIRED_BAD_EMAIL] = REASON_BAD_EMAIL,
        [DESIRED_BAD_URL] = REASON_BAD_URL,
        [DESIRED_BAD_ACCOUNT_KEY] = REASON_BAD_ACCOUNT_KEY,
        [DESIRED_BAD_BINDING] = REASON_BAD_BINDING,
    };

    return reasons[block];
}

static void settle(struct action *a, enum plan_action action, enum plan_reason reason, int64_t at)
{
    a->action = a->wanted = action;
    a->reason = reason;
    a->at = at;
}

/* Which order is due now for a desired name, if nothing stands in its way. */
static void want(struct action *a, const struct policy *policy, int64_t now)
{
    const struct observed_name *o = a->observed;
    enum plan_action again = o && o->managed.active ? PLAN_RENEW : PLAN_ISSUE;

    if (!o || !o->has_certificate)
        settle(a, PLAN_ISSUE, REASON_MISSING, now);
    else if (is_foreign(a))
        settle(a, PLAN_ISSUE, REASON_OTHER_DIRECTORY, now);
    else if (o->managed.revoked)
        settle(a, again, REASON_REVOKED, now);
    else if (has_expired(o, now))
        settle(a, again, REASON_EXPIRED, now);
    else if (plan_is_early(o, policy, now))
        settle(a, again, REASON_NOT_YET_VALID, now);
    else
        settle(a, PLAN_RENEW, REASON_RENEWAL_DUE, now);
}

static void put_off(struct action *a, enum plan_reason reason, int64_t at)
{
    a->action = PLAN_WAIT;
    a->reason = reason;
    a->at = at;
}

/* Until when the ladder alone holds the name back. */
static int64_t ladder_until(const struct observed_name *o, const struct policy *policy, int64_t now)
{
    int64_t lifetime =
        o->has_certificate ? policy_lifetime(o->facts.not_before, o->facts.not_after) : 0;

    /* The clock was wrong then, or is now: how long ago it was nobody knows. One try settles it. */
    if (o->failure.failed_at > now)
        return 0;
    if (o->failure.kind == ERROR_NEEDLESS)
        return policy_needless_until(o->failure.count, o->failure.failed_at, o->subject.name,
                                     policy);
    if (o->failure.permanent) /* daily all the same, because a CA may change its mind */
        return policy_retry_at(o->failure.count > POLICY_DAILY_FAILURES ? o->failure.count
                                                                        : POLICY_DAILY_FAILURES,
                               o->failure.failed_at, 0, 0, o->subject.name, policy);
    return policy_retry_at(o->failure.count, o->failure.failed_at, 0, lifetime, o->subject.name,
                           policy);
}

/* What the CA asks for is obeyed while that leaves room to renew in. */
static int64_t hold_retry(const struct action *a, const struct policy *policy, int64_t ours,
                          int64_t now)
{
    const struct observed_name *o = a->observed;

    return policy_hold_retry(
        o->failure.retry_at, o->failure.failed_at < now ? o->failure.failed_at : now, ours,
        o->facts.not_before, is_good_here(a, policy, now) ? o->facts.not_after : 0, policy);
}

/* Puts off the order in `a` while the last failures say so. */
static void respect_failures(struct action *a, const struct policy *policy, int64_t now)
{
    const struct observed_name *o = a->observed;
    int64_t ours = ladder_until(o, policy, now), at = ours;

    if (o->failure.retry_at &&
        (o->failure.failed_at <= now || o->failure.retry_at <= now + RETRY_AT_MAX))
        at = hold_retry(a, policy, ours, now);
    if (now >= at)
        return;
    a->asked_at = o->failure.retry_at > at ? o->failure.retry_at : 0;
    if (o->failure.permanent && o->failure.failed_at <= now)
        settle(a, PLAN_BLOCK, REASON_REFUSED_BY_CA, at);
    else if (o->failure.retry_at && o->failure.retry_at >= ours)
        put_off(a, REASON_RATE_LIMITED, at);
    else
        put_off(a, o->failure.kind == ERROR_NEEDLESS ? REASON_NEEDLESS : REASON_BACKOFF, at);
}

/* The same for what the CA said to another name, of the whole account. */
static void respect_account(struct action *a, const struct policy *policy, int64_t now)
{
    const struct observed_name *o = a->observed;
    bool good = is_good_here(a, policy, now);
    int64_t until = policy->account_limited_until, at;

    at = policy_hold_retry(until, policy->account_limited_at, now, good ? o->facts.not_before : 0,
                           good ? o->facts.not_after : 0, policy);
    if (until <= now || at <= now)
        return;
    a->asked_at = until > at ? until : 0;
    put_off(a, REASON_ACCOUNT_LIMITED, at);
}

/* There is no good one, but the one that is there begins soon. */
static bool begins_soon(const struct action *a, const struct policy *policy, int64_t now)
{
    const struct observed_name *o = a->observed;

    return o && o->has_certificate && !o->managed.revoked && !is_foreign(a) &&
           plan_is_early(o, policy, now) && o->facts.not_before <= now + PLAN_EARLY_SECONDS;
}

/* What stands in the way of the order in `a`. */
static void hold_back(struct action *a, const struct policy *policy, bool storage_usable,
                      int64_t now)
{
    if (a->observed && a->observed->order_open)
        put_off(a, REASON_ORDER_OPEN, 0);
    else if (begins_soon(a, policy, now))
        put_off(a, REASON_NOT_YET_VALID, a->observed->facts.not_before);
    else if (!storage_usable)
        put_off(a, REASON_STORAGE, now + POLICY_STORAGE_RETRY_SECONDS);
    else if (has_to_wait(a->observed, a->desired->ca, policy))
        respect_failures(a, policy, now);
    if (plan_is_order(a) && !(a->observed && a->observed->failure.waived))
        respect_account(a, policy, now);
}

static void keep(struct action *a)
{
    enum key_type there = a->observed->facts.key_type, next = a->desired->key_type;
    bool same_key = !next || !there || there == next;

    settle(a, PLAN_KEEP, same_key ? REASON_NOT_DUE : REASON_OTHER_KEY_TYPE, a->renew_at);
}

/* What a service lacks keeps new names back; a name that is served is renewed, as before. */
static bool is_blocked(const struct desired_name *n, bool good)
{
    return n->block && !(good && n->block == DESIRED_NO_CA_CERTIFICATE);
}

/*
 * The next certificate has been issued, but begins later: it is waited for, unless the one that is
 * there ends before, or there is none and it begins too late. True if that decides it.
 */
static bool await_next(struct action *a, const struct policy *policy, bool good,
                       bool storage_usable, int64_t now)
{
    const struct observed_name *o = a->observed;
    int64_t latest = good ? o->facts.not_after + 1 : now + PLAN_EARLY_SECONDS;

    if (!o || !o->next_at || o->next_at > latest || now > o->next_ends_at ||
        !ca_has_issued(a->desired->ca, o->next_directory))
        return false;
    settle(a, o->managed.active ? PLAN_RENEW : PLAN_ISSUE, REASON_NEXT_BEGINS, now);
    if (o->next_at > now && good)
        settle(a, PLAN_KEEP, REASON_NEXT_IN_HAND, o->next_at);
    else if (o->next_at > now)
        put_off(a, REASON_NEXT_IN_HAND, o->next_at);
    else
        hold_back(a, policy, storage_usable, now);
    return true;
}

/* What is there is kept until it is due, if it can be used and is of the right CA. */
static void seek(struct action *a, const struct policy *policy, bool good, bool storage_usable,
                 int64_t now)
{
    if (await_next(a, policy, good, storage_usable, now))
        return;
    if (good && !is_foreign(a) && now < a->renew_at) {
        keep(a);
        return;
    }
    want(a, policy, now);
    hold_back(a, policy, storage_usable, now);
}

static void decide_desired(struct action *a, const struct policy *policy, bool storage_usable,
                           int64_t now)
{
    const struct observed_name *o = a->observed;
    bool good = plan_is_good(o, policy, now);

    if (good && !o->managed.active && !is_foreign(a)) {
        settle(a, PLAN_ADOPT, REASON_FOUND_VALID, now);
    } else if (is_blocked(a->desired, good)) {
        /* Said at once, not only when the certificate that is there is due: then it may be too
         * late. */
        settle(a, PLAN_BLOCK, plan_block_reason(a->desired->block), 0);
    } else {
        seek(a, policy, good, storage_usable, now);
    }
    a->replaces = o && o->has_certificate && is_foreign(a) &&
                  (a->wanted == PLAN_ISSUE || a->wanted == PLAN_RENEW);
    /* A managed certificate that is served now has replaced the declared one already. */
    a->overrides = a->desired->overrides && a->action != PLAN_BLOCK && !(good && o->managed.active);
}

/*
 * Nothing asks for it any more. A further key family of a name that is asked for is served on while
 * there is no first one that is.
 */
static void retire(struct action *a, const struct desired_name *beside, const struct policy *policy,
                   int64_t now)
{
    const struct observed_name *o = a->observed;
    bool is_left_alone = beside && beside->is_left_alone;

    settle(a, PLAN_RETIRE, is_left_alone ? REASON_LEFT_ALONE : REASON_NOT_DECLARED, now);
    if (beside && !is_left_alone && now > o->first_ends_at && plan_is_good(o, policy, now))
        put_off(a, REASON_STANDS_IN, o->facts.not_after + 1);
}

/* Nothing that depends on what time it is, and nothing is ordered, put in or taken out. */
static void stand_still(struct action *a, int64_t now)
{
    int64_t at = now + POLICY_STORAGE_RETRY_SECONDS;

    if (a->action == PLAN_KEEP)
        settle(a, PLAN_KEEP, REASON_CLOCK, at);
    else if (a->action != PLAN_NOTHING && a->action != PLAN_BLOCK && a->reason != REASON_ORDER_OPEN)
        put_off(a, REASON_CLOCK, at);
}

struct action plan_decide(const struct desired_name *desired, const struct observed_name *observed,
                          const struct policy *policy, bool storage_usable, int64_t now)
{
    struct action a = {.subject = observed ? observed->subject : desired->subject,
                       .observed = observed};

    if (desired && !desired->is_left_alone && desired->subject.family == a.subject.family)
        a.desired = desired;

    if (observed && observed->has_certificate)
        a.renew_at =
            policy_renew_at(&(struct policy_certificate){.name = observed->subject.name,
                                                         .not_before = observed->facts.not_before,
                                                         .not_after = observed->facts.not_after,
                                                         .ari_at = observed->ari_at},
                            policy, &a.clamp);
    if (a.desired)
        decide_desired(&a, policy, storage_usable, now);
    else if (observed->managed.active && observed->has_certificate)
        retire(&a, desired, policy, now);
    else
        settle(&a, PLAN_NOTHING, REASON_NOT_DECLARED, 0);
    if (policy_is_clock_wrong(policy, now))
        stand_still(&a, now);
    return a;
}

/* Kept, adopted and retired certificates are there already; all others are yet to be made. */
enum key_type plan_key_type(const struct action *a)
{
    if (a->action == PLAN_KEEP || a->action == PLAN_ADOPT || a->wanted == PLAN_RETIRE)
        return a->observed->facts.key_type;
    return a->desired ? a->desired->key_type : KEY_NONE;
}

void plan_append(struct plan *plan, struct action *items, const struct action *a)
{
    if (a->action == PLAN_NOTHING)
        return;
    items[plan->count++] = *a;
    plan->counts[a->action]++;
    plan->override_count += a->overrides;
    if (a->at && (!plan->next_at || a->at < plan->next_at))
        plan->next_at = a->at;
}

void plan_heed_account(struct policy *policy, const struct ca *ca, const struct observed *observed,
                       int64_t now)
{
    policy->account_limited_at = policy->account_limited_until = 0;
    for (size_t i = 0; i < observed->count; i++) {
        const struct observed_name *o = &observed->names[i];

        if (!o->failure.count || o->failure.kind != ERROR_ACCOUNT_LIMIT ||
            !has_to_wait(o, ca, policy) || o->failure.retry_at <= now ||
            o->failure.retry_at <= policy->account_limited_until)
            continue;
        policy->account_limited_at = o->failure.failed_at;
        policy->account_limited_until = o->failure.retry_at;
    }
}

int plan_make(const struct desired *desired, const struct observed *observed,
              const struct policy *policy, int64_t now, struct arena *arena, struct plan **plan,
              struct error *e)
{
    struct plan *p = arena_alloc(arena, sizeof(*p));
    /* Room that is never written to costs no memory. */
    struct action *items = arena_array(arena, desired->count + observed->count, sizeof(*items));
    size_t d = 0, o = 0;

    if (!p || !items)
        return error_memory(e);
    p->items = items;
    while (d < desired->count || o < observed->count) {
        const struct desired_name *dn = d < desired->count ? &desired->names[d] : NULL;
        const struct observed_name *on = o < observed->count ? &observed->names[o] : NULL;
        int order = !dn ? 1 : !on ? -1 : subject_compare(&dn->subject, &on->subject);
        struct action a;

        dn = order <= 0 ? dn : NULL;
        on = order >= 0 ? on : NULL;
        d += dn != NULL;
        o += on != NULL;
        if (!dn)
            dn = desired_find_beside(desired, on->subject);
        a = plan_decide(dn, on, policy, observed->storage_usable, now);
        plan_append(p, items, &a);
    }
    *plan = p;
    return 0;
}

const struct action *plan_find(const struct plan *plan, struct subject subject)
{
    return subject_find(plan->items, plan->count, sizeof(*plan->items), subject);
}

static bool is_stuck(const struct action *a)
{
    if (a->action == PLAN_BLOCK)
        return true;
    return a->action == PLAN_WAIT &&
           (a->reason == REASON_BUDGET || a->reason == REASON_BACKOFF ||
            a->reason == REASON_RATE_LIMITED || a->reason == REASON_STORAGE ||
            a->reason == REASON_NEEDLESS || a->reason == REASON_CLOCK ||
            a->reason == REASON_BREAKER || a->reason == REASON_ACCOUNT_LIMITED);
}

enum plan_exit plan_exit_code(const struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (is_stuck(&plan->items[i]))
            return PLAN_EXIT_STUCK;
    return plan->counts[PLAN_KEEP] == plan->count ? PLAN_EXIT_NOTHING : PLAN_EXIT_CHANGES;
}

/* The state of a certificate that no client takes any more, or NULL. */
static const char *bad_state(const struct observed_name *o, int64_t now)
{
    if (!o || !o->has_certificate)
        return NULL;
    if (o->managed.revoked)
        return "revoked";
    return has_expired(o, now) ? "expired" : NULL;
}

/* The state of a name of which something is still to be done. */
static const char *open_state(const struct observed_name *o, int64_t now)
{
    bool is_served = o->has_certificate && o->managed.active;

    if (is_served && !has_begun(o, now))
        return "pending";
    if (o->failure.count && !(is_served && o->failure.kind == ERROR_NEEDLESS))
        return "failing";
    return is_served ? "due" : "pending";
}

const char *plan_state(const struct action *a, int64_t now)
{
    const struct observed_name *o = a->observed;
    const char *bad = bad_state(o, now);

    if (a->action == PLAN_RETIRE)
        return "retired";
    if (bad)
        return bad;
    if (a->action == PLAN_BLOCK)
        return "blocked";
    if (a->action == PLAN_KEEP || a->wanted == PLAN_RETIRE)
        return "valid";
    return o && a->action != PLAN_ADOPT ? open_state(o, now) : "pending";
}
