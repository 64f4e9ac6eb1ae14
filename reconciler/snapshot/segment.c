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

/* One that is known here, and checked. */
struct section {
    const char *start; /* NULL = there is none */
    uint64_t size;
    struct segment_table table; /* where it is one */
};

struct segment {
    const char *base;
    size_t size;
    struct segment_header header; /* a copy, checked */
    struct section sections[SECTIONS];
    atomic_uint references;
};

bool segment_is_stacked(enum segment_kind kind)
{
    return segment_format_kinds[kind].is_stacked;
}

/* ---- mapping ---- */

static int check_header(const struct segment_header *h, uint64_t file_size, struct error *e)
{
    if (memcmp(h->magic, SEGMENT_MAGIC, sizeof(h->magic)) != 0)
        return error_set(e, ERROR_SYNTAX, "segment: not a segment");
    if (h->byte_order == __builtin_bswap32(SEGMENT_BYTE_ORDER))
        return error_set(e, ERROR_SYNTAX, "segment: of another byte order");
    if (h->format != SEGMENT_FORMAT)
        return error_set(e, ERROR_SYNTAX, "segment: format %u, not %d", h->format, SEGMENT_FORMAT);
    if (h->byte_order != SEGMENT_BYTE_ORDER)
        return error_set(e, ERROR_SYNTAX, "segment: of no byte order");
    if (h->kind < SEGMENT_NAMES || h->kind >= SEGMENT_KINDS)
        return error_set(e, ERROR_SYNTAX, "segment: unknown kind %u", h->kind);
    if (h->size != file_size)
        return error_set(e, ERROR_SYNTAX, "segment: %llu bytes, not %llu",
                         (unsigned long long)file_size, (unsigned long long)h->size);
    if (h->section_count > SEGMENT_SECTIONS_MAX ||
        h->section_count * sizeof(struct segment_section) > file_size - sizeof(*h))
        return error_set(e, ERROR_SYNTAX, "segment: %u sections", h->section_count);
    return 0;
}

static bool lies_within(const struct section *s, uint64_t at, uint64_t size)
{
    return at >= sizeof(s->table) && at <= s->size && size <= s->size - at;
}

static bool is_sound_table(const struct section *s)
{
    const struct segment_table *t = &s->table;

    if (t->count > SEGMENT_ENTRIES_MAX || t->slot_count > UINT64_C(4) * SEGMENT_ENTRIES_MAX)
        return false;
    if (t->slot_count == 0)
        return t->count == 0;
    if ((t->slot_count & (t->slot_count - 1)) != 0 || t->slot_count <= t->count ||
        t->probe_max > t->slot_count)
        return false;
    if (t->slots_at % SEGMENT_UNIT || t->order_at % SEGMENT_UNIT || t->records_at % SEGMENT_UNIT)
        return false;
    return lies_within(s, t->slots_at, t->slot_count * sizeof(uint64_t)) &&
           lies_within(s, t->order_at, t->count * sizeof(uint32_t)) &&
           lies_within(s, t->records_at, t->records_size);
}

static bool take_table(struct section *s)
{
    if (s->size < sizeof(s->table))
        return false;
    memcpy(&s->table, s->start, sizeof(s->table));
    return is_sound_table(s);
}

/* Puts it among those that are known here. What is wrong with it, or NULL. */
static const char *take_section(struct segment *s, const struct segment_section *found)
{
    const struct segment_format_section *known = &segment_format_sections[found->name];
    struct section *to = &s->sections[found->name];

    if (to->start)
        return "comes twice";
    if (known->is_secret != ((found->flags & SECTION_IS_SECRET) != 0))
        return known->is_secret ? "shows its secrets" : "has no secrets";
    to->start = s->base + found->at;
    to->size = found->size;
    return known->is_table && !take_table(to) ? "is no table" : NULL;
}

/* All that lies before it ends at *end. */
static const char *check_section(const struct segment *s, const struct segment_section *found,
                                 uint64_t *end)
{
    bool is_secret = found->flags & SECTION_IS_SECRET;
    uint64_t align = is_secret ? SEGMENT_PAGE : SEGMENT_ALIGN;

    if (found->at > s->size || found->size > s->size - found->at)
        return "leaves it";
    if (found->at % align)
        return "is not aligned";
    if (found->at < *end)
        return "overlaps another";
    *end = found->at + found->size;
    if (!is_secret)
        return NULL;
    if (!segment_format_kinds[s->header.kind].has_secrets)
        return "has secrets";
    *end = (*end + SEGMENT_PAGE - 1) / SEGMENT_PAGE * SEGMENT_PAGE;
    return *end > s->size ? "leaves it" : NULL;
}

static struct segment_section section_at(const struct segment *s, uint32_t i)
{
    struct segment_section found;

    memcpy(&found, s->base + sizeof(s->header) + i * sizeof(found), sizeof(found));
    return found;
}

static int read_directory(struct segment *s, struct error *e)
{
    uint64_t end = sizeof(s->header) + s->header.section_count * sizeof(struct segment_section);

    for (uint32_t i = 0; i < s->header.section_count; i++) {
        struct segment_section found = section_at(s, i);
        const char *fault = check_section(s, &found, &end);
        if (!fault && found.name < SECTIONS &&
            segment_format_sections[found.name].kind == s->header.kind)
            fault = take_section(s, &found);
        if (fault)
            return error_set(e, ERROR_SYNTAX, "segment: section %u %s", found.name, fault);
    }
    for (uint32_t name = 0; name < SECTIONS; name++) {
        const struct segment_format_section *known = &segment_format_sections[name];
        if (known->kind == s->header.kind && !known->is_optional && !s->sections[name].start)
            return error_set(e, ERROR_SYNTAX, "segment: section %u is missing", name);
    }
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

/* Of those that are not known here, too. */
static bool guard_secrets(const struct segment *s)
{
    bool all_locked = true;

    for (uint32_t i = 0; i < s->header.section_count; i++) {
        struct segment_section found = section_at(s, i);
        size_t size = (found.size + SEGMENT_PAGE - 1) / SEGMENT_PAGE * SEGMENT_PAGE;
        const char *start = s->base + found.at;
        if (!(found.flags & SECTION_IS_SECRET) || !size)
            continue;
        /* Advice: where it is not taken, RLIMIT_CORE 0 still holds. */
        (void)madvise((void *)(uintptr_t)start, size, MADV_DONTDUMP);
        all_locked &= lock_pages(start, size);
    }
    return all_locked;
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
        return error_no_memory(e);
    }
    s->base = base;
    s->size = (size_t)st.st_size;
    atomic_init(&s->references, 1);
    memcpy(&s->header, base, sizeof(s->header));
    if (check_header(&s->header, s->size, e) || read_directory(s, e)) {
        segment_unref(s);
        return NULL;
    }
    all_locked = guard_secrets(s);
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
    return s->sections[SECTION_NAMES].table.count;
}

/* ---- tables ---- */

/* A record with its parts, all of them inside the table. */
struct record {
    struct segment_record head;
    const char *entries;
    struct str key, value;
};

static int read_record(const struct section *s, uint64_t place, struct record *r)
{
    const struct segment_table *t = &s->table;
    uint64_t at = place * SEGMENT_UNIT;
    const char *p = s->start + t->records_at + at;

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

static int find(const struct segment *s, uint32_t name, struct str key, struct record *r)
{
    const struct section *in = &s->sections[name];
    const struct segment_table *t = &in->table;
    uint64_t hash, mask = t->slot_count - 1;
    const char *slots;

    if (t->count == 0)
        return 0;
    slots = in->start + t->slots_at;
    hash = str_hash(key, s->header.seed);
    for (uint64_t n = 0; n < t->probe_max; n++) {
        uint64_t slot;
        memcpy(&slot, slots + ((hash + n) & mask) * sizeof(slot), sizeof(slot));
        if (!slot)
            return 0;
        if ((uint32_t)(slot >> 32) != segment_tag(hash))
            continue;
        if ((uint32_t)slot == 0 || read_record(in, (uint32_t)slot - 1, r))
            return -1;
        if (str_equal(r->key, key))
            return 1;
    }
    return 0;
}

/* ---- names ---- */

static int view(const struct section *s, uint64_t at, uint32_t size, struct str *out)
{
    if (at > s->size || size > s->size - at)
        return -1;
    *out = (struct str){s->start + at, size};
    return 0;
}

static int read_name(const struct segment *s, const struct record *r, struct segment_name *found)
{
    const struct section *bytes = &s->sections[SECTION_BYTES], *keys = &s->sections[SECTION_KEYS];

    *found = (struct segment_name){
        .name = r->key, .count = r->head.entries, .on_demand = r->head.is_on_demand != 0};
    for (size_t i = 0; i < r->head.entries; i++) {
        struct segment_credential *c = &found->credentials[i];
        struct segment_entry entry;
        memcpy(&entry, r->entries + i * sizeof(entry), sizeof(entry));
        c->key_type = (enum key_type)entry.key_type;
        if (entry.key_type > KEY_OTHER || view(bytes, entry.leaf_at, entry.leaf_size, &c->leaf) ||
            view(bytes, entry.chain_at, entry.chain_size, &c->chain) ||
            view(keys, entry.key_at, entry.key_size, &c->key))
            return -1;
    }
    return 0;
}

int segment_find_name(const struct segment *s, struct str name, struct segment_name *found)
{
    struct record r;
    int got = find(s, SECTION_NAMES, name, &r);

    if (got != 1)
        return got;
    return read_name(s, &r, found) ? -1 : 1;
}

int segment_name_at(const struct segment *s, size_t i, struct segment_name *found)
{
    const struct section *names = &s->sections[SECTION_NAMES];
    struct record r;
    uint32_t place;

    if (i >= names->table.count)
        return -1;
    memcpy(&place, names->start + names->table.order_at + i * sizeof(place), sizeof(place));
    if (read_record(names, place, &r))
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

/* ---- challenges ---- */

int segment_find_challenge(const struct segment *s, enum challenge_kind kind, struct str key,
                           struct str *payload)
{
    struct record r;
    int got = find(s, SECTION_HTTP_01 + (uint32_t)kind, key, &r);

    if (got == 1)
        *payload = r.value;
    return got;
}

/* ---- lists ---- */

bool segment_lists(const struct segment *s, enum segment_list list, struct str entry)
{
    struct record r;

    return find(s, SECTION_DOMAINS + (uint32_t)list, entry, &r) == 1;
}

bool segment_lists_prefix(const struct segment *s, enum segment_list list, struct str text,
                          size_t least)
{
    uint64_t most = s->sections[SECTION_DOMAINS + (uint32_t)list].table.key_max;

    for (size_t len = least; len <= text.len && len <= most; len++)
        if (segment_lists(s, list, str_slice(text, 0, len)))
            return true;
    return false;
}

uint64_t segment_flags(const struct segment *s)
{
    return s->header.flags;
}
