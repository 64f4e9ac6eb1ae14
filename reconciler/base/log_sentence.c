#include "log_sentence.h"

#include <string.h>

#include "clock.h"

#define FAR_SECONDS ((int64_t)2 * 86400) /* from here on a date says enough */

/*
 * {key} stands for a field's value. Events that are not here are told by their name and all their
 * fields. Whom it is about, the field `name`, stands before every sentence.
 */
static const struct {
    const char *event;
    const char *sentence;
} sentences[] = {
    {"account_created", "account created at {directory}"},
    {"account_found", "account found at {directory}"},
    {"approval_awaited", "names that wait for an approved plan: {names}"},
    {"certificate_adopted", "the stored certificate is used again"},
    {"certificate_blocked", "blocked: {because}"},
    {"certificate_failed", "failed: {error}; next try {next_attempt}"},
    {"certificate_ordering", "ordering a certificate from {ca}"},
    {"certificate_renewing", "renewing the certificate, from {ca}"},
    {"certificate_retired", "retired, the file no longer asks for it"},
    {"certificate_stored", "certificate stored, from {issuer}, until {not_after}"},
    {"child_died", "{child} died (process {child_pid})"},
    {"clock_jumped", "the clock jumped by {seconds} seconds"},
    {"condition_cleared", "{condition}: over"},
    {"condition_set", "{condition}: {text}"},
    {"config_loaded", "the file is in force, names: {names}, CA: {ca}"},
    {"config_problem", "{at}: {path}: {message}"},
    {"control_silent", "control stood still and is replaced (process {child_pid})"},
    {"declared_certificate_overridden", "takes the place of the declared certificate"},
    {"listening", "listening on {address} port {port} ({for})"},
    {"log_dropped", "nobody read this for a while, lines left out: {lines}"},
    {"name_demanded", "asked for by a visitor"},
    {"note", "{text}"},
    {"plan_approved", "a plan is approved, actions: {actions}"},
    {"prefix_fleeting", "{text}"},
    {"prefix_taken_over", "{prefix} is control's own user's now"},
    {"retry_asked", "somebody asked for another try at once"},
    {"stopped", "stopped"},
    {"stopping", "stopping: {because}"},
    {"user_shared", "{because}"},
    {"validation_troubled", "the CA has not given up, and reports: {error}"},
    {"worker_silent", "worker {slot} stood still and is replaced (process {pid})"},
};

static const char *find_sentence(const char *event)
{
    for (size_t i = 0; i < ARRAY_LENGTH(sentences); i++)
        if (strcmp(sentences[i].event, event) == 0)
            return sentences[i].sentence;
    return NULL;
}

static const struct log_field *find_field(const struct log_happening *h, struct str key)
{
    for (size_t i = 0; i < ARRAY_LENGTH(h->fields); i++)
        for (const struct log_field *f = h->fields[i]; f && f->key; f++)
            if (str_equal_cstr(key, f->key))
                return f;
    return NULL;
}

/* Of a time near now the time of day, else the date. */
static void print_time(struct buf *out, int64_t at, int64_t now)
{
    char text[CLOCK_TEXT_SIZE];

    clock_print(at, text);
    if (at - now < FAR_SECONDS && now - at < FAR_SECONDS)
        buf_printf(out, "at %.8s", text + strlen("2026-11-24T"));
    else
        buf_printf(out, "%.10s", text);
}

static void print_value(struct buf *out, const struct log_field *f, int64_t now)
{
    int64_t at;

    if (f && f->kind == LOG_NUMBER)
        buf_printf(out, "%lld", (long long)f->number);
    else if (!f || !f->text.len)
        buf_char(out, '-');
    else if (clock_parse(f->text, &at) == 0)
        print_time(out, at, now);
    else
        buf_escaped(out, f->text);
}

static void print_sentence(struct buf *out, const struct log_happening *h, struct str sentence,
                           int64_t now)
{
    while (sentence.len) {
        size_t open = str_find(sentence, '{', 0), close = str_find(sentence, '}', open);

        buf_str(out, str_slice(sentence, 0, open));
        if (open < sentence.len)
            print_value(out, find_field(h, str_slice(sentence, open + 1, close)), now);
        sentence = str_slice(sentence, close + 1, sentence.len);
    }
}

/* "serve failed: out of memory (kind memory)" */
static void print_plain(struct buf *out, const struct log_happening *h, int64_t now)
{
    const struct log_field *error = find_field(h, STR("error"));
    const char *between = " (";

    for (const char *c = h->event; *c; c++)
        buf_char(out, *c == '_' ? ' ' : *c);
    if (error) {
        buf_cstr(out, ": ");
        print_value(out, error, now);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(h->fields); i++)
        for (const struct log_field *f = h->fields[i]; f && f->key; f++) {
            if (f == error || strcmp(f->key, "name") == 0)
                continue;
            buf_printf(out, "%s%s ", between, f->key);
            print_value(out, f, now);
            between = ", ";
        }
    buf_cstr(out, *between == ',' ? ")" : "");
}

void log_sentence_print(struct buf *out, const struct log_happening *h, int64_t now)
{
    const struct log_field *name = find_field(h, STR("name"));
    const char *sentence = find_sentence(h->event);
    char text[CLOCK_TEXT_SIZE];

    clock_print(now, text);
    buf_printf(out, "%.8s %s", text + strlen("2026-11-24T"),
               h->level >= LOG_ERROR  ? "error: "
               : h->level == LOG_WARN ? "warning: "
                                      : "");
    if (name) {
        buf_escaped(out, name->text);
        buf_cstr(out, ": ");
    }
    if (sentence)
        print_sentence(out, h, str_from(sentence), now);
    else
        print_plain(out, h, now);
}
