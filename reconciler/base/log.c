#include "log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "json_out.h"
#include "log_sentence.h"
#include "log_sink.h"

#define LOG_LINE_MAX ((size_t)64 << 10)

static struct {
    const char *process;
    enum log_level level;
    enum log_format format;
    struct log_sink sink;
    uint64_t dropped; /* lines, since the last one that told it */
} state = {"reconcert", LOG_NOTICE, LOG_KEY_VALUE, .sink.fd = STDERR_FILENO};

static const char *const level_names[] = {"debug", "info", "notice", "warn", "error", "crit"};

struct log_field log_str(const char *key, struct str value)
{
    return (struct log_field){.key = key, .text = value};
}

struct log_field log_cstr(const char *key, const char *value)
{
    return log_str(key, str_from(value));
}

struct log_field log_int(const char *key, int64_t value)
{
    return (struct log_field){.key = key, .kind = LOG_NUMBER, .number = value};
}

struct log_field log_bool(const char *key, bool value)
{
    return (struct log_field){
        .key = key, .kind = LOG_BOOL, .text = value ? STR("true") : STR("false"), .number = value};
}

void log_open(const char *process, enum log_level level, enum log_format format)
{
    state.process = process;
    state.level = level;
    state.format = format;
    if (format == LOG_AUTO)
        state.format = isatty(STDERR_FILENO) == 1 ? LOG_SENTENCE : LOG_KEY_VALUE;
    log_sink_open(&state.sink, STDERR_FILENO);
}

void log_detach(void)
{
    log_sink_detach(STDERR_FILENO);
}

int log_level_from(const char *word, enum log_level *level)
{
    for (size_t i = 0; i < ARRAY_LENGTH(level_names); i++)
        if (strcmp(word, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return 0;
        }
    if (strcmp(word, "alert") != 0 && strcmp(word, "emerg") != 0)
        return -1;
    *level = LOG_CRIT;
    return 0;
}

static bool is_enabled(enum log_level level)
{
    return level >= state.level;
}

static bool needs_quotes(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] == '"' || s.ptr[i] == '=' || s.ptr[i] == '\\')
            return true;
    return s.len == 0;
}

static void print_text_field(struct buf *line, const struct log_field *f)
{
    if (f->kind == LOG_NUMBER) {
        buf_printf(line, " %s=%lld", f->key, (long long)f->number);
        return;
    }
    buf_printf(line, " %s=", f->key);
    if (!needs_quotes(f->text)) {
        buf_escaped(line, f->text);
        return;
    }
    buf_char(line, '"');
    buf_escaped(line, f->text);
    buf_char(line, '"');
}

static void print_text(struct buf *line, enum log_level level, const char *event,
                       const struct log_field *fields, const struct log_field *more)
{
    char when[CLOCK_TEXT_SIZE];

    buf_printf(line, "%s %s %s", clock_print(clock_now(), when), level_names[level], event);
    print_text_field(line, &(struct log_field){.key = "process", .text = str_from(state.process)});
    for (; fields && fields->key; fields++)
        print_text_field(line, fields);
    for (; more && more->key; more++)
        print_text_field(line, more);
}

static void print_json_fields(struct json_out *j, const struct log_field *fields)
{
    for (; fields && fields->key; fields++) {
        json_out_key(j, fields->key);
        if (fields->kind == LOG_NUMBER)
            json_out_int(j, fields->number);
        else if (fields->kind == LOG_BOOL)
            json_out_bool(j, fields->number);
        else
            json_out_str(j, fields->text);
    }
}

static void print_json(struct buf *line, enum log_level level, const char *event,
                       const struct log_field *fields, const struct log_field *more)
{
    struct json_out j = json_out_compact(line);
    char when[CLOCK_TEXT_SIZE];

    json_out_object(&j);
    json_out_member_cstr(&j, "time", clock_print(clock_now(), when));
    json_out_member_cstr(&j, "level", level_names[level]);
    json_out_member_cstr(&j, "event", event);
    json_out_member_cstr(&j, "process", state.process);
    print_json_fields(&j, fields);
    print_json_fields(&j, more);
    json_out_end(&j);
}

static void print_line(struct buf *line, enum log_level level, const char *event,
                       const struct log_field *fields, const struct log_field *more)
{
    if (state.format == LOG_JSON)
        print_json(line, level, event, fields, more);
    else if (state.format == LOG_SENTENCE)
        log_sentence_print(line, &(struct log_happening){level, event, {fields, more}},
                           clock_now());
    else
        print_text(line, level, event, fields, more);
    buf_char(line, '\n');
    if (line->failed && line->len)
        line->data[line->len - 1] = '\n'; /* too long: cut */
}

void log_flush(void)
{
    struct buf line = BUF_INIT(LOG_LINE_MAX);

    if (!state.dropped)
        return;
    print_line(&line, LOG_WARN, "log_dropped", LOG_FIELDS(log_int("lines", (int64_t)state.dropped)),
               NULL);
    if (line.len && log_sink_write(&state.sink, buf_view(&line), false))
        state.dropped = 0;
    buf_free(&line);
}

/* One write a line: lines of several processes do not mix. */
static void write_line(enum log_level level, const char *event, const struct log_field *fields,
                       const struct log_field *more)
{
    struct buf line = BUF_INIT(LOG_LINE_MAX);

    if (!is_enabled(level))
        return;
    log_flush();
    print_line(&line, level, event, fields, more);
    /* While one that stands before it is not written, nothing is: what is missing is told first. */
    if (state.dropped || !line.len || !log_sink_write(&state.sink, buf_view(&line), true))
        state.dropped++;
    buf_free(&line);
}

void log_last_words(struct str text)
{
    log_sink_insist(&state.sink, text, LOG_LAST_WORDS_MS);
}

void log_event(enum log_level level, const char *event, const struct log_field *fields)
{
    write_line(level, event, fields, NULL);
}

void log_failure(enum log_level level, const char *event, const struct error *e,
                 const struct log_field *fields)
{
    struct log_field more[6];
    size_t n = 0;

    more[n++] = log_cstr("error", e->message);
    more[n++] = log_cstr("kind", error_kind_name(e->kind));
    if (e->file[0])
        more[n++] = log_cstr(strstr(e->file, "://") ? "url" : "file", e->file);
    if (e->line)
        more[n++] = log_int("line", e->line);
    if (e->path[0])
        more[n++] = log_cstr("path", e->path);
    more[n] = LOG_END;
    write_line(level, event, fields, more);
}
