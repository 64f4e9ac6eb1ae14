#include "reconciler/control/outcome.h"

#include <stdio.h>
#include <string.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/happening.h"
#include "reconciler/base/value.h"
#include "reconciler/control/condition.h"
#include "reconciler/issue/issuance.h"
#include "reconciler/control/observe.h"
#include "reconciler/control/pass.h"
#include "reconciler/core/plan.h"
#include "reconciler/pki/credential.h"
#include "reconciler/store/store.h"

/* What was under way when the account met its limit meets it a little later. */
#define LIMIT_SLACK_SECONDS 60

/* The end of a good certificate that is in use; 0: there is none. */
static int64_t end_of_good(const struct store_name *n, const struct policy *policy, int64_t now)
{
    struct observed_name o;

    if (!n)
        return 0;
    observe_name(n, &(struct observe_options){0}, &o);
    return o.managed.active && plan_is_good(&o, policy, now) ? o.facts.not_after : 0;
}

int64_t outcome_renewal(const struct certificate_facts *issued, struct str name,
                        const struct policy *policy)
{
    return policy_renew_at(&(struct policy_certificate){.name = name,
                                                        .not_before = issued->not_before,
                                                        .not_after = issued->not_after},
                           policy, NULL);
}

enum outcome outcome_judge(const struct certificate_facts *issued, struct str name,
                           const struct store_name *n, const struct policy *policy, int64_t now,
                           struct error *vain)
{
    int64_t end = end_of_good(n, policy, now);

    *vain = (struct error){0};
    if (issued->not_after < now) {
        error_set(vain, ERROR_NEEDLESS, "the CA issued a certificate that has expired already, %s",
                  clock_text(issued->not_after).text);
        return OUTCOME_REFUSE;
    }
    if (issued->not_before > (end ? end + 1 : now + PLAN_EARLY_SECONDS))
        error_set(vain, ERROR_NEEDLESS,
                  "the CA issued a certificate that is not valid before %s, too late",
                  clock_text(issued->not_before).text);
    else if (policy_is_needless(outcome_renewal(issued, name, policy), now))
        error_set(vain, ERROR_NEEDLESS,
                  "the CA issued a certificate, valid from %s to %s, that was due for renewal "
                  "already",
                  clock_text(issued->not_before).text, clock_text(issued->not_after).text);
    return issued->not_before > now && end ? OUTCOME_KEEP : OUTCOME_SERVE;
}

struct value outcome_record(enum value_type type, const struct issuance_result *r)
{
    return value_at(r->ca, type, r->subject);
}

struct value outcome_value(const struct pass *p, const struct issuance_result *r,
                           const struct error *e, int64_t now)
{
    const struct policy *policy = &p->generation->policy;
    const struct store_name *n = store_find(p->state->store, r->subject);
    struct observed_name o = {0};
    struct value v = outcome_record(VALUE_FAILURE, r);

    if (n)
        observe_name(n, &(struct observe_options){0}, &o);
    v.u.failure =
        (struct failure){.count = plan_is_forgiven(&o, r->ca, policy) ? 1 : o.failure.count + 1,
                         .failed_at = now,
                         .retry_at = e->retry_at,
                         .kind = e->kind,
                         .permanent = e->permanent,
                         .text = str_from(e->message),
                         .config = policy->config};
    return v;
}

/*
 * When a name is tried again behind the failure `v`, or the order in vain: what is decided about it
 * once that is recorded. 0: a date is nothing that it waits for.
 */
static int64_t next_attempt(const struct pass *p, const struct value *v, int64_t now)
{
    const struct store_name *n = store_find(p->state->store, v->subject);
    struct observed_name o = {.subject = v->subject};
    struct configuration_name which = {.observed = &o};
    struct desired_name room;

    which.desired = pass_find_desired(p, v->subject, now, &room);
    if (!which.desired)
        return 0;
    if (n)
        observe_name(n, &(struct observe_options){0}, &o);
    o.order_open = false;
    o.next_at = 0;
    o.failure = v->u.failure;
    o.failure_directory = v->directory;
    return configuration_decide(p->state, p->generation, &which, now).at;
}

void outcome_tell(struct pass *p, const struct value *v, const struct error *e, int64_t now)
{
    int64_t at = next_attempt(p, v, now);
    struct clock_text next = {"none"};
    char text[ERROR_MESSAGE_MAX];
    bool in_vain = e->kind == ERROR_NEEDLESS;

    if (at) {
        next = clock_text(at);
        breaker_explain(&p->breaker, at, now);
    }
    happening_tell_error(in_vain ? HAPPENING_CERTIFICATE_NEEDLESS : HAPPENING_CERTIFICATE_FAILED, e,
                         FIELDS(field_str("name", v->subject.name),
                                field_int("failures", v->u.failure.count),
                                field_cstr("next_attempt", next.text)));
    if (in_vain) {
        snprintf(text, sizeof(text), "%.100s: %.300s; next try at %s", v->subject.name.ptr,
                 e->message, next.text);
        condition_set(p->conditions, CONDITION_NEEDLESS, text);
    }
    p->has_news |= in_vain || e->retry_at;
}

bool outcome_is_of_account(struct pass *p, struct policy *policy, const struct issuance_result *r,
                           const struct error *e, int64_t now)
{
    char text[ERROR_MESSAGE_MAX], name[SUBJECT_NAME_MAX];
    struct subject subject = {{name, r->subject.name.len}, r->subject.family};

    if (e->kind != ERROR_ACCOUNT_LIMIT)
        return false;
    if (e->retry_at > policy->account_limited_until + LIMIT_SLACK_SECONDS) {
        policy->account_limited_at = now;
        policy->account_limited_until = e->retry_at;
        issuance_unwant_all(p->issuance);
        p->has_news = true;
        snprintf(text, sizeof(text), "nothing is ordered before %s: %.400s",
                 clock_text(e->retry_at).text, e->message);
        condition_set(p->conditions, CONDITION_ACCOUNT_LIMITED, text);
        return false;
    }
    memcpy(name, r->subject.name.ptr, subject.name.len); /* it goes with its order */
    issuance_close(p->issuance, subject);
    pass_name(p, subject, now);
    return true;
}

void outcome_tell_stored(const struct pass *p, struct subject subject)
{
    const struct store_name *n = store_find(p->state->store, subject);

    if (!n || !n->credential)
        return;
    happening_tell(
        HAPPENING_CERTIFICATE_STORED,
        FIELDS(field_str("name", subject.name), field_str("issuer", n->managed.issuer),
               field_cstr("not_after", clock_text(n->credential->facts.not_after).text)));
}
