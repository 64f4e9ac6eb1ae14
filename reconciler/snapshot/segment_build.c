#include "segment_build.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

void segment_build_init(struct segment_build *b, enum segment_kind kind)
{
    memset(b, 0, sizeof(*b));
    memcpy(b->header.magic, SEGMENT_MAGIC, sizeof(b->header.magic));
    b->header.format = SEGMENT_FORMAT;
    b->header.byte_order = SEGMENT_BYTE_ORDER;
    b->header.kind = kind;
    b->base = MAP_FAILED;
    b->fd = -1;
    /* Names come from outside: a seed that nobody can foresee keeps them from colliding at will. */
    if (getrandom(&b->header.seed, sizeof(b->header.seed), GRND_NONBLOCK) < 0)
        b->header.seed = 0;
}

void segment_build_fini(struct segment_build *b)
{
    if (b->base != MAP_FAILED)
        munmap(b->base, b->header.size);
    if (b->fd >= 0)
        close(b->fd);
}

/* ---- measuring ---- */

int segment_build_measure(struct segment_build *b, enum segment_section_name table, size_t entries,
                          size_t key, size_t value, struct error *e)
{
    struct segment_table *t = &b->sections[table].table;

    if (key > SEGMENT_KEY_MAX || value > SEGMENT_ANSWER_MAX)
        return error_set(e, ERROR_LIMIT, "segment: a key or value is too long");
    if (t->count >= SEGMENT_ENTRIES_MAX)
        return error_set(e, ERROR_LIMIT, "segment: over %d entries", SEGMENT_ENTRIES_MAX);
    t->count++;
    t->records_size += segment_record_size(entries, key, value);
    if (t->records_size / SEGMENT_UNIT >= UINT32_MAX)
        return error_set(e, ERROR_LIMIT, "segment: too many bytes of names");
    if (key > t->key_max)
        t->key_max = key;
    return 0;
}

uint64_t segment_build_reserve(struct segment_build *b, enum segment_section_name section,
                               uint64_t size)
{
    uint64_t at = b->sections[section].place.size;

    b->sections[section].place.size += size;
    return at;
}

/* ---- the file ---- */

static uint64_t take(uint64_t *end, uint64_t size, uint64_t align)
{
    uint64_t at = (*end + align - 1) / align * align;

    *end = at + size;
    return at;
}

static uint64_t slots_for(uint64_t count)
{
    uint64_t slots = 2;

    if (!count)
        return 0;
    while (slots * 3 / 4 < count)
        slots *= 2;
    return slots;
}

static void lay_out_table(struct segment_build_section *s)
{
    struct segment_table *t = &s->table;
    uint64_t end = sizeof(*t);

    t->slot_count = slots_for(t->count);
    t->slots_at = take(&end, t->slot_count * sizeof(uint64_t), SEGMENT_ALIGN);
    t->order_at = take(&end, t->count * sizeof(uint32_t), SEGMENT_UNIT);
    t->records_at = take(&end, t->records_size, SEGMENT_UNIT);
    s->place.size = end;
}

static bool belongs(const struct segment_build *b, uint32_t name)
{
    return segment_format_sections[name].kind == b->header.kind;
}

static void lay_out(struct segment_build *b)
{
    uint64_t end;

    for (uint32_t name = 0; name < SECTIONS; name++)
        b->header.section_count += belongs(b, name);
    end = sizeof(b->header) + b->header.section_count * sizeof(struct segment_section);
    for (uint32_t name = 0; name < SECTIONS; name++) {
        const struct segment_format_section *known = &segment_format_sections[name];
        struct segment_section *place = &b->sections[name].place;
        uint64_t align = known->is_secret ? SEGMENT_PAGE : SEGMENT_ALIGN;
        if (!belongs(b, name))
            continue;
        if (known->is_table)
            lay_out_table(&b->sections[name]);
        place->name = name;
        place->flags = known->is_secret ? SECTION_IS_SECRET : 0;
        place->at = take(&end, place->size, align);
        if (known->is_secret)
            (void)take(&end, 0, align);
    }
    b->header.size = end;
}

int segment_build_open(struct segment_build *b, struct error *e)
{
    lay_out(b);
    b->fd = memfd_create("segment", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (b->fd < 0)
        return error_errno(e, ERROR_IO, errno, "segment: memfd_create");
    /* fallocate rather than ftruncate: memory that is out shows here, not as SIGBUS below. */
    if (fallocate(b->fd, 0, 0, (off_t)b->header.size))
        return error_errno(e, ERROR_MEMORY, errno, "segment: %llu bytes",
                           (unsigned long long)b->header.size);
    b->base =
        mmap(NULL, b->header.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, b->fd, 0);
    if (b->base == MAP_FAILED)
        return error_errno(e, ERROR_MEMORY, errno, "segment: mmap");
    /* Secrets pass through: advice, as in segment.c. */
    (void)madvise(b->base, b->header.size, MADV_DONTDUMP);
    return 0;
}

char *segment_build_at(const struct segment_build *b, enum segment_section_name section,
                       uint64_t at)
{
    return b->base + b->sections[section].place.at + at;
}

/* ---- filling ---- */

/* Enters the record at `place`, whose key this is, into the table's slots. */
static int enter(struct segment_build *b, enum segment_section_name table, struct str key,
                 uint64_t place, struct error *e)
{
    struct segment_table *t = &b->sections[table].table;
    uint64_t hash = str_hash(key, b->header.seed), mask = t->slot_count - 1;
    char *slots = segment_build_at(b, table, t->slots_at);
    const char *records = segment_build_at(b, table, t->records_at);

    for (uint64_t n = 0;; n++) {
        char *at = slots + ((hash + n) & mask) * sizeof(uint64_t);
        struct segment_record other;
        const char *record;
        uint64_t slot;
        memcpy(&slot, at, sizeof(slot));
        if (!slot) {
            slot = (uint64_t)segment_tag(hash) << 32 | (place + 1);
            memcpy(at, &slot, sizeof(slot));
            if (n + 1 > t->probe_max)
                t->probe_max = n + 1;
            return 0;
        }
        if ((uint32_t)(slot >> 32) != segment_tag(hash))
            continue;
        record = records + ((uint32_t)slot - 1) * UINT64_C(8);
        memcpy(&other, record, sizeof(other));
        record += sizeof(other) + other.entries * sizeof(struct segment_entry);
        if (str_equal((struct str){record, other.key_size}, key))
            return error_set(e, ERROR_INVALID, "segment: an entry comes twice");
    }
}

int segment_build_put(struct segment_build *b, enum segment_section_name table,
                      const struct segment_record *head, const struct segment_entry *entries,
                      struct str key, struct str value, struct error *e)
{
    struct segment_build_section *s = &b->sections[table];
    uint32_t place = (uint32_t)(s->placed / SEGMENT_UNIT);
    char *p = segment_build_at(b, table, s->table.records_at + s->placed);

    if (enter(b, table, key, place, e))
        return -1;
    memcpy(segment_build_at(b, table, s->table.order_at + s->walked * sizeof(place)), &place,
           sizeof(place));
    memcpy(p, head, sizeof(*head));
    p += sizeof(*head);
    if (head->entries)
        memcpy(p, entries, head->entries * sizeof(*entries));
    p += head->entries * sizeof(*entries);
    if (key.len)
        memcpy(p, key.ptr, key.len);
    if (value.len)
        memcpy(p + key.len, value.ptr, value.len);
    s->placed += segment_record_size(head->entries, key.len, value.len);
    s->walked++;
    return 0;
}

int segment_build_seal(struct segment_build *b, uint64_t *size, struct error *e)
{
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    char *directory = b->base + sizeof(b->header);
    int fd = b->fd;

    memcpy(b->base, &b->header, sizeof(b->header));
    for (uint32_t name = 0; name < SECTIONS; name++) {
        struct segment_build_section *s = &b->sections[name];
        if (!belongs(b, name))
            continue;
        memcpy(directory, &s->place, sizeof(s->place));
        directory += sizeof(s->place);
        s->table.count = s->walked;
        if (segment_format_sections[name].is_table)
            memcpy(b->base + s->place.at, &s->table, sizeof(s->table));
    }
    munmap(b->base, b->header.size);
    b->base = MAP_FAILED;
    if (fcntl(fd, F_ADD_SEALS, seals))
        return error_errno(e, ERROR_IO, errno, "segment: seal");
    b->fd = -1;
    if (size)
        *size = b->header.size;
    return fd;
}
