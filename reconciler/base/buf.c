#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

#define BUF_FIRST_CAPACITY 256

static int grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : BUF_FIRST_CAPACITY;
    char *data;

    while (cap < need)
        cap *= 2;
    if (!b->secret) {
        data = realloc(b->data, cap);
        if (!data)
            return -1;
    } else {
        data = malloc(cap);
        if (!data)
            return -1;
        if (b->data) {
            memcpy(data, b->data, b->len);
            explicit_bzero(b->data, b->cap);
            free(b->data);
        }
    }
    b->data = data;
    b->cap = cap;
    return 0;
}

char *buf_reserve(struct buf *b, size_t len)
{
    if (len > b->max - b->len || (b->len + len + 1 > b->cap && grow(b, b->len + len + 1))) {
        b->failed = true;
        return NULL;
    }
    return b->data + b->len;
}

void buf_commit(struct buf *b, size_t len)
{
    b->len += len;
    b->data[b->len] = '\0';
}

int buf_append(struct buf *b, const void *bytes, size_t len)
{
    char *room = buf_reserve(b, len);

    if (!room)
        return -1;
    if (len)
        memcpy(room, bytes, len);
    buf_commit(b, len);
    return 0;
}

int buf_str(struct buf *b, struct str s)
{
    return buf_append(b, s.ptr, s.len);
}

int buf_cstr(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

int buf_char(struct buf *b, char c)
{
    if (b->len + 1 >= b->cap || b->len >= b->max)
        return buf_append(b, &c, 1);
    b->data[b->len++] = c;
    b->data[b->len] = '\0';
    return 0;
}

int buf_decimal(struct buf *b, int64_t n)
{
    uint64_t left = n < 0 ? -(uint64_t)n : (uint64_t)n;
    char text[20], *p = text + sizeof(text);

    do
        *--p = (char)('0' + left % 10);
    while (left /= 10);
    if (n < 0)
        *--p = '-';
    return buf_append(b, p, (size_t)(text + sizeof(text) - p));
}

int buf_printf(struct buf *b, const char *format, ...)
{
    size_t free_bytes = b->cap - b->len; /* the NUL's too; a capacity over max is not all ours */
    size_t allowed = b->max - b->len;
    va_list args;
    char *room;
    int len;

    /* Mostly it fits into what is there already: one look at the format, not two. */
    va_start(args, format);
    len = vsnprintf(free_bytes ? b->data + b->len : NULL, free_bytes, format, args);
    va_end(args);
    if (len >= 0 && (size_t)len < free_bytes && (size_t)len <= allowed) {
        b->len += (size_t)len;
        return 0;
    }
    if (free_bytes)
        b->data[b->len] = '\0';
    room = len < 0 ? NULL : buf_reserve(b, (size_t)len);
    if (!room) {
        b->failed = true;
        return -1;
    }
    va_start(args, format);
    vsnprintf(room, (size_t)len + 1, format, args);
    va_end(args);
    buf_commit(b, (size_t)len);
    return 0;
}

void buf_consume(struct buf *b, size_t len)
{
    if (!len)
        return;
    b->len -= len;
    memmove(b->data, b->data + len, b->len);
    if (b->secret)
        explicit_bzero(b->data + b->len, len);
    b->data[b->len] = '\0';
}

void buf_clear(struct buf *b)
{
    if (b->secret && b->data)
        explicit_bzero(b->data, b->cap);
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

void buf_free(struct buf *b)
{
    buf_clear(b);
    free(b->data);
    b->data = NULL;
    b->cap = 0;
}

struct str buf_view(const struct buf *b)
{
    return (struct str){b->data ? b->data : "", b->len};
}

static bool is_invisible(unsigned code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
           code == 0xfeff;
}

/* How many bytes at the start of s stand for themselves. */
static size_t plain_length(struct str s)
{
    size_t i = 0;

    while (i < s.len && s.ptr[i] >= 0x20 && s.ptr[i] < 0x7f && s.ptr[i] != '\\' && s.ptr[i] != '"')
        i++;
    return i;
}

int buf_escaped(struct buf *b, struct str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;

    for (size_t i = 0; i < s.len;) {
        unsigned code = 0;
        size_t len = plain_length(str_slice(s, i, s.len));

        if (len) {
            /* As much as fits, as if it came byte by byte. */
            size_t room = b->max - b->len;

            buf_append(b, p + i, len < room ? len : room);
            b->failed |= len > room;
            i += len;
            continue;
        }
        len = utf8_sequence(p + i, s.len - i, &code);
        if (len && (code == '\\' || code == '"')) {
            buf_printf(b, "\\%c", (int)code);
        } else if (len && !is_invisible(code)) {
            buf_append(b, p + i, len);
        } else {
            len = len ? len : 1;
            for (size_t k = 0; k < len; k++)
                buf_printf(b, "\\x%02x", p[i + k]);
        }
        i += len;
    }
    return b->failed ? -1 : 0;
}
