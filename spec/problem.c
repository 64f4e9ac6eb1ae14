#include "problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "spec/mask.h"

#define PROBLEM_TEXT_MAX 1024

int problems_init(struct problems *p)
{
    *p = (struct problems){0};
    p->arena = arena_new(&(struct arena_options){.secret = true}); /* sentences quote values */
    return p->arena ? 0 : -1;
}

void problems_fini(struct problems *p)
{
    free(p->items);
    free(p->files);
    arena_free(p->arena);
    *p = (struct problems){0};
}

int problems_add_file(struct problems *p, const char *name, bool hides_text)
{
    struct problem_file *files = realloc(p->files, (p->file_count + 1) * sizeof(*files));
    struct str copy;

    if (!files)
        return -1;
    p->files = files;
    copy = arena_str(p->arena, str_from(name ? name : "-"));
    if (!copy.ptr)
        return -1;
    files[p->file_count++] = (struct problem_file){copy.ptr, hides_text};
    return 0;
}

static int make_room(struct problems *p)
{
    size_t cap = p->cap ? p->cap * 2 : 16;
    struct problem *items;

    if (p->count < p->cap)
        return 0;
    items = realloc(p->items, cap * sizeof(*items));
    if (!items)
        return -1;
    p->items = items;
    p->cap = cap;
    return 0;
}

static struct str copy_of(struct problems *p, struct str s)
{
    return s.ptr ? arena_str(p->arena, s) : STR_NONE;
}

static const char *severity_name(enum problem_severity severity)
{
    static const char *const names[] = {
        [PROBLEM_ERROR] = "error", [PROBLEM_WARNING] = "warning", [PROBLEM_NOTE] = "note"};

    return names[severity];
}

static size_t *count_of(struct problems *p, enum problem_severity severity)
{
    if (severity == PROBLEM_ERROR)
        return &p->error_count;
    return severity == PROBLEM_WARNING ? &p->warning_count : &p->note_count;
}

void problems_count(struct problems *p, enum problem_severity severity, size_t count)
{
    *count_of(p, severity) += count;
    p->truncated += count;
}

/* What does not parse may be no configuration at all, but a file that we were led to. */
static void hide_text(const struct problems *p, struct problem *kept)
{
    if (kept->place.file >= p->file_count || !p->files[kept->place.file].hides_text)
        return;
    if (str_starts(kept->message, STR("unknown field")) ||
        str_starts(kept->message, STR("key given twice"))) {
        kept->path = kept->field = STR("");
    } else if (!kept->entity && !kept->path.len && kept->place.line) {
        kept->message = STR("does not parse; what stands there is not told, for the file's owner "
                            "is another user");
        kept->kong = STR_NONE;
    }
}

void problems_put(struct problems *p, const struct problem *problem)
{
    struct problem *kept;

    if (problems_are_full(p) || make_room(p)) {
        problems_count(p, problem->severity, 1);
        return;
    }
    (*count_of(p, problem->severity))++;
    kept = &p->items[p->count++];
    *kept = *problem;
    hide_text(p, kept);
    kept->path = copy_of(p, kept->path);
    kept->message = copy_of(p, kept->message);
    kept->field = copy_of(p, kept->field);
    kept->kong = copy_of(p, kept->kong);
}

void problems_add(struct problems *p, enum problem_severity severity, struct place place,
                  struct str path, const char *format, ...)
{
    char text[PROBLEM_TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    problems_put(p, &(struct problem){.severity = severity,
                                      .place = place,
                                      .path = path.ptr ? path : STR(""),
                                      .message = str_from(text)});
}

static struct str masked(struct problems *p, const struct mask_values *values, struct str text)
{
    struct buf out = BUF_SECRET(SIZE_MAX / 2);
    struct str copy;

    mask_text(values, text, &out);
    copy = out.failed ? STR_NONE : arena_str(p->arena, buf_view(&out));
    buf_free(&out);
    return copy.ptr ? copy : STR(MASK);
}

void problems_mask(struct problems *p, const struct mask_values *values)
{
    for (size_t i = 0; values->len && i < p->count; i++) {
        struct problem *one = &p->items[i];

        one->path = masked(p, values, one->path);
        if (!mask_is_in(values, one->message) && !(one->kong.ptr && mask_is_in(values, one->kong)))
            continue;
        if (!one->kong.ptr)
            one->kong = one->message;
        one->message = masked(p, values, one->message);
        one->is_masked = true;
    }
}

static int compare_numbers(uint32_t a, uint32_t b)
{
    return a < b ? -1 : a > b;
}

static int compare(const void *left, const void *right)
{
    const struct problem *a = left, *b = right;
    int order = compare_numbers(a->place.file, b->place.file);

    if (!order)
        order = compare_numbers(a->place.line, b->place.line);
    if (!order)
        order = compare_numbers(a->place.column, b->place.column);
    if (!order)
        order = str_compare(a->path, b->path);
    if (!order)
        order = str_compare(a->message, b->message);
    return order ? order : compare_numbers(a->severity, b->severity);
}

void problems_sort(struct problems *p)
{
    size_t kept = 0;

    if (p->count)
        qsort(p->items, p->count, sizeof(*p->items), compare);
    for (size_t i = 0; i < p->count; i++) {
        if (kept && compare(&p->items[kept - 1], &p->items[i]) == 0) {
            (*count_of(p, p->items[i].severity))--;
            continue;
        }
        p->items[kept++] = p->items[i];
    }
    p->count = kept;
}

static const char *file_name(const struct problems *p, const struct problem *problem)
{
    return problem->place.file < p->file_count ? p->files[problem->place.file].name : "-";
}

void problems_print_line(const struct problems *p, struct place here, struct place there,
                         struct buf *out)
{
    if (there.file != here.file && there.file < p->file_count)
        buf_printf(out, "%s, ", p->files[there.file].name);
    buf_printf(out, "line %u", there.line);
}

/* Safe for a terminal; but quotes and backslashes within a sentence stay as they are: people, and
 * programs that know Kong's texts, look for a regex as it was written. */
static void print_sentence(struct buf *out, struct str text)
{
    size_t from = 0;

    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '"' || text.ptr[i] == '\\') {
            buf_escaped(out, str_slice(text, from, i));
            buf_char(out, text.ptr[i]);
            from = i + 1;
        }
    buf_escaped(out, str_slice(text, from, text.len));
}

void problems_print_text(const struct problems *p, struct buf *out)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct problem *one = &p->items[i];

        buf_escaped(out, str_from(file_name(p, one)));
        if (one->place.line)
            buf_printf(out, ":%u:%u", one->place.line, one->place.column);
        if (one->severity != PROBLEM_ERROR)
            buf_printf(out, ": %s", severity_name(one->severity));
        buf_cstr(out, ": ");
        if (one->path.len) {
            print_sentence(out, one->path);
            buf_cstr(out, ": ");
        }
        print_sentence(out, one->message);
        buf_char(out, '\n');
    }
    if (p->truncated)
        buf_printf(out, "and %s%zu more\n", problems_are_enough(p) ? "at least " : "",
                   p->truncated);
}

void problems_print_json(const struct problems *p, struct json_out *out)
{
    json_out_array(out);
    for (size_t i = 0; i < p->count; i++) {
        const struct problem *one = &p->items[i];

        json_out_object(out);
        json_out_member_cstr(out, "severity", severity_name(one->severity));
        json_out_member_cstr(out, "file", file_name(p, one));
        if (one->place.line) {
            json_out_member_int(out, "line", one->place.line);
            json_out_member_int(out, "column", one->place.column);
        } else {
            json_out_member_null(out, "line");
            json_out_member_null(out, "column");
        }
        json_out_member_str(out, "path", one->path);
        json_out_member_str(out, "message", one->message);
        json_out_end(out);
    }
    json_out_end(out);
}
