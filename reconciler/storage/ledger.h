#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "live.h"
#include "append_log.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"
#include "reconciler/base/map.h"
#include "reconciler/base/str.h"

/*
 * A log file that is written to, and what is known of its contents: where the live record of each
 * key lies, the chains, and how many bytes still count.
 */

#define LEDGER_CHAIN_COPIES 2 /* so that damage to one costs no certificate its chain */

/* Stored once (or twice), used by many credentials. */
struct ledger_chain {
    unsigned char id[32];
    struct str bytes; /* own memory; STR_NONE: referred to, but not met in the log */
    unsigned copies;  /* in this log */
    unsigned pending; /* more of them in the batch numbered pending_batch */
    uint64_t pending_batch;
    size_t users; /* live credentials */
    size_t size;  /* of its records, all copies */
};

struct ledger {
    int fd;       /* -1: none */
    uint64_t end; /* behind the last good record: the next goes there */
    uint64_t live_bytes;
    unsigned char marker[APPEND_LOG_MARKER_SIZE];
    struct live live;
    struct map chains;
    uint64_t batch;  /* counts them */
    bool is_uncut;   /* a failed write could not be cut off yet */
    bool is_unknown; /* what the file holds is no longer known here: it must be opened again */
};

/* Records made ready in memory, to be written in one go. */
struct ledger_batch {
    struct buf bytes;
    struct {
        size_t *items;
        size_t len;
        size_t cap;
    } starts;
};

void ledger_init(struct ledger *l);
/* A new, empty file `name` in place of any leftover, with the marker given or a new one (NULL). */
int ledger_create(struct ledger *l, int directory, const char *name,
                  const unsigned char marker[APPEND_LOG_MARKER_SIZE], struct error *e) MUST_CHECK;
void ledger_fini(struct ledger *l); /* closes the file */

/*
 * Takes a record that stands in the file into account. -1 with *e: memory, or the file cannot be
 * read.
 */
int ledger_note(struct ledger *l, const struct append_log_record *r, struct error *e) MUST_CHECK;
/* Is this APPEND_LOG_PUT record the live one of its key? */
bool ledger_is_live(const struct ledger *l, const struct append_log_record *r);
/* 1, 0, -1 with *e. */
int ledger_has(const struct ledger *l, struct str key, struct error *e) MUST_CHECK;
/*
 * Reads the live record of a key: 1 with *record, views into *scan; 0: it has none; -1 with *e.
 * append_log_scan_fini ends either.
 */
int ledger_read(const struct ledger *l, struct str key, struct append_log_scan *scan,
                struct append_log_record *record, struct error *e) MUST_CHECK;
/* The chain's bytes; STR_NONE: they are lost. */
struct str ledger_chain_bytes(const struct ledger *l, const unsigned char id[32]);
/* What of the file no longer counts. */
uint64_t ledger_garbage(const struct ledger *l);

/* One batch of a ledger at a time. */
void ledger_batch_init(struct ledger *l, struct ledger_batch *b);
void ledger_batch_free(struct ledger_batch *b);
/*
 * Adds a chain to the batch unless the log has copies enough; call it before the record that uses
 * it. Its bytes are copied. -1 with *e.
 */
int ledger_add_chain(struct ledger *l, struct ledger_batch *b, const unsigned char id[32],
                     struct str bytes, struct error *e) MUST_CHECK;
/* Begins a record in the batch (see append_log_begin); ledger_finish ends it. SIZE_MAX with *e. */
size_t ledger_begin(struct ledger_batch *b, unsigned kind, struct str key,
                    struct error *e) MUST_CHECK;
int ledger_finish(struct ledger *l, struct ledger_batch *b, size_t start,
                  struct error *e) MUST_CHECK;
/* Adds a record as it stands in another log with the same marker. */
int ledger_add_copy(struct ledger_batch *b, const struct append_log_record *r,
                    struct error *e) MUST_CHECK;

/*
 * Writes the batch behind the end, `durable` = as one durable step, notes its records and empties
 * it. On failure what was written is cut off again and the ledger is as before. -1 with *e.
 */
int ledger_write(struct ledger *l, struct ledger_batch *b, bool durable,
                 struct error *e) MUST_CHECK;
/* Writes about `room` bytes behind the end, makes them durable, reads them back and cuts them off.
 */
int ledger_probe(struct ledger *l, size_t room, struct error *e) MUST_CHECK;
/* Cuts off what lies behind the end, if a failed write left something there. */
int ledger_cut(struct ledger *l, struct error *e) MUST_CHECK;
