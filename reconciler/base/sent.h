#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "str.h"

/*
 * When newOrders were sent for one name, as a line of text: "1764500000 1764586400r". Unix seconds,
 * oldest first; an `r` behind those that were to renew a certificate. CAs count them, whatever
 * became of them, over a window: what lies before it is of no use to anybody.
 */
#define SENT_MAX 256 /* the newest ones are kept */
#define SENT_SECONDS ((int64_t)7 * 86400)
#define SENT_TEXT_MAX ((size_t)SENT_MAX * 14) /* 12 digits, the `r`, a blank */

struct sent {
    int64_t at;
    bool renewal;
};

/* The next one of *rest, which moves on. 1; 0 behind the last; -1 what is no such line. */
int sent_next(struct str *rest, struct sent *s);
/* How many there are; -1: it is no such line, or has more than SENT_MAX. */
int sent_count(struct str text);
void sent_append(struct buf *text, const struct sent *s);
