#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/*
 * The bytes of the log file: a header, then records one behind the other. Nothing else knows them.
 *
 * Every record begins with the file's marker, eight bytes drawn at random when the file was made,
 * so that behind damage the next sound record is found by looking for it, and bytes from outside (a
 * certificate, a CA's words) cannot pretend to be a record. Head and body have checksums of their
 * own: a length is believed only where its head is sound. The records of one durable step end with
 * one that carries APPEND_LOG_COMMIT.
 */

#define APPEND_LOG_VERSION 1
#define APPEND_LOG_HEADER_SIZE 48 /* twice the same 24 bytes: damage to one copy does no harm */
#define APPEND_LOG_HEAD_SIZE 24
#define APPEND_LOG_MARKER_SIZE 8
#define APPEND_LOG_BODY_MAX ((size_t)1 << 20) /* key and payload of a record */
#define APPEND_LOG_KEY_MAX 0xffff
#define APPEND_LOG_BATCH_MAX ((size_t)256 << 20) /* the bytes of one durable step */

/* The numbers are written to disk. A kind that is not known is passed over. */
enum append_log_kind {
    APPEND_LOG_PUT = 1,    /* logical key; packed value */
    APPEND_LOG_DELETE = 2, /* logical key */
    APPEND_LOG_CHAIN = 3,  /* SHA-256; DER certificates. Written by its first two users */
    APPEND_LOG_MARK = 4,   /* nothing: carries APPEND_LOG_COMMIT */
    APPEND_LOG_PROBE = 5   /* filler, cut off again */
};

#define APPEND_LOG_COMMIT 1u /* flag: the last record of its durable step */

struct append_log_record {
    uint64_t offset;
    size_t size; /* head, key and payload */
    unsigned kind;
    unsigned flags;
    struct str key; /* views into the scan's window: until the next call */
    struct str payload;
    struct str bytes; /* the whole record, head included */
};

/* ---- writing ---- */

/* Draws the marker of a new file. -1: the system has no randomness. */
int append_log_draw_marker(unsigned char marker[APPEND_LOG_MARKER_SIZE]) MUST_CHECK;
void append_log_make_header(unsigned char header[APPEND_LOG_HEADER_SIZE],
                            const unsigned char marker[APPEND_LOG_MARKER_SIZE]);
/*
 * Appends a record whose payload is what has been appended to `out` since append_log_begin, so that
 * packing needs no second copy. append_log_begin returns where the record starts, or SIZE_MAX on failure.
 */
size_t append_log_begin(struct buf *out, unsigned kind, struct str key);
/*
 * Fills head and checksums in. -1: too large (APPEND_LOG_BODY_MAX), out of memory; out is cut back to
 * `start`.
 */
int append_log_finish(struct buf *out, size_t start,
                      const unsigned char marker[APPEND_LOG_MARKER_SIZE],
                      unsigned flags) MUST_CHECK;
/* Sets the flags of the finished record that starts at `start`. */
void append_log_set_flags(struct buf *out, size_t start, unsigned flags);

/* ---- looking at records that are known to be sound ---- */

/* Fills r from the record that `bytes` begins with and that stands at `offset` in the file. */
void append_log_view(struct str bytes, uint64_t offset, struct append_log_record *r);
/* 1: `bytes`, which may be the beginning of a record only, has this key; 0: another. */
int append_log_key_is(struct str bytes, struct str key);

/* ---- reading ---- */

enum append_log_header_state {
    APPEND_LOG_HEADER_GOOD,
    APPEND_LOG_HEADER_DAMAGED, /* one copy, or both but the first record tells the marker: `marker` is set
                         */
    APPEND_LOG_HEADER_CUT,    /* the file ends within it: nothing was ever stored */
    APPEND_LOG_HEADER_NEWER,  /* of a version that this build does not know; *version is set */
    APPEND_LOG_HEADER_FOREIGN /* not a log of ours, or nothing of it can be recognised */
};

/* Looks at the file's first bytes (give APPEND_LOG_HEADER_SIZE + APPEND_LOG_HEAD_SIZE of them where there are).
 */
enum append_log_header_state append_log_read_header(struct str first,
                                                    unsigned char marker[APPEND_LOG_MARKER_SIZE],
                                                    uint32_t *version);

enum append_log_found {
    APPEND_LOG_RECORD,
    APPEND_LOG_DAMAGE, /* `damage` bytes at `at` are no sound record; the scan goes on behind them */
    APPEND_LOG_TORN,   /* from `at` on, what a write that was cut off leaves: the scan is over */
    APPEND_LOG_END,
    APPEND_LOG_FAILED /* the file cannot be read: *e */
};

struct append_log_scan {
    uint64_t at; /* where the next record is looked for */
    uint64_t end;
    uint64_t damage_at, damage; /* of the last APPEND_LOG_DAMAGE */
    bool
        is_checked; /* the bodies were found sound before: their checksums are not computed again */
    /* private */
    int fd;
    unsigned char marker[APPEND_LOG_MARKER_SIZE];
    struct buf window;
    uint64_t window_at; /* the file offset of its first byte */
};

/* Scans `fd` from `from` to `end`, the caller's descriptor. */
void append_log_scan_init(struct append_log_scan *s, int fd,
                          const unsigned char marker[APPEND_LOG_MARKER_SIZE], uint64_t from,
                          uint64_t end);
void append_log_scan_fini(struct append_log_scan *s); /* wipes what it read */
enum append_log_found append_log_scan_next(struct append_log_scan *s, struct append_log_record *r,
                                           struct error *e) MUST_CHECK;
