#include "reconciler/cli/option.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/nearest.h"
#include "reconciler/base/str.h"
#include "reconciler/cli/text/output.h"

static const struct option_row rows[OPTION_COUNT] = {
    [OPTION_CONFIG] = {"config", "FILE", "read settings from FILE, in the syntax of kong.conf",
                       .letter = 'c'},
    [OPTION_SET] = {"set", "KEY=VALUE",
                    .help =
                        "set one setting, over FILE and over KONG_KEY in the environment; may be "
                        "given again. Others can see it in the process list: no secrets here"},
    [OPTION_ACME_SERVER] = {"acme-server", "URL",
                            "send every order to this ACME directory, whatever api_uri says: a "
                            "staging one, or a CA of your own. Short for --set acme_server=URL",
                            .setting = "acme_server"},
    [OPTION_ACME_TRUSTED_CERTIFICATE] = {"acme-trusted-certificate", "FILE",
                                         "trust the ACME server by the certificates in this PEM "
                                         "file. Short for --set acme_trusted_certificate=FILE",
                                         .setting = "acme_trusted_certificate"},
    [OPTION_DECK_ENV] = {"deck-env", NULL,
                         "replace ${{ env \"DECK_X\" }} in the file by the variable's value before "
                         "it is read, as decK does. Short for --set acme_deck_env=on",
                         .setting = "acme_deck_env"},
    [OPTION_DECK_FORMAT] = {"deck-format", NULL,
                            "read decK's own form as decK means it: {name: ...} for a reference, "
                            "_info with its select_tags and defaults, _plugin_configs, no "
                            "_format_version. Short for --set acme_deck_format=on",
                            .setting = "acme_deck_format"},
    [OPTION_IGNORE_UNSUPPORTED] =
        {"ignore-unsupported", NULL,
         "leave out the fields, entities and plugins that Kong Enterprise or a release after 3.9 "
         "knows, with a warning each; what nobody knows stays an error. Short for --set "
         "acme_ignore_unsupported=on",
         .setting = "acme_ignore_unsupported"},
    [OPTION_NOW] = {"now", "TIME",
                    .help = "look at everything as of this instant, written as RFC 3339 does: "
                            "2026-11-24T02:57:00Z"},
    [OPTION_FORMAT] = {"format", "FORMAT",
                       .help = "print in this form; the first one is the default"},
    [OPTION_AGAINST] = {"against", "FILE|URL|none",
                        .help = "compare with another declarative file, or with the server whose "
                                "status listener is at URL, or with nothing at all, and not with "
                                "the state under the prefix; a file called none is ./none"},
    [OPTION_OUT] = {"out", "PLAN", .help = "write the plan as JSON into the file PLAN too"},
    [OPTION_APPROVE] = {"approve", "PLAN",
                        "let first certificates, overrides and retirements wait until the plan in "
                        "the file PLAN has them; without PLAN, until apply brings one. Short for "
                        "--set acme_approve=PLAN, or =on",
                        .absent = "on", .setting = "acme_approve"},
    [OPTION_MAX_AGE] =
        {"max-age", "TIME",
         .help = "refuse a plan that was made longer ago: 45m, 6h, 2d. 24h if it is not given"},
    [OPTION_EXIT_CODE] = {"exit-code", .help = "tell by the exit code what was found"},
    [OPTION_ALL] = {"all", .help = "every name that failed"},
    [OPTION_WATCH] = {"watch", .help = "look again every two seconds, until Ctrl-C"},
    [OPTION_STRICT] = {"strict", .help = "take warnings for errors"},
    [OPTION_FLATTEN] = {"flatten",
                        .help = "print the entities of a valid file as Kong sees them, as JSON: "
                                "nesting undone, defaults filled in, references resolved; keys, "
                                "passwords and decK's values are starred out"},
    [OPTION_SHOW_SECRETS] =
        {"show-secrets",
         .help = "with --flatten, print keys, passwords and decK's values as they are"},
    [OPTION_DAYS] = {"days", "N", .help = "look this many days ahead; 90 if it is not given"},
    [OPTION_LIFETIME] = {"lifetime", "TIME",
                         .help = "take it that the CA's certificates live this long: 45d, 160h. "
                                 "Otherwise they live 90 days"},
    [OPTION_CA_OUTAGE] = {"ca-outage", "TIME@DAY",
                          .help = "take it that every order fails for this long, from this day on: "
                                  "3d@10. May be given again"},
    [OPTION_SEED] = {"seed", "N",
                     .help = "let chance fall otherwise: the same number, the same outcome"},
    [OPTION_VERBOSE] = {"verbose", NULL, "say more; the verb tells what", .letter = 'v'},
    [OPTION_NO_COLOR] = {"no-color", .help = "do not colour text, not even on a terminal"},
    [OPTION_MAN] = {"man", .help = "print the manual page, in mdoc(7)"},
    [OPTION_COMPLETION] = {"completion", .help = "print the completion of commands for bash(1)"},
    [OPTION_HELP] = {"help", NULL, "print what a verb does and takes", .letter = 'h'},
    [OPTION_VERSION] = {"version", NULL, "print the version", .letter = 'V'},
};

/* The words still to be read. */
struct words {
    char *const *items;
    size_t next, count;
    bool is_ended; /* `--` was there: the rest are operands */
};

const struct option_row *option_rows(void)
{
    return rows;
}

bool option_seen(const struct options *o, enum option_id id)
{
    return o->seen & OPTION_BIT(id);
}

static int refuse_unknown(struct str name, const char *word, struct error *e)
{
    char quoted[ERROR_PATH_MAX];
    const char *near = NULL;

    for (size_t i = 0; name.len && i < OPTION_COUNT; i++)
        nearest_offer(name, rows[i].name, &near);
    output_quote(word, quoted, sizeof(quoted));
    if (near)
        return error_set(e, ERROR_USAGE, "unknown option \"%s\", did you mean --%s?", quoted, near);
    return error_set(e, ERROR_USAGE, "unknown option \"%s\"", quoted);
}

static int add_assignment(struct options *o, const char *key, const char *value, struct error *e)
{
    char *text = NULL;

    if (asprintf(&text, "%s%s%s", key ? key : "", key ? "=" : "", value) < 0)
        return error_memory(e);
    o->assignments[o->assignment_count++] = text;
    return 0;
}

const char *option_format_name(enum option_format format)
{
    static const char *const names[OPTION_FORMAT_COUNT] = {
        [OPTION_FORMAT_TEXT] = "text",
        [OPTION_FORMAT_JSON] = "json",
        [OPTION_FORMAT_MARKDOWN] = "markdown",
        [OPTION_FORMAT_SARIF] = "sarif",
    };

    return names[format];
}

static int set_format(struct options *o, const char *value, struct error *e)
{
    char quoted[ERROR_PATH_MAX];

    for (int format = 0; format < OPTION_FORMAT_COUNT; format++)
        if (strcmp(value, option_format_name((enum option_format)format)) == 0) {
            o->format = (enum option_format)format;
            return 0;
        }
    return error_set(e, ERROR_USAGE, "unknown format \"%s\"",
                     output_quote(value, quoted, sizeof(quoted)));
}

static int set_now(struct options *o, const char *value, struct error *e)
{
    char quoted[ERROR_PATH_MAX];

    if (clock_parse(str_from(value), &o->now))
        return error_set(e, ERROR_USAGE,
                         "--now takes a time such as 2026-11-24T02:57:00Z, not \"%s\"",
                         output_quote(value, quoted, sizeof(quoted)));
    return 0;
}

static int apply(struct options *o, const struct option_row *row, const char *value,
                 struct error *e)
{
    enum option_id id = (enum option_id)(row - rows);

    o->seen |= OPTION_BIT(id);
    o->values[id] = value;
    if (row->setting)
        return add_assignment(o, row->setting, value ? value : "on", e);
    switch (id) {
    case OPTION_SET:
        return add_assignment(o, NULL, value, e);
    case OPTION_FORMAT:
        return set_format(o, value, e);
    case OPTION_CA_OUTAGE:
        o->outages[o->outage_count++] = value;
        return 0;
    case OPTION_NOW:
        return set_now(o, value, e);
    default:
        return 0;
    }
}

/* With an argument to find: behind `=`, glued to a letter, or the next word. NULL with *e. */
static const char *take_argument(const struct option_row *row, const char *glued, struct words *w,
                                 struct error *e)
{
    const char *value = glued;

    if (!value && row->absent)
        return row->absent;
    if (!value && w->next < w->count)
        value = w->items[w->next++];
    if (!value)
        error_set(e, ERROR_USAGE, "--%s needs %s", row->name, row->argument);
    else if (!*value)
        error_set(e, ERROR_USAGE, "--%s: %s is empty", row->name, row->argument);
    return value && *value ? value : NULL;
}

static int parse_long(struct options *o, const char *word, struct words *w, struct error *e)
{
    struct str value;
    struct str name = str_cut(str_from(word + 2), '=', &value);
    const struct option_row *row = NULL;
    const char *argument = NULL;

    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (str_equal_cstr(name, rows[i].name))
            row = &rows[i];
    if (!row)
        return refuse_unknown(name, word, e);
    if (!row->argument && value.ptr)
        return error_set(e, ERROR_USAGE, "--%s takes no argument", row->name);
    if (row->argument && !(argument = take_argument(row, value.ptr, w, e)))
        return -1;
    return apply(o, row, argument, e);
}

/* `-vc FILE`, `-cFILE`: letters without an argument may stand together. */
static int parse_letters(struct options *o, const char *word, struct words *w, struct error *e)
{
    for (const char *letter = word + 1; *letter; letter++) {
        const struct option_row *row = NULL;
        const char *argument;

        for (size_t i = 0; i < OPTION_COUNT; i++)
            if (rows[i].letter && rows[i].letter == *letter)
                row = &rows[i];
        if (!row)
            return refuse_unknown(str_from(letter), word, e);
        if (row->argument) {
            argument = take_argument(row, letter[1] ? letter + 1 : NULL, w, e);
            return argument ? apply(o, row, argument, e) : -1;
        }
        if (apply(o, row, NULL, e))
            return -1;
    }
    return 0;
}

static int parse_word(struct options *o, const char *word, struct words *w, struct error *e)
{
    if (w->is_ended || word[0] != '-' || !word[1]) {
        o->operands[o->operand_count++] = word;
        return 0;
    }
    if (word[1] != '-')
        return parse_letters(o, word, w, e);
    w->is_ended = !word[2];
    return word[2] ? parse_long(o, word, w, e) : 0;
}

int option_parse(struct options *o, int argc, char *const *argv, struct error *e)
{
    struct words w = {.items = argv, .next = 1, .count = argc > 0 ? (size_t)argc : 0};

    memset(o, 0, sizeof(*o));
    if (w.count > OPTION_WORDS_MAX)
        return error_set(e, ERROR_LIMIT, "more than %d words on the command line",
                         OPTION_WORDS_MAX);
    o->operands = calloc(w.count + 1, sizeof(*o->operands));
    o->assignments = calloc(w.count + 1, sizeof(*o->assignments));
    o->outages = calloc(w.count + 1, sizeof(*o->outages));
    if (!o->operands || !o->assignments || !o->outages)
        return error_memory(e);
    while (w.next < w.count)
        if (parse_word(o, w.items[w.next++], &w, e))
            return -1;
    return 0;
}

void option_fini(struct options *o)
{
    for (size_t i = 0; o->assignments && i < o->assignment_count; i++)
        free(o->assignments[i]);
    free(o->assignments);
    free(o->outages);
    free(o->operands);
    memset(o, 0, sizeof(*o));
}
