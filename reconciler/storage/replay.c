#include "replay.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "packed.h"
#include "reconciler/base/arena.h"
#include "reconciler/base/vec.h"

#define HELD_MAX ((size_t)1 << 30)
#define ARENA_MAX ((size_t)16 << 20)

/* Records of a step whose end has not been met, in short: what ledger_note looks at. */
struct held {
    struct buf bytes;
    uint64_t first; /* offset of the first; 0 = none is held */
};

static int hold(struct held *h, const struct append_log_record *r, struct error *e)
{
    struct append_log_record copy = *r; /* its views are made again from the lengths */
    size_t glance = 2 + PACKED_CHAIN_ID;

    if (r->kind != APPEND_LOG_CHAIN && r->payload.len > glance)
        copy.payload.len = glance;
    buf_append(&h->bytes, &copy, sizeof(copy));
    buf_str(&h->bytes, r->key);
    buf_append(&h->bytes, r->payload.ptr, copy.payload.len);
    if (h->bytes.failed)
        return error_memory(e);
    if (!h->first)
        h->first = r->offset;
    return 0;
}

static void let_go(struct held *h)
{
    buf_clear(&h->bytes);
    h->first = 0;
}

static int note(struct replay *r, struct ledger *l, const struct append_log_record *record,
                struct error *e)
{
    r->puts += record->kind == APPEND_LOG_PUT;
    return ledger_note(l, record, e);
}

/* The step is complete: its records count. */
static int settle(struct replay *r, struct held *h, struct ledger *l, struct error *e)
{
    for (size_t at = 0; at < h->bytes.len;) {
        struct append_log_record copy;
        memcpy(&copy, h->bytes.data + at, sizeof(copy));
        at += sizeof(copy);
        copy.key.ptr = h->bytes.data + at;
        at += copy.key.len;
        copy.payload.ptr = h->bytes.data + at;
        at += copy.payload.len;
        if (note(r, l, &copy, e))
            return -1;
    }
    let_go(h);
    return 0;
}

static int take_record(struct replay *r, struct held *h, struct ledger *l,
                       const struct append_log_record *record, struct error *e)
{
    bool is_last = record->flags & APPEND_LOG_COMMIT;

    if (!h->first && is_last)
        return note(r, l, record, e);
    if (hold(h, record, e))
        return -1;
    return is_last ? settle(r, h, l, e) : 0;
}

/* What is held before damage stays: only the damage itself is lost. */
static int take_damage(struct replay *r, const struct append_log_scan *scan,
                       struct storage_problems *problems, struct error *e)
{
    struct replay_damage damage = {scan->damage_at, scan->damage};
    struct error problem;

    error_set(&problem, ERROR_STORAGE,
              "%" PRIu64 " bytes of the log at byte %" PRIu64 " are damaged", damage.size,
              damage.at);
    storage_problem(problems, &problem);
    if (r->damages.len >= STORAGE_PROBLEMS_MAX)
        return 0;
    return vec_push(&r->damages, damage) ? error_memory(e) : 0;
}

int replay_note(struct replay *r, struct ledger *l, uint64_t size,
                struct storage_problems *problems, struct error *e)
{
    struct held held = {.bytes = BUF_INIT(HELD_MAX)};
    struct append_log_record record;
    struct append_log_scan scan;
    enum append_log_found found;
    int rc = -1;

    append_log_scan_init(&scan, l->fd, l->marker, APPEND_LOG_HEADER_SIZE, size);
    while ((found = append_log_scan_next(&scan, &record, e)) == APPEND_LOG_RECORD ||
           found == APPEND_LOG_DAMAGE) {
        if (found == APPEND_LOG_RECORD && take_record(r, &held, l, &record, e))
            goto out;
        if (found == APPEND_LOG_DAMAGE &&
            (settle(r, &held, l, e) || take_damage(r, &scan, problems, e)))
            goto out;
    }
    if (found == APPEND_LOG_FAILED)
        goto out;
    r->end = held.first ? held.first : scan.at;
    l->end = r->end;
    rc = 0;
out:
    append_log_scan_fini(&scan);
    buf_free(&held.bytes);
    return rc;
}

int replay_unpack(const struct append_log_record *record, const struct ledger *l,
                  struct arena *arena, struct value *v, struct error *e)
{
    static const unsigned char none[PACKED_CHAIN_ID];

    if (value_key_parse(record->key, arena, v) != 1 || packed_read(record->payload, v))
        return error_set(e, ERROR_STORAGE,
                         "the record at byte %" PRIu64
                         " of the log is not understood, and left alone",
                         record->offset);
    if (v->type != VALUE_CREDENTIAL || memcmp(v->u.credential.chain_id, none, sizeof(none)) == 0)
        return 0;
    v->u.credential.chain = ledger_chain_bytes(l, v->u.credential.chain_id);
    if (v->u.credential.chain.ptr)
        return 0;
    error_set(e, ERROR_STORAGE, "the chain of the certificate is lost");
    return error_prefix(e, "%.*s", STR_ARG(v->subject.name));
}

/* A value that the taker refuses is told of and passed over; only memory ends the load. */
static int hand_out(const struct value *v, storage_each *each, void *context,
                    struct storage_problems *problems, struct error *e)
{
    if (each(context, v, e) == 0)
        return 0;
    if (e->kind == ERROR_MEMORY)
        return -1;
    storage_refused(problems, v, e);
    return 0;
}

int replay_each(const struct replay *r, const struct ledger *l, storage_each *each, void *context,
                struct storage_problems *problems, struct error *e)
{
    struct arena *arena = arena_new(&(struct arena_options){.max_bytes = ARENA_MAX});
    struct append_log_record record;
    struct append_log_scan scan;
    enum append_log_found found = APPEND_LOG_FAILED;
    /* As after a compaction: none of a million needs to be looked up. */
    bool all_live = r->puts == l->live.len && !r->damages.len;

    append_log_scan_init(&scan, l->fd, l->marker, APPEND_LOG_HEADER_SIZE, r->end);
    scan.is_checked = true;
    if (!arena) {
        error_memory(e);
        goto out;
    }
    while ((found = append_log_scan_next(&scan, &record, e)) == APPEND_LOG_RECORD ||
           found == APPEND_LOG_DAMAGE) {
        struct error problem;
        struct value v;
        if (found == APPEND_LOG_DAMAGE || record.kind != APPEND_LOG_PUT ||
            (!all_live && !ledger_is_live(l, &record)))
            continue;
        if (replay_unpack(&record, l, arena, &v, &problem)) {
            storage_problem(problems, &problem);
            continue;
        }
        if (hand_out(&v, each, context, problems, e)) {
            found = APPEND_LOG_FAILED;
            break;
        }
    }
out:
    append_log_scan_fini(&scan);
    arena_free(arena);
    return found == APPEND_LOG_FAILED ? -1 : 0;
}

void replay_fini(struct replay *r)
{
    vec_free(&r->damages);
}
