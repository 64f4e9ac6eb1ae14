#include "reconciler/cli/verb.h"

#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/nearest.h"
#include "reconciler/cli/text/output.h"

#define EVERY (OPTION_BIT(OPTION_NO_COLOR) | OPTION_BIT(OPTION_HELP))
#define READS (OPTION_BIT(OPTION_CONFIG) | OPTION_BIT(OPTION_SET))
#define SETTINGS                                                                            \
    (READS | OPTION_BIT(OPTION_ACME_SERVER) | OPTION_BIT(OPTION_ACME_TRUSTED_CERTIFICATE) | \
     OPTION_BIT(OPTION_DECK_ENV) | OPTION_BIT(OPTION_DECK_FORMAT) |                         \
     OPTION_BIT(OPTION_IGNORE_UNSUPPORTED))
#define FORMAT OPTION_BIT(OPTION_FORMAT)
#define TEXT_JSON (1u << OPTION_FORMAT_TEXT | 1u << OPTION_FORMAT_JSON)
#define VERBOSE OPTION_BIT(OPTION_VERBOSE)
#define UNREADABLE "the file is invalid, or it or the state cannot be read"

static const struct verb rows[] = {
    {"run", "[FILE]...", "obtain, renew and serve what the file asks for, until stopped",
     "Reads the file, orders the certificates that are missing or due, answers the CA's http-01 "
     "challenges, and serves every certificate by SNI. The file is watched: a change is taken at "
     "once, without a dropped connection; a bad one is logged, and what was served before is "
     "served on.\n"
     "\n"
     "One server a prefix: a second one says who is there, and ends. What was obtained is kept "
     "under the prefix, so a restart orders nothing again.\n"
     "\n"
     "SIGHUP reads the file now, even one that seems not to have changed. SIGUSR2 replaces the "
     "program by the one that lies at its path by now, without a dropped connection and under the "
     "same pid. SIGTERM, SIGQUIT and SIGINT end it once what is under way is finished. All of them "
     "go to the process that was started, not to its children.\n"
     "\n"
     "With --approve, first certificates, overrides and retirements wait until somebody has "
     "approved a plan that has them: what diff --out writes, carried out by apply, or put where "
     "--approve=PLAN looks. It is looked at whenever it changes. Until then the names are served "
     "as before; renewals never wait. Such a plan bears a hash of what it holds, and one that was "
     "changed afterwards is not heeded.",
     .operand_max = VERB_ANY, .options = EVERY | SETTINGS | OPTION_BIT(OPTION_APPROVE),
     .exits = {{VERB_DONE, "stopped by SIGTERM, SIGQUIT or SIGINT"},
               {VERB_FAILED, "the file is invalid, or the server could not start"}},
     .run = run_command},
    {"check", "[FILE]...", "say what is wrong with the file, and where",
     "Prints every problem of the file to standard output, a line each: file, line and column, "
     "path, what is wrong. Lists count from one: routes[1] is the first. How many there are goes "
     "to standard error. Nothing else is read, written or asked. Warnings speak of what is valid "
     "and yet does not do what it seems to: a certificate that has expired or is not for its SNI, "
     "a chain that does not lead upward, a route that is never reached, a name that can never "
     "match. As sarif the problems are SARIF 2.1.0, for code hosts that show them beside the "
     "lines.\n"
     "\n"
     "With --flatten, the entities of a valid file take that place, and its warnings go to "
     "standard error.",
     .operand_max = VERB_ANY,
     .options = EVERY | SETTINGS | FORMAT | OPTION_BIT(OPTION_NOW) | OPTION_BIT(OPTION_STRICT) |
                OPTION_BIT(OPTION_FLATTEN) | OPTION_BIT(OPTION_SHOW_SECRETS),
     .formats = TEXT_JSON | 1u << OPTION_FORMAT_SARIF,
     .exits = {{VERB_DONE, "the file is valid; there may be warnings"},
               {VERB_FAILED, "the file is invalid, or cannot be read"}},
     .run = check_command},
    {"diff", "[FILE]...", "show what run would do, and do nothing",
     "Compares the file with the state under the prefix and prints the plan: which certificates "
     "would be issued, renewed, adopted, overridden, retired or are blocked, why, and by which "
     "line of the file. A server may be running meanwhile; nothing is locked, written or asked of "
     "a CA. With --verbose, names that stay as they are get a line too. As markdown it is a "
     "comment for a pull request, cut where those end.\n"
     "\n"
     "Where the limits of the CA are known, each order says which of them it draws on and what is "
     "left; one that does not fit waits. The history that counts is the state's own.\n"
     "\n"
     "With --against=FILE, the plan shows what the change from that file to this one would cause: "
     "all that FILE asks for is taken to be there, issued this instant for 90 days. With "
     "--against=URL, it is made from the names that a running server tells at "
     "http://127.0.0.1:8007/certificates, or wherever its status listener is. With --against=none, "
     "nothing is taken to be there. A prefix that does not exist is an empty one; one that is "
     "there and cannot be read is an error.",
     .operand_max = VERB_ANY,
     .options = EVERY | SETTINGS | FORMAT | VERBOSE | OPTION_BIT(OPTION_NOW) |
                OPTION_BIT(OPTION_AGAINST) | OPTION_BIT(OPTION_OUT) | OPTION_BIT(OPTION_EXIT_CODE),
     .formats = TEXT_JSON | 1u << OPTION_FORMAT_MARKDOWN,
     .exits = {{VERB_DONE, "the plan was printed, whatever it holds"},
               {VERB_FAILED, UNREADABLE},
               {VERB_CHANGES, "with --exit-code: something is to be issued, renewed, adopted, "
                              "retired or overridden, now or later"},
               {VERB_STUCK, "with --exit-code: something is blocked, or waits because of failures, "
                            "the CA's limits or the storage; beats 2"}},
     .run = diff_command},
    {"apply", "PLAN [FILE]...", "do what a saved plan says, which approves it",
     "PLAN is what diff --out has written, and a person has approved. A fresh plan is made first: "
     "if it has another action for any name in PLAN, or PLAN is too old, nothing is done. What has "
     "happened meanwhile is not done again, so a second apply does nothing. Nothing else is done "
     "that would have to be approved; renewals, which need no approval, are made where they are "
     "due. Each action is printed; a plus behind it, as in issue+, says that the name's declared "
     "certificate is overridden. Without FILE and without the setting declarative_config, the "
     "files are those that PLAN was made from.\n"
     "\n"
     "PLAN is put under the prefix, where run --approve looks for it. Without a running server, "
     "apply takes the prefix and the listeners until nothing is left to do, answers the CA's "
     "challenges, and ends. With one, that server does the work, for it has the same file, or has "
     "waited for this (run --approve); apply waits until it is done, and refuses if the server's "
     "file is another.",
     .operand_min = 1, .operand_max = VERB_ANY,
     .options = EVERY | SETTINGS | OPTION_BIT(OPTION_MAX_AGE),
     .exits = {{VERB_DONE, "all that PLAN says is done, now or before"},
               {VERB_FAILED, "the plan no longer holds or is too old, the file is invalid, or "
                             "something could not be done"}},
     .run = apply_command},
    {"explain", "NAME [FILE]...", "tell why a name is in the state that it is in",
     "Says where NAME is declared and by which rule it gets a certificate or not, which "
     "certificate is served for it and why that one, what the CA last said, what happens next, and "
     "when. With --against it looks elsewhere than under the prefix.",
     .operand_min = 1, .operand_max = VERB_ANY,
     .options = EVERY | SETTINGS | FORMAT | OPTION_BIT(OPTION_NOW) | OPTION_BIT(OPTION_AGAINST),
     .formats = TEXT_JSON, .exits = {{VERB_DONE, "explained"}, {VERB_FAILED, UNREADABLE}},
     .run = explain_command},
    {"simulate", "[FILE]...", "show the orders of the months to come",
     "Plays what run would do on a clock that jumps from one due time to the next: how many orders "
     "a day, which day has the most, how close renewals come to the end of a certificate, and "
     "which names are at risk. It begins with the state under the prefix, or with what --against "
     "names, counts the limits of CAs that are known, and asks nobody anything. With --verbose, "
     "every order follows, in the order in which run would send them.",
     .operand_max = VERB_ANY,
     .options = EVERY | SETTINGS | FORMAT | VERBOSE | OPTION_BIT(OPTION_NOW) |
                OPTION_BIT(OPTION_AGAINST) | OPTION_BIT(OPTION_DAYS) | OPTION_BIT(OPTION_LIFETIME) |
                OPTION_BIT(OPTION_CA_OUTAGE) | OPTION_BIT(OPTION_SEED),
     .formats = TEXT_JSON,
     .exits = {{VERB_DONE, "printed, whatever is at risk"}, {VERB_FAILED, UNREADABLE}},
     .run = simulate_command},
    {"status", "", "show the certificates of the running server",
     "Asks the server that runs with the same prefix (status_listen plays no part), over the "
     "socket control.sock in it, and prints its names with state, issuer, expiry and what comes "
     "next, the problems of its file, and whatever else is not as it should be. With --verbose, "
     "each name's key, CA and places in the file follow it. With --watch it is printed again and "
     "again, whether the server goes or comes.",
     .options =
         EVERY | READS | FORMAT | VERBOSE | OPTION_BIT(OPTION_EXIT_CODE) | OPTION_BIT(OPTION_WATCH),
     .formats = TEXT_JSON,
     .exits = {{VERB_DONE,
                "printed; with --exit-code: all names are valid, pending, due or retired"},
               {VERB_FAILED, "no server answered"},
               {VERB_STUCK, "with --exit-code: a name is failing, blocked, expired or revoked, or "
                            "a condition is a fault"}},
     .run = status_command},
    {"retry", "NAME|--all", "try again at once what failed and waits for its next try",
     "Takes the wait off NAME, or off every name that failed: its own after failures, one that the "
     "CA asked for, and that of a refusal. The CA's limits hold on: what does not fit them waits. "
     "Prints each name with what becomes of it now. The server that runs with the same prefix does "
     "it; the failures are counted on, so that a try that fails again is followed by the longer "
     "wait. Where no server runs, the next one tries at once.",
     .operand_max = 1, .options = EVERY | READS | FORMAT | OPTION_BIT(OPTION_ALL),
     .formats = TEXT_JSON,
     .exits = {{VERB_DONE, "asked for, or nothing failed"},
               {VERB_FAILED, "nothing asks for NAME, or the server or the storage cannot be used"}},
     .run = retry_command},
    {"schema", "", "print the format of the file, for editors and for people",
     "Prints a JSON Schema of the declarative file, with which editors complete and check "
     "kong.yaml while it is written; as markdown, the configuration reference. Both come from the "
     "tables that check a file; what depends on more than one value is left to check.",
     .options = EVERY | FORMAT, .formats = 1u << OPTION_FORMAT_JSON | 1u << OPTION_FORMAT_MARKDOWN,
     .exits = {{VERB_DONE, "printed"}, {VERB_FAILED, "could not be printed"}},
     .run = schema_command},
    {"version", "", "print the version; with --verbose, those of the libraries too",
     "Prints the version of reconcert. With --verbose, the versions of the libraries that it runs "
     "with follow, a line each.",
     .options = EVERY | FORMAT | VERBOSE, .formats = TEXT_JSON,
     .exits = {{VERB_DONE, "printed"}, {VERB_FAILED, "could not be printed"}},
     .run = version_command},
    {"help", "[VERB|settings]", "explain a verb, or the settings",
     "Without an operand, lists the verbs. With a verb, says what it does, takes and returns. With "
     "the word settings, lists every setting with its default.",
     .operand_max = 1, .options = EVERY | OPTION_BIT(OPTION_MAN) | OPTION_BIT(OPTION_COMPLETION),
     .exits = {{VERB_DONE, "printed"}, {VERB_FAILED, "could not be printed"}}, .run = help_command},
    {.name = NULL},
};

const struct verb *verb_rows(void)
{
    return rows;
}

const struct verb *verb_find(const char *name)
{
    for (const struct verb *v = rows; v->name; v++)
        if (strcmp(v->name, name) == 0)
            return v;
    return NULL;
}

const char *verb_usage_text(void)
{
    return "wrong usage: a verb, an option or a setting that is not understood";
}

const char *verb_file_text(void)
{
    return "FILE is a declarative file in YAML or JSON, or a folder of them (*.yaml, *.yml, "
           "*.json); - is standard input. Several are read as one. Without any, the setting "
           "declarative_config names them.";
}

const char *verb_settings_text(void)
{
    return "Settings bear the names and the syntax of kong.conf, so the environment of a Kong "
           "deployment works as it is; those of our own begin with acme_. Each has its default "
           "unless the file given by --config sets it; the variable KONG_NAME, with the name in "
           "capitals, goes over that file, --set name=value over the variable, and a FILE on the "
           "command line over all.";
}

void verb_print_formats(const struct verb *v, const char *separator, struct buf *out)
{
    const char *before = "";

    for (int format = 0; format < OPTION_FORMAT_COUNT; format++)
        if (v->formats & 1u << format) {
            buf_printf(out, "%s%s", before, option_format_name((enum option_format)format));
            before = separator;
        }
}

/* What people type who come from Kong. */
static const char *instead_of(const char *name)
{
    static const struct {
        const char *theirs, *ours;
    } words[] = {
        {"config", "check FILE does what 'kong config parse' did"},
        {"parse", "check FILE does what 'kong config parse' did"},
        {"validate", "it is check"},
        {"start", "it is run, which stays in the foreground"},
        {"restart", "stop run with SIGTERM, and start it again"},
        {"stop", "run ends by SIGTERM"},
        {"quit", "run ends by SIGTERM"},
        {"reload", "run watches the file, and takes each change by itself"},
        {"health", "it is status"},
        {"db_export", "check --flatten FILE prints the entities"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (strcmp(words[i].theirs, name) == 0)
            return words[i].ours;
    return NULL;
}

static int refuse_verb(const char *name, struct error *e)
{
    const char *ours = instead_of(name);
    char quoted[ERROR_PATH_MAX];
    const char *near = NULL;

    for (const struct verb *v = rows; v->name; v++)
        nearest_offer(str_from(name), v->name, &near);
    output_quote(name, quoted, sizeof(quoted));
    if (ours)
        return error_set(e, ERROR_USAGE, "unknown verb \"%s\": %s", quoted, ours);
    if (near)
        return error_set(e, ERROR_USAGE, "unknown verb \"%s\", did you mean %s?", quoted, near);
    return error_set(e, ERROR_USAGE, "unknown verb \"%s\"", quoted);
}

static int check_options(const struct verb *v, const struct options *o, struct error *e)
{
    const struct option_row *options = option_rows();

    for (unsigned id = 0; id < OPTION_COUNT; id++)
        if (o->seen & ~v->options & OPTION_BIT(id))
            return error_set(e, ERROR_USAGE, "%s does not take --%s", v->name, options[id].name);
    if (option_seen(o, OPTION_FORMAT) && !(v->formats & 1u << o->format))
        return error_set(e, ERROR_USAGE, "%s does not take --format=%s", v->name,
                         option_format_name(o->format));
    return 0;
}

static int check_operands(const struct verb *v, const char *const *operands, size_t count,
                          struct error *e)
{
    char quoted[ERROR_PATH_MAX];

    if (count < v->operand_min)
        return error_set(e, ERROR_USAGE, "%s needs %.*s", v->name, (int)strcspn(v->operands, " "),
                         v->operands);
    if (count > v->operand_max)
        return error_set(e, ERROR_USAGE, "%s does not take \"%s\"", v->name,
                         output_quote(operands[v->operand_max], quoted, sizeof(quoted)));
    for (size_t i = 0; i < count; i++)
        if (!operands[i][0])
            return error_set(e, ERROR_USAGE, "%s does not take an empty word", v->name);
    return 0;
}

/* `reconcert --help` and `reconcert --version` stand for the verbs of that name. */
static const struct verb *verb_of_option(struct options *o)
{
    if (option_seen(o, OPTION_VERSION)) {
        o->seen &= ~OPTION_BIT(OPTION_VERSION);
        return verb_find("version");
    }
    return option_seen(o, OPTION_HELP) ? verb_find("help") : NULL;
}

/* Which verb, and may it be run so? `c->verb` is set as soon as it is known. */
static int prepare(struct command *c, struct options *o, int argc, char *const *argv,
                   struct error *e)
{
    int rc = option_parse(o, argc, argv, e);
    const char *name = o->operand_count ? o->operands[0] : NULL;

    if (name)
        c->verb = verb_find(name);
    if (rc)
        return -1;
    if (!name)
        c->verb = verb_of_option(o);
    if (!c->verb)
        return name ? refuse_verb(name, e) : error_set(e, ERROR_USAGE, "no verb given");
    c->operands = name ? o->operands + 1 : o->operands;
    c->operand_count = name ? o->operand_count - 1 : 0;
    if (check_options(c->verb, o, e))
        return -1;
    if (option_seen(o, OPTION_HELP))
        return 0;
    return check_operands(c->verb, c->operands, c->operand_count, e);
}

/* `VERB --help` is `help VERB`. */
static int run(const struct command *c)
{
    const char *const names[] = {c->verb->name, NULL};
    struct command help = *c;

    if (!option_seen(c->options, OPTION_HELP) || c->verb->run == help_command)
        return c->verb->run(c);
    help.operands = names;
    help.operand_count = 1;
    return help_command(&help);
}

int verb_refuse(const struct verb *verb, const struct error *e)
{
    struct buf hint = BUF_INIT(OUTPUT_LINE_MAX);

    output_error(e);
    if (e->kind == ERROR_MEMORY)
        return VERB_FAILED;
    buf_printf(&hint, "see 'reconcert help%s%s'\n", verb ? " " : "", verb ? verb->name : "");
    output_aside(buf_view(&hint));
    buf_free(&hint);
    return VERB_USAGE;
}

int verb_main(int argc, char *const *argv, char *const *environment)
{
    struct options o;
    struct error e;
    struct command c = {
        .options = &o,
        .arguments = (const char *const *)argv + (argc > 0 ? 1 : 0),
        .environment = environment,
    };
    int code;

    if (prepare(&c, &o, argc, argv, &e))
        code = verb_refuse(c.verb, &e);
    else
        code = run(&c);
    option_fini(&o);
    if (output_close(&e)) {
        output_error(&e);
        code = code == VERB_DONE ? VERB_FAILED : code;
    }
    return code;
}

int verb_fail(const struct error *e)
{
    output_error(e);
    return VERB_FAILED;
}

int verb_print(struct buf *out)
{
    struct error e;
    int code = VERB_DONE;

    if (output_buf(out, &e))
        code = verb_fail(&e);
    buf_free(out);
    return code;
}
