#include "reconciler/cli/text/manual.h"

#include <string.h>

#include "reconciler/cli/verb.h"
#include "reconciler/settings/settings.h"
#include "reconciler/supervisor/supervisor.h"
#include "reconciler/base/version.h"

#define MANUAL_LINE_MAX 70
#define MANUAL_SENTENCE_MAX 4096

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

/* One character as roff takes it. */
static void print_char(char c, struct buf *out)
{
    static const struct {
        char c;
        const char *spelled;
    } special[] = {
        {'\\', "\\e"}, {'-', "\\-"}, {'`', "\\(ga"}, {'^', "\\(ha"}, {'~', "\\(ti"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(special); i++)
        if (special[i].c == c) {
            buf_cstr(out, special[i].spelled);
            return;
        }
    buf_char(out, c);
}

/* Words as lines of the source: a sentence or 70 bytes each, none beginning with a control
 * character. */
static void print_paragraph(struct str text, struct buf *out)
{
    size_t line_at = out->len;

    while (text.len) {
        struct str word = str_cut(text, ' ', &text);
        bool ends = word.len && strchr(".?!", word.ptr[word.len - 1]);

        if (out->len == line_at && word.len && strchr(".'", word.ptr[0]))
            buf_cstr(out, "\\&");
        for (size_t i = 0; i < word.len; i++)
            print_char(word.ptr[i], out);
        if (!text.len)
            return;
        if (ends || out->len - line_at + str_find(text, ' ', 0) > MANUAL_LINE_MAX) {
            buf_char(out, '\n');
            line_at = out->len;
        } else {
            buf_char(out, ' ');
        }
    }
}

/* Text with an empty line between its paragraphs; ends without a line break. */
static void print_text(struct str text, struct buf *out)
{
    while (text.len) {
        struct str paragraph = str_cut(text, '\n', &text);

        print_paragraph(paragraph, out);
        if (text.len && text.ptr[0] == '\n') {
            buf_cstr(out, "\n.Pp\n");
            text = str_slice(text, 1, text.len);
        }
    }
}

/* A phrase from a table as a sentence of its own. */
static void print_sentence(const char *phrase, struct buf *out)
{
    struct buf text = BUF_INIT(MANUAL_SENTENCE_MAX);

    buf_printf(&text, "%c%s.",
               phrase[0] >= 'a' && phrase[0] <= 'z' ? phrase[0] - 'a' + 'A' : phrase[0],
               phrase + 1);
    print_text(buf_view(&text), out);
    buf_char(out, '\n');
    buf_free(&text);
}

/* One argument of a macro, whatever it holds. */
static void print_argument(const char *text, struct buf *out)
{
    buf_cstr(out, "\"\\&");
    for (; *text; text++) {
        if (*text == '"')
            buf_cstr(out, "\"\"");
        else
            print_char(*text, out);
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

    buf_printf(out, ".It Cm %s Oo Ar OPTION ... Oc", v->name);
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
        if (id == OPTION_FORMAT) {
            buf_cstr(out, " Ns = Ns Ar ");
            verb_print_formats(v, "|", out);
        }
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
        buf_cstr(out, row->absent ? " Ns Oo Ns = Ns Ar " : " Ns = Ns Ar ");
        print_argument(row->argument, out);
        buf_cstr(out, row->absent ? " Oc" : "");
    }
    buf_char(out, '\n');
    print_sentence(row->help, out);
}

static void print_settings(struct buf *out)
{
    struct buf text = BUF_INIT(MANUAL_SENTENCE_MAX);

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
        buf_clear(&text);
        buf_printf(&text, "%s%s", row->help, row->comes_later ? VERB_LATER_TEXT : "");
        print_text(buf_view(&text), out);
        buf_char(out, '\n');
    }
    buf_free(&text);
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
                  ".It Dv SIGUSR2\nReplace the program by the one that now lies in its place,\n"
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
                  "serves the certificates by SNI.\nIt needs no database.\n.Pp\n");
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
    buf_cstr(out, ".Sh EXIT STATUS\n.Nm\n"
                  "returns 0 when it is done, 1 when the file is invalid or the work\n"
                  "failed, and 64 for\n");
    print_text(str_from(verb_usage_text()), out);
    buf_cstr(out, ".\nWhat else a verb returns stands with it.\n");
    print_signals(out);
    print_items("EXAMPLES", examples, out);
    buf_cstr(out,
             ".Sh STANDARDS\nRFC 8555, Automatic Certificate Management Environment (ACME).\n");
}
