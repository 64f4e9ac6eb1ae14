#include "log.h"

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
    enum log_format format;
    struct log_sink sink;
} state = {"reconcert", LOG_KEY_VALUE, .sink.fd = STDERR_FILENO};

static bool hear(void *context, const struct happening *h);

struct happening_listener log_listener = {.hear = hear, .least = LOG_NOTICE};

static const char *const level_names[] = {"debug", "info", "notice", "warn", "error", "crit"};

void log_open(const char *process, enum log_level level, enum log_format format)
{
    state.process = process;
    log_listener.least = level;
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

static bool needs_quotes(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] == '"' || s.ptr[i] == '=' || s.ptr[i] == '\\')
            return true;
    return s.len == 0;
}

static void print_text_field(struct buf *line, const struct field *f)
{
    if (f->kind == FIELD_NUMBER) {
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

static void print_text(struct buf *line, const struct happening *h)
{
    buf_printf(line, "%s %s %s", clock_text(h->at).text, level_names[h->level],
               happening_word(h->name));
    print_text_field(line, &(struct field){.key = "process", .text = str_from(state.process)});
    for (size_t i = 0; i < ARRAY_LENGTH(h->fields); i++)
        for (const struct field *f = h->fields[i]; f && f->key; f++)
            print_text_field(line, f);
}

static void print_json_fields(struct json_out *j, const struct field *fields)
{
    for (; fields && fields->key; fields++) {
        json_out_key(j, fields->key);
        if (fields->kind == FIELD_NUMBER)
            json_out_int(j, fields->number);
        else if (fields->kind == FIELD_BOOL)
            json_out_bool(j, fields->number);
        else
            json_out_str(j, fields->text);
    }
}

static void print_json(struct buf *line, const struct happening *h)
{
    struct json_out j = json_out_compact(line);

    json_out_object(&j);
    json_out_member_cstr(&j, "time", clock_text(h->at).text);
    json_out_member_cstr(&j, "level", level_names[h->level]);
    json_out_member_cstr(&j, "event", happening_word(h->name));
    json_out_member_cstr(&j, "process", state.process);
    for (size_t i = 0; i < ARRAY_LENGTH(h->fields); i++)
        print_json_fields(&j, h->fields[i]);
    json_out_end(&j);
}

/* One write a line: lines of several processes do not mix. */
static bool write_line(const struct happening *h, bool may_wait)
{
    struct buf line = BUF_INIT(LOG_LINE_MAX);
    bool is_written;

    if (state.format == LOG_JSON)
        print_json(&line, h);
    else if (state.format == LOG_SENTENCE)
        log_sentence_print(&line, h);
    else
        print_text(&line, h);
    buf_char(&line, '\n');
    if (line.failed && line.len)
        line.data[line.len - 1] = '\n'; /* too long: cut */
    is_written = line.len && log_sink_write(&state.sink, buf_view(&line), may_wait);
    buf_free(&line);
    return is_written;
}

void log_flush(void)
{
    struct happening lost = {.name = HAPPENING_LOG_DROPPED, .level = LOG_WARN, .at = clock_now()};

    lost.fields[0] = FIELDS(field_int("lines", (int64_t)log_listener.lost));
    if (log_listener.lost && write_line(&lost, false))
        log_listener.lost = 0;
}

/* While one that stands before it is not written, nothing is: what is missing is told first. */
static bool hear(void *context, const struct happening *h)
{
    (void)context;
    log_flush();
    return !log_listener.lost && write_line(h, true);
}

void log_last_words(struct str text)
{
    log_sink_insist(&state.sink, text, LOG_LAST_WORDS_MS);
}
