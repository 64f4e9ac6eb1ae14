#include "ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "folder.h"
#include "packed.h"
#include "reconciler/base/value.h"
#include "reconciler/base/vec.h"
#include "reconciler/base/whole.h"

#define PROBE_RECORD ((size_t)64 << 10)

/* What is read of an old record: head, key, and as much as names its chain. */
#define GLANCE_MAX (APPEND_LOG_HEAD_SIZE + VALUE_LOGICAL_KEY_MAX + 2 + PACKED_CHAIN_ID)

static struct str chain_key(const void *item)
{
    const struct ledger_chain *c = item;

    return (struct str){(const char *)c->id, sizeof(c->id)};
}

void ledger_init(struct ledger *l)
{
    *l = (struct ledger){.fd = -1};
    l->chains = MAP_INIT(chain_key, (uint64_t)(uintptr_t)l);
}

static void free_chain(struct ledger_chain *c)
{
    free((char *)c->bytes.ptr);
    free(c);
}

void ledger_fini(struct ledger *l)
{
    struct ledger_chain *c;
    size_t cursor = 0;

    while ((c = map_next(&l->chains, &cursor)))
        free_chain(c);
    map_free(&l->chains);
    live_free(&l->live);
    if (l->fd >= 0)
        close(l->fd);
    ledger_init(l);
}

static int write_bytes(struct ledger *l, struct str bytes, struct error *e)
{
    if (whole_write_at(l->fd, bytes, l->end))
        return error_errno(e, ERROR_STORAGE, errno, "the log cannot be written");
    return 0;
}

int ledger_create(struct ledger *l, int directory, const char *name,
                  const unsigned char marker[APPEND_LOG_MARKER_SIZE], struct error *e)
{
    unsigned char header[APPEND_LOG_HEADER_SIZE];

    if (marker)
        memcpy(l->marker, marker, APPEND_LOG_MARKER_SIZE);
    else if (append_log_draw_marker(l->marker))
        return error_errno(e, ERROR_STORAGE, errno, "no random bytes");
    append_log_make_header(header, l->marker);
    if (unlinkat(directory, name, 0) && errno != ENOENT)
        return error_errno(e, ERROR_STORAGE, errno, "file %s cannot be removed", name);
    l->fd = folder_open_file(directory, name, O_RDWR | O_CREAT | O_EXCL, e);
    if (l->fd < 0)
        return -1;
    if (write_bytes(l, (struct str){(const char *)header, sizeof(header)}, e))
        return -1;
    l->end = APPEND_LOG_HEADER_SIZE;
    return 0;
}

static uint32_t hash_of(const struct ledger *l, struct str key)
{
    uint64_t seed;

    memcpy(&seed, l->marker, sizeof(seed));
    seed = str_hash(key, seed);
    return (uint32_t)(seed ^ seed >> 32);
}

/* A look at an old record, to tell its key and its chain. */
struct glance {
    const struct ledger *ledger;
    struct str key;
    char bytes[GLANCE_MAX];
    size_t len;
};

static int glance_matches(void *context, uint64_t offset)
{
    struct glance *g = context;
    size_t want = APPEND_LOG_HEAD_SIZE + g->key.len + 2 + PACKED_CHAIN_ID;
    ssize_t got = whole_read_at(g->ledger->fd, g->bytes, want, offset);

    if (got < 0)
        return -1;
    g->len = (size_t)got;
    return append_log_key_is((struct str){g->bytes, g->len}, g->key);
}

static int find(const struct ledger *l, struct str key, struct glance *g, struct live_slot **slot,
                struct error *e)
{
    int found;

    g->ledger = l;
    g->key = key;
    found = live_find(&l->live, hash_of(l, key), glance_matches, g, slot);
    return found < 0 ? error_errno(e, ERROR_STORAGE, errno, "the log cannot be read") : found;
}

/* The entry of a chain, made when it is new. */
static struct ledger_chain *chain_of(struct ledger *l, const unsigned char id[32])
{
    struct ledger_chain *c = map_find(&l->chains, (struct str){(const char *)id, 32});

    if (c)
        return c;
    c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    memcpy(c->id, id, sizeof(c->id));
    if (map_put(&l->chains, c)) {
        free(c);
        return NULL;
    }
    return c;
}

static int keep_bytes(struct ledger_chain *c, struct str bytes)
{
    char *copy;

    if (c->bytes.ptr)
        return 0;
    copy = str_dup(bytes);
    if (!copy)
        return -1;
    c->bytes = (struct str){copy, bytes.len};
    return 0;
}

/* Chains count as live while a live credential uses them. */
static void use_chain(struct ledger *l, struct ledger_chain *c)
{
    if (c->users++ == 0)
        l->live_bytes += c->size;
}

static void disuse_chain(struct ledger *l, const unsigned char id[32])
{
    struct ledger_chain *c = map_find(&l->chains, (struct str){(const char *)id, 32});

    if (c && c->users && --c->users == 0)
        l->live_bytes -= c->size;
}

static void forget(struct ledger *l, const struct glance *g, struct live_slot *slot)
{
    unsigned char id[PACKED_CHAIN_ID];
    struct str old = {g->bytes, g->len};

    l->live_bytes -= slot->size;
    if (packed_chain_id(str_slice(old, APPEND_LOG_HEAD_SIZE + g->key.len, old.len), id))
        disuse_chain(l, id);
}

static int note_put(struct ledger *l, const struct append_log_record *r, struct error *e)
{
    unsigned char id[PACKED_CHAIN_ID];
    bool chained = packed_chain_id(r->payload, id);
    struct ledger_chain *chain = chained ? chain_of(l, id) : NULL;
    struct live_slot slot = {r->offset, (uint32_t)r->size, hash_of(l, r->key)};
    struct live_slot *old;
    struct glance g;
    int found;

    if ((chained && !chain) || live_reserve(&l->live, 1))
        return error_memory(e);
    found = find(l, r->key, &g, &old, e);
    if (found < 0)
        return -1;
    if (chain)
        use_chain(l, chain);
    if (found) {
        forget(l, &g, old);
        *old = slot;
    } else {
        live_put(&l->live, slot);
    }
    l->live_bytes += r->size;
    return 0;
}

static int note_delete(struct ledger *l, const struct append_log_record *r, struct error *e)
{
    struct live_slot *old;
    struct glance g;
    int found = find(l, r->key, &g, &old, e);

    if (found <= 0)
        return found;
    forget(l, &g, old);
    live_remove(&l->live, old);
    return 0;
}

static int note_chain(struct ledger *l, const struct append_log_record *r, struct error *e)
{
    struct ledger_chain *c;

    if (r->key.len != sizeof(c->id))
        return 0;
    c = chain_of(l, (const unsigned char *)r->key.ptr);
    if (!c || keep_bytes(c, r->payload))
        return error_memory(e);
    c->copies++;
    c->size += r->size;
    if (c->users)
        l->live_bytes += r->size;
    return 0;
}

int ledger_note(struct ledger *l, const struct append_log_record *r, struct error *e)
{
    if (r->key.len > VALUE_LOGICAL_KEY_MAX)
        return 0;
    switch (r->kind) {
    case APPEND_LOG_PUT:
        return note_put(l, r, e);
    case APPEND_LOG_DELETE:
        return note_delete(l, r, e);
    case APPEND_LOG_CHAIN:
        return note_chain(l, r, e);
    default:
        return 0;
    }
}

bool ledger_is_live(const struct ledger *l, const struct append_log_record *r)
{
    return live_has(&l->live, hash_of(l, r->key), r->offset);
}

int ledger_has(const struct ledger *l, struct str key, struct error *e)
{
    struct live_slot *slot;
    struct glance g;

    return key.len > VALUE_LOGICAL_KEY_MAX ? 0 : find(l, key, &g, &slot, e);
}

int ledger_read(const struct ledger *l, struct str key, struct append_log_scan *scan,
                struct append_log_record *record, struct error *e)
{
    struct live_slot *slot = NULL;
    struct glance g;
    int found = key.len > VALUE_LOGICAL_KEY_MAX ? 0 : find(l, key, &g, &slot, e);
    uint64_t at = found > 0 ? slot->offset : 0;

    append_log_scan_init(scan, l->fd, l->marker, at, found > 0 ? at + slot->size : 0);
    if (found <= 0)
        return found;
    if (append_log_scan_next(scan, record, e) == APPEND_LOG_RECORD)
        return 1;
    return error_set(e, ERROR_STORAGE, "the record at byte %" PRIu64 " of the log is damaged", at);
}

struct str ledger_chain_bytes(const struct ledger *l, const unsigned char id[32])
{
    const struct ledger_chain *c = map_find(&l->chains, (struct str){(const char *)id, 32});

    return c ? c->bytes : STR_NONE;
}

uint64_t ledger_garbage(const struct ledger *l)
{
    uint64_t used = APPEND_LOG_HEADER_SIZE + l->live_bytes;

    return l->end > used ? l->end - used : 0;
}

void ledger_batch_init(struct ledger *l, struct ledger_batch *b)
{
    *b = (struct ledger_batch){.bytes = BUF_SECRET(APPEND_LOG_BATCH_MAX)};
    l->batch++;
}

void ledger_batch_free(struct ledger_batch *b)
{
    buf_free(&b->bytes);
    free(b->starts.items);
    b->starts.items = NULL;
    b->starts.len = b->starts.cap = 0;
}

size_t ledger_begin(struct ledger_batch *b, unsigned kind, struct str key, struct error *e)
{
    size_t start = append_log_begin(&b->bytes, kind, key);

    if (start == SIZE_MAX)
        error_set(e, ERROR_LIMIT, "too much to store in one step");
    return start;
}

int ledger_finish(struct ledger *l, struct ledger_batch *b, size_t start, struct error *e)
{
    if (append_log_finish(&b->bytes, start, l->marker, 0))
        return error_set(e, ERROR_LIMIT, "too much to store in one record or step");
    if (vec_push(&b->starts, start))
        return error_memory(e);
    return 0;
}

int ledger_add_copy(struct ledger_batch *b, const struct append_log_record *r, struct error *e)
{
    size_t start = b->bytes.len;

    if (buf_str(&b->bytes, r->bytes) || vec_push(&b->starts, start))
        return error_memory(e);
    return 0;
}

int ledger_add_chain(struct ledger *l, struct ledger_batch *b, const unsigned char id[32],
                     struct str bytes, struct error *e)
{
    struct ledger_chain *c = chain_of(l, id);
    size_t start;

    if (!c || keep_bytes(c, bytes))
        return error_memory(e);
    if (c->pending_batch != l->batch) {
        c->pending_batch = l->batch;
        c->pending = 0;
    }
    if (c->copies + c->pending >= LEDGER_CHAIN_COPIES)
        return 0;
    start = ledger_begin(b, APPEND_LOG_CHAIN, (struct str){(const char *)id, 32}, e);
    if (start == SIZE_MAX)
        return -1;
    buf_str(&b->bytes, bytes);
    if (ledger_finish(l, b, start, e))
        return -1;
    c->pending++;
    return 0;
}

int ledger_cut(struct ledger *l, struct error *e)
{
    if (!l->is_uncut)
        return 0;
    if (ftruncate(l->fd, (off_t)l->end))
        return error_errno(e, ERROR_STORAGE, errno, "a failed write cannot be cut off the log");
    l->is_uncut = false;
    return 0;
}

/*
 * Can the old records be looked at whose keys the batch brings? Found out before anything is
 * written.
 */
static int check_batch(const struct ledger *l, const struct ledger_batch *b, struct error *e)
{
    struct str all = buf_view(&b->bytes);

    for (size_t i = 0; i < b->starts.len; i++) {
        struct append_log_record r;
        append_log_view(str_slice(all, b->starts.items[i], all.len), 0, &r);
        if (r.kind != APPEND_LOG_CHAIN && ledger_has(l, r.key, e) < 0)
            return -1;
    }
    return 0;
}

/* Counts the records that are now in the file. */
static int note_batch(struct ledger *l, const struct ledger_batch *b, uint64_t at, struct error *e)
{
    struct str all = buf_view(&b->bytes);

    for (size_t i = 0; i < b->starts.len; i++) {
        struct append_log_record r;
        append_log_view(str_slice(all, b->starts.items[i], all.len), at + b->starts.items[i], &r);
        if (ledger_note(l, &r, e)) {
            l->is_unknown = true;
            return -1;
        }
    }
    return 0;
}

static int write_batch(struct ledger *l, struct ledger_batch *b, bool durable, struct error *e)
{
    struct error ignored;

    if (durable)
        append_log_set_flags(&b->bytes, b->starts.items[b->starts.len - 1], APPEND_LOG_COMMIT);
    l->is_uncut = true;
    if (write_bytes(l, buf_view(&b->bytes), e))
        goto failed;
    if (durable && fdatasync(l->fd)) {
        error_errno(e, ERROR_STORAGE, errno, "the log cannot be made durable");
        goto failed;
    }
    l->is_uncut = false;
    return 0;
failed:
    if (ledger_cut(l, &ignored) == 0)
        (void)fdatasync(l->fd);
    return -1;
}

int ledger_write(struct ledger *l, struct ledger_batch *b, bool durable, struct error *e)
{
    uint64_t at = l->end;

    if (!b->starts.len)
        return 0;
    if (l->is_unknown)
        return error_set(e, ERROR_STORAGE, "the log could not be read and must be opened again");
    /* What could fail behind the write is done before it. */
    if (live_reserve(&l->live, b->starts.len))
        return error_memory(e);
    if (check_batch(l, b, e) || ledger_cut(l, e) || write_batch(l, b, durable, e))
        return -1;
    l->end += b->bytes.len;
    l->batch++;
    if (note_batch(l, b, at, e))
        return -1;
    buf_clear(&b->bytes);
    b->starts.len = 0;
    return 0;
}

/* Reads the probe back. What a compressing filesystem could shrink to nothing would prove nothing.
 */
static int check_probe(const struct ledger *l, struct str written, struct error *e)
{
    char page[4096];
    size_t done = 0;

    while (done < written.len) {
        size_t want = written.len - done < sizeof(page) ? written.len - done : sizeof(page);
        ssize_t got = whole_read_at(l->fd, page, want, l->end + done);

        if (got <= 0)
            return error_errno(e, ERROR_STORAGE, got < 0 ? errno : EIO, "a probe cannot be read");
        if (memcmp(page, written.ptr + done, (size_t)got) != 0)
            return error_set(e, ERROR_STORAGE, "a probe of the log reads other than written");
        done += (size_t)got;
    }
    return 0;
}

static int fill_probe(struct ledger *l, struct ledger_batch *b, size_t room, struct error *e)
{
    uint64_t noise = 0x9e3779b97f4a7c15u;

    while (b->bytes.len < room) {
        size_t start = ledger_begin(b, APPEND_LOG_PROBE, STR_NONE, e);
        if (start == SIZE_MAX)
            return -1;
        for (size_t i = 0; i < PROBE_RECORD && b->bytes.len < room; i += sizeof(noise)) {
            noise = noise * 6364136223846793005u + 1442695040888963407u;
            buf_append(&b->bytes, &noise, sizeof(noise));
        }
        if (ledger_finish(l, b, start, e))
            return -1;
    }
    return 0;
}

int ledger_probe(struct ledger *l, size_t room, struct error *e)
{
    struct ledger_batch b;
    struct error ignored;
    int rc = -1;

    ledger_batch_init(l, &b);
    if (fill_probe(l, &b, room, e) || ledger_cut(l, e))
        goto out;
    /* Without APPEND_LOG_COMMIT: after a crash it is a torn tail. */
    if (write_batch(l, &b, false, e))
        goto out;
    l->is_uncut = true;
    if (fdatasync(l->fd))
        error_errno(e, ERROR_STORAGE, errno, "the log cannot be made durable");
    else
        rc = check_probe(l, buf_view(&b.bytes), e);
    if (ledger_cut(l, rc ? &ignored : e))
        rc = -1;
out:
    ledger_batch_free(&b);
    return rc;
}
