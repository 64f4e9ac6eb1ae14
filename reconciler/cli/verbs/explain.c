#include "reconciler/cli/dry_run.h"
#include "reconciler/cli/input.h"
#include "reconciler/cli/verb.h"
#include "reconciler/core/explain.h"

/* A name may be declared in very many places. */
#define EXPLAIN_OUTPUT_MAX ((size_t)64 << 20)

static int print(const struct dry_run *d, const struct command *c, struct str name)
{
    struct buf out = BUF_INIT(EXPLAIN_OUTPUT_MAX);
    const struct explain_options options = {
        .model = d->loaded->model,
        .desired = d->seen.desired,
        .observed = d->seen.observed,
        .policy = &d->seen.rules.policy,
        .plan = d->seen.plan,
        .now = d->now,
    };
    struct error e;
    int rc = c->options->format == OPTION_FORMAT_JSON ? explain_name_json(name, &options, &out, &e)
                                                      : explain_name_text(name, &options, &out, &e);

    if (rc == 0)
        return verb_print(&out);
    buf_free(&out);
    return verb_fail(&e);
}

int explain_command(const struct command *c)
{
    struct arena *arena = arena_new(NULL);
    struct dry_run d;
    struct str name;
    int code = input_name(c, arena, &name);

    if (code != VERB_DONE) {
        arena_free(arena);
        return code;
    }
    code = dry_run_open(&d, c, 1, name);
    if (code == VERB_DONE)
        code = print(&d, c, name);
    dry_run_close(&d);
    arena_free(arena);
    return code;
}
