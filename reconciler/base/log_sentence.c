#include "log_sentence.h"

#include <string.h>

#include "clock.h"

#define FAR_SECONDS ((int64_t)2 * 86400) /* from here on a date says enough */

/* Whom it is about, the field `name`, stands before every sentence. */

static const struct field *find_field(const struct happening *h, struct str key)
{
    for (size_t i = 0; i < ARRAY_LENGTH(h->fields); i++)
        for (const struct field *f = h->fields[i]; f && f->key; f++)
            if (str_equal_cstr(key, f->key))
                return f;
    return NULL;
}

/* Of a time near now the time of day, else the date. */
static void print_time(struct buf *out, int64_t at, int64_t now)
{
    if (at - now < FAR_SECONDS && now - at < FAR_SECONDS)
        buf_printf(out, "at %.8s", clock_text(at).text + strlen("2026-11-24T"));
    else
        buf_printf(out, "%.10s", clock_text(at).text);
}

static void print_value(struct buf *out, const struct field *f, int64_t now)
{
    int64_t at;

    if (f && f->kind == FIELD_NUMBER)
        buf_printf(out, "%lld", (long long)f->number);
    else if (!f || !f->text.len)
        buf_char(out, '-');
    else if (clock_parse(f->text, &at) == 0)
        print_time(out, at, now);
    else
        buf_escaped(out, f->text);
}

static void print_sentence(struct buf *out, const struct happening *h, struct str sentence)
{
    while (sentence.len) {
        size_t open = str_find(sentence, '{', 0), close = str_find(sentence, '}', open);

        buf_str(out, str_slice(sentence, 0, open));
        if (open < sentence.len)
            print_value(out, find_field(h, str_slice(sentence, open + 1, close)), h->at);
        sentence = str_slice(sentence, close + 1, sentence.len);
    }
}

/* "serve failed: out of memory (kind memory)" */
static void print_plain(struct buf *out, const struct happening *h)
{
    const struct field *error = find_field(h, STR("error"));
    const char *between = " (";

    for (const char *c = happening_word(h->name); *c; c++)
        buf_char(out, *c == '_' ? ' ' : *c);
    if (error) {
        buf_cstr(out, ": ");
        print_value(out, error, h->at);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(h->fields); i++)
        for (const struct field *f = h->fields[i]; f && f->key; f++) {
            if (f == error || strcmp(f->key, "name") == 0)
                continue;
            buf_printf(out, "%s%s ", between, f->key);
            print_value(out, f, h->at);
            between = ", ";
        }
    buf_cstr(out, *between == ',' ? ")" : "");
}

void log_sentence_print(struct buf *out, const struct happening *h)
{
    const struct field *name = find_field(h, STR("name"));
    const char *sentence = happening_sentence(h->name);

    buf_printf(out, "%.8s %s", clock_text(h->at).text + strlen("2026-11-24T"),
               h->level >= LOG_ERROR  ? "error: "
               : h->level == LOG_WARN ? "warning: "
                                      : "");
    if (name) {
        buf_escaped(out, name->text);
        buf_cstr(out, ": ");
    }
    if (sentence)
        print_sentence(out, h, str_from(sentence));
    else
        print_plain(out, h);
}
