#include "reconciler/cli/input.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reconciler/base/clock.h"
#include "reconciler/cli/text/output.h"
#include "reconciler/core/budget.h"
#include "reconciler/core/explain.h"
#include "reconciler/core/render.h"

/* A thousand problems, each with a long path and text. */
#define INPUT_PROBLEMS_TEXT_MAX ((size_t)16 << 20)

int input_settings(const struct command *c, size_t first_file, struct settings *s)
{
    bool has_files = first_file < c->operand_count;
    struct settings_input input = {
        .file = c->options->values[OPTION_CONFIG],
        .environment = c->environment,
        .assignments = (const char *const *)c->options->assignments,
        .files = has_files ? c->operands + first_file : NULL,
        .is_root = geteuid() == 0,
    };
    struct error e;

    if (settings_read(s, &input, &e) == 0) {
        if (budget_check(s->acme_limits, s->acme_limit_count, &e) == 0)
            return VERB_DONE;
        snprintf(e.path, sizeof(e.path), "acme_limits");
    }
    output_error(&e);
    return e.kind == ERROR_USAGE ? VERB_USAGE : VERB_FAILED;
}

void input_notes(const struct settings *s)
{
    for (size_t i = 0; i < s->note_count; i++)
        output_note(str_from(s->notes[i]));
}

int input_named(const struct command *c, const struct settings *s)
{
    struct error e;

    if (s->declarative_config_count || s->declarative_config_string)
        return VERB_DONE;
    error_set(&e, ERROR_USAGE, "%s needs a FILE, or the setting declarative_config", c->verb->name);
    return verb_refuse(c->verb, &e);
}

/* One byte more than is allowed is enough for the reader to refuse it. */
static int copy_stdin(int fd, uint64_t max, struct error *e)
{
    char bytes[16384];
    uint64_t copied = 0;
    ssize_t n = 1;

    while (n > 0 && copied <= max) {
        n = read(STDIN_FILENO, bytes, sizeof(bytes));
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n < 0 || write(fd, bytes, (size_t)n) != n)
            return error_errno(e, ERROR_IO, errno, "standard input");
        else
            copied += (uint64_t)n;
    }
    explicit_bzero(bytes, sizeof(bytes));
    return 0;
}

int input_keep_stdin(const struct settings *s)
{
    struct error e;
    bool is_named = false;
    int fd, rc;

    for (size_t i = 0; i < s->declarative_config_count; i++)
        is_named = is_named || strcmp(s->declarative_config[i], "-") == 0;
    if (!is_named)
        return VERB_DONE;
    fd = memfd_create("stdin", MFD_CLOEXEC);
    rc = fd < 0 ? error_errno(&e, ERROR_IO, errno, "memfd")
                : copy_stdin(fd, s->acme_max_document, &e);
    if (rc == 0 && dup2(fd, STDIN_FILENO) < 0)
        rc = error_errno(&e, ERROR_IO, errno, "standard input");
    if (fd >= 0)
        close(fd);
    return rc ? verb_fail(&e) : VERB_DONE;
}

static void print_count(size_t count, const char *noun, struct buf *out)
{
    buf_printf(out, "%zu %s%s", count, noun, count == 1 ? "" : "s");
}

void input_print_summary(const struct loaded *loaded, struct buf *out)
{
    const struct problems *p = &loaded->problems;

    if (loaded->file_count == 1)
        render_outside(str_from(loaded->files[0].name), out);
    else
        print_count(loaded->file_count, "file", out);
    buf_cstr(out, ": ");
    if (!p->error_count && !p->warning_count)
        buf_cstr(out, "no problems");
    if (p->error_count)
        print_count(p->error_count, "error", out);
    if (p->error_count && p->warning_count)
        buf_cstr(out, ", ");
    if (p->warning_count)
        print_count(p->warning_count, "warning", out);
    if (p->note_count) {
        buf_cstr(out, ", ");
        print_count(p->note_count, "note", out);
    }
}

static void print_problems(const struct loaded *loaded)
{
    struct buf text = BUF_INIT(INPUT_PROBLEMS_TEXT_MAX);

    problems_print_text(&loaded->problems, &text);
    if (!loaded->model) {
        input_print_summary(loaded, &text);
        buf_char(&text, '\n');
    }
    output_aside(buf_view(&text));
    buf_free(&text);
}

int input_load(const struct command *c, const struct settings *s, struct loaded **loaded)
{
    const struct load_options options = {
        .settings = s, .environment = c->environment, .now = input_now(c)};
    struct loaded *l = NULL;
    struct error e;

    if (load_files(&options, &l, &e))
        return verb_fail(&e);
    print_problems(l);
    if (!l->model) {
        load_free(l);
        return VERB_FAILED;
    }
    *loaded = l;
    return VERB_DONE;
}

int64_t input_now(const struct command *c)
{
    return option_seen(c->options, OPTION_NOW) ? c->options->now : clock_now();
}

int input_name(const struct command *c, struct arena *arena, struct str *name)
{
    char quoted[ERROR_PATH_MAX];
    struct error e;

    *name = arena ? explain_normal_name(str_from(c->operands[0]), arena) : STR_NONE;
    if (name->ptr && explain_is_name(*name))
        return VERB_DONE;
    if (name->ptr)
        error_set(&e, ERROR_USAGE, "\"%s\" is no host name",
                  output_quote(c->operands[0], quoted, sizeof(quoted)));
    else
        error_memory(&e);
    return verb_refuse(c->verb, &e);
}
