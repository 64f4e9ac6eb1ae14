#pragma once

#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/base/str.h"
#include "reconciler/snapshot/segment.h"

/*
 * The bytes of a segment: a header; a directory of sections; the sections, in the directory's
 * order. Numbers are in the byte order of who wrote it, which the header shows. A section begins at
 * a multiple of SEGMENT_ALIGN; a secret one begins a page, and nothing else lies in its pages.
 * Offsets in a section count from its start, and are checked by whoever follows them.
 *
 * What a later build adds is a section that earlier ones pass over; SEGMENT_FORMAT changes when
 * they could not. Over an upgrade no build is sent another's segments: the new one's control and
 * workers have channels of their own, and the old workers serve what they have until they drain.
 *
 * A table is a section: its own head, then an open-addressing hash over records. A slot is 0
 * (empty) or the key's hash tag in the upper half and the record's place (in units of 8 bytes, plus
 * 1) in the lower half. `order` is the records' places one by one, for walking.
 */
#define SEGMENT_MAGIC "RCNSEGM\n"
#define SEGMENT_FORMAT 2
#define SEGMENT_BYTE_ORDER 0x01020304u
#define SEGMENT_PAGE 4096
#define SEGMENT_ALIGN 64
#define SEGMENT_UNIT 8
#define SEGMENT_SECTIONS_MAX 64 /* of a directory */

struct segment_header {
    char magic[8];
    uint32_t format;
    uint32_t kind;
    uint32_t byte_order;
    uint32_t section_count;
    uint64_t size; /* of the file */
    uint64_t seed;
    uint64_t flags; /* enum segment_flag */
};

/* The numbers are bytes: they stay what they are. */
enum segment_section_name {
    SECTION_NAMES = 1,
    SECTION_BYTES,   /* leaves and chains */
    SECTION_KEYS,    /* private ones */
    SECTION_HTTP_01, /* challenges, in the order of enum challenge_kind */
    SECTION_TLS_ALPN_01,
    SECTION_DOMAINS, /* in the order of enum segment_list */
    SECTION_HOSTS,
    SECTION_PATHS,
    SECTIONS
};

enum segment_section_flag { SECTION_IS_SECRET = 1 };

struct segment_section {
    uint32_t name;
    uint32_t flags;
    uint64_t at;
    uint64_t size;
};

struct segment_table {
    uint64_t slots_at;
    uint64_t slot_count; /* a power of two, more than count */
    uint64_t order_at;   /* count places of 4 bytes */
    uint64_t count;
    uint64_t records_at;
    uint64_t records_size;
    uint64_t probe_max; /* slots that the longest search looks at */
    uint64_t key_max;   /* bytes of the longest key */
};

/* Followed by `entries` entries, the key's bytes, the value's bytes, and zeros up to a unit. */
struct segment_record {
    uint16_t key_size;
    uint8_t entries;
    uint8_t is_on_demand;
    uint32_t value_size;
};

/* Leaf and chain lie in SECTION_BYTES, the key in SECTION_KEYS. */
struct segment_entry {
    uint64_t leaf_at, chain_at, key_at;
    uint32_t leaf_size, chain_size, key_size;
    uint32_t key_type;
};

/* What is known of a kind and of a section, for who writes and who reads. */
struct segment_format_kind {
    bool is_stacked; /* else whole: only the newest counts */
    bool has_secrets;
};

struct segment_format_section {
    enum segment_kind kind;
    bool is_table;
    bool is_secret;
    bool is_optional; /* none is as good as an empty one */
};

extern const struct segment_format_kind segment_format_kinds[SEGMENT_KINDS];
extern const struct segment_format_section segment_format_sections[SECTIONS];

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

/* segment_write_names from any source. */
int segment_write_from(const struct segment_source *source, uint64_t *size,
                       struct error *e) MUST_CHECK;
