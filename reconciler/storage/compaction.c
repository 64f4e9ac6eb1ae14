#include "compaction.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "packed.h"

#define FLUSH_SIZE ((size_t)1 << 20)

struct compaction {
    int directory; /* the caller's */
    struct ledger to;
    struct ledger_batch batch;
    struct append_log_scan scan;
    uint64_t began_at; /* the old log's end then: earlier tombstones have done their work */
};

struct compaction *compaction_begin(const struct ledger *from, int directory, struct error *e)
{
    struct compaction *c = calloc(1, sizeof(*c));

    if (!c)
        return error_no_memory(e);
    c->directory = directory;
    c->began_at = from->end;
    ledger_init(&c->to);
    ledger_batch_init(&c->to, &c->batch);
    append_log_scan_init(&c->scan, from->fd, from->marker, APPEND_LOG_HEADER_SIZE, from->end);
    /* The marker stays, so that records are copied as they are. */
    if (ledger_create(&c->to, directory, COMPACTION_NAME, from->marker, e)) {
        compaction_abort(c);
        return NULL;
    }
    return c;
}

static void drop(struct compaction *c)
{
    append_log_scan_fini(&c->scan);
    ledger_batch_free(&c->batch);
    ledger_fini(&c->to);
    free(c);
}

void compaction_abort(struct compaction *c)
{
    if (!c)
        return;
    unlinkat(c->directory, COMPACTION_NAME, 0);
    drop(c);
}

static int copy_put(struct compaction *c, const struct ledger *from,
                    const struct append_log_record *r, struct error *e)
{
    unsigned char id[PACKED_CHAIN_ID];

    if (!ledger_is_live(from, r))
        return 0;
    if (packed_chain_id(r->payload, id)) {
        struct str bytes = ledger_chain_bytes(from, id);
        /* A lost chain is no reason to lose the rest as well. */
        if (bytes.ptr && ledger_add_chain(&c->to, &c->batch, id, bytes, e))
            return -1;
    }
    return ledger_add_copy(&c->batch, r, e);
}

/* A key that was deleted after it had been copied takes its tombstone along. */
static int copy_delete(struct compaction *c, const struct append_log_record *r, struct error *e)
{
    int found;

    if (ledger_write(&c->to, &c->batch, false, e))
        return -1;
    found = ledger_has(&c->to, r->key, e);
    return found > 0 ? ledger_add_copy(&c->batch, r, e) : found;
}

static int copy(struct compaction *c, const struct ledger *from, const struct append_log_record *r,
                struct error *e)
{
    if (r->kind == APPEND_LOG_PUT && copy_put(c, from, r, e))
        return -1;
    if (r->kind == APPEND_LOG_DELETE && r->offset >= c->began_at && copy_delete(c, r, e))
        return -1;
    if (c->batch.bytes.len >= FLUSH_SIZE)
        return ledger_write(&c->to, &c->batch, false, e);
    return 0;
}

int compaction_step(struct compaction *c, const struct ledger *from, size_t budget, struct error *e)
{
    uint64_t until = c->to.end + budget;
    struct append_log_record r;
    enum append_log_found found = APPEND_LOG_RECORD;

    c->scan.end = from->end;
    while (c->to.end + c->batch.bytes.len < until) {
        found = append_log_scan_next(&c->scan, &r, e);
        if (found == APPEND_LOG_FAILED)
            return -1;
        if (found == APPEND_LOG_END || found == APPEND_LOG_TORN)
            break;
        if (found == APPEND_LOG_RECORD && copy(c, from, &r, e))
            return -1;
    }
    if (ledger_write(&c->to, &c->batch, false, e))
        return -1;
    /* In small portions, so that the last sync does not wait for all of it. */
    if (fdatasync(c->to.fd))
        return error_errno(e, ERROR_STORAGE, errno, "the new log cannot be made durable");
    return c->scan.at < from->end && found != APPEND_LOG_TORN;
}

/* Nothing may be missing: a record that rotted since it was read must not vanish silently. */
static int check_complete(const struct compaction *c, const struct ledger *from, struct error *e)
{
    if (c->to.live.len == from->live.len)
        return 0;
    return error_set(e, ERROR_STORAGE,
                     "%zu of %zu records of the log can no longer be read: it is kept as it is",
                     from->live.len - c->to.live.len, from->live.len);
}

int compaction_finish(struct compaction *c, struct ledger *from, const char *name, struct error *e)
{
    struct ledger old = *from;
    size_t start;

    /* The last step ends with a commit: see replay.h. */
    start = ledger_begin(&c->batch, APPEND_LOG_MARK, STR_NONE, e);
    if (start == SIZE_MAX || ledger_finish(&c->to, &c->batch, start, e) ||
        ledger_write(&c->to, &c->batch, true, e) || check_complete(c, from, e))
        return -1;
    if (renameat(c->directory, COMPACTION_NAME, c->directory, name))
        return error_errno(e, ERROR_STORAGE, errno, "the new log cannot be put in place");
    *from = c->to;
    c->to = old;
    drop(c);
    return 0;
}
