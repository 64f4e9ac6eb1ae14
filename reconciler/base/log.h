#pragma once

#include "attr.h"
#include "happening.h"
#include "str.h"

/*
 * The first who hears what happens: one line each on stderr, as
 * `2026-11-24T02:57:00Z notice certificate_stored name=a.example ...`, a JSON object or a sentence.
 * Text values are escaped here.
 * Who reads it, or reads it no more, never holds up who writes (base/log_sink.h): what there is no
 * room for is lost, counted, and told with `log_dropped` before the next line.
 */
extern struct happening_listener log_listener;

#define LOG_FLUSH_SECONDS 1 /* between two calls of log_flush in what runs on */
#define LOG_LAST_WORDS_MS 5000

/* LOG_AUTO: sentences (log_sentence.h) where stderr is a terminal, else LOG_KEY_VALUE. */
enum log_format { LOG_AUTO, LOG_KEY_VALUE, LOG_JSON, LOG_SENTENCE };

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
