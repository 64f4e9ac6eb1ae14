#pragma once

#include <stdint.h>

#include "ledger.h"
#include "storage.h"

/*
 * Reading a log back. Records count when their durable step is complete, that is, when one with
 * APPEND_LOG_COMMIT or the next step follows: a step that a crash cut off is passed over whole.
 */

struct replay_damage {
    uint64_t at, size;
};

struct replay {
    size_t puts;  /* so many APPEND_LOG_PUT records counted */
    uint64_t end; /* behind the last complete step; what follows is a torn tail */
    struct {
        struct replay_damage *items;
        size_t len;
        size_t cap;
    } damages; /* the first STORAGE_PROBLEMS_MAX of them */
};

/*
 * Reads the file of `l`, `size` bytes, and notes in `l` what is live. Damage goes to `problems` and
 * to *r. -1 with *e: it cannot be read at all, or memory.
 */
int replay_note(struct replay *r, struct ledger *l, uint64_t size,
                struct storage_problems *problems, struct error *e) MUST_CHECK;
/* Hands out the live values that replay_note found. */
int replay_each(const struct replay *r, const struct ledger *l, storage_each *each, void *context,
                struct storage_problems *problems, struct error *e) MUST_CHECK;
/* The value of an APPEND_LOG_PUT record, as views into it and into `l`. -1 with *e: not usable. */
int replay_unpack(const struct append_log_record *record, const struct ledger *l,
                  struct arena *arena, struct value *v, struct error *e) MUST_CHECK;
void replay_fini(struct replay *r);
