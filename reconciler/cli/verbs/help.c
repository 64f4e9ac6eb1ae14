#include "reconciler/cli/verbs/help.h"

#include <string.h>

#include "reconciler/base/nearest.h"
#include "reconciler/cli/text/completion.h"
#include "reconciler/cli/text/manual.h"
#include "reconciler/cli/text/output.h"
#include "reconciler/cli/text/paragraph.h"
#include "reconciler/cli/verb.h"
#include "reconciler/settings/settings.h"

#define HELP_OUTPUT_MAX ((size_t)1 << 20)
#define HELP_COLUMN 12        /* of a verb's summary, of an exit code's text */
#define HELP_OPTION_COLUMN 30 /* of an option's text */
#define HELP_SETTING_COLUMN 4 /* of a setting's text, on a line of its own */
#define HELP_SETTINGS "settings"

static void print_usage(const struct verb *v, struct buf *out)
{
    buf_printf(out, "Usage: reconcert %s [OPTION]...%s%s\n", v->name, *v->operands ? " " : "",
               v->operands);
}

void help_print_overview(struct buf *out)
{
    buf_cstr(out, "Usage: reconcert VERB [OPTION]... [FILE]...\n\n");
    paragraph_print(STR("Obtains, renews and serves the certificates that a Kong declarative file "
                        "asks for."),
                    0, 0, out);
    buf_cstr(out, "\nVerbs:\n");
    for (const struct verb *v = verb_rows(); v->name; v++) {
        buf_printf(out, "  %s", v->name);
        paragraph_pad(2 + strlen(v->name), HELP_COLUMN, out);
        paragraph_print(str_from(v->summary), HELP_COLUMN, HELP_COLUMN, out);
    }
    buf_char(out, '\n');
    paragraph_print(
        STR("'reconcert help VERB' tells what a verb does and takes, 'reconcert help " HELP_SETTINGS
            "' lists the settings."),
        0, 0, out);
}

static void print_option(const struct verb *v, const struct option_row *row, struct buf *out)
{
    size_t at = out->len;

    if (row->letter)
        buf_printf(out, "  -%c, --%s", row->letter, row->name);
    else
        buf_printf(out, "      --%s", row->name);
    if (row->argument)
        buf_cstr(out, row->absent ? "[=" : "=");
    if (row == &option_rows()[OPTION_FORMAT])
        verb_print_formats(v, "|", out);
    else if (row->argument)
        buf_cstr(out, row->argument);
    if (row->absent)
        buf_char(out, ']');
    /* One blank at least stays between an option and its text. */
    paragraph_pad(out->len - at + 1 < HELP_OPTION_COLUMN ? out->len - at : HELP_OPTION_COLUMN,
                  HELP_OPTION_COLUMN, out);
    paragraph_print(str_from(row->help), HELP_OPTION_COLUMN, HELP_OPTION_COLUMN, out);
}

static void print_exit(int code, const char *text, struct buf *out)
{
    size_t at = out->len;

    buf_printf(out, "  %d", code);
    paragraph_pad(out->len - at, HELP_COLUMN, out);
    paragraph_print(str_from(text), HELP_COLUMN, HELP_COLUMN, out);
}

void help_print_verb(const struct verb *v, struct buf *out)
{
    const struct option_row *options = option_rows();

    print_usage(v, out);
    buf_char(out, '\n');
    paragraph_print(str_from(v->description), 0, 0, out);
    if (strstr(v->operands, "FILE")) {
        buf_char(out, '\n');
        paragraph_print(str_from(verb_file_text()), 0, 0, out);
    }
    buf_cstr(out, "\nOptions:\n");
    for (unsigned id = 0; id < OPTION_COUNT; id++)
        if (v->options & OPTION_BIT(id))
            print_option(v, &options[id], out);
    buf_cstr(out, "\nExit codes:\n");
    for (size_t i = 0; i < VERB_EXITS_MAX && v->exits[i].text; i++)
        print_exit(v->exits[i].code, v->exits[i].text, out);
    print_exit(VERB_USAGE, verb_usage_text(), out);
}

static void print_setting(const struct settings_row *row, struct buf *out)
{
    struct buf text = BUF_INIT(HELP_OUTPUT_MAX);

    buf_cstr(out, row->name);
    if (*row->value)
        buf_printf(out, " = %s", row->value);
    paragraph_pad(HELP_SETTING_COLUMN, HELP_SETTING_COLUMN, out);
    buf_printf(&text, "%s%s", row->help, row->comes_later ? VERB_LATER_TEXT : "");
    paragraph_print(buf_view(&text), HELP_SETTING_COLUMN, HELP_SETTING_COLUMN, out);
    buf_free(&text);
}

void help_print_settings(struct buf *out)
{
    paragraph_print(str_from(verb_settings_text()), 0, 0, out);
    for (const struct settings_row *row = settings_rows(); row->name; row++) {
        buf_char(out, '\n');
        print_setting(row, out);
    }
}

static int refuse_topic(const char *topic)
{
    char quoted[ERROR_PATH_MAX];
    const char *near = NULL;
    struct error e;

    for (const struct verb *v = verb_rows(); v->name; v++)
        nearest_offer(str_from(topic), v->name, &near);
    nearest_offer(str_from(topic), HELP_SETTINGS, &near);
    output_quote(topic, quoted, sizeof(quoted));
    error_set(&e, ERROR_USAGE, "there is no help on \"%s\"%s%s%s", quoted,
              near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
    return verb_refuse(NULL, &e);
}

int help_command(const struct command *c)
{
    const char *topic = c->operand_count ? c->operands[0] : NULL;
    const struct verb *about = topic ? verb_find(topic) : NULL;
    struct buf out = BUF_INIT(HELP_OUTPUT_MAX);

    if (topic && !about && strcmp(topic, HELP_SETTINGS) != 0)
        return refuse_topic(topic);
    if (option_seen(c->options, OPTION_MAN))
        manual_print(&out);
    else if (option_seen(c->options, OPTION_COMPLETION))
        completion_print(&out);
    else if (about)
        help_print_verb(about, &out);
    else if (topic)
        help_print_settings(&out);
    else
        help_print_overview(&out);
    return verb_print(&out);
}
