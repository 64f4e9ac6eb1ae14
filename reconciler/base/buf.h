#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "str.h"

/*
 * Growing bytes that are born with their maximum, so that no input can balloon memory.
 * `data` is NUL-terminated behind `len` once anything was appended.
 * A failed append leaves the contents as they were and sets `failed`, so that a
 * run of appends can be checked once at its end.
 */
struct buf {
    char *data;
    size_t len;
    size_t cap;
    size_t max;
    bool secret; /* wiped when it grows and when it is freed */
    bool failed; /* an append did not fit: over max, or memory was out */
};

/* So many times its text a buffer takes at most, while it grows or while it is copied. */
#define BUF_TIMES_HELD 3

#define BUF_INIT(maximum) ((struct buf){.max = (maximum)})
#define BUF_SECRET(maximum) ((struct buf){.max = (maximum), .secret = true})

int buf_append(struct buf *b, const void *bytes, size_t len);
int buf_str(struct buf *b, struct str s);
int buf_cstr(struct buf *b, const char *s);
int buf_char(struct buf *b, char c);
int buf_decimal(struct buf *b, int64_t n); /* as "%lld" */
int buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
/* Room for `len` more bytes at the end; buf_commit makes them part of it. NULL as a failed append.
 */
char *buf_reserve(struct buf *b, size_t len) MUST_CHECK;
void buf_commit(struct buf *b, size_t len);
/* Drops the first `len` bytes. */
void buf_consume(struct buf *b, size_t len);
void buf_clear(struct buf *b); /* keeps the memory */
void buf_free(struct buf *b);  /* ready for use again, with the same maximum */
struct str buf_view(const struct buf *b);

/*
 * Text from outside, made safe for a terminal and a log line: controls, DEL, bytes that are
 * not UTF-8 and bidirectional overrides become \xNN; backslash and quote are escaped.
 */
int buf_escaped(struct buf *b, struct str s);
