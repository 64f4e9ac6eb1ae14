#include "reconciler/cli/dry_run.h"
#include "reconciler/cli/input.h"
#include "reconciler/cli/output.h"
#include "reconciler/cli/verb.h"
#include "reconciler/control/approval.h"
#include "reconciler/core/explain.h"

/* A name may be declared in very many places. */
#define EXPLAIN_OUTPUT_MAX ((size_t)64 << 20)

/* A server with these settings would wait for approval. */
static int hold(const struct dry_run *d, const struct plan **plan, struct approval **approval,
                struct error *e)
{
    struct saved_guard guard = {
        .policy = &d->policy, .storage_usable = d->observed->storage_usable, .now = d->now};

    *plan = d->plan;
    if (!settings_approve(&d->settings))
        return 0;
    if (approval_read(&d->settings, NULL, approval, e)) {
        if (!*approval)
            return -1;
        output_error(e);
    }
    guard.approved = &(*approval)->plan;
    return saved_hold_plan(&guard, d->plan, d->loaded->arena, plan, e);
}

static int print(const struct dry_run *d, const struct plan *plan, const struct command *c,
                 struct str name, struct error *e)
{
    struct buf out = BUF_INIT(EXPLAIN_OUTPUT_MAX);
    const struct explain_options options = {
        .model = d->loaded->model,
        .desired = d->desired,
        .observed = d->observed,
        .policy = &d->policy,
        .plan = plan,
        .now = d->now,
    };
    int rc = c->options->format == OPTION_FORMAT_JSON ? explain_name_json(name, &options, &out, e)
                                                      : explain_name_text(name, &options, &out, e);

    if (rc == 0)
        rc = output_buf(&out, e);
    buf_free(&out);
    return rc;
}

int explain_command(const struct command *c)
{
    struct approval *approval = NULL;
    const struct plan *plan;
    struct arena *arena = arena_new(NULL);
    struct dry_run d;
    struct str name;
    struct error e;
    int code = input_name(c, arena, &name);

    if (code != VERB_DONE) {
        arena_free(arena);
        return code;
    }
    code = dry_run_open(&d, c, 1);
    if (code == VERB_DONE && (hold(&d, &plan, &approval, &e) || print(&d, plan, c, name, &e))) {
        output_error(&e);
        code = VERB_FAILED;
    }
    approval_free(approval);
    dry_run_close(&d);
    arena_free(arena);
    return code;
}
