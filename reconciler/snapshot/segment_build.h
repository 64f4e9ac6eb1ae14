#pragma once

#include <stdint.h>

#include "segment_format.h"

/*
 * A segment on its way: what it is to hold is measured, then the file is made with all its pages,
 * then filled, then sealed.
 */
struct segment_build_section {
    struct segment_section place;
    struct segment_table table;
    uint64_t placed; /* bytes of records written */
    uint64_t walked; /* records written */
};

struct segment_build {
    struct segment_header header;
    struct segment_build_section sections[SECTIONS];
    char *base; /* MAP_FAILED until the file is there */
    int fd;
};

void segment_build_init(struct segment_build *b, enum segment_kind kind);
void segment_build_fini(struct segment_build *b);

/* Counts a record in. ERROR_LIMIT. */
int segment_build_measure(struct segment_build *b, enum segment_section_name table, size_t entries,
                          size_t key, size_t value, struct error *e) MUST_CHECK;
/* Counts bytes in; gives their place in the section. */
uint64_t segment_build_reserve(struct segment_build *b, enum segment_section_name section,
                               uint64_t size);

/* Lays the sections out and makes the file. */
int segment_build_open(struct segment_build *b, struct error *e) MUST_CHECK;
/* Of an opened one. */
char *segment_build_at(const struct segment_build *b, enum segment_section_name section,
                       uint64_t at);

/*
 * Puts a record that was measured. ERROR_INVALID: its key is there already, and nothing has
 * happened.
 */
int segment_build_put(struct segment_build *b, enum segment_section_name table,
                      const struct segment_record *head, const struct segment_entry *entries,
                      struct str key, struct str value, struct error *e) MUST_CHECK;

/* Writes what stands in front, and seals. The descriptor, or -1. */
int segment_build_seal(struct segment_build *b, uint64_t *size, struct error *e) MUST_CHECK;
