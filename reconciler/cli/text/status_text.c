#include "reconciler/cli/text/status_text.h"

#include <string.h>

#include "reconciler/base/clock.h"
#include "reconciler/control/reading.h"
#include "reconciler/core/render.h"

#define RESET "\033[0m"
#define NEAR_SECONDS ((int64_t)2 * 86400) /* from here on a date says enough */
#define WORDS_INDENT 4
#define LIST_INDENT 2

enum column { COLUMN_NAME, COLUMN_STATE, COLUMN_ISSUER, COLUMN_EXPIRES, COLUMN_NEXT, COLUMN_COUNT };

static const char *const titles[COLUMN_COUNT] = {"NAME", "STATE", "ISSUER", "EXPIRES", "NEXT"};

static const struct state {
    const char *name;
    const char *colour;
    bool is_fault; /* the reason gets a line, and --exit-code tells it */
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
    struct str told; /* the failure that was printed last */
};

/* ---- times ---- */

/* "in 59d", "3h ago". */
static void print_distance(int64_t seconds, struct buf *out)
{
    static const struct {
        int64_t unit, below;
        char letter;
    } units[] = {
        {1, 120, 's'}, {60, 7200, 'm'}, {3600, NEAR_SECONDS, 'h'}, {86400, INT64_MAX, 'd'}};
    int64_t size = seconds < 0 ? -seconds : seconds;
    size_t i = 0;

    while (size >= units[i].below)
        i++;
    buf_printf(out, "%s%lld%c%s", seconds <= 0 ? "" : "in ", (long long)(size / units[i].unit),
               units[i].letter, seconds <= 0 ? " ago" : "");
}

/* The date, or for what is near the time of day, and how far away it is. */
static void print_when(struct str time, int64_t now, struct buf *out)
{
    int64_t at;

    if (!time.len || clock_parse(time, &at)) {
        render_outside(time, out);
        return;
    }
    if (at - now < NEAR_SECONDS && now - at < NEAR_SECONDS)
        buf_printf(out, "%.5sZ ", clock_text(at).text + strlen("2026-11-24T"));
    else
        buf_printf(out, "%.10s ", clock_text(at).text);
    print_distance(at - now, out);
}

/* ---- lines that end where the screen does ---- */

/* Characters, not bytes: an issuer's name may be in any script. */
static size_t width_of(struct str text)
{
    size_t width = 0;

    for (size_t i = 0; i < text.len; i++)
        width += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return width;
}

/* So many characters of it at most, in bytes. */
static size_t bytes_of(struct str text, size_t width)
{
    size_t at = 0;

    while (at < text.len && (width || ((unsigned char)text.ptr[at] & 0xc0) == 0x80))
        width -= ((unsigned char)text.ptr[at++] & 0xc0) != 0x80;
    return at;
}

/* Where a line of that width ends: at the last blank, else in a word. */
static size_t line_end(struct str text, size_t width)
{
    size_t most = bytes_of(text, width);

    if (most == text.len)
        return most;
    for (size_t i = most; i > 0; i--)
        if (text.ptr[i] == ' ')
            return i;
    return most;
}

/* Lines of text that is escaped by now, `indent` to the right; all but the first two more. */
static void print_lines(const struct page *p, struct str text, size_t indent)
{
    size_t further = indent + 2;

    while (text.len) {
        size_t end = line_end(text, p->options->width - indent);

        buf_printf(p->out, "%*s", (int)indent, "");
        buf_str(p->out, str_slice(text, 0, end));
        buf_char(p->out, '\n');
        text = str_slice(text, end, text.len);
        while (text.len && text.ptr[0] == ' ')
            text = str_slice(text, 1, text.len);
        indent = further;
    }
}

/* ---- the table ---- */

static void fill_next(struct page *p, const struct document_node *certificate)
{
    const struct document_node *next = reading_get(&p->reading, certificate, "next");
    struct str action = reading_text(&p->reading, next, "action");
    struct str at = reading_text(&p->reading, next, "at");
    bool is_block = str_equal_cstr(action, plan_action_name(PLAN_BLOCK));

    /* What is blocked may be tried again all the same. */
    if (!is_block)
        render_outside(action, &p->cell);
    else if (at.len)
        buf_cstr(&p->cell, "try");
    buf_cstr(&p->cell, at.len ? " " : "");
    print_when(at, p->options->now, &p->cell);
}

static void fill_cell(struct page *p, const struct document_node *certificate, enum column column)
{
    static const char *const members[COLUMN_COUNT] = {
        [COLUMN_NAME] = "name", [COLUMN_STATE] = "state", [COLUMN_ISSUER] = "issuer"};

    buf_clear(&p->cell);
    if (column == COLUMN_NEXT)
        fill_next(p, certificate);
    else if (column == COLUMN_EXPIRES)
        print_when(reading_text(&p->reading, certificate, "not_after"), p->options->now, &p->cell);
    else
        render_outside(reading_text(&p->reading, certificate, members[column]), &p->cell);
    if (!p->cell.len)
        buf_char(&p->cell, '-');
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* What the other columns leave is shared: the name goes first, a little is the issuer's. */
static void fit(struct page *p)
{
    size_t *w = p->widths;
    size_t rest, issuer;

    w[COLUMN_STATE] = smaller(w[COLUMN_STATE], STATUS_TEXT_STATE_MAX);
    w[COLUMN_EXPIRES] = smaller(w[COLUMN_EXPIRES], STATUS_TEXT_TIME_MAX);
    w[COLUMN_NEXT] = smaller(w[COLUMN_NEXT], STATUS_TEXT_TIME_MAX);
    rest = p->options->width - w[COLUMN_STATE] - w[COLUMN_EXPIRES] - w[COLUMN_NEXT] -
           2 * (COLUMN_COUNT - 1);
    issuer = smaller(w[COLUMN_ISSUER], STATUS_TEXT_ISSUER_MIN);
    w[COLUMN_NAME] = smaller(w[COLUMN_NAME], rest - issuer);
    w[COLUMN_ISSUER] = smaller(w[COLUMN_ISSUER], rest - w[COLUMN_NAME]);
}

static void measure(struct page *p, const struct document_node *certificates, size_t count)
{
    for (int c = 0; c < COLUMN_COUNT; c++)
        p->widths[c] = strlen(titles[c]);
    for (size_t i = 0; i < count; i++)
        for (int c = 0; c < COLUMN_COUNT; c++) {
            fill_cell(p, &certificates[i], (enum column)c);
            size_t width = width_of(buf_view(&p->cell));
            if (width > p->widths[c])
                p->widths[c] = width;
        }
    fit(p);
}

static const struct state *find_state(struct str name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++)
        if (str_equal_cstr(name, states[i].name))
            return &states[i];
    return NULL;
}

/* A name that is longer than its column has a line of its own, anything else is cut. */
static void print_cell(struct page *p, int column, const char *colour)
{
    struct str cell = buf_view(&p->cell);
    size_t width = width_of(cell), most = p->widths[column];
    bool is_cut = width > most;

    if (is_cut && column == COLUMN_NAME) {
        print_lines(p, cell, 0);
        width = 0;
        cell = STR("");
    } else if (is_cut) {
        cell.len = bytes_of(cell, most - 1);
        width = most;
    }
    buf_cstr(p->out, colour);
    buf_str(p->out, cell);
    buf_cstr(p->out, is_cut && cell.len ? "…" : "");
    buf_cstr(p->out, *colour ? RESET : "");
    if (column == COLUMN_COUNT - 1)
        buf_char(p->out, '\n');
    else
        buf_printf(p->out, "%*s", (int)(most - width) + 2, "");
}

static void print_wrapped(struct page *p, struct str text, size_t indent)
{
    buf_clear(&p->cell);
    render_outside(text, &p->cell);
    print_lines(p, buf_view(&p->cell), indent);
}

/* What failed, unless the line before says so of another name. */
static void add_failure(struct page *p, struct str said, struct buf *line)
{
    bool is_told = p->told.len && str_equal(said, p->told);

    buf_str(line, is_told ? STR("as above") : said);
    p->told = said;
}

/* Under a certificate that is not as it should be: why, and what the CA said, once. */
static void print_words(struct page *p, const struct document_node *certificate)
{
    const struct document_node *next = reading_get(&p->reading, certificate, "next");
    struct str because =
        reading_text(&p->reading, reading_get(&p->reading, next, "because"), "text");
    struct str said = reading_text(&p->reading, certificate, "last_error");
    int64_t failures = reading_number(&p->reading, certificate, "failures");
    const char *found =
        said.len ? memmem(because.ptr ? because.ptr : "", because.len, said.ptr, said.len) : NULL;
    struct buf line = BUF_INIT(p->out->max);
    size_t at = found ? (size_t)(found - because.ptr) : because.len;

    buf_str(&line, str_slice(because, 0, at));
    if (found) {
        add_failure(p, said, &line);
        buf_str(&line, str_slice(because, at + said.len, because.len));
    }
    print_wrapped(p, buf_view(&line), WORDS_INDENT);
    if (said.len && !found) {
        buf_clear(&line);
        if (failures)
            buf_printf(&line, failures == 1 ? "failed once: " : "failed %lld times, last: ",
                       (long long)failures);
        else
            buf_cstr(&line, "the CA has not given up, and reports: ");
        add_failure(p, said, &line);
        print_wrapped(p, buf_view(&line), WORDS_INDENT);
    }
    buf_free(&line);
}

static void print_details(struct page *p, const struct document_node *certificate)
{
    static const struct {
        const char *before, *member;
    } parts[] = {{"", "key_type"}, {" from ", "ca"}, {", until ", "not_after"}};
    struct buf line = BUF_INIT(p->out->max);
    size_t count;
    const struct document_node *places =
        reading_list(&p->reading, certificate, "declared_at", &count);

    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        struct str value = reading_text(&p->reading, certificate, parts[i].member);
        buf_cstr(&line, parts[i].before);
        buf_str(&line, value.len ? value : STR("-"));
    }
    for (size_t i = 0; i < count; i++) {
        buf_cstr(&line, i ? ", " : "; declared at ");
        if (document_is_string(&places[i]))
            buf_str(&line, document_text(&places[i]));
    }
    print_wrapped(p, buf_view(&line), WORDS_INDENT);
    buf_free(&line);
}

/* A wait that nothing failed at yet, and that somebody may want to do something about. */
static bool is_held(const struct page *p, const struct document_node *certificate)
{
    const struct document_node *next = reading_get(&p->reading, certificate, "next");
    struct str reason =
        reading_text(&p->reading, reading_get(&p->reading, next, "because"), "reason");

    return str_equal_cstr(reason, plan_reason_id(REASON_APPROVAL)) ||
           str_equal_cstr(reason, plan_reason_id(REASON_BUDGET)) ||
           (reading_number(&p->reading, certificate, "failures") == 0 &&
            reading_text(&p->reading, certificate, "last_error").len);
}

static void print_certificate(struct page *p, const struct document_node *certificate)
{
    const struct state *state = find_state(reading_text(&p->reading, certificate, "state"));

    for (int c = 0; c < COLUMN_COUNT; c++) {
        bool is_coloured = c == COLUMN_STATE && state && p->options->colour;
        fill_cell(p, certificate, (enum column)c);
        print_cell(p, c, is_coloured ? state->colour : "");
    }
    if ((state && state->is_fault) || is_held(p, certificate))
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

static void fill_problem(const struct page *p, const struct document_node *problem,
                         struct buf *line)
{
    struct str path = reading_text(&p->reading, problem, "path");
    int64_t number = reading_number(&p->reading, problem, "line");

    buf_str(line, reading_text(&p->reading, problem, "file"));
    if (number)
        buf_printf(line, ":%lld:%lld", (long long)number,
                   (long long)reading_number(&p->reading, problem, "column"));
    if (str_equal_cstr(reading_text(&p->reading, problem, "severity"), "warning"))
        buf_cstr(line, ": warning");
    buf_cstr(line, path.len ? ": " : "");
    buf_str(line, path);
    buf_cstr(line, ": ");
    buf_str(line, reading_text(&p->reading, problem, "message"));
}

static void fill_condition(const struct page *p, const struct document_node *condition,
                           struct buf *line)
{
    struct str level = reading_text(&p->reading, condition, "level");
    struct str since = reading_text(&p->reading, condition, "since");
    struct str text = reading_text(&p->reading, condition, "text");
    int64_t at;

    buf_str(line, level.len ? level : STR("fault"));
    buf_cstr(line, ": ");
    buf_str(line, reading_text(&p->reading, condition, "condition"));
    buf_cstr(line, " since ");
    buf_str(line, since);
    if (since.len && clock_parse(since, &at) == 0) {
        buf_cstr(line, ", ");
        print_distance(at - p->options->now, line);
    }
    buf_cstr(line, ": ");
    /* What stops a server stops its names, which have told it by now. */
    buf_str(line, text.len && str_ends(p->told, text) ? STR("as above") : text);
}

static void print_list(struct page *p, const char *member, const char *title,
                       void (*fill)(const struct page *p, const struct document_node *item,
                                    struct buf *line))
{
    struct buf line = BUF_INIT(p->out->max);
    size_t count;
    const struct document_node *items = reading_list(&p->reading, &p->reading.root, member, &count);

    buf_cstr(p->out, count ? title : "");
    for (size_t i = 0; i < count; i++) {
        buf_clear(&line);
        fill(p, &items[i], &line);
        print_wrapped(p, buf_view(&line), LIST_INDENT);
    }
    buf_free(&line);
}

/* Is anything as it should not be? */
static bool has_fault(const struct reading *r)
{
    size_t count;
    const struct document_node *items = reading_list(r, &r->root, "certificates", &count);

    for (size_t i = 0; i < count; i++) {
        const struct state *state = find_state(reading_text(r, &items[i], "state"));
        if (state && state->is_fault)
            return true;
    }
    items = reading_list(r, &r->root, "conditions", &count);
    for (size_t i = 0; i < count; i++)
        if (!str_equal_cstr(reading_text(r, &items[i], "level"), "note"))
            return true;
    return false;
}

int status_text_print(struct str body, const struct status_text_options *options, struct buf *out,
                      bool *is_fault, struct error *e)
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
    print_list(&p, "problems", "\nProblems of the file:\n", fill_problem);
    print_list(&p, "conditions", "\nConditions:\n", fill_condition);
    *is_fault = has_fault(&p.reading);
    rc = out->failed || p.cell.failed ? error_memory(e) : 0;
out:
    buf_free(&p.cell);
    reading_close(&p.reading);
    return rc;
}
