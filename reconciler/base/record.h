#pragma once

#include "value.h"

/*
 * What the records of base/value.h consist of, a row a field: they are copied, checked, packed and
 * printed by these tables. A new fact is a line in its struct and a row here, behind the others of
 * its record (packed ones follow each other in the order of their rows), with a `flag` of its own,
 * since what was written before has nothing at its place.
 */

enum field_kind {
    FIELD_NUMBER, /* int64_t */
    FIELD_COUNT,  /* unsigned */
    FIELD_FLAG,   /* bool: packed as its bit */
    FIELD_ENUM,   /* 1 to `max`: packed as a byte before what is no byte; printed as a word */
    FIELD_ERROR,  /* enum error_kind: by its word, since its numbers change between versions */
    FIELD_DIGEST, /* 32 bytes */
    FIELD_TEXT,   /* struct str of `max` bytes at most */
    FIELD_KEY,    /* the same, PKCS#8 DER: printed as PEM */
    FIELD_URL     /* the same, without blanks and control characters */
};

enum field_use {
    FIELD_BOTH,   /* packed, and printed among our own members */
    FIELD_PACKED, /* not among those: Kong's part tells it */
    FIELD_APART   /* neither: the logical key tells it, or it is kept elsewhere */
};

/* Bits of the packed form; each says something else in each type of record. Never renumber. */
enum record_flag {
    RECORD_ACTIVE = 1 << 0,
    RECORD_REVOKED = 1 << 1,
    RECORD_CHAIN = 1 << 2, /* the id of a credential's chain comes first */
    RECORD_PERMANENT = 1 << 3,
    RECORD_LEASED = 1 << 3, /* an order or a credential with its fence */
    RECORD_RENEWED = 1 << 4,
    RECORD_WAIVED = 1 << 5,
    RECORD_NEXT = 1 << 6,  /* an order with what it brought */
    RECORD_CONFIG = 1 << 7 /* a failure with the configuration's hash */
};

struct field {
    const char *name; /* as printed */
    size_t offset;    /* in the record */
    enum field_kind kind;
    enum field_use use;
    size_t max;
    const char *const *words; /* of a FIELD_ENUM that is printed */
    /* A FIELD_FLAG's bit; of others: packed and printed only where it is set. */
    unsigned flag;
    bool is_late; /* a FIELD_FLAG that older values do not have: printed where it is true */
};

struct record {
    size_t size; /* of its struct, the member of value.u */
    const struct field *fields;
    size_t count;
};

const struct record *record_of(enum value_type type);
/* The texts among a record's fields, for those who walk them all; NULL where field `i` is none. */
struct str *record_text(const struct record *r, size_t i, void *record);
/* The flags of what `v` holds, RECORD_CHAIN left out. */
unsigned record_flags(const struct value *v);
/* Is this field of a record with such flags there at all? */
static inline bool record_has(const struct field *f, unsigned flags)
{
    return f->kind == FIELD_FLAG || !f->flag || (flags & f->flag);
}

/*
 * A copy of the record of `v` in room from malloc, `head` zeroed bytes before it. NULL: out of
 * memory. record_free takes what record_new gave (NULL is fine), and wipes its texts.
 */
void *record_new(const struct value *v, size_t head) MUST_CHECK;
void record_free(enum value_type type, void *room, size_t head);
