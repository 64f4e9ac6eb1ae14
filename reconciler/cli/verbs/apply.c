#include <poll.h>
#include <string.h>

#include "reconciler/base/clock.h"
#include "reconciler/cli/client/ask.h"
#include "reconciler/cli/dry_run.h"
#include "reconciler/cli/input.h"
#include "reconciler/cli/text/output.h"
#include "reconciler/control/plan_file.h"
#include "reconciler/control/reading.h"
#include "reconciler/cli/verb.h"
#include "reconciler/control/approval.h"
#include "reconciler/admin/status.h"
#include "reconciler/core/simulate.h"
#include "reconciler/supervisor/supervisor.h"

/* A server is looked at this often, and for so long: an order may take its five minutes (design 4).
 */
#define APPLY_LOOK_MS 500
#define APPLY_WAIT_MS 600000
/* A server finds out that its file has changed when it polls for it, at the latest. */
#define APPLY_RELOAD_MS 2000

#define APPLY_OUTPUT_MAX ((size_t)1 << 30)

enum outcome { OUTCOME_DONE, OUTCOME_UNDER_WAY, OUTCOME_FAILED };

static int read_max_age(const struct options *o, int64_t *seconds, struct error *e)
{
    const char *text = o->values[OPTION_MAX_AGE];
    char quoted[ERROR_PATH_MAX];

    *seconds = SAVED_MAX_AGE_SECONDS;
    if (text && !simulate_parse_duration(str_from(text), seconds))
        return error_set(e, ERROR_USAGE, "--max-age takes a time such as 6h or 2d, not \"%s\"",
                         output_quote(text, quoted, sizeof(quoted)));
    return 0;
}

/* The files are read before, while and after it is done. */
static int check_files(const struct command *c, struct error *e)
{
    for (size_t i = 1; i < c->operand_count; i++)
        if (strcmp(c->operands[i], "-") == 0)
            return error_set(e, ERROR_USAGE, "apply reads FILE again, so it cannot be -");
    return 0;
}

static bool are_files_named(const struct command *c, int *code)
{
    struct settings s;
    bool are_named;

    *code = VERB_DONE;
    if (c->operand_count > 1)
        return true;
    *code = input_settings(c, VERB_ANY, &s);
    are_named = s.declarative_config_count || s.declarative_config_string;
    settings_fini(&s);
    return are_named;
}

/* What is no file on disk cannot be read again. */
static int check_own_files(const struct saved_plan *saved, struct error *e)
{
    static const char *const others[] = {"-", "declarative_config_string"};

    for (size_t i = 0; i < saved->file_count; i++)
        for (size_t n = 0; n < ARRAY_LENGTH(others); n++)
            if (strcmp(saved->files[i], others[n]) == 0)
                return error_set(e, ERROR_USAGE,
                                 "apply needs a FILE: the plan was made from %s, which cannot be "
                                 "read again",
                                 n ? others[n] : "standard input");
    if (!saved->file_count)
        return error_set(e, ERROR_USAGE, "apply needs a FILE: the plan names none");
    return 0;
}

/* `with` is `c` on the files that the plan was made from, unless others are named. */
static int name_files(const struct command *c, const struct saved_plan *saved, struct arena *arena,
                      struct command *with)
{
    const char **operands;
    struct error e;
    int code;

    *with = *c;
    if (are_files_named(c, &code) || code != VERB_DONE)
        return code;
    operands = arena_array(arena, saved->file_count + 2, sizeof(*operands));
    if (!operands)
        error_memory(&e);
    if (!operands || check_own_files(saved, &e))
        return verb_refuse(c->verb, &e);
    operands[0] = c->operands[0];
    memcpy(operands + 1, saved->files, saved->file_count * sizeof(*operands));
    with->operands = operands;
    with->operand_count = saved->file_count + 1;
    return VERB_DONE;
}

/* ---- is it done? ---- */

static enum outcome judge(const struct action *deed, const struct action *now)
{
    if (!now)
        return deed->action == PLAN_RETIRE ? OUTCOME_DONE : OUTCOME_FAILED;
    if (now->action == PLAN_KEEP || (deed->action == PLAN_ADOPT && now->wanted == PLAN_RENEW))
        return OUTCOME_DONE;
    if (now->action == deed->action || now->reason == REASON_ORDER_OPEN)
        return OUTCOME_UNDER_WAY;
    return OUTCOME_FAILED;
}

static void say_why(const struct action *deed, const struct action *now, int64_t at)
{
    struct buf text = BUF_INIT(OUTPUT_LINE_MAX), line = BUF_INIT(OUTPUT_LINE_MAX);

    if (now)
        plan_reason_print(now, at, &text);
    buf_cstr(&line, "reconcert: ");
    buf_escaped(&line, deed->subject.name);
    buf_printf(&line, ": could not %s: ", plan_action_name(deed->action));
    render_outside(text.len ? buf_view(&text) : STR("nothing asks for it any more"), &line);
    buf_char(&line, '\n');
    output_aside(buf_view(&line));
    buf_free(&text);
    buf_free(&line);
}

/* The worst of all deeds, by the state as it is now. `is_last`: what is not done gets a line. */
static int look_again(const struct command *c, const struct plan *deeds, bool is_last,
                      enum outcome *worst)
{
    const struct plan *plan;
    struct dry_run d;
    struct error e;
    int code = dry_run_reopen(&d, c, 1);

    if (code == VERB_DONE && dry_run_approved(&d, &plan, &e))
        code = verb_fail(&e);
    *worst = OUTCOME_DONE;
    for (size_t i = 0; code == VERB_DONE && i < deeds->count; i++) {
        const struct action *deed = &deeds->items[i], *now = plan_find(plan, deed->subject);
        enum outcome outcome = judge(deed, now);

        if (outcome > *worst)
            *worst = outcome;
        if (outcome == OUTCOME_FAILED || (is_last && outcome != OUTCOME_DONE))
            say_why(deed, now, d.now);
    }
    dry_run_close(&d);
    return code;
}

/* ---- with a server ---- */

/* Files may be named otherwise there; what they hold, and in which order, decides. */
static bool has_same_files(const struct reading *r, const struct loaded *loaded)
{
    size_t count;
    const struct document_node *config = reading_get(r, &r->root, "config");
    const struct document_node *files = reading_list(r, config, "files", &count);

    for (size_t i = 0; i < count && i < loaded->file_count; i++)
        if (!str_equal_cstr(reading_text(r, &files[i], "sha256"), loaded->files[i].sha256))
            return false;
    return count == loaded->file_count;
}

static int check_server(const struct dry_run *d, struct str page, struct error *e)
{
    struct reading r;
    int rc = reading_open(&r, page, e);

    if (rc == 0 && !has_same_files(&r, d->loaded))
        rc = error_set(e, ERROR_INVALID,
                       "the server with prefix %s runs another configuration than this one",
                       d->settings.prefix);
    reading_close(&r);
    return rc;
}

/* Asks again and again while the server has not taken the file yet that we have read. */
static int wait_for_reload(const struct dry_run *d, struct buf *page, struct error *e)
{
    int64_t poll_ms = (int64_t)d->settings.acme_poll_interval * 1000;
    int64_t deadline = clock_steady_ms() + poll_ms + APPLY_RELOAD_MS;

    while (check_server(d, buf_view(page), e)) {
        if (clock_steady_ms() >= deadline)
            return -1;
        poll(NULL, 0, APPLY_LOOK_MS);
        buf_clear(page);
        if (ask_server(d->settings.prefix, "/status.json", page, e))
            return -1;
    }
    return 0;
}

static int wait_for_server(const struct command *c, const struct plan *deeds)
{
    int64_t deadline = clock_steady_ms() + APPLY_WAIT_MS;
    enum outcome worst;
    int code;

    for (;;) {
        bool is_last = clock_steady_ms() >= deadline;

        code = look_again(c, deeds, is_last, &worst);
        if (code != VERB_DONE || worst == OUTCOME_DONE)
            return code;
        if (is_last || worst == OUTCOME_FAILED)
            return VERB_FAILED;
        poll(NULL, 0, APPLY_LOOK_MS);
    }
}

/* ---- without one ---- */

struct work {
    const struct command *c;
    const struct dry_run *d;
    const struct saved_plan *saved;
    const struct plan *plan; /* as it is now */
    const struct plan *deeds;
    struct str file; /* of the saved plan */
};

static int approve(void *work, struct error *e)
{
    const struct work *w = work;

    return approval_bring(&w->d->settings, w->file, e);
}

/* What is approved is done by a server of our own, which leaves when nothing is left to do. */
static int do_it(struct work *w)
{
    const struct supervisor_options options = {.environment = w->c->environment,
                                               .arguments = w->c->arguments,
                                               .leaves_when_idle = true,
                                               .prepare = approve,
                                               .context = w};
    enum outcome worst;
    int code = supervisor_run(&w->d->settings, &options);

    if (code == VERB_DONE)
        code = look_again(w->c, w->deeds, true, &worst);
    return code == VERB_DONE && worst != OUTCOME_DONE ? VERB_FAILED : code;
}

/* ---- the verb ---- */

/* Nothing can be done now: what waits, and for what. */
static int print_waiting(const struct work *w, struct error *e)
{
    struct buf out = BUF_INIT(APPLY_OUTPUT_MAX), why = BUF_INIT(OUTPUT_LINE_MAX);
    int rc;

    buf_cstr(&out, "Nothing to do.\n");
    for (size_t i = 0; i < w->saved->count; i++) {
        const struct action *a = saved_find(&w->saved->items[i], w->plan);

        if (!a || (a->action != PLAN_WAIT && a->action != PLAN_BLOCK))
            continue;
        buf_clear(&why);
        plan_reason_print(a, w->d->now, &why);
        if (a->action == PLAN_BLOCK)
            buf_cstr(&out, "blocked ");
        else
            buf_printf(&out, "waiting to %s ", plan_action_name(a->wanted));
        buf_escaped(&out, a->subject.name);
        buf_cstr(&out, ": ");
        render_outside(buf_view(&why), &out);
        buf_char(&out, '\n');
    }
    rc = output_buf(&out, e);
    buf_free(&out);
    buf_free(&why);
    return rc ? -1 : VERB_DONE;
}

/* A line each: "issue a.test", and "issue+ a.test" where it replaces a declared certificate. */
static void print_deeds(const struct plan *deeds, struct buf *out)
{
    for (size_t i = 0; i < deeds->count; i++) {
        const struct action *a = &deeds->items[i];

        buf_printf(out, "%s%s ", plan_action_name(a->action), a->overrides ? "+" : "");
        buf_escaped(out, a->subject.name);
        buf_char(out, '\n');
    }
}

static int act(struct work *w, struct error *e)
{
    struct buf text = BUF_INIT(APPLY_OUTPUT_MAX), page = BUF_INIT(STATUS_BODY_MAX);
    int code = -1;

    print_deeds(w->deeds, &text);
    if (text.failed)
        error_memory(e);
    else if (!w->deeds->count)
        code = print_waiting(w, e);
    else if (ask_server(w->d->settings.prefix, "/status.json", &page, e))
        code = output_buf(&text, e) ? -1 : do_it(w);
    else if (wait_for_reload(w->d, &page, e) == 0 && approve(w, e) == 0 &&
             output_buf(&text, e) == 0)
        code = wait_for_server(w->c, w->deeds);
    buf_free(&text);
    buf_free(&page);
    return code;
}

static int compare_and_act(const struct command *c, const struct saved_plan *saved,
                           const struct source_set *set, int64_t max_age)
{
    const struct source_file *file = &set->files[0];
    const struct plan *plan;
    struct plan *deeds;
    struct dry_run d;
    struct error e;
    int code = dry_run_open(&d, c, 1, STR_NONE);

    if (code == VERB_DONE) {
        code = -1;
        if (dry_run_approved(&d, &plan, &e) == 0 &&
            saved_compare(saved, plan, d.now, max_age, d.loaded->arena, &deeds, &e) == 0)
            code = act(&(struct work){.c = c,
                                      .d = &d,
                                      .saved = saved,
                                      .plan = plan,
                                      .deeds = deeds,
                                      .file = {file->data, file->len}},
                       &e);
        if (code < 0)
            code = verb_fail(&e);
    }
    dry_run_close(&d);
    return code;
}

int apply_command(const struct command *c)
{
    struct saved_plan saved;
    struct source_set *set = NULL;
    struct command with;
    struct error e;
    struct arena *arena;
    int64_t max_age;
    int code = VERB_FAILED;

    if (read_max_age(c->options, &max_age, &e) || check_files(c, &e))
        return verb_refuse(c->verb, &e);
    arena = arena_new(NULL);
    if (!arena)
        error_memory(&e);
    if (!arena || plan_file_read(c->operands[0], arena, &saved, &set, &e)) {
        output_error(&e);
    } else {
        code = name_files(c, &saved, arena, &with);
        if (code == VERB_DONE)
            code = compare_and_act(&with, &saved, set, max_age);
    }
    source_free(set);
    arena_free(arena);
    return code;
}
