#include "reconciler/cli/dry_run.h"

#include <string.h>

#include "reconciler/base/clock.h"
#include "reconciler/cli/against.h"
#include "reconciler/cli/input.h"
#include "reconciler/cli/note.h"
#include "reconciler/cli/output.h"
#include "reconciler/control/limits.h"
#include "reconciler/core/render.h"

/* What is desired depends on who came on demand, and what is observed may on the policy. */
static int take_storage(struct dry_run *d, struct desired_options *options, struct error *e)
{
    struct arena *arena = d->loaded->arena;
    struct desired_demand *demands = NULL;

    if (observe_demands(d->observation.store, d->now, arena, &demands, &options->demand_count, e))
        return -1;
    options->demands = demands;
    if (desired_make(d->loaded->model, options, arena, &d->desired, e))
        return -1;
    d->policy = plan_policy(d->desired, d->built_at);
    return observe_store(d->observation.store, &(struct observe_options){0}, arena, &d->observed,
                         e);
}

static int take_against(struct dry_run *d, struct desired_options *options, struct error *e)
{
    struct arena *arena = d->loaded->arena;

    if (against_demands(d->against, d->now, arena, options, e) ||
        desired_make(d->loaded->model, options, arena, &d->desired, e))
        return -1;
    d->policy = plan_policy(d->desired, d->built_at);
    return against_observe(d->against, &d->policy, arena, &d->observed, e);
}

static int fit_budget(struct dry_run *d, const struct plan *plan, struct error *e)
{
    struct budget_limits room;
    const struct budget_limits *limits = limits_find(&d->settings, d->desired->directory, &room);

    d->plan = plan;
    if (!limits)
        return 0;
    d->budget = budget_new(limits);
    if (!d->budget)
        return error_memory(e);
    if (budget_record_observed(d->budget, d->observed, d->desired->directory, d->now, e))
        return -1;
    return budget_plan(d->budget, plan, d->desired->directory, d->now, d->loaded->arena, &d->plan,
                       e);
}

static int make_plan(struct dry_run *d, struct error *e)
{
    struct desired_options options = {
        .acme_server = str_from(d->settings.acme_server),
        .storage_works = !load_unsupported_storage(d->loaded->model),
    };
    struct plan *plan;

    if (d->against ? take_against(d, &options, e) : take_storage(d, &options, e))
        return -1;
    plan_heed_account(&d->policy, d->observed, d->now);
    if (plan_make(d->desired, d->observed, &d->policy, d->now, d->loaded->arena, &plan, e))
        return -1;
    return fit_budget(d, plan, e);
}

static void say_gate(const struct dry_run *d)
{
    struct buf text = BUF_INIT(OUTPUT_LINE_MAX);

    if (note_closed_gate(d->loaded->model, &text))
        output_note(buf_view(&text));
    buf_free(&text);
}

/* What the plan was made against is part of the answer. */
static void say_storage(const struct dry_run *d)
{
    const char *unsupported = load_unsupported_storage(d->loaded->model);
    struct buf text = BUF_INIT(OUTPUT_LINE_MAX);

    if (!d->loaded->model->acme || !d->loaded->model->acme->enabled)
        return;
    if (unsupported)
        buf_printf(&text,
                   "storage \"%s\" is not in this build yet: what it holds is not seen, and run "
                   "takes shm alone",
                   unsupported);
    else if (!d->observation.is_present)
        buf_printf(&text, "there is no state under %s yet", d->settings.prefix);
    else if (d->observation.damaged)
        buf_printf(&text, "%zu of the records under %s cannot be read: %s", d->observation.damaged,
                   d->settings.prefix, d->observation.damage);
    if (text.len)
        output_note(buf_view(&text));
    buf_free(&text);
}

/* Without the state, nothing is known of what run would do: who can say where else to look does. */
static int open_storage(struct dry_run *d, const struct command *c)
{
    bool has_ways = c->verb->options & OPTION_BIT(OPTION_AGAINST);
    struct error e;

    if (observation_open(&d->settings, &d->observation, &e) == 0)
        return VERB_DONE;
    if (e.kind != ERROR_MEMORY)
        error_prefix(&e, "the state under %.200s cannot be read", d->settings.prefix);
    if (e.kind != ERROR_MEMORY && has_ways)
        error_suffix(&e,
                     "; the ways out: --against http://127.0.0.1:8007 (the running server, at its "
                     "status listener), or --against none (nothing is looked at)");
    output_error(&e);
    return VERB_FAILED;
}

int dry_run_reopen(struct dry_run *d, const struct command *c, size_t first_file)
{
    const char *against = c->options->values[OPTION_AGAINST];
    struct error e;
    int code;

    memset(d, 0, sizeof(*d));
    d->now = input_now(c);
    d->built_at = option_seen(c->options, OPTION_NOW) ? 0 : clock_built_at();
    code = input_settings(c, first_file, &d->settings);
    if (code == VERB_DONE)
        code = input_named(c, &d->settings);
    if (code != VERB_DONE)
        return code;
    code = input_load(c, &d->settings, &d->loaded);
    if (code != VERB_DONE)
        return code;
    code =
        against ? against_open(c, &d->settings, against, d->now, &d->against) : open_storage(d, c);
    if (code != VERB_DONE)
        return code;
    if (make_plan(d, &e)) {
        output_error(&e);
        return VERB_FAILED;
    }
    return VERB_DONE;
}

int dry_run_open(struct dry_run *d, const struct command *c, size_t first_file)
{
    int code = dry_run_reopen(d, c, first_file);

    if (code == VERB_DONE)
        say_gate(d);
    if (code == VERB_DONE && !d->against)
        say_storage(d);
    return code;
}

void dry_run_close(struct dry_run *d)
{
    observation_close(&d->observation);
    against_close(d->against);
    budget_free(d->budget);
    load_free(d->loaded);
    settings_fini(&d->settings);
    memset(d, 0, sizeof(*d));
}
