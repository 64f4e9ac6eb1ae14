#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "error.h"
#include "str.h"

/*
 * One event a line on stderr: `2026-11-24T02:57:00Z notice certificate_stored name=a.example ...`,
 * or the same as a JSON object. Written only where an error stops travelling. Text values are
 * escaped here, so callers hand over what they got from outside as it is.
 * Who reads it, or reads it no more, never holds up who writes (base/log_sink.h): what there is no
 * room for is dropped, counted, and told with `log_dropped` before the next line.
 * What is kept here are the only mutable globals of the program.
 */
enum log_level { LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARN, LOG_ERROR, LOG_CRIT };

#define LOG_FLUSH_SECONDS 1 /* between two calls of log_flush in what runs on */
#define LOG_LAST_WORDS_MS 5000

/* LOG_AUTO: sentences (log_sentence.h) where stderr is a terminal, else LOG_KEY_VALUE. */
enum log_format { LOG_AUTO, LOG_KEY_VALUE, LOG_JSON, LOG_SENTENCE };

/* One key=value of an event. Make them with the log_* helpers. */
struct log_field {
    const char *key;
    enum { LOG_TEXT, LOG_NUMBER, LOG_BOOL } kind;
    struct str text;
    int64_t number; /* of a boolean: 0 or 1 */
};

#define LOG_END ((struct log_field){0})

struct log_field log_str(const char *key, struct str value);
struct log_field log_cstr(const char *key, const char *value);
struct log_field log_int(const char *key, int64_t value);
struct log_field log_bool(const char *key, bool value);

/* `process` is printed with each line ("control", "worker-1" ...); kept as a pointer. */
void log_open(const char *process, enum log_level level, enum log_format format);
/* Before log_open, for the first of several processes: stderr of this one and its children becomes
 * one that does not wait, and stays as it is for whoever else has it (log_sink_detach). */
void log_detach(void);
/* From time to time: tells what was dropped, if somebody reads again. */
void log_flush(void);
/* Text of a process that ends with it: waits up to LOG_LAST_WORDS_MS for its reader. */
void log_last_words(struct str text);
/* Kong's log_level words: debug info notice warn error crit (alert and emerg count as crit). */
int log_level_from(const char *word, enum log_level *level) MUST_CHECK;

/* `event` is one lower_snake word, the same for the same happening; fields end with LOG_END. */
void log_event(enum log_level level, const char *event, const struct log_field *fields);
/* The event with error, kind and place of `e` added to the fields. */
void log_failure(enum log_level level, const char *event, const struct error *e,
                 const struct log_field *fields);

/* A compound literal of fields, ended: log_event(LOG_INFO, "x", LOG_FIELDS(log_int("n", 1))). */
#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__, LOG_END})

#endif
