#include "reconciler/control/configuration.h"

#include <stdio.h>
#include <stdlib.h>

#include "reconciler/base/clock.h"
#include "reconciler/publish/publisher.h"
#include "reconciler/control/note.h"
#include "reconciler/control/routes.h"
#include "reconciler/core/breaker.h"
#include "reconciler/core/explain.h"
#include "reconciler/pki/credential.h"
#include "reconciler/publish/declared.h"
#include "reconciler/publish/index.h"
#include "reconciler/store/store.h"

#define REFERENCE_SHOWN_MAX 200 /* bytes of a {vault://...} in a message */

void configuration_free(struct configuration *g)
{
    if (!g)
        return;
    load_free(g->loaded);
    free(g);
}

void configuration_plan_free(struct configuration_plan *p)
{
    arena_free(p->arena);
    budget_free(p->budget);
    *p = (struct configuration_plan){0};
}

/* Everything but what the loaded file says. */
static struct reconcile_options options_of(const struct configuration_state *state,
                                           const struct loaded *loaded, int64_t now)
{
    const struct settings *s = state->settings;

    return (struct reconcile_options){.model = loaded->model,
                                      .asked = {.acme_server = str_from(s->acme_server),
                                                .block = loaded->block,
                                                .limits = s->acme_limits,
                                                .limit_count = s->acme_limit_count},
                                      .config = str_from(loaded->sha256),
                                      .built_at = clock_built_at(),
                                      .approved = state->approved,
                                      .breaker = state->breaker,
                                      .now = now};
}

int configuration_parse(const struct configuration_state *state, const struct source_set *set,
                        int64_t now, struct configuration **g, struct loaded **refused,
                        struct error *e)
{
    const struct load_options load = {.settings = state->settings,
                                      .environment = state->environment,
                                      .now = now,
                                      .hides_foreign = true};
    struct configuration *made = calloc(1, sizeof(*made));

    if (!made)
        return error_memory(e);
    if (load_parse(set, &load, &made->loaded, e)) {
        configuration_free(made);
        return -1;
    }
    if (!made->loaded->model) {
        *refused = made->loaded;
        free(made);
        return 1;
    }
    *g = made;
    return 0;
}

/* Which certificates it asks for, those on demand with them. */
static int desire(const struct configuration_state *state, struct configuration *g, int64_t now,
                  struct error *e)
{
    const struct reconcile_options options = options_of(state, g->loaded, now);
    const struct reconcile_source source = observe_source(&state->observe);

    if (reconcile_desire(&options, &source, g->loaded->arena, &g->desired, e))
        return -1;
    g->policy = plan_policy(g->desired, clock_built_at());
    g->policy.config = options.config;
    return 0;
}

/* ---- declared credentials ---- */

/* Which of the prepared PEM pairs a certificate entity became; SIZE_MAX = none. */
struct pair_numbers {
    size_t primary, alternate;
};

static size_t add_pem(struct declared_pem *pems, size_t *count, struct str certificate,
                      struct str key)
{
    if (!certificate.ptr || !key.ptr)
        return SIZE_MAX;
    pems[*count] = (struct declared_pem){.certificate = certificate, .key = key};
    return (*count)++;
}

static void note_unusable(const struct model *m, const struct certificate *c, const char *why,
                          struct configuration_declared *out)
{
    if (out->unusable_count++ == 0)
        snprintf(out->unusable, sizeof(out->unusable), "the certificate at %s:%u:%u: %.300s",
                 m->files[c->entity.place.file], c->entity.place.line, c->entity.place.column, why);
}

/* Until when they stay as valid as they are, and which are not. */
static void find_dates(const struct configuration_state *state, const struct configuration *g,
                       int64_t now, struct configuration_declared *out)
{
    const struct validity ours = {g->policy.built_at, INT64_MAX};
    const struct model *m = g->loaded->model;
    struct buf text = BUF_INIT(ERROR_MESSAGE_MAX);

    *out = (struct configuration_declared){.since = INT64_MIN, .until = INT64_MAX};
    validity_narrow(&ours, now, &out->since, &out->until);
    for (size_t i = 0; i < ARRAY_LENGTH(state->defaults) && state->defaults[i]; i++) {
        const struct validity valid = {state->defaults[i]->facts.not_before,
                                       state->defaults[i]->facts.not_after};
        validity_narrow(&valid, now, &out->since, &out->until);
    }
    for (size_t i = 0; i < m->certificate_count; i++) {
        const struct certificate *c = &m->certificates[i];

        validity_narrow(&c->valid, now, &out->since, &out->until);
        validity_narrow(&c->valid_alt, now, &out->since, &out->until);
    }
    out->invalid_count = note_invalid(m, &g->policy, now, &text);
    snprintf(out->invalid, sizeof(out->invalid), "%.*s", STR_ARG(buf_view(&text)));
    buf_free(&text);
}

bool configuration_is_outdated(const struct configuration *g, int64_t now)
{
    return now < g->declared.since || now >= g->declared.until;
}

int64_t configuration_next_date(const struct configuration *g, int64_t now)
{
    return g->declared.until > now && g->declared.until < INT64_MAX ? g->declared.until : 0;
}

/* All PEM pairs of the file; numbers[i] belongs to model->certificates[i]. */
static size_t list_pems(const struct model *m, struct declared_pem *pems,
                        struct pair_numbers *numbers, struct configuration_declared *out)
{
    char why[REFERENCE_SHOWN_MAX + 64];
    size_t count = 0;

    for (size_t i = 0; i < m->certificate_count; i++) {
        const struct certificate *c = &m->certificates[i];
        numbers[i] = (struct pair_numbers){SIZE_MAX, SIZE_MAX};
        if (c->unresolved.ptr) {
            snprintf(why, sizeof(why), "its reference %.*s gives no certificate and key",
                     STR_ARG(str_slice(c->unresolved, 0, REFERENCE_SHOWN_MAX)));
            note_unusable(m, c, why, out);
            continue;
        }
        numbers[i].primary = add_pem(pems, &count, c->cert.value, c->key.value);
        numbers[i].alternate = add_pem(pems, &count, c->cert_alt.value, c->key_alt.value);
    }
    return count;
}

static int by_name(const void *a, const void *b)
{
    return str_compare(((const struct index_declared *)a)->name,
                       ((const struct index_declared *)b)->name);
}

static struct credential *result_of(const struct declared_result *results, size_t number)
{
    return number == SIZE_MAX ? NULL : results[number].credential;
}

static bool is_valid(const struct configuration *g, const struct credential *c, int64_t now)
{
    const struct validity valid = {c->facts.not_before, c->facts.not_after};

    return policy_is_clock_wrong(&g->policy, now) || validity_holds(&valid, now);
}

/* Of two credentials with different keys, the one that is valid if the other is not. */
static struct index_declared entry_of(const struct configuration *g, struct str name,
                                      struct credential *primary, struct credential *alternate,
                                      int64_t now)
{
    struct index_declared entry = {.name = name, .primary = primary, .alternate = alternate};

    if (alternate && is_valid(g, primary, now) != is_valid(g, alternate, now)) {
        entry.primary = is_valid(g, primary, now) ? primary : alternate;
        entry.alternate = NULL;
    }
    return entry;
}

/* The default pair and one entry for each SNI whose certificate is served, sorted. */
static size_t list_names(const struct configuration_state *state, const struct configuration *g,
                         const struct declared_result *results, const struct pair_numbers *numbers,
                         int64_t now, struct index_declared *names)
{
    const struct model *m = g->loaded->model;
    size_t count = 0;

    if (state->defaults[0])
        names[count++] = entry_of(g, STR(""), state->defaults[0], state->defaults[1], now);
    for (size_t i = 0; i < m->sni_count; i++) {
        const struct sni *sni = &m->snis[i];
        const struct pair_numbers *pair = &numbers[sni->certificate - m->certificates];
        struct credential *primary = result_of(results, pair->primary);

        if (primary && !explain_gives_way(m, sni, &g->policy, now))
            names[count++] =
                entry_of(g, sni->name.value, primary, result_of(results, pair->alternate), now);
    }
    qsort(names, count, sizeof(*names), by_name);
    return count;
}

static void note_results(const struct model *m, const struct declared_result *results,
                         const struct pair_numbers *numbers, struct configuration_declared *out)
{
    for (size_t i = 0; i < m->certificate_count; i++) {
        size_t n = numbers[i].primary;
        if (n != SIZE_MAX && !results[n].credential)
            note_unusable(m, &m->certificates[i], results[n].error->message, out);
    }
}

static int enforce_declared(const struct configuration_state *state, const struct configuration *g,
                            int64_t now, struct configuration_declared *out, struct arena *scratch,
                            struct error *e)
{
    const struct model *m = g->loaded->model;
    struct declared_pem *pems = arena_array(scratch, 2 * m->certificate_count, sizeof(*pems));
    struct pair_numbers *numbers = arena_array(scratch, m->certificate_count, sizeof(*numbers));
    struct index_declared *names = arena_array(scratch, m->sni_count + 1, sizeof(*names));
    const struct declared_result *results;
    struct declared_batch *batch = NULL;
    size_t count;
    int rc = -1;

    if (!pems || !numbers || !names)
        return error_memory(e);
    find_dates(state, g, now, out);
    count = list_pems(m, pems, numbers, out);
    if (declared_prepare(state->declared, pems, count, &batch, e))
        return -1;
    results = declared_results(batch, &count);
    note_results(m, results, numbers, out);
    count = list_names(state, g, results, numbers, now, names);
    /* The index takes its references before the pool lets go of what the file dropped. */
    if (index_replace_declared(state->index, names, count, e) == 0 &&
        declared_commit(state->declared, batch, e) == 0)
        rc = 0;
    declared_batch_free(batch);
    return rc;
}

/* ---- managed credentials ---- */

/*
 * Is its credential in use? One that is adopted is so at once: a restart, which has the credential
 * and the file, would serve it, whatever of the adoption is recorded by then. Where somebody has to
 * approve that, a restart may find the approval gone: the record comes first.
 */
static bool is_in_use(const struct configuration_state *state, const struct action *a)
{
    return a->observed->managed.active || (a->action == PLAN_ADOPT && !state->approved);
}

/* Valid, or all there is: one that is not is served where nothing declared covers the name. */
static bool is_served(const struct configuration_state *state, const struct configuration *g,
                      const struct action *a, int64_t now)
{
    const struct observed_name *o = a->observed;

    /* A name that waits for its retirement is served on, though nothing desires it. */
    bool is_wanted = a->desired || (a->action == PLAN_WAIT && a->wanted == PLAN_RETIRE);

    if (!o || !o->has_certificate || !is_in_use(state, a) || !is_wanted)
        return false;
    if (plan_is_good(o, &g->policy, now))
        return true;
    return explain_choose(g->loaded->model, a->subject.name, o, &g->policy, now).served <=
           SERVED_MANAGED_STALE;
}

int configuration_serve(const struct configuration_state *state, const struct configuration *g,
                        const struct action *a, int64_t now, struct error *e)
{
    const struct store_name *n = store_find(state->store, a->subject);

    struct credential *served = n && is_served(state, g, a, now) ? n->credential : NULL;

    if (index_set_managed(state->index, a->subject, served, e))
        return -1;
    return index_set_on_demand(state->index, a->subject.name,
                               served && a->desired && !a->desired->place_count, e);
}

struct action configuration_decide(const struct configuration_state *state,
                                   const struct configuration *g, struct configuration_name *name,
                                   int64_t now)
{
    const char *storage_error = state->observe.storage_error;
    const struct reconcile_rules rules = {
        .policy = g->policy,
        .ca = &g->desired->ca,
        .approved = state->approved,
        .stopped_until = state->breaker ? breaker_stopped_until(state->breaker, now) : 0,
        .storage_usable = !storage_error || !storage_error[0]};

    if (!name->desired)
        name->desired = desired_find_beside(g->desired, name->observed->subject);
    return reconcile_name(&rules, name->desired, name->observed, &name->room, now);
}

/* ---- the full plan ---- */

static int by_urgency(const void *left, const void *right)
{
    return budget_plan_urgency(*(const struct action *const *)left,
                               *(const struct action *const *)right);
}

static int list_orders(struct configuration_plan *p, struct error *e)
{
    const struct plan *plan = p->plan;

    p->orders = arena_array(p->arena, plan->counts[PLAN_ISSUE] + plan->counts[PLAN_RENEW],
                            sizeof(const struct action *));
    if (!p->orders)
        return error_memory(e);
    for (size_t i = 0; i < plan->count; i++)
        if (plan->items[i].action == PLAN_ISSUE || plan->items[i].action == PLAN_RENEW)
            p->orders[p->order_count++] = &plan->items[i];
    qsort(p->orders, p->order_count, sizeof(const struct action *), by_urgency);
    return 0;
}

/* `is_new`: what is desired has been made this instant. */
static int decide_all(const struct configuration_state *state, const struct configuration *g,
                      bool is_new, int64_t now, struct configuration_plan *p, struct error *e)
{
    const struct reconcile_source source = observe_source(&state->observe);
    struct reconcile_options options = options_of(state, g->loaded, now);
    struct reconciliation all;
    int rc;

    options.desired = is_new ? g->desired : NULL;
    rc = reconcile_make(&options, &source, p->arena, &all, e);
    p->plan = all.plan;
    p->policy = all.rules.policy;
    p->budget = all.budget;
    return rc ? -1 : list_orders(p, e);
}

static int make_plan(const struct configuration_state *state, const struct configuration *g,
                     bool is_new, int64_t now, struct configuration_plan *p, struct error *e)
{
    int rc;

    p->arena = arena_new(NULL);
    if (!p->arena)
        return error_memory(e);
    rc = decide_all(state, g, is_new, now, p, e);
    for (size_t i = 0; rc == 0 && i < p->plan->count; i++)
        rc = configuration_serve(state, g, &p->plan->items[i], now, e);
    if (rc)
        configuration_plan_free(p);
    return rc;
}

int configuration_sweep(const struct configuration_state *state, const struct configuration *g,
                        int64_t now, struct configuration_plan *plan, struct error *e)
{
    struct arena *scratch = arena_new(NULL);
    int rc = scratch ? 0 : error_memory(e);

    plan->declared = g->declared;
    if (rc == 0 && configuration_is_outdated(g, now))
        rc = enforce_declared(state, g, now, &plan->declared, scratch, e);
    if (rc == 0)
        rc = make_plan(state, g, false, now, plan, e);
    if (rc == 0)
        rc = publisher_build(state->publisher, NULL, e);
    if (rc)
        configuration_plan_free(plan);
    arena_free(scratch);
    return rc;
}

int configuration_enforce(const struct configuration_state *state, struct configuration *g,
                          const struct configuration *before, int64_t now,
                          struct configuration_plan *plan, struct error *e)
{
    struct arena *scratch = arena_new(NULL);
    struct publisher_rules rules;
    int rc;

    if (!scratch)
        return error_memory(e);
    rc = desire(state, g, now, e);
    if (rc == 0)
        rc = enforce_declared(state, g, now, &plan->declared, scratch, e);
    if (rc == 0)
        rc = make_plan(state, g, true, now, plan, e);
    if (rc == 0)
        rc = routes_make(g->loaded->model, scratch, &rules, &g->routes_hash, e);
    if (rc == 0)
        rc = publisher_build(state->publisher,
                             before && before->routes_hash == g->routes_hash ? NULL : &rules, e);
    if (rc)
        configuration_plan_free(plan);
    arena_free(scratch);
    return rc;
}
