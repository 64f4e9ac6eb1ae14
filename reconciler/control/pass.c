#include "reconciler/control/pass.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/happening.h"
#include "reconciler/base/sent.h"
#include "reconciler/base/vec.h"
#include "reconciler/feed/demands.h"
#include "reconciler/control/heed.h"
#include "reconciler/issue/issuance.h"
#include "reconciler/control/journal.h"
#include "reconciler/control/visit.h"
#include "reconciler/control/outcome.h"
#include "reconciler/pki/certificate.h"
#include "reconciler/pki/chain.h"
#include "reconciler/pki/credential.h"
#include "reconciler/pki/issued.h"
#include "reconciler/publish/index.h"
#include "reconciler/store/store.h"

/* A name on its way through the journal. */
struct errand {
    struct pass *pass;
    bool closes_order;
    bool is_stored; /* a new certificate: said aloud once it is durable */
    bool is_retry;  /* decided with the others that are due, the most urgent first */
    bool is_move;   /* adopted or retired */
    struct subject subject;
    char key[];
};

static struct errand *errand_new(struct pass *p, struct subject subject)
{
    char room[SUBJECT_KEY_MAX];
    struct str key = subject_key(&subject, room);
    struct errand *x = calloc(1, sizeof(*x) + key.len);

    if (!x)
        return NULL;
    x->pass = p;
    memcpy(x->key, key.ptr, key.len);
    (void)!subject_parse((struct str){x->key, key.len}, &x->subject);
    return x;
}

static void due_at(struct pass *p, struct subject subject, int64_t at)
{
    struct store_name *n = store_find(p->state->store, subject);

    if (n && store_due_set(p->state->store, n, at))
        happening_tell_of(HAPPENING_DUE_FAILED, subject.name);
}

/* Nothing is to come of it any more. */
static void errand_end(struct errand *x)
{
    if (!x)
        return;
    x->pass->retries -= x->is_retry;
    x->pass->moving -= x->is_move;
    free(x);
}

/* What stood in for a first certificate need not any more. */
static void decide_further(struct pass *p, struct subject first)
{
    struct subject further = first;

    for (int family = FAMILY_FIRST + 1; family < FAMILY_COUNT; family++) {
        further.family = (enum key_family)family;
        if (store_find(p->state->store, further))
            pass_name(p, further, clock_now());
    }
}

/* What was to be recorded is durable, or is not: either way the subject is decided again. */
static void on_recorded(void *context, const struct error *e)
{
    struct errand *x = context;
    struct subject subject = x->subject;
    bool had_overridden = index_overrides(x->pass->state->index, subject.name);

    if (x->closes_order)
        issuance_close(x->pass->issuance, subject);
    if (e) {
        x->pass->storage_failed(x->pass->context, e);
    } else if (x->is_stored) {
        demands_end(x->pass->demands, subject.name);
        outcome_tell_stored(x->pass, subject);
    }
    if (x->is_retry && !e)
        due_at(x->pass, subject, clock_now());
    else if (x->is_move && e)
        due_at(x->pass, subject, clock_now() + POLICY_STORAGE_RETRY_SECONDS);
    else
        pass_name(x->pass, subject, clock_now());
    if (x->is_stored && !e)
        decide_further(x->pass, subject);
    if (!had_overridden && index_overrides(x->pass->state->index, subject.name))
        happening_tell_of(HAPPENING_DECLARED_CERTIFICATE_OVERRIDDEN, subject.name);
    errand_end(x);
}

static void record(struct pass *p, const struct value *values, size_t count, struct errand *x)
{
    struct error e;

    if (x && journal_put(p->journal, values, count, on_recorded, x, &e) == 0)
        return;
    error_memory(&e);
    happening_tell_error_of(HAPPENING_RECORD_FAILED, &e, values[0].subject.name);
    if (x && x->closes_order)
        issuance_close(p->issuance, x->subject);
    errand_end(x);
}

void pass_record(struct pass *p, const struct value *values, size_t count)
{
    record(p, values, count, errand_new(p, values[0].subject));
}

/* ---- carrying out ---- */

static struct value gone_value(enum value_type type, const struct issuance_result *r)
{
    struct value v = outcome_record(type, r);

    v.gone = true;
    return v;
}

static void set_active(struct pass *p, const struct action *a, bool active, int64_t now)
{
    const struct store_name *n = store_find(p->state->store, a->subject);
    struct buf why = BUF_INIT(ERROR_MESSAGE_MAX);
    struct errand *x;
    struct value v;

    if (!n || !store_credential_value(p->state->store, n, &v))
        return;
    x = errand_new(p, a->subject);
    if (x)
        p->moving += x->is_move = true;
    v.u.credential.managed.active = active;
    plan_reason_print(a, now, &why);
    happening_tell(
        active ? HAPPENING_CERTIFICATE_ADOPTED : HAPPENING_CERTIFICATE_RETIRED,
        FIELDS(field_str("name", a->subject.name), field_str("because", buf_view(&why))));
    buf_free(&why);
    if (active && index_overrides(p->state->index, a->subject.name))
        happening_tell_of(HAPPENING_DECLARED_CERTIFICATE_OVERRIDDEN, a->subject.name);
    record(p, &v, 1, x);
}

int pass_set_date(const struct configuration_state *state, struct store_name *n, int64_t at)
{
    int64_t end = n->credential ? 0 : observe_demanded_until(n);

    return store_due_set(state->store, n, end && (!at || end < at) ? end : at);
}

/* Not before `at`: the CA would refuse it. */
static void put_off(struct pass *p, struct subject subject, int64_t at)
{
    struct store_name *n = store_need(p->state->store, subject);

    if (!n || pass_set_date(p->state, n, at)) {
        happening_tell_of(HAPPENING_DUE_FAILED, subject.name);
        return;
    }
    store_limit_set(n, at);
}

/*
 * True if the order can be explained and fits the CA's limits: then it has drawn on them. Else it
 * is put off.
 */
static bool fits(struct pass *p, const struct action *a, int64_t now)
{
    const struct budget_request request = budget_request_of(a, now);
    struct store_name *n = store_find(p->state->store, a->subject);
    struct error e;
    int64_t at;

    /* One that is taken up again has drawn on them before. */
    if (issuance_has(p->issuance, a->subject) ||
        (n && store_order_is_open(n, now) && n->order->order.url.len))
        return true;
    at = heed_breaker(p, now);
    if (at == now && p->budget)
        at = budget_promise(p->budget, &request, now);
    if (at > now) {
        put_off(p, a->subject, at);
        return false;
    }
    breaker_count(&p->breaker, now);
    if (!p->budget)
        return true;
    if (n)
        store_limit_set(n, 0);
    if (budget_take(p->budget, &request, now, &e))
        happening_tell_error_of(HAPPENING_BUDGET_FAILED, &e, a->subject.name);
    return true;
}

static void order(struct pass *p, const struct action *a, int64_t now)
{
    const struct issuance_wish wish = {.subject = a->subject,
                                       .key_type = a->desired->key_type,
                                       .is_renewal = a->action == PLAN_RENEW,
                                       .urgency = budget_plan_urgency_of(a)};
    struct error e;

    if (a->observed && plan_is_forgiven(a->observed, a->desired->ca, &p->generation->policy))
        breaker_explain(&p->breaker, now, now);
    if (!fits(p, a, now))
        return;
    /* Where its wait was cut short, the CA's directory is to be asked again too. */
    if ((a->observed && a->observed->failure.retry_at > now) ||
        p->generation->policy.account_limited_until > now)
        issuance_retry(p->issuance);
    if (issuance_want(p->issuance, &wish, &e))
        happening_tell_error_of(HAPPENING_ORDER_FAILED, &e, a->subject.name);
}

/* Looked at again at the action's time, and when the certificate begins or ends: the declared one
 * is served before and after. */
static int set_due(const struct configuration_state *state, const struct action *a, int64_t now)
{
    struct store_name *n = store_find(state->store, a->subject);
    int64_t at = a->at, begin, end;

    if (!n)
        return 0; /* nothing is known of it: the next sweep sees to it */
    /* Until it is retired, it is renewed. */
    if (a->wanted == PLAN_RETIRE && a->renew_at > now)
        at = a->renew_at;
    begin = n->credential ? n->credential->facts.not_before : 0;
    if (begin > now && (!at || begin < at))
        at = begin;
    end = n->credential ? n->credential->facts.not_after + 1 : 0;
    if (end > now && (!at || end < at))
        at = end;
    return pass_set_date(state, n, at);
}

static void carry_out(struct pass *p, const struct action *a, int64_t now)
{
    switch (a->action) {
    case PLAN_ISSUE:
    case PLAN_RENEW:
        order(p, a, now);
        break;
    case PLAN_ADOPT:
        set_active(p, a, true, now);
        break;
    case PLAN_RETIRE:
        issuance_unwant(p->issuance, a->subject);
        set_active(p, a, false, now);
        break;
    case PLAN_KEEP:
    case PLAN_WAIT:
    case PLAN_BLOCK:
        if (a->reason != REASON_ORDER_OPEN)
            issuance_unwant(p->issuance, a->subject);
        if (set_due(p->state, a, now))
            happening_tell_of(HAPPENING_DUE_FAILED, a->subject.name);
        break;
    case PLAN_ACTION_COUNT:
        break;
    }
}

/* Nothing but a date comes of it. */
static bool is_waiting(const struct action *a)
{
    return a->action == PLAN_KEEP || a->action == PLAN_WAIT || a->action == PLAN_BLOCK;
}

int pass_schedule(const struct configuration_state *state, const struct configuration_plan *plan,
                  int64_t now)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < plan->plan->count; i++)
        if (is_waiting(&plan->plan->items[i]))
            rc = set_due(state, &plan->plan->items[i], now);
    return rc;
}

/* What is put in or taken out is decided anew: a large plan is carried out for minutes. */
static void carry_out_first(struct pass *p, const struct action *a, int64_t now)
{
    if (is_waiting(a) && issuance_has(p->issuance, a->subject) && a->reason != REASON_ORDER_OPEN)
        issuance_unwant(p->issuance, a->subject);
    if (!is_waiting(a) && !plan_is_order(a))
        pass_name(p, a->subject, now);
}

bool pass_carry_out(struct pass *p, const struct configuration_plan *plan, size_t *cursor,
                    size_t max, int64_t now)
{
    const struct plan *all = plan->plan;
    size_t end = all->count + plan->order_count;

    for (; *cursor < all->count && max && pass_may_move(p); ++*cursor, max--)
        carry_out_first(p, &all->items[*cursor], now);
    for (; *cursor >= all->count && *cursor < end && max; ++*cursor, max--)
        carry_out(p, plan->orders[*cursor - all->count], now);
    return *cursor < end;
}

/* ---- one name ---- */

const struct desired_name *pass_find_desired(const struct pass *p, struct subject subject,
                                             int64_t now, struct desired_name *room)
{
    const struct desired *desired = p->generation->desired;
    const struct desired_name *found = desired_find(desired, subject);
    const struct store_name *n;

    if (found && found->place_count)
        return found;
    n = store_find(p->state->store, subject);
    if (!n || !observe_is_demanded(n, now))
        return NULL;
    if (!found && !desired_on_demand(desired,
                                     &(struct desired_demand){.name = n->subject.name,
                                                              .last_seen_at = n->last_seen_at},
                                     room))
        return NULL;
    return found ? found : room;
}

/* A subject that is decided, with what the decision points at. */
struct decided {
    struct action action; /* PLAN_NOTHING: nothing is to be done */
    struct configuration_name which;
    struct observed_name observed;
    struct desired_name room;
};

static void decide(struct pass *p, struct subject subject, int64_t now, struct decided *d)
{
    const struct store_name *n = store_find(p->state->store, subject);
    struct error e;

    *d = (struct decided){.action.action = PLAN_NOTHING};
    if (!p->generation)
        return;
    d->which.desired = pass_find_desired(p, subject, now, &d->room);
    if (n) {
        observe_name(n, &p->state->observe, &d->observed);
        d->which.observed = &d->observed;
    }
    if (!d->which.observed && !d->which.desired)
        return;
    d->action = configuration_decide(p->state, p->generation, &d->which, now);
    if (d->action.action != PLAN_NOTHING &&
        configuration_serve(p->state, p->generation, &d->action, now, &e))
        happening_tell_error_of(HAPPENING_SERVE_FAILED, &e, subject.name);
}

static void act_on(struct pass *p, const struct decided *d, struct subject subject, int64_t now)
{
    if (d->action.action != PLAN_NOTHING)
        carry_out(p, &d->action, now);
    else if (p->generation)
        visit_forget(p, subject, now);
}

void pass_name(struct pass *p, struct subject subject, int64_t now)
{
    struct decided d;

    decide(p, subject, now, &d);
    act_on(p, &d, subject, now);
}

struct decided_names vec(struct decided *);

static int by_urgency(const void *left, const void *right)
{
    const struct decided *a = *(const struct decided *const *)left;
    const struct decided *b = *(const struct decided *const *)right;

    return budget_plan_urgency(&a->action, &b->action);
}

/* Orders are kept back until all that are due are known: the most urgent goes first. */
static void decide_due(struct pass *p, struct subject subject, int64_t now,
                       struct decided_names *orders)
{
    struct decided *d = malloc(sizeof(*d));

    if (!d) {
        pass_name(p, subject, now);
        return;
    }
    decide(p, subject, now, d);
    if (plan_is_order(&d->action) && vec_push(orders, d) == 0)
        return;
    act_on(p, d, subject, now);
    free(d);
}

int64_t pass_due(struct pass *p, int64_t now)
{
    struct decided_names orders = {0};
    struct store_name *n;

    while ((n = store_due_take(p->state->store, now)))
        decide_due(p, n->subject, now, &orders);
    if (orders.len)
        qsort(orders.items, orders.len, sizeof(struct decided *), by_urgency);
    for (size_t i = 0; i < orders.len; i++) {
        carry_out(p, &orders.items[i]->action, now);
        free(orders.items[i]);
    }
    vec_free(&orders);
    return store_due_next(p->state->store);
}

/* ---- outcomes ---- */

static struct value credential_value(const struct issuance_result *r, const struct credential *c,
                                     struct str issuer, int64_t now)
{
    struct value v = outcome_record(VALUE_CREDENTIAL, r);

    v.u.credential = (struct value_credential){
        .leaf = c->leaf,
        .chain = chain_bytes(c->chain),
        .key = c->key,
        .facts = c->facts,
        .managed = {.issuer = issuer, .issued_at = now, .order_url = r->order_url, .active = true}};
    return v;
}

/* Of the lease that the order under way was made under. */
static int64_t fence_of(const struct store_name *n)
{
    return n && n->order ? n->order->order.fence : 0;
}

/*
 * The credential, and with it the ends of its order and of earlier failures: one durable step.
 * Where it came `in_vain`, that is written down as a failure is.
 */
static void record_credential(struct pass *p, const struct issuance_result *r,
                              const struct credential *c, const struct error *in_vain, int64_t now)
{
    const struct store_name *n = store_find(p->state->store, r->subject);
    struct errand *x = errand_new(p, r->subject);
    struct certificate_view view;
    struct value values[4];
    struct sent sent;
    struct str rest = n && n->sent ? n->sent->sent.times : STR_NONE;
    struct error e;

    if (certificate_parse(c->leaf, &view, &e))
        view.issuer_cn = STR_NONE;
    values[0] = credential_value(r, c, view.issuer_cn.ptr ? view.issuer_cn : STR(""), now);
    values[0].u.credential.managed.renewed =
        n && n->credential && str_equal(n->directory, r->ca->directory);
    values[0].u.credential.managed.fence = fence_of(n);
    values[1] = gone_value(VALUE_ORDER, r);
    values[2] = gone_value(VALUE_FAILURE, r);
    if (in_vain->kind)
        values[2] = outcome_value(p, r, in_vain, now);
    values[3] = gone_value(VALUE_SENT, r);
    if (x)
        x->closes_order = x->is_stored = true;
    /* Of a single newOrder the certificate tells. */
    record(p, values, sent_next(&rest, &sent) == 1 && !rest.ptr ? 4 : 3, x);
}

/* The same for one that begins later than now: it stays with its order until then. */
static void record_next(struct pass *p, const struct issuance_result *r, const struct credential *c,
                        const struct error *in_vain, int64_t now)
{
    const struct store_name *n = store_find(p->state->store, r->subject);
    struct errand *x = errand_new(p, r->subject);
    struct value values[2];

    if (!n || !store_order_value(p->state->store, n, &values[0])) {
        record_credential(p, r, c, in_vain, now); /* not journaled: better than to lose it */
        free(x);
        return;
    }
    values[0].u.order.state = VALUE_ORDER_FINALIZED;
    values[0].u.order.chain = r->chain;
    values[0].u.order.begins_at = c->facts.not_before;
    values[0].u.order.ends_at = c->facts.not_after;
    values[1] = gone_value(VALUE_FAILURE, r);
    if (in_vain->kind)
        values[1] = outcome_value(p, r, in_vain, now);
    happening_tell(HAPPENING_CERTIFICATE_EARLY,
                   FIELDS(field_str("name", r->subject.name),
                          field_cstr("not_before", clock_text(c->facts.not_before).text)));
    if (x)
        x->closes_order = true;
    record(p, values, ARRAY_LENGTH(values), x);
}

void pass_issued(struct pass *p, const struct issuance_result *r, int64_t now)
{
    const struct issued_expectation expected = {
        .key_type = r->key_type, .key = r->key, .name = r->subject.name};
    const struct store_name *n = store_find(p->state->store, r->subject);
    struct error e;
    struct credential *c = credential_from_issued(p->chains, r->chain, &expected, &e);
    enum outcome outcome = OUTCOME_REFUSE;
    struct value vain;
    int64_t issued_at = r->ended_at > now ? r->ended_at : now;

    if (c)
        outcome =
            outcome_judge(&c->facts, r->subject.name, n, &p->generation->policy, issued_at, &e);
    if (outcome == OUTCOME_REFUSE) {
        pass_failed(p, r, &e, false, now);
        credential_unref(c);
        return;
    }
    p->has_news |= n && n->failure;
    if (e.kind) {
        vain = outcome_value(p, r, &e, now);
        outcome_tell(p, &vain, &e, now);
    } else {
        breaker_explain(&p->breaker,
                        outcome_renewal(&c->facts, r->subject.name, &p->generation->policy), now);
    }
    if (outcome == OUTCOME_KEEP)
        record_next(p, r, c, &e, now);
    else
        record_credential(p, r, c, &e, issued_at);
    credential_unref(c);
}

/* Of the CA's limits, that of failures too is drawn on. */
static void count_failure(struct pass *p, struct subject subject, int64_t now)
{
    struct budget_event event = {.name = subject.name, .at = now, .kind = BUDGET_FAILED};
    struct error e;

    if (p->budget && budget_record(p->budget, &event, 1, &e))
        happening_tell_error_of(HAPPENING_BUDGET_FAILED, &e, subject.name);
}

void pass_failed(struct pass *p, const struct issuance_result *r, const struct error *e,
                 bool is_resumable, int64_t now)
{
    struct errand *x = errand_new(p, r->subject);
    struct value values[2];

    values[0] = outcome_value(p, r, e, now);
    outcome_tell(p, &values[0], e, now);
    if (e->kind != ERROR_NEEDLESS)
        count_failure(p, r->subject, now);
    values[1] = gone_value(VALUE_ORDER, r);
    if (x)
        x->closes_order = true;
    record(p, values, is_resumable ? 1 : 2, x);
}

static void waive(struct pass *p, const struct store_name *n)
{
    struct errand *x;
    struct value v;

    if (!store_failure_value(p->state->store, n, &v) || issuance_has(p->issuance, n->subject))
        return;
    x = errand_new(p, n->subject);
    if (x)
        p->retries += x->is_retry = true;
    happening_tell(HAPPENING_RETRY_ASKED, FIELDS(field_str("name", n->subject.name),
                                                 field_int("failures", v.u.failure.count)));
    v.u.failure.waived = true;
    breaker_explain(&p->breaker, clock_now(), clock_now());
    record(p, &v, 1, x);
}

void pass_retry(struct pass *p, struct str name)
{
    struct store_name *const *names;
    const struct store_name *n;
    size_t count = 0;

    issuance_retry(p->issuance);
    for (int family = FAMILY_FIRST; name.len && family < FAMILY_COUNT; family++)
        if ((n = store_find(p->state->store, (struct subject){name, (enum key_family)family})))
            waive(p, n);
    names = name.len ? NULL : store_sorted(p->state->store, &count);
    for (size_t i = 0; names && i < count; i++)
        waive(p, names[i]);
}
