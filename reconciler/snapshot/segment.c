#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "segment_format.h"

#define SEALS_NEEDED (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct segment {
    const char *base;
    size_t size;
    struct segment_header header; /* a copy, checked */
    atomic_uint references;
};

/* ---- mapping ---- */

static bool lies_within(const struct segment_header *h, uint64_t at, uint64_t size)
{
    return at >= sizeof(*h) && at <= h->size && size <= h->size - at;
}

static bool is_sound_table(const struct segment_header *h, const struct segment_table *t)
{
    if (t->count > SEGMENT_ENTRIES_MAX || t->slot_count > UINT64_C(4) * SEGMENT_ENTRIES_MAX)
        return false;
    if (t->slot_count == 0)
        return t->count == 0;
    if ((t->slot_count & (t->slot_count - 1)) != 0 || t->slot_count <= t->count ||
        t->probe_max > t->slot_count)
        return false;
    if (t->slots_at % SEGMENT_UNIT || t->order_at % SEGMENT_UNIT || t->records_at % SEGMENT_UNIT)
        return false;
    return lies_within(h, t->slots_at, t->slot_count * sizeof(uint64_t)) &&
           lies_within(h, t->order_at, t->count * sizeof(uint32_t)) &&
           lies_within(h, t->records_at, t->records_size);
}

static int check_header(const struct segment_header *h, uint64_t file_size, struct error *e)
{
    if (memcmp(h->magic, SEGMENT_MAGIC, sizeof(h->magic)) != 0)
        return error_set(e, ERROR_SYNTAX, "segment: not a segment");
    if (h->format != SEGMENT_FORMAT)
        return error_set(e, ERROR_SYNTAX, "segment: format %u, not %d", h->format, SEGMENT_FORMAT);
    if (h->kind < SEGMENT_CREDENTIALS || h->kind > SEGMENT_ROUTES)
        return error_set(e, ERROR_SYNTAX, "segment: unknown kind %u", h->kind);
    if (h->size != file_size)
        return error_set(e, ERROR_SYNTAX, "segment: %llu bytes, not %llu",
                         (unsigned long long)file_size, (unsigned long long)h->size);
    for (size_t i = 0; i < SEGMENT_TABLES; i++)
        if (!is_sound_table(h, &h->tables[i]))
            return error_set(e, ERROR_SYNTAX, "segment: table %zu is broken", i);
    if (!lies_within(h, h->bytes_at, h->bytes_size) || !lies_within(h, h->keys_at, h->keys_size) ||
        (h->keys_size && h->keys_at % SEGMENT_PAGE))
        return error_set(e, ERROR_SYNTAX, "segment: a section leaves it");
    return 0;
}

/*
 * mlock takes a range whole or not at all: halve the piece until what is allowed is used up. The
 * pages of a sealed memfd belong to all who map it, so locking them in one process keeps them
 * there.
 */
static bool lock_pages(const char *at, size_t size)
{
    size_t done = 0;

    for (size_t piece = size; piece >= SEGMENT_PAGE && done < size;) {
        size_t part = piece < size - done ? piece : size - done;
        if (mlock(at + done, part) == 0)
            done += part;
        else
            piece = piece / 2 - piece / 2 % SEGMENT_PAGE;
    }
    return done >= size;
}

static bool guard_keys(const struct segment *s)
{
    const struct segment_header *h = &s->header;
    size_t size = s->size - h->keys_at;

    if (h->keys_size == 0)
        return true;
    /* Advice: where it is not taken, RLIMIT_CORE 0 still holds. */
    (void)madvise((void *)(uintptr_t)(s->base + h->keys_at), size, MADV_DONTDUMP);
    return lock_pages(s->base + h->keys_at, size);
}

struct segment *segment_map(int fd, bool *locked, struct error *e)
{
    struct segment *s = NULL;
    struct stat st;
    void *base = MAP_FAILED;
    bool all_locked;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0 || (seals & SEALS_NEEDED) != SEALS_NEEDED) {
        error_set(e, ERROR_INVALID, "segment: not a sealed memfd");
        return NULL;
    }
    /* By itself: glibc asks newfstatat, which takes paths too, and a worker may not (sandbox). */
    if (syscall(SYS_fstat, fd, &st)) {
        error_errno(e, ERROR_IO, errno, "segment");
        return NULL;
    }
    if ((uint64_t)st.st_size < sizeof(s->header)) {
        error_set(e, ERROR_SYNTAX, "segment: too short");
        return NULL;
    }
    s = calloc(1, sizeof(*s));
    if (s)
        base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        free(s);
        error_memory(e);
        return NULL;
    }
    s->base = base;
    s->size = (size_t)st.st_size;
    atomic_init(&s->references, 1);
    memcpy(&s->header, base, sizeof(s->header));
    if (check_header(&s->header, s->size, e)) {
        segment_unref(s);
        return NULL;
    }
    all_locked = guard_keys(s);
    if (locked)
        *locked = all_locked;
    return s;
}

struct segment *segment_ref(struct segment *s)
{
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    return s;
}

void segment_unref(struct segment *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) != 1)
        return;
    munmap((void *)(uintptr_t)s->base, s->size);
    free(s);
}

enum segment_kind segment_kind_of(const struct segment *s)
{
    return (enum segment_kind)s->header.kind;
}

size_t segment_count(const struct segment *s)
{
    return s->header.tables[0].count;
}

size_t segment_live_bytes(const struct segment *s)
{
    return s->size;
}

/* ---- tables ---- */

/* A record with its parts, all of them inside the table. */
struct record {
    struct segment_record head;
    const char *entries;
    struct str key, value;
};

static int read_record(const struct segment *s, const struct segment_table *t, uint64_t place,
                       struct record *r)
{
    uint64_t at = place * SEGMENT_UNIT;
    const char *p = s->base + t->records_at + at;

    if (at > t->records_size || t->records_size - at < sizeof(r->head))
        return -1;
    memcpy(&r->head, p, sizeof(r->head));
    if (r->head.entries > 2 || segment_record_size(r->head.entries, r->head.key_size,
                                                   r->head.value_size) > t->records_size - at)
        return -1;
    r->entries = p + sizeof(r->head);
    r->key.ptr = r->entries + r->head.entries * sizeof(struct segment_entry);
    r->key.len = r->head.key_size;
    r->value.ptr = r->key.ptr + r->key.len;
    r->value.len = r->head.value_size;
    return 0;
}

static int find(const struct segment *s, size_t table, struct str key, struct record *r)
{
    const struct segment_table *t = &s->header.tables[table];
    uint64_t hash, mask = t->slot_count - 1;
    const char *slots = s->base + t->slots_at;

    if (t->count == 0)
        return 0;
    hash = str_hash(key, s->header.seed);
    for (uint64_t n = 0; n < t->probe_max; n++) {
        uint64_t slot;
        memcpy(&slot, slots + ((hash + n) & mask) * sizeof(slot), sizeof(slot));
        if (!slot)
            return 0;
        if ((uint32_t)(slot >> 32) != segment_tag(hash))
            continue;
        if ((uint32_t)slot == 0 || read_record(s, t, (uint32_t)slot - 1, r))
            return -1;
        if (str_equal(r->key, key))
            return 1;
    }
    return 0;
}

static bool has(const struct segment *s, size_t table, struct str key)
{
    struct record r;

    return find(s, table, key, &r) == 1;
}

/* ---- credentials ---- */

static int view(const struct segment *s, uint64_t from, uint64_t room, uint64_t at, uint32_t size,
                struct str *out)
{
    if (at < from || at - from > room || size > room - (at - from))
        return -1;
    *out = (struct str){s->base + at, size};
    return 0;
}

static int read_name(const struct segment *s, const struct record *r, struct segment_name *found)
{
    const struct segment_header *h = &s->header;

    *found = (struct segment_name){
        .name = r->key, .count = r->head.entries, .managed = r->head.is_managed != 0};
    for (size_t i = 0; i < r->head.entries; i++) {
        struct segment_credential *c = &found->credentials[i];
        struct segment_entry entry;
        memcpy(&entry, r->entries + i * sizeof(entry), sizeof(entry));
        c->key_type = (enum key_type)entry.key_type;
        if (entry.key_type > KEY_OTHER ||
            view(s, h->bytes_at, h->bytes_size, entry.leaf_at, entry.leaf_size, &c->leaf) ||
            view(s, h->bytes_at, h->bytes_size, entry.chain_at, entry.chain_size, &c->chain) ||
            view(s, h->keys_at, h->keys_size, entry.key_at, entry.key_size, &c->key))
            return -1;
    }
    return 0;
}

int segment_find_name(const struct segment *s, struct str name, struct segment_name *found)
{
    struct record r;
    int got;

    if (s->header.kind != SEGMENT_CREDENTIALS)
        return 0;
    got = find(s, 0, name, &r);
    if (got != 1)
        return got;
    return read_name(s, &r, found) ? -1 : 1;
}

int segment_name_at(const struct segment *s, size_t i, struct segment_name *found)
{
    const struct segment_table *t = &s->header.tables[0];
    struct record r;
    uint32_t place;

    if (s->header.kind != SEGMENT_CREDENTIALS || i >= t->count)
        return -1;
    memcpy(&place, s->base + t->order_at + i * sizeof(place), sizeof(place));
    if (read_record(s, t, place, &r))
        return -1;
    return read_name(s, &r, found);
}

/* Length of the DER element at the front (X.690 §8.1.3, definite lengths only); 0 = none fits. */
static size_t der_size(struct str der)
{
    const unsigned char *p = (const unsigned char *)der.ptr;
    size_t size = 0, octets;

    if (der.len < 2 || p[0] != 0x30)
        return 0;
    if (p[1] < 0x80)
        return (size_t)p[1] + 2 <= der.len ? (size_t)p[1] + 2 : 0;
    octets = p[1] & 0x7fu;
    if (octets < 1 || octets > 3 || der.len < 2 + octets)
        return 0;
    for (size_t i = 0; i < octets; i++)
        size = size << 8 | p[2 + i];
    size += 2 + octets;
    return size <= der.len ? size : 0;
}

size_t segment_chain(struct str chain, struct str *certificates, size_t max)
{
    size_t count = 0;

    while (chain.len && count < max) {
        size_t size = der_size(chain);
        if (!size)
            break;
        certificates[count++] = str_slice(chain, 0, size);
        chain = str_slice(chain, size, chain.len);
    }
    return count;
}

/* ---- tokens ---- */

int segment_find_token(const struct segment *s, struct str token, struct str *answer)
{
    struct record r;
    int got;

    if (s->header.kind != SEGMENT_TOKENS)
        return 0;
    got = find(s, 0, token, &r);
    if (got == 1)
        *answer = r.value;
    return got;
}

/* ---- routes ---- */

bool segment_lists(const struct segment *routes, enum segment_list list, struct str entry)
{
    return routes->header.kind == SEGMENT_ROUTES && has(routes, list, entry);
}

uint64_t segment_flags(const struct segment *routes)
{
    return routes->header.kind == SEGMENT_ROUTES ? routes->header.flags : 0;
}

bool segment_keeps_path(const struct segment *routes, struct str path)
{
    struct str shortest = STR("/.well-known/acme-challenge");

    if (routes->header.kind != SEGMENT_ROUTES || !str_starts(path, shortest))
        return false;
    for (size_t len = shortest.len; len <= path.len && len <= routes->header.longest_path; len++)
        if (has(routes, SEGMENT_PATHS, str_slice(path, 0, len)))
            return true;
    return false;
}
