#include "reconciler/cli/dry_run.h"

#include <string.h>

#include "reconciler/base/clock.h"
#include "reconciler/cli/client/against.h"
#include "reconciler/cli/input.h"
#include "reconciler/control/note.h"
#include "reconciler/cli/text/output.h"
#include "reconciler/control/approval.h"

static int make_plan(const struct dry_run *d, const struct desired *desired,
                     const struct saved_plan *approved, struct reconciliation *made,
                     struct error *e)
{
    const struct settings *s = &d->settings;
    const struct observe_options how = {.store = d->observation.store};
    const struct reconcile_source source =
        d->against ? against_source(d->against) : observe_source(&how);
    const struct reconcile_options options = {
        .model = d->loaded->model,
        .desired = desired,
        .asked = {.acme_server = str_from(s->acme_server),
                  .block = d->loaded->block,
                  .limits = s->acme_limits,
                  .limit_count = s->acme_limit_count},
        .config = str_from(d->loaded->sha256),
        .built_at = d->built_at,
        .approved = approved,
        .is_foretold = true,
        .now = d->now,
    };

    return reconcile_make(&options, &source, d->loaded->arena, made, e);
}

int dry_run_approved(struct dry_run *d, const struct plan **plan, struct error *e)
{
    struct reconciliation made;
    int rc;

    *plan = d->seen.plan;
    if (!d->approval)
        return 0;
    rc = make_plan(d, d->seen.desired, NULL, &made, e);
    *plan = made.plan;
    reconcile_fini(&made);
    return rc;
}

/* A server with these settings would wait for approval. What cannot be read approves nothing. */
static int read_approval(struct dry_run *d, struct error *e)
{
    if (!settings_approve(&d->settings) || approval_read(&d->settings, NULL, &d->approval, e) == 0)
        return 0;
    if (!d->approval)
        return -1;
    output_error(e);
    return 0;
}

/* What is to be known of hosts and declared certificates: of all, or of those for `about`. */
static void say_notes(const struct dry_run *d, struct str about)
{
    const struct model *m = d->loaded->model;
    struct buf text = BUF_INIT(OUTPUT_LINE_MAX);

    if (!about.ptr && note_gate(m, d->seen.desired, &text))
        output_note(buf_view(&text));
    buf_clear(&text);
    if (!about.ptr && note_invalid(m, &d->seen.rules.policy, d->now, &text))
        output_note(buf_view(&text));
    buf_clear(&text);
    if (note_mismatched(m, about, &text))
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
    return verb_fail(&e);
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
    if (read_approval(d, &e) ||
        make_plan(d, NULL, d->approval ? &d->approval->plan : NULL, &d->seen, &e))
        return verb_fail(&e);
    return VERB_DONE;
}

int dry_run_open(struct dry_run *d, const struct command *c, size_t first_file, struct str about)
{
    int code = dry_run_reopen(d, c, first_file);

    if (code == VERB_DONE)
        say_notes(d, about);
    if (code == VERB_DONE && !d->against)
        say_storage(d);
    return code;
}

void dry_run_close(struct dry_run *d)
{
    observation_close(&d->observation);
    against_close(d->against);
    reconcile_fini(&d->seen);
    approval_free(d->approval);
    load_free(d->loaded);
    settings_fini(&d->settings);
    memset(d, 0, sizeof(*d));
}
