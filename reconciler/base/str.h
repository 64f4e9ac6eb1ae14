#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "attr.h"

/*
 * A view of bytes that somebody else owns. Not NUL-terminated, may hold NUL.
 * `ptr` NULL means "no string", which differs from the empty one.
 */
struct str {
    const char *ptr;
    size_t len;
};

/* A view of a string literal, usable in static initialisers too. */
#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_INIT(literal)              \
    {                                  \
        (literal), sizeof(literal) - 1 \
    }
#define STR_NONE ((struct str){NULL, 0})

/* For printf("%.*s"): length and pointer of a view that is known to be short. */
#define STR_ARG(s) (int)(s).len, (s).ptr ? (s).ptr : ""

/* The short ones stand here: a large file is looked at one value, one character at a time. */

/* NULL gives STR_NONE. */
static inline struct str str_from(const char *cstr)
{
    return (struct str){cstr, cstr ? strlen(cstr) : 0};
}

/* Clamped to s. */
static inline struct str str_slice(struct str s, size_t from, size_t to)
{
    if (to > s.len)
        to = s.len;
    if (from > to)
        from = to;
    return (struct str){s.ptr ? s.ptr + from : NULL, to - from};
}

static inline bool str_equal(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool str_equal_cstr(struct str a, const char *b)
{
    return str_equal(a, str_from(b));
}

/* ASCII */
static inline char str_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool str_equal_nocase(struct str a, struct str b); /* ASCII only */
int str_compare(struct str a, struct str b);       /* bytes, then length: a total order */
static inline bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_equal(str_slice(s, 0, prefix.len), prefix);
}

bool str_ends(struct str s, struct str suffix);
/* Index of the first `c` at or after `from`; s.len where there is none. */
static inline size_t str_find(struct str s, char c, size_t from)
{
    const char *hit = from < s.len ? memchr(s.ptr + from, c, s.len - from) : NULL;

    return hit ? (size_t)(hit - s.ptr) : s.len;
}

/* Without spaces, tabs, CR and LF at either end. */
struct str str_trim(struct str s);
/* The part before the first `sep`; *rest gets what follows it (STR_NONE if there was none). */
struct str str_cut(struct str s, char sep, struct str *rest);
/* Decimal digits only, no sign, no blanks; false (and *out untouched) on anything else or overflow.
 */
bool str_to_u64(struct str s, uint64_t *out);
/* A malloc'd NUL-terminated copy; NULL when memory is out. Caller frees. */
char *str_dup(struct str s);
/* Puts a copy into *to, whose text is freed; an empty one changes nothing. -1: memory, *to stays. */
int str_keep(char **to, struct str s) MUST_CHECK;
/* Two lower-case digits a byte into `out`, and a NUL. */
void str_hex(const void *bytes, size_t len, char *out);
/* 64-bit hash, keyed: not for anything that leaves the process. */
uint64_t str_hash(struct str s, uint64_t seed);
