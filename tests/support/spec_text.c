#include "tests/support/spec_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRINTED_MAX ((size_t)64 << 20)

static void *needed(void *memory)
{
    if (!memory)
        BUG("a test ran out of memory");
    return memory;
}

void spec_text_open_all(struct spec_text *t, const struct spec_source *sources, size_t count,
                        const struct spec_options *options)
{
    static const struct spec_options none = {0};

    *t = (struct spec_text){.printed = BUF_INIT(PRINTED_MAX)};
    t->arena = needed(arena_new(NULL));
    t->detail = needed(spec_detail_new());
    if (problems_init(&t->problems))
        BUG("a test ran out of memory");
    t->rc = spec_load_detail(sources, count, options ? options : &none, t->arena, &t->model,
                             &t->problems, t->detail, &t->error);
    problems_print_text(&t->problems, &t->printed);
}

void spec_text_open(struct spec_text *t, const char *yaml, const struct spec_options *options)
{
    struct spec_source source = {.name = "kong.yaml", .bytes = str_from(yaml)};

    spec_text_open_all(t, &source, 1, options);
}

void spec_text_close(struct spec_text *t)
{
    spec_detail_free(t->detail);
    problems_fini(&t->problems);
    arena_free(t->arena);
    buf_free(&t->printed);
}

/* Without the file's name in front of each line. */
static void strip_name(struct buf *out, struct str text)
{
    while (text.len) {
        struct str rest, line = str_cut(text, '\n', &rest);

        if (str_starts(line, STR("kong.yaml:")))
            line = str_slice(line, sizeof("kong.yaml:") - 1, line.len);
        buf_str(out, str_trim(line));
        buf_char(out, '\n');
        text = rest;
    }
}

bool spec_text_says_with(const char *yaml, const char *problems, const struct spec_options *options)
{
    struct buf text = BUF_INIT(PRINTED_MAX), said = BUF_INIT(PRINTED_MAX);
    struct spec_text t;
    bool is_right;

    buf_printf(&text, "_format_version: \"3.0\"\n%s", yaml);
    spec_text_open(&t, text.data, options);
    strip_name(&said, buf_view(&t.printed));
    is_right = str_equal(buf_view(&said), str_from(problems)) &&
               (t.rc == 0) == (t.problems.error_count == 0);
    if (!is_right)
        printf("\n--- for\n%s\n--- wanted\n%s--- said\n%.*s", yaml, problems,
               STR_ARG(buf_view(&said)));
    spec_text_close(&t);
    buf_free(&text);
    buf_free(&said);
    return is_right;
}

bool spec_text_says(const char *yaml, const char *problems)
{
    return spec_text_says_with(yaml, problems, NULL);
}
