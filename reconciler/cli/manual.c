#include "reconciler/cli/manual.h"

#include <string.h>

#include "reconciler/cli/verb.h"
#include "reconciler/settings.h"
#include "reconciler/supervisor.h"
#include "reconciler/version.h"

/* A term and what it means: an item of one of the page's lists. */
struct item {
    const char *macro; /* mdoc's word for such a term */
    const char *term;
    const char *text;
};

static const struct item environment[] = {
    {"Ev", "KONG_*", "Settings: the name in capitals behind KONG_. See SETTINGS."},
    {"Ev", "NO_COLOR", "If it is not empty, text is never coloured."},
    {"Ev", "XDG_STATE_HOME",
     "Unless prefix is set, the state of a user other than root lies in reconcert below it; it "
     "defaults to ~/.local/state."},
    {NULL, NULL, NULL},
};

static const struct item files[] = {
    {"Pa", "PREFIX",
     "The folder that the setting prefix names: keys, certificates, accounts, open "
     "orders. For its owner's eyes only."},
    {"Pa", "PREFIX/control.sock", "The running server's socket, through which status asks."},
    {NULL, NULL, NULL},
};

static const struct item examples[] = {
    {"Ql", "reconcert check kong.yaml", "What is wrong with the file, and where."},
    {"Ql", "reconcert diff kong.yaml", "What would be ordered, and why; nothing is."},
    {"Ql", "reconcert run kong.yaml", "Order it, serve it, watch the file."},
    {"Ql", "reconcert explain www.example.com kong.yaml",
     "Why this name has, or has not, a certificate."},
    {"Ql", "reconcert status", "What the running server has."},
    {NULL, NULL, NULL},
};

/*
 * Text as roff takes it: a backslash and a dash are spelled, a line may not begin with a control
 * character, and none is broken by us. An empty line is a new paragraph.
 */
static void print_text(struct str text, struct buf *out)
{
    bool is_line_start = true;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (is_line_start && (c == '.' || c == '\''))
            buf_cstr(out, "\\&");
        is_line_start = c == '\n';
        if (c == '\n' && i + 1 < text.len && text.ptr[i + 1] == '\n') {
            buf_cstr(out, "\n.Pp\n");
            i++;
        } else if (c == '\\') {
            buf_cstr(out, "\\e");
        } else if (c == '-') {
            buf_cstr(out, "\\-");
        } else {
            buf_char(out, c);
        }
    }
}

/* One argument of a macro, whatever it holds. */
static void print_argument(const char *text, struct buf *out)
{
    buf_cstr(out, "\"\\&");
    for (; *text; text++) {
        if (*text == '"')
            buf_cstr(out, "\"\"");
        else
            print_text((struct str){text, 1}, out);
    }
    buf_char(out, '"');
}

static void print_item(const char *macro, const char *term, const char *text, struct buf *out)
{
    buf_printf(out, ".It %s ", macro);
    print_argument(term, out);
    buf_char(out, '\n');
    print_text(str_from(text), out);
    buf_char(out, '\n');
}

static void print_items(const char *section, const struct item *items, struct buf *out)
{
    buf_printf(out, ".Sh %s\n.Bl -tag -width Ds\n", section);
    for (; items->term; items++)
        print_item(items->macro, items->term, items->text, out);
    buf_cstr(out, ".El\n");
}

static void print_verb(const struct verb *v, struct buf *out)
{
    const struct option_row *options = option_rows();
    bool is_first = true;

    buf_printf(out, ".It Cm %s Op Ar OPTION ...", v->name);
    if (*v->operands) {
        buf_cstr(out, " Ar ");
        print_argument(v->operands, out);
    }
    buf_char(out, '\n');
    print_text(str_from(v->description), out);
    buf_cstr(out, "\n.Pp\nOptions:");
    for (unsigned id = 0; id < OPTION_COUNT; id++) {
        if (!(v->options & OPTION_BIT(id)))
            continue;
        buf_printf(out, "%s\n.Fl Fl ", is_first ? "" : " ,");
        print_text(str_from(options[id].name), out);
        is_first = false;
    }
    buf_cstr(out, " .\n.Pp\nExit codes:\n.Bl -tag -width 64 -compact\n");
    for (size_t i = 0; i < VERB_EXITS_MAX && v->exits[i].text; i++) {
        buf_printf(out, ".It %d\n", v->exits[i].code);
        print_text(str_from(v->exits[i].text), out);
        buf_char(out, '\n');
    }
    buf_cstr(out, ".El\n");
}

static void print_option(const struct option_row *row, struct buf *out)
{
    buf_cstr(out, ".It ");
    if (row->letter)
        buf_printf(out, "Fl %c , ", row->letter);
    buf_cstr(out, "Fl Fl ");
    print_text(str_from(row->name), out);
    if (row->argument) {
        buf_cstr(out, " Ns = Ns Ar ");
        print_argument(row->argument, out);
    }
    buf_char(out, '\n');
    print_text(str_from(row->help), out);
    buf_cstr(out, ".\n");
}

static void print_settings(struct buf *out)
{
    buf_cstr(out, ".Sh SETTINGS\n");
    print_text(str_from(verb_settings_text()), out);
    buf_cstr(out, "\n.Bl -tag -width Ds\n");
    for (const struct settings_row *row = settings_rows(); row->name; row++) {
        buf_cstr(out, ".It Va ");
        print_argument(row->name, out);
        if (*row->value) {
            buf_cstr(out, " No = ");
            print_argument(row->value, out);
        }
        buf_char(out, '\n');
        print_text(str_from(row->help), out);
        if (row->comes_later)
            print_text(STR(VERB_LATER_TEXT), out);
        buf_char(out, '\n');
    }
    buf_cstr(out, ".El\n");
}

static void print_signals(struct buf *out)
{
    buf_cstr(out, ".Sh SIGNALS\nA server takes these:\n.Bl -tag -width SIGTERM\n");
    buf_printf(out,
               ".It Dv SIGTERM , SIGQUIT\nFinish what runs, at most %d seconds, then end.\n"
               ".It Dv SIGINT\nThe same, at most %d seconds.\n",
               SUPERVISOR_DRAIN_MS / 1000, SUPERVISOR_QUICK_MS / 1000);
    buf_cstr(out, ".It Dv SIGHUP\nRead the declarative file again, changed or not.\n"
                  ".It Dv SIGUSR2\nReplace the program by the one that now lies in its place, "
                  "without closing a listener.\n.El\n");
}

void manual_print(struct buf *out)
{
    const struct option_row *options = option_rows();

    buf_cstr(out, ".\\\" Made by 'reconcert help --man'.\n"
                  ".Dd " VERSION_DATE "\n.Dt RECONCERT 1\n.Os reconcert " VERSION_TEXT "\n"
                  ".Sh NAME\n.Nm reconcert\n"
                  ".Nd certificates that follow a Kong declarative file\n"
                  ".Sh SYNOPSIS\n.Nm\n.Ar VERB\n.Op Ar OPTION ...\n.Op Ar FILE ...\n"
                  ".Sh DESCRIPTION\n.Nm\n"
                  "reads a Kong declarative file, works out which certificates it asks for,\n"
                  "obtains and renews them over ACME (RFC 8555), answers the challenges and\n"
                  "serves the certificates by SNI. It needs no database.\n.Pp\n");
    print_text(str_from(verb_file_text()), out);
    buf_cstr(out, "\n.Sh VERBS\n.Bl -tag -width Ds\n");
    for (const struct verb *v = verb_rows(); v->name; v++)
        print_verb(v, out);
    buf_cstr(out, ".El\n.Sh OPTIONS\nThey may stand before or after the operands; "
                  "\\-\\- ends them.\n.Bl -tag -width Ds\n");
    for (unsigned id = 0; id < OPTION_COUNT; id++)
        print_option(&options[id], out);
    buf_cstr(out, ".El\n");
    print_settings(out);
    print_items("ENVIRONMENT", environment, out);
    print_items("FILES", files, out);
    buf_cstr(out, ".Sh EXIT STATUS\n.Nm\nreturns 0 when it is done, 1 when the file is invalid or "
                  "the work failed, and 64 for\n");
    print_text(str_from(verb_usage_text()), out);
    buf_cstr(out, ".\nWhat else a verb returns stands with it.\n");
    print_signals(out);
    print_items("EXAMPLES", examples, out);
    buf_cstr(out,
             ".Sh STANDARDS\nRFC 8555, Automatic Certificate Management Environment (ACME).\n");
}
