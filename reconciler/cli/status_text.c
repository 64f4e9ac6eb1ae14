#include "reconciler/cli/status_text.h"

#include "reconciler/cli/reading.h"
#include "reconciler/core/render.h"

#define RESET "\033[0m"

enum column { COLUMN_NAME, COLUMN_STATE, COLUMN_ISSUER, COLUMN_EXPIRES, COLUMN_NEXT, COLUMN_COUNT };

static const char *const titles[COLUMN_COUNT] = {"NAME", "STATE", "ISSUER", "EXPIRES", "NEXT"};

static const struct state {
    const char *name;
    const char *colour;
    bool wants_words; /* something is wrong: the reason gets a line */
} states[] = {
    {"valid", "\033[32m", false},  {"pending", "\033[33m", false}, {"due", "\033[33m", false},
    {"failing", "\033[31m", true}, {"blocked", "\033[31m", true},  {"expired", "\033[31m", true},
    {"revoked", "\033[31m", true}, {"retired", "", false},
};

/* The parsed answer, and where it is printed to. */
struct page {
    struct reading reading;
    const struct status_text_options *options;
    struct buf *out;
    struct buf cell; /* the one that is being measured or printed */
    size_t widths[COLUMN_COUNT];
};

/* ---- the table ---- */

static void fill_cell(struct page *p, const struct document_node *certificate, enum column column)
{
    const struct document_node *next = reading_get(&p->reading, certificate, "next");
    struct str at = reading_text(&p->reading, next, "at");

    buf_clear(&p->cell);
    switch (column) {
    case COLUMN_NAME:
        render_outside(reading_text(&p->reading, certificate, "name"), &p->cell);
        break;
    case COLUMN_STATE:
        render_outside(reading_text(&p->reading, certificate, "state"), &p->cell);
        break;
    case COLUMN_ISSUER:
        render_outside(reading_text(&p->reading, certificate, "issuer"), &p->cell);
        break;
    case COLUMN_EXPIRES:
        render_outside(reading_text(&p->reading, certificate, "not_after"), &p->cell);
        break;
    default:
        render_outside(reading_text(&p->reading, next, "action"), &p->cell);
        buf_cstr(&p->cell, at.len ? " " : "");
        render_outside(at, &p->cell);
        break;
    }
    if (!p->cell.len)
        buf_char(&p->cell, '-');
}

/* Characters, not bytes: an issuer's name may be in any script. */
static size_t cell_width(struct str cell)
{
    size_t width = 0;

    for (size_t i = 0; i < cell.len; i++)
        width += ((unsigned char)cell.ptr[i] & 0xc0) != 0x80;
    return width;
}

static void measure(struct page *p, const struct document_node *certificates, size_t count)
{
    for (int c = 0; c < COLUMN_COUNT; c++)
        p->widths[c] = str_from(titles[c]).len;
    for (size_t i = 0; i < count; i++)
        for (int c = 0; c < COLUMN_COUNT; c++) {
            fill_cell(p, &certificates[i], (enum column)c);
            size_t width = cell_width(buf_view(&p->cell));
            if (width > p->widths[c] && width <= STATUS_TEXT_CELL_MAX)
                p->widths[c] = width;
        }
}

static const struct state *find_state(struct str name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++)
        if (str_equal_cstr(name, states[i].name))
            return &states[i];
    return NULL;
}

static void print_cell(struct page *p, int column, const char *colour)
{
    size_t width = cell_width(buf_view(&p->cell));

    buf_cstr(p->out, colour);
    buf_str(p->out, buf_view(&p->cell));
    if (*colour)
        buf_cstr(p->out, RESET);
    if (column == COLUMN_COUNT - 1) {
        buf_char(p->out, '\n');
        return;
    }
    for (buf_cstr(p->out, "  "); width < p->widths[column]; width++)
        buf_char(p->out, ' ');
}

/* Under a certificate that is not as it should be: why, and what the CA said. */
static void print_words(struct page *p, const struct document_node *certificate)
{
    struct str because = reading_text(
        &p->reading,
        reading_get(&p->reading, reading_get(&p->reading, certificate, "next"), "because"), "text");
    struct str said = reading_text(&p->reading, certificate, "last_error");
    int64_t failures = reading_number(&p->reading, certificate, "failures");

    if (because.len) {
        buf_cstr(p->out, "    ");
        render_outside(because, p->out);
        buf_char(p->out, '\n');
    }
    if (said.len) {
        buf_printf(p->out, failures == 1 ? "    failed once: " : "    failed %lld times, last: ",
                   (long long)failures);
        render_outside(said, p->out);
        buf_char(p->out, '\n');
    }
}

static void print_known(struct str value, struct buf *out)
{
    render_outside(value.len ? value : STR("-"), out);
}

static void print_details(struct page *p, const struct document_node *certificate)
{
    size_t count;
    const struct document_node *places =
        reading_list(&p->reading, certificate, "declared_at", &count);

    buf_cstr(p->out, "    ");
    print_known(reading_text(&p->reading, certificate, "key_type"), p->out);
    buf_cstr(p->out, " from ");
    print_known(reading_text(&p->reading, certificate, "ca"), p->out);
    for (size_t i = 0; i < count; i++) {
        buf_cstr(p->out, i ? ", " : "; declared at ");
        if (document_is_string(&places[i]))
            render_outside(document_text(&places[i]), p->out);
    }
    buf_char(p->out, '\n');
}

/* A wait that nothing is wrong with, and that somebody may want to do something about. */
static bool is_held(const struct page *p, const struct document_node *certificate)
{
    const struct document_node *next = reading_get(&p->reading, certificate, "next");
    struct str reason =
        reading_text(&p->reading, reading_get(&p->reading, next, "because"), "reason");

    return str_equal_cstr(reason, plan_reason_id(REASON_APPROVAL)) ||
           str_equal_cstr(reason, plan_reason_id(REASON_BUDGET));
}

static void print_certificate(struct page *p, const struct document_node *certificate)
{
    const struct state *state = find_state(reading_text(&p->reading, certificate, "state"));

    for (int c = 0; c < COLUMN_COUNT; c++) {
        bool is_coloured = c == COLUMN_STATE && state && p->options->colour;
        fill_cell(p, certificate, (enum column)c);
        print_cell(p, c, is_coloured ? state->colour : "");
    }
    if ((state && state->wants_words) || is_held(p, certificate))
        print_words(p, certificate);
    if (p->options->verbose)
        print_details(p, certificate);
}

static void print_certificates(struct page *p)
{
    size_t count;
    const struct document_node *items =
        reading_list(&p->reading, &p->reading.root, "certificates", &count);

    if (!count) {
        buf_cstr(p->out, "No certificates.\n");
        return;
    }
    measure(p, items, count);
    for (int c = 0; c < COLUMN_COUNT; c++) {
        buf_clear(&p->cell);
        buf_cstr(&p->cell, titles[c]);
        print_cell(p, c, "");
    }
    for (size_t i = 0; i < count; i++)
        print_certificate(p, &items[i]);
}

/* ---- what is wrong with the file and with the server ---- */

static void print_problems(struct page *p)
{
    size_t count;
    const struct document_node *items =
        reading_list(&p->reading, &p->reading.root, "problems", &count);

    if (count)
        buf_cstr(p->out, "\nProblems of the file:\n");
    for (size_t i = 0; i < count; i++) {
        struct str path = reading_text(&p->reading, &items[i], "path");
        int64_t line = reading_number(&p->reading, &items[i], "line");

        buf_cstr(p->out, "  ");
        render_outside(reading_text(&p->reading, &items[i], "file"), p->out);
        if (line)
            buf_printf(p->out, ":%lld:%lld", (long long)line,
                       (long long)reading_number(&p->reading, &items[i], "column"));
        if (str_equal_cstr(reading_text(&p->reading, &items[i], "severity"), "warning"))
            buf_cstr(p->out, ": warning");
        buf_cstr(p->out, path.len ? ": " : "");
        render_outside(path, p->out);
        buf_cstr(p->out, ": ");
        render_outside(reading_text(&p->reading, &items[i], "message"), p->out);
        buf_char(p->out, '\n');
    }
}

static void print_conditions(struct page *p)
{
    size_t count;
    const struct document_node *items =
        reading_list(&p->reading, &p->reading.root, "conditions", &count);

    if (count)
        buf_cstr(p->out, "\nConditions:\n");
    for (size_t i = 0; i < count; i++) {
        buf_cstr(p->out, "  ");
        render_outside(reading_text(&p->reading, &items[i], "condition"), p->out);
        buf_cstr(p->out, " since ");
        render_outside(reading_text(&p->reading, &items[i], "since"), p->out);
        buf_cstr(p->out, ": ");
        render_outside(reading_text(&p->reading, &items[i], "text"), p->out);
        buf_char(p->out, '\n');
    }
}

int status_text_print(struct str body, const struct status_text_options *options, struct buf *out,
                      struct error *e)
{
    struct page p = {.options = options, .out = out};
    int rc = -1;

    p.cell = BUF_INIT(out->max);
    if (reading_open(&p.reading, body, e)) {
        if (e->kind != ERROR_MEMORY)
            error_set(e, ERROR_PROTOCOL, "the server's answer is not a status");
        goto out;
    }
    print_certificates(&p);
    print_problems(&p);
    print_conditions(&p);
    rc = out->failed || p.cell.failed ? error_memory(e) : 0;
out:
    buf_free(&p.cell);
    reading_close(&p.reading);
    return rc;
}
