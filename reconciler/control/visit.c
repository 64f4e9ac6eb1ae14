#include "reconciler/control/visit.h"

#include "reconciler/base/happening.h"
#include "reconciler/base/vec.h"
#include "reconciler/feed/demands.h"
#include "reconciler/issue/issuance.h"
#include "reconciler/control/pass.h"
#include "reconciler/store/store.h"

/* A demand is written down again after this part of the time that it would be remembered. */
#define RENEW_PART 2
#define RENEW_PART_KEPT 8 /* of one with a certificate: a lifetime */

/* Through the gate, but no line of the file asks for it. */
static bool is_on_demand(const struct pass *p, struct str name, int64_t now)
{
    const struct desired_demand demand = {.name = name, .last_seen_at = now};
    const struct desired *desired = p->generation ? p->generation->desired : NULL;
    const struct desired_name *found;
    struct desired_name room;

    if (!desired || !desired->acme)
        return false;
    found = desired_find(desired, subject_first(name));
    return found ? found->place_count == 0 : desired_on_demand(desired, &demand, &room);
}

/* Has it been written down lately? */
static bool is_known(const struct store_name *n, int64_t now)
{
    int64_t remembered = observe_demanded_until(n) - n->last_seen_at;

    return n->last_seen_at > now - remembered / (n->credential ? RENEW_PART_KEPT : RENEW_PART);
}

static void write_down(struct pass *p, struct str name, int64_t now)
{
    struct value v = value_at(&p->generation->desired->ca, VALUE_DEMAND, subject_first(name));

    v.u.demand.last_seen_at = now;
    pass_record(p, &v, 1);
}

static void hear(struct pass *p, struct str name, int64_t now)
{
    const struct store_name *n = store_find(p->state->store, subject_first(name));
    bool has_certificate = n && n->credential;
    /* One that visitors keep is no new one, and counts for no domain. */
    bool is_kept = has_certificate && observe_is_demanded(n, now);
    bool is_wanted = is_on_demand(p, name, now);

    if (is_wanted && !(n && is_known(n, now)) &&
        (is_kept || demands_accept(p->demands, name, now))) {
        if (!n || !n->last_seen_at)
            happening_tell_of(HAPPENING_NAME_DEMANDED, name);
        write_down(p, name, now);
    }
    if (!is_wanted || is_kept)
        demands_end(p->demands, name);
}

void visit_take(struct pass *p, int64_t now)
{
    struct str name;

    while ((name = demands_next(p->demands)).ptr)
        hear(p, name, now);
}

static int restore(struct pass *p, struct store_name *n, int64_t now)
{
    if (demands_restore(p->demands, n->subject.name, n->last_seen_at, now))
        return -1;
    return n->credential || n->due_at ? 0 : pass_set_date(p->state, n, 0);
}

void visit_restore(struct pass *p, int64_t now)
{
    struct store_name *const *names;
    size_t count;

    names = store_sorted(p->state->store, &count);
    for (size_t i = 0; names && i < count; i++) {
        /* Of those that have a certificate, the new ones still count for their domain. */
        if (names[i]->last_seen_at <= (names[i]->credential ? now - DEMANDS_DOMAIN_SECONDS : 0))
            continue;
        if (restore(p, names[i], now))
            happening_tell_of(HAPPENING_DEMAND_NOT_COUNTED, names[i]->subject.name);
    }
    visit_review(p, now);
}

/* Not while the walk goes on. */
struct ended_names vec(struct str);

void visit_review(struct pass *p, int64_t now)
{
    struct ended_names ended = {0};
    struct str name;
    size_t cursor = 0;

    while ((name = demands_walk(p->demands, &cursor)).ptr) {
        const struct store_name *n = store_find(p->state->store, subject_first(name));
        if ((!is_on_demand(p, name, now) || (n && n->credential)) && vec_push(&ended, name))
            break;
    }
    for (size_t i = 0; i < ended.len; i++)
        demands_end(p->demands, ended.items[i]);
    vec_free(&ended);
}

void visit_forget(struct pass *p, struct subject subject, int64_t now)
{
    static bool (*const kinds[])(const struct store *, const struct store_name *,
                                 struct value *) = {store_order_value, store_failure_value,
                                                    store_demand_value};
    struct store_name *n = store_find(p->state->store, subject);
    struct value gone[ARRAY_LENGTH(kinds)];
    size_t count = 0;

    if (!n || n->credential || !n->last_seen_at || issuance_has(p->issuance, n->subject))
        return;
    if (now < observe_demanded_until(n)) {
        if (pass_set_date(p->state, n, 0))
            happening_tell_of(HAPPENING_DUE_FAILED, subject.name);
        return;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
        if (kinds[i](p->state->store, n, &gone[count]))
            gone[count++].gone = true;
    happening_tell_of(HAPPENING_DEMAND_FORGOTTEN, subject.name);
    demands_end(p->demands, subject.name);
    pass_record(p, gone, count);
}
