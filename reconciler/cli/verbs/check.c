#include "reconciler/base/json_out.h"
#include "reconciler/cli/input.h"
#include "reconciler/cli/inspect.h"
#include "reconciler/control/note.h"
#include "reconciler/cli/text/output.h"
#include "reconciler/cli/text/sarif.h"
#include "reconciler/cli/verb.h"
#include "spec/flatten.h"
#include "spec/kong_error.h"

/* A thousand problems, each beside the entity that it belongs to. */
#define CHECK_OUTPUT_MAX ((size_t)256 << 20)

/* The entities of a file of the largest size, with everything that Kong fills in. */
#define CHECK_FLATTENED_MAX ((size_t)8 << 30)

#define CHECK_FORMAT 1

/* --strict: nothing is only a warning. Notes stay what they are. */
static void harden(struct problems *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->items[i].severity == PROBLEM_WARNING)
            p->items[i].severity = PROBLEM_ERROR;
    p->error_count += p->warning_count;
    p->warning_count = 0;
}

/* `detail` NULL: there is no entity to speak of. */
static void print_json(const struct problems *p, const struct spec_detail *detail, struct buf *out)
{
    struct json_out j = json_out_pretty(out);

    json_out_object(&j);
    json_out_member_int(&j, "format", CHECK_FORMAT);
    json_out_key(&j, "problems");
    problems_print_json(p, &j);
    if (p->truncated)
        json_out_member_int(&j, "truncated", (int64_t)p->truncated);
    json_out_key(&j, "flattened_errors");
    if (detail) {
        kong_error_print_masked(detail, p, &j);
    } else {
        json_out_array(&j);
        json_out_end(&j);
    }
    json_out_end(&j);
    buf_char(out, '\n');
}

static int print(const struct command *c, const struct problems *p,
                 const struct spec_detail *detail)
{
    struct buf out = BUF_INIT(CHECK_OUTPUT_MAX);

    if (c->options->format == OPTION_FORMAT_JSON)
        print_json(p, detail, &out);
    else if (c->options->format == OPTION_FORMAT_SARIF)
        sarif_print(p, &out);
    else
        problems_print_text(p, &out);
    return verb_print(&out);
}

/* The entities of a valid file instead; its warnings then are no data. */
static int print_entities(const struct loaded *loaded, bool shows_secrets)
{
    struct buf out = BUF_SECRET(CHECK_FLATTENED_MAX), aside = BUF_INIT(CHECK_OUTPUT_MAX);
    struct json_out j = json_out_pretty(&out);
    struct error e;
    int code = VERB_FAILED;

    problems_print_text(&loaded->problems, &aside);
    output_aside(buf_view(&aside));
    if ((shows_secrets ? flatten_print : flatten_print_masked)(loaded->detail, &j, &e) == 0) {
        buf_char(&out, '\n');
        code = output_buf(&out, &e) ? VERB_FAILED : VERB_DONE;
    }
    if (code != VERB_DONE)
        output_error(&e);
    buf_free(&aside);
    buf_free(&out);
    return code;
}

/* A file that cannot be read is a problem like any other, so that JSON comes out either way. */
static int print_unreadable(const struct command *c, const struct error *why)
{
    struct problems p;
    int code = VERB_FAILED;

    output_error(why);
    if (c->options->format == OPTION_FORMAT_TEXT || why->kind == ERROR_MEMORY)
        return code;
    if (problems_init(&p) == 0 && problems_add_file(&p, why->file, false) == 0) {
        problems_add(&p, PROBLEM_ERROR, (struct place){.file = 0, .line = why->line}, STR(""), "%s",
                     why->message);
        if (print(c, &p, NULL) != VERB_DONE)
            code = VERB_FAILED;
    }
    problems_fini(&p);
    return code;
}

static void print_summary(const struct command *c, const struct settings *s,
                          const struct loaded *loaded)
{
    const struct desired_options how = {.acme_server = str_from(s->acme_server)};
    struct buf line = BUF_INIT(OUTPUT_LINE_MAX);
    struct desired *desired;
    struct error ignored;

    if (c->options->format == OPTION_FORMAT_TEXT) {
        input_print_summary(loaded, &line);
        buf_char(&line, '\n');
        output_aside(buf_view(&line));
        buf_clear(&line);
    }
    if (loaded->model && note_http01_port(s, loaded->model, &line))
        output_note(buf_view(&line));
    buf_clear(&line);
    if (loaded->model &&
        desired_make(loaded->model, &how, loaded->arena, &desired, &ignored) == 0 &&
        note_gate(loaded->model, desired, &line))
        output_note(buf_view(&line));
    buf_free(&line);
}

static int check(const struct command *c, const struct settings *s)
{
    bool flatten = option_seen(c->options, OPTION_FLATTEN), is_good;
    const struct load_options options = {.settings = s,
                                         .environment = c->environment,
                                         .now = input_now(c),
                                         .keep_detail = true,
                                         .lint = true};
    struct loaded *loaded = NULL;
    struct error e;
    int code;

    input_notes(s);
    if (load_files(&options, &loaded, &e))
        return print_unreadable(c, &e);
    if (loaded->model && inspect_certificates(loaded, input_now(c), &e)) {
        output_error(&e);
        load_free(loaded);
        return VERB_FAILED;
    }
    if (option_seen(c->options, OPTION_STRICT))
        harden(&loaded->problems);
    is_good = loaded->model && !loaded->problems.error_count;
    code = is_good && flatten ? print_entities(loaded, option_seen(c->options, OPTION_SHOW_SECRETS))
                              : print(c, &loaded->problems, loaded->detail);
    print_summary(c, s, loaded);
    if (!is_good)
        code = VERB_FAILED;
    load_free(loaded);
    return code;
}

int check_command(const struct command *c)
{
    struct settings s;
    int code = input_settings(c, 0, &s);

    if (code == VERB_DONE)
        code = input_named(c, &s);
    if (code == VERB_DONE)
        code = check(c, &s);
    settings_fini(&s);
    return code;
}
