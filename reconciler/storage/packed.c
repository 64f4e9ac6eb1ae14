#include "packed.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "reconciler/base/record.h"

/*
 * All numbers are little-endian. A record begins with its type and a byte of flags, for a
 * credential followed by the id of its chain where RECORD_CHAIN is set; then its directory, and its
 * fields in the order of base/record.h's rows, bytes first.
 */

/* Of the word of an error's kind. */
#define WORD_MAX 31

struct cursor {
    const char *at, *end;
    bool failed;
};

static void put_number(struct buf *out, int64_t number)
{
    uint64_t wire = htole64((uint64_t)number);

    buf_append(out, &wire, sizeof(wire));
}

static void put_byte(struct buf *out, unsigned byte)
{
    buf_char(out, (char)byte);
}

static void put_text(struct buf *out, struct str text)
{
    uint32_t len = htole32((uint32_t)text.len);

    buf_append(out, &len, sizeof(len));
    buf_append(out, text.ptr, text.len);
}

static const char *take(struct cursor *c, size_t len)
{
    const char *at = c->at;

    if (c->failed || (size_t)(c->end - c->at) < len) {
        c->failed = true;
        return NULL;
    }
    c->at += len;
    return at;
}

static int64_t take_number(struct cursor *c)
{
    const char *at = take(c, sizeof(uint64_t));
    uint64_t wire = 0;

    if (at)
        memcpy(&wire, at, sizeof(wire));
    return (int64_t)le64toh(wire);
}

static unsigned take_byte(struct cursor *c)
{
    const char *at = take(c, 1);

    return at ? (unsigned char)*at : 0;
}

static struct str take_text(struct cursor *c, size_t max)
{
    const char *at = take(c, sizeof(uint32_t));
    uint32_t len = 0;

    if (at)
        memcpy(&len, at, sizeof(len));
    len = le32toh(len);
    if (len > max)
        c->failed = true;
    at = take(c, len);
    return at ? (struct str){at, len} : STR_NONE;
}

static void take_bytes(struct cursor *c, unsigned char *out, size_t len)
{
    const char *at = take(c, len);

    if (at)
        memcpy(out, at, len);
}

static void write_field(const struct field *f, const void *at, struct buf *out)
{
    switch (f->kind) {
    case FIELD_NUMBER:
        put_number(out, *(const int64_t *)at);
        break;
    case FIELD_COUNT:
        put_number(out, *(const unsigned *)at);
        break;
    case FIELD_ERROR:
        put_text(out, str_from(error_kind_name(*(const enum error_kind *)at)));
        break;
    case FIELD_DIGEST:
        buf_append(out, at, PACKED_CHAIN_ID);
        break;
    case FIELD_TEXT:
    case FIELD_KEY:
    case FIELD_URL:
        put_text(out, *(const struct str *)at);
        break;
    case FIELD_ENUM:
    case FIELD_FLAG:
        break;
    }
}

static unsigned take_enum(struct cursor *c, const struct field *f)
{
    unsigned number = take_byte(c);

    if (number < 1 || number > f->max)
        c->failed = true;
    return number;
}

static unsigned take_count(struct cursor *c)
{
    int64_t count = take_number(c);

    if (count < 0 || count > UINT32_MAX)
        c->failed = true;
    return (unsigned)count;
}

static enum error_kind take_kind(struct cursor *c)
{
    struct str kind = take_text(c, WORD_MAX);
    char word[WORD_MAX + 1] = "";

    if (kind.len)
        memcpy(word, kind.ptr, kind.len);
    return error_kind_from(word);
}

static void read_field(struct cursor *c, const struct field *f, void *at)
{
    switch (f->kind) {
    case FIELD_NUMBER:
        *(int64_t *)at = take_number(c);
        break;
    case FIELD_COUNT:
        *(unsigned *)at = take_count(c);
        break;
    case FIELD_ERROR:
        *(enum error_kind *)at = take_kind(c);
        break;
    case FIELD_DIGEST:
        take_bytes(c, at, PACKED_CHAIN_ID);
        break;
    case FIELD_TEXT:
    case FIELD_KEY:
    case FIELD_URL:
        *(struct str *)at = take_text(c, f->max);
        break;
    case FIELD_ENUM:
    case FIELD_FLAG:
        break;
    }
}

static bool has_chain(const struct value *v)
{
    static const unsigned char none[PACKED_CHAIN_ID];

    return v->type == VALUE_CREDENTIAL && memcmp(v->u.credential.chain_id, none, sizeof(none)) != 0;
}

int packed_write(const struct value *v, struct buf *out)
{
    const struct record *r = record_of(v->type);
    unsigned flags = record_flags(v) | (has_chain(v) ? RECORD_CHAIN : 0u);
    const char *record = (const char *)&v->u;

    put_byte(out, (unsigned)v->type);
    put_byte(out, flags);
    if (has_chain(v))
        buf_append(out, v->u.credential.chain_id, PACKED_CHAIN_ID);
    put_text(out, v->directory);
    for (size_t i = 0; i < r->count; i++)
        if (r->fields[i].kind == FIELD_ENUM)
            put_byte(out, *(const unsigned *)(record + r->fields[i].offset));
    for (size_t i = 0; i < r->count; i++)
        if (r->fields[i].use != FIELD_APART && record_has(&r->fields[i], flags))
            write_field(&r->fields[i], record + r->fields[i].offset, out);
    return out->failed ? -1 : 0;
}

/* What is kept elsewhere, or is not there, is zero; the logical key told the rest already. */
static void read_fields(struct cursor *at, unsigned flags, struct value *v)
{
    const struct record *r = record_of(v->type);
    char *record = (char *)&v->u;

    for (size_t i = 0; i < r->count; i++)
        if (r->fields[i].kind == FIELD_ENUM)
            *(unsigned *)(record + r->fields[i].offset) = take_enum(at, &r->fields[i]);
    for (size_t i = 0; i < r->count; i++) {
        const struct field *f = &r->fields[i];
        if (f->kind == FIELD_FLAG)
            *(bool *)(record + f->offset) = (flags & f->flag) != 0;
        else if (f->use != FIELD_APART && record_has(f, flags))
            read_field(at, f, record + f->offset);
    }
}

int packed_read(struct str packed, struct value *v)
{
    struct cursor at = {packed.ptr, packed.ptr + packed.len, false};
    unsigned type = take_byte(&at);
    unsigned flags = take_byte(&at);

    if (type != (unsigned)v->type)
        return -1;
    if (v->type != VALUE_ACCOUNT)
        memset(&v->u, 0, sizeof(v->u));
    if (v->type == VALUE_CREDENTIAL && (flags & RECORD_CHAIN))
        take_bytes(&at, v->u.credential.chain_id, PACKED_CHAIN_ID);
    v->directory = take_text(&at, VALUE_URL_MAX);
    read_fields(&at, flags, v);
    return at.failed ? -1 : 0;
}

bool packed_chain_id(struct str packed, unsigned char id[PACKED_CHAIN_ID])
{
    if (packed.len < 2 + PACKED_CHAIN_ID || packed.ptr[0] != VALUE_CREDENTIAL ||
        !(packed.ptr[1] & RECORD_CHAIN))
        return false;
    memcpy(id, packed.ptr + 2, PACKED_CHAIN_ID);
    return true;
}
