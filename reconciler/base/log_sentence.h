#ifndef BASE_LOG_SENTENCE_H
#define BASE_LOG_SENTENCE_H

#include "buf.h"
#include "log.h"

/*
 * An event as a short sentence, for somebody who looks on: `12:01:03 www.example.com: certificate
 * stored, from R11, until 2027-02-22`. Times are UTC. Pure.
 */
struct log_happening {
    enum log_level level;
    const char *event;
    const struct log_field *fields[2]; /* ended each, or NULL */
};

/* Failure shows as out->failed. No end of line. */
void log_sentence_print(struct buf *out, const struct log_happening *h, int64_t now);

#endif
