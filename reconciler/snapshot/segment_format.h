#pragma once

#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/base/str.h"
#include "reconciler/snapshot/segment.h"

/*
 * The bytes of a segment: a header; tables; `bytes` (leaves and chains); `keys`, page-aligned and
 * last, so that these pages hold nothing else. All offsets count from the file's start, are in host
 * byte order, and are checked by whoever follows them.
 *
 * A table is an open-addressing hash over records. A slot is 0 (empty) or the key's hash tag in the
 * upper half and the record's place (in units of 8 bytes, plus 1) in the lower half. `order` is the
 * records' places one by one, for walking.
 */
#define SEGMENT_MAGIC "RCNSEGM\n"
#define SEGMENT_FORMAT 1
#define SEGMENT_PAGE 4096
#define SEGMENT_UNIT 8
#define SEGMENT_TABLES 3 /* enum segment_list in ROUTES; the other kinds use the first alone */

struct segment_table {
    uint64_t slots_at;
    uint64_t slot_count; /* a power of two, more than count */
    uint64_t order_at;   /* count places of 4 bytes */
    uint64_t count;
    uint64_t records_at;
    uint64_t records_size;
    uint64_t probe_max; /* slots that the longest search looks at */
};

struct segment_header {
    char magic[8];
    uint32_t format;
    uint32_t kind;
    uint64_t size; /* of the file */
    uint64_t seed;
    uint64_t flags;
    uint64_t longest_path; /* of SEGMENT_PATHS: no lookup needs a longer one */
    struct segment_table tables[SEGMENT_TABLES];
    uint64_t bytes_at, bytes_size;
    uint64_t keys_at, keys_size;
};

/* Followed by `entries` entries, the key's bytes, the value's bytes, and zeros up to a unit. */
struct segment_record {
    uint16_t key_size;
    uint8_t entries;
    uint8_t is_managed;
    uint32_t value_size;
};

struct segment_entry {
    uint64_t leaf_at, chain_at, key_at;
    uint32_t leaf_size, chain_size, key_size;
    uint32_t key_type;
};

static inline uint64_t segment_record_size(size_t entries, size_t key, size_t value)
{
    uint64_t size = sizeof(struct segment_record) + entries * sizeof(struct segment_entry) + key +
                    value + SEGMENT_UNIT - 1;
    return size - size % SEGMENT_UNIT;
}

static inline uint32_t segment_tag(uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

/* Where names come from: called twice for each i in order, giving the same both times; -1 with *e.
 */
struct segment_source {
    size_t count;
    void *context;
    int (*at)(void *context, size_t i, struct segment_name *name, struct error *e);
};

/* segment_write_credentials from any source. */
int segment_write_from(const struct segment_source *source, uint64_t *size,
                       struct error *e) MUST_CHECK;
