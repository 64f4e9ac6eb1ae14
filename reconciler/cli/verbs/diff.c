#include "reconciler/cli/dry_run.h"
#include "reconciler/cli/text/output.h"
#include "reconciler/control/plan_file.h"
#include "reconciler/cli/verb.h"
#include "reconciler/core/render.h"

/* It is written piece by piece, so this bounds one action: a host may stand in every route. */
#define DIFF_OUTPUT_MAX ((size_t)1 << 30)

static int (*const renders[OPTION_FORMAT_COUNT])(const struct plan *plan,
                                                 const struct render_options *options,
                                                 struct buf *out) = {
    [OPTION_FORMAT_TEXT] = render_plan_text,
    [OPTION_FORMAT_JSON] = render_plan_json,
    [OPTION_FORMAT_MARKDOWN] = render_plan_markdown,
};

/* `hash` becomes the plan's, which is saved to be approved. */
static int save(const char *path, struct dry_run *d, struct render_options *options,
                char hash[PLAN_FILE_HASH_SIZE], struct error *e)
{
    struct render_options with;
    const struct plan *plan;

    if (dry_run_approved(d, &plan, e) || plan_file_hash(plan, hash, e))
        return -1;
    options->hash = hash;
    with = *options;
    with.made_at = d->now;
    return plan_file_write(path, plan, &with, e);
}

static int print(struct dry_run *d, const struct command *c, struct error *e)
{
    struct buf out = BUF_INIT(DIFF_OUTPUT_MAX);
    char hash[PLAN_FILE_HASH_SIZE];
    const char *against = c->options->values[OPTION_AGAINST];
    struct render_options options = {
        .model = d->loaded->model,
        .desired = d->seen.desired,
        .files = d->loaded->files,
        .file_count = d->loaded->file_count,
        .sha256 = d->loaded->sha256,
        .against = str_from(against ? against : "storage"),
        .now = d->now,
        .colour = output_is_coloured(option_seen(c->options, OPTION_NO_COLOR), c->environment),
        .verbose = option_seen(c->options, OPTION_VERBOSE),
        .flush = output_flush,
        .context = e,
    };
    const char *saved = c->options->values[OPTION_OUT];
    int rc = -1;

    if (saved && save(saved, d, &options, hash, e))
        goto out;
    error_memory(e); /* what it is unless flush says otherwise */
    rc = renders[c->options->format](d->seen.plan, &options, &out);
    if (rc == 0)
        rc = output_buf(&out, e);
out:
    buf_free(&out);
    return rc;
}

int diff_command(const struct command *c)
{
    struct dry_run d;
    struct error e;
    int code;

    /* Nothing can carry out what was made against something else than the state. */
    if (option_seen(c->options, OPTION_OUT) && option_seen(c->options, OPTION_AGAINST)) {
        error_set(&e, ERROR_USAGE, "diff takes either --out or --against");
        return verb_refuse(c->verb, &e);
    }
    code = dry_run_open(&d, c, 0, STR_NONE);
    if (code == VERB_DONE && print(&d, c, &e))
        code = verb_fail(&e);
    if (code == VERB_DONE && option_seen(c->options, OPTION_EXIT_CODE))
        code = (int)plan_exit_code(d.seen.plan);
    dry_run_close(&d);
    return code;
}
