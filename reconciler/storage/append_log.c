#include "append_log.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <zlib.h>

#include "reconciler/base/whole.h"

#define HEADER_COPY (APPEND_LOG_HEADER_SIZE / 2)
#define WINDOW_SIZE (((size_t)2 << 20) - 4096) /* holds a largest record */
#define WINDOW_MAX (WINDOW_SIZE + APPEND_LOG_HEAD_SIZE)
#define PAGE ((size_t)4096)

static const unsigned char magic[8] = "RCNTLOG\n";

/* Offsets within a header's copy: magic, version, marker, checksum. */
enum { COPY_VERSION = 8, COPY_MARKER = 12, COPY_SUM = 20 };

/* Offsets within a record's head. */
enum {
    HEAD_SIZE_AT = 8,
    HEAD_KEY = 12,
    HEAD_KIND = 14,
    HEAD_FLAGS = 15,
    HEAD_BODY = 16,
    HEAD_SUM = 20
};

static uint32_t checksum(const void *bytes, size_t len)
{
    return (uint32_t)crc32_z(0, bytes, len);
}

static void put_u32(void *at, uint32_t number)
{
    uint32_t wire = htole32(number);

    memcpy(at, &wire, sizeof(wire));
}

static uint32_t get_u32(const void *at)
{
    uint32_t wire;

    memcpy(&wire, at, sizeof(wire));
    return le32toh(wire);
}

int append_log_draw_marker(unsigned char marker[APPEND_LOG_MARKER_SIZE])
{
    if (getrandom(marker, APPEND_LOG_MARKER_SIZE, 0) != APPEND_LOG_MARKER_SIZE)
        return -1;
    /* Zeros must never look like a record. */
    marker[0] |= 1;
    return 0;
}

void append_log_make_header(unsigned char header[APPEND_LOG_HEADER_SIZE],
                            const unsigned char marker[APPEND_LOG_MARKER_SIZE])
{
    memcpy(header, magic, sizeof(magic));
    put_u32(header + COPY_VERSION, APPEND_LOG_VERSION);
    memcpy(header + COPY_MARKER, marker, APPEND_LOG_MARKER_SIZE);
    put_u32(header + COPY_SUM, checksum(header, COPY_SUM));
    memcpy(header + HEADER_COPY, header, HEADER_COPY);
}

size_t append_log_begin(struct buf *out, unsigned kind, struct str key)
{
    unsigned char head[APPEND_LOG_HEAD_SIZE] = {0};
    size_t start = out->len;
    uint16_t len = htole16((uint16_t)key.len);

    if (key.len > APPEND_LOG_KEY_MAX)
        return SIZE_MAX;
    memcpy(head + HEAD_KEY, &len, sizeof(len));
    head[HEAD_KIND] = (unsigned char)kind;
    if (buf_append(out, head, sizeof(head)) || buf_str(out, key)) {
        out->len = start;
        return SIZE_MAX;
    }
    return start;
}

int append_log_finish(struct buf *out, size_t start,
                      const unsigned char marker[APPEND_LOG_MARKER_SIZE], unsigned flags)
{
    char *head = out->data + start;
    size_t body = out->len - start - APPEND_LOG_HEAD_SIZE;

    if (out->failed || body > APPEND_LOG_BODY_MAX) {
        out->len = start;
        return -1;
    }
    memcpy(head, marker, APPEND_LOG_MARKER_SIZE);
    put_u32(head + HEAD_SIZE_AT, (uint32_t)body);
    put_u32(head + HEAD_BODY, checksum(head + APPEND_LOG_HEAD_SIZE, body));
    append_log_set_flags(out, start, flags);
    return 0;
}

void append_log_set_flags(struct buf *out, size_t start, unsigned flags)
{
    char *head = out->data + start;

    head[HEAD_FLAGS] = (char)flags;
    put_u32(head + HEAD_SUM, checksum(head, HEAD_SUM));
}

/* Is `len` bytes at `at` the beginning of a sound head? Fills r but for its views. */
static bool parse_head(const char *at, size_t len,
                       const unsigned char marker[APPEND_LOG_MARKER_SIZE],
                       struct append_log_record *r)
{
    uint16_t key;
    size_t body;

    if (len < APPEND_LOG_HEAD_SIZE || memcmp(at, marker, APPEND_LOG_MARKER_SIZE) != 0 ||
        get_u32(at + HEAD_SUM) != checksum(at, HEAD_SUM))
        return false;
    memcpy(&key, at + HEAD_KEY, sizeof(key));
    body = get_u32(at + HEAD_SIZE_AT);
    if (body > APPEND_LOG_BODY_MAX || le16toh(key) > body)
        return false;
    r->size = APPEND_LOG_HEAD_SIZE + body;
    r->kind = (unsigned char)at[HEAD_KIND];
    r->flags = (unsigned char)at[HEAD_FLAGS];
    r->key.len = le16toh(key);
    return true;
}

void append_log_view(struct str bytes, uint64_t offset, struct append_log_record *r)
{
    uint16_t key;

    memcpy(&key, bytes.ptr + HEAD_KEY, sizeof(key));
    r->offset = offset;
    r->size = APPEND_LOG_HEAD_SIZE + get_u32(bytes.ptr + HEAD_SIZE_AT);
    r->kind = (unsigned char)bytes.ptr[HEAD_KIND];
    r->flags = (unsigned char)bytes.ptr[HEAD_FLAGS];
    r->bytes = str_slice(bytes, 0, r->size);
    r->key = str_slice(r->bytes, APPEND_LOG_HEAD_SIZE, APPEND_LOG_HEAD_SIZE + (size_t)le16toh(key));
    r->payload = str_slice(r->bytes, APPEND_LOG_HEAD_SIZE + r->key.len, r->size);
}

int append_log_key_is(struct str bytes, struct str key)
{
    uint16_t len;

    if (bytes.len < APPEND_LOG_HEAD_SIZE + key.len)
        return 0;
    memcpy(&len, bytes.ptr + HEAD_KEY, sizeof(len));
    return le16toh(len) == key.len &&
           str_equal(str_slice(bytes, APPEND_LOG_HEAD_SIZE, APPEND_LOG_HEAD_SIZE + key.len), key);
}

static bool parse_copy(const char *copy, unsigned char marker[APPEND_LOG_MARKER_SIZE],
                       uint32_t *version)
{
    if (memcmp(copy, magic, sizeof(magic)) != 0 ||
        get_u32(copy + COPY_SUM) != checksum(copy, COPY_SUM))
        return false;
    *version = get_u32(copy + COPY_VERSION);
    memcpy(marker, copy + COPY_MARKER, APPEND_LOG_MARKER_SIZE);
    return true;
}

enum append_log_header_state append_log_read_header(struct str first,
                                                    unsigned char marker[APPEND_LOG_MARKER_SIZE],
                                                    uint32_t *version)
{
    size_t known = first.len < sizeof(magic) ? first.len : sizeof(magic);
    struct append_log_record r;
    bool good[2];

    if (first.len < APPEND_LOG_HEADER_SIZE)
        return memcmp(first.ptr, magic, known) == 0 ? APPEND_LOG_HEADER_CUT
                                                    : APPEND_LOG_HEADER_FOREIGN;
    good[1] = parse_copy(first.ptr + HEADER_COPY, marker, version);
    good[0] = parse_copy(first.ptr, marker, version);
    if (good[0] || good[1]) {
        if (*version != APPEND_LOG_VERSION)
            return APPEND_LOG_HEADER_NEWER;
        return good[0] && good[1] ? APPEND_LOG_HEADER_GOOD : APPEND_LOG_HEADER_DAMAGED;
    }
    memcpy(marker, first.ptr + APPEND_LOG_HEADER_SIZE,
           first.len < APPEND_LOG_HEADER_SIZE + APPEND_LOG_MARKER_SIZE ? 0
                                                                       : APPEND_LOG_MARKER_SIZE);
    if (parse_head(first.ptr + APPEND_LOG_HEADER_SIZE, first.len - APPEND_LOG_HEADER_SIZE, marker,
                   &r))
        return APPEND_LOG_HEADER_DAMAGED;
    return APPEND_LOG_HEADER_FOREIGN;
}

void append_log_scan_init(struct append_log_scan *s, int fd,
                          const unsigned char marker[APPEND_LOG_MARKER_SIZE], uint64_t from,
                          uint64_t end)
{
    memset(s, 0, sizeof(*s));
    s->fd = fd;
    s->at = from;
    s->end = end;
    memcpy(s->marker, marker, APPEND_LOG_MARKER_SIZE);
    s->window = BUF_SECRET(WINDOW_MAX);
    s->window_at = from;
}

void append_log_scan_fini(struct append_log_scan *s)
{
    buf_free(&s->window);
}

/*
 * Reads at most `want` bytes at `from`. What the disk cannot give (EIO) is read as zeros, page by
 * page, so that it becomes damage among records that are still there.
 */
static ssize_t read_at(const struct append_log_scan *s, char *room, size_t want, uint64_t from)
{
    size_t page = PAGE - (size_t)(from % PAGE);
    ssize_t got = whole_read_at(s->fd, room, want, from);

    if (got >= 0 || errno != EIO)
        return got;
    if (want > page)
        return read_at(s, room, page, from);
    memset(room, 0, want);
    return (ssize_t)want;
}

/* Brings `need` bytes at s->at into the window, fewer only where the file ends before. */
static int fill(struct append_log_scan *s, size_t need, struct error *e)
{
    size_t used = (size_t)(s->at - s->window_at);
    uint64_t left = s->end - s->at;

    if (need > left)
        need = (size_t)left;
    if (used <= s->window.len && s->window.len - used >= need)
        return 0;
    buf_consume(&s->window, used < s->window.len ? used : s->window.len);
    s->window_at = s->at;
    while (s->window.len < need) {
        uint64_t from = s->window_at + s->window.len;
        size_t want = WINDOW_SIZE - s->window.len;
        char *room;
        ssize_t got;
        if (want > s->end - from)
            want = (size_t)(s->end - from);
        room = buf_reserve(&s->window, want);
        if (!room)
            return error_memory(e);
        got = read_at(s, room, want, from);
        if (got < 0)
            return error_errno(e, ERROR_STORAGE, errno, "the log cannot be read");
        if (got == 0) {
            s->end = from; /* somebody cut it: what is there is what counts */
            break;
        }
        buf_commit(&s->window, (size_t)got);
    }
    return 0;
}

/* What the window holds at s->at. */
static struct str ahead(const struct append_log_scan *s)
{
    struct str all = buf_view(&s->window);

    return str_slice(all, (size_t)(s->at - s->window_at), all.len);
}

/*
 * 1: a sound record lies at s->at, *r set; 2: a sound head whose record the file's end cuts off; 0:
 * neither.
 */
static int look(struct append_log_scan *s, struct append_log_record *r, struct error *e)
{
    struct str bytes;

    if (fill(s, APPEND_LOG_HEAD_SIZE, e))
        return -1;
    bytes = ahead(s);
    if (!parse_head(bytes.ptr, bytes.len, s->marker, r))
        return 0;
    if (r->size > s->end - s->at)
        return 2;
    if (fill(s, r->size, e))
        return -1;
    bytes = ahead(s);
    if (bytes.len < r->size)
        return 2;
    if (!s->is_checked &&
        get_u32(bytes.ptr + HEAD_BODY) !=
            checksum(bytes.ptr + APPEND_LOG_HEAD_SIZE, r->size - APPEND_LOG_HEAD_SIZE))
        return 0;
    r->offset = s->at;
    r->bytes = str_slice(bytes, 0, r->size);
    r->key = str_slice(bytes, APPEND_LOG_HEAD_SIZE, APPEND_LOG_HEAD_SIZE + r->key.len);
    r->payload = str_slice(bytes, APPEND_LOG_HEAD_SIZE + r->key.len, r->size);
    return 1;
}

/* Moves s->at to the next sound record, or to the end. */
static int resynchronise(struct append_log_scan *s, struct error *e)
{
    struct append_log_record r;

    s->at++;
    while (s->at < s->end) {
        struct str bytes;
        const char *hit;
        int found;
        if (fill(s, APPEND_LOG_HEAD_SIZE, e))
            return -1;
        bytes = ahead(s);
        hit = bytes.len < APPEND_LOG_MARKER_SIZE
                  ? NULL
                  : memmem(bytes.ptr, bytes.len, s->marker, APPEND_LOG_MARKER_SIZE);
        if (!hit) {
            /* The marker may begin in the last bytes of the window. */
            s->at += bytes.len < APPEND_LOG_HEAD_SIZE ? bytes.len
                                                      : bytes.len - APPEND_LOG_MARKER_SIZE + 1;
            continue;
        }
        s->at += (uint64_t)(hit - bytes.ptr);
        found = look(s, &r, e);
        if (found)
            return found < 0 ? -1 : 0;
        s->at++;
    }
    return 0;
}

/* Is all that is left what a write that was cut off leaves: too short for a head, or never filled?
 */
static int is_torn(struct append_log_scan *s, bool *torn, struct error *e)
{
    uint64_t start = s->at;
    struct str bytes = ahead(s);
    size_t known = bytes.len < APPEND_LOG_MARKER_SIZE ? bytes.len : APPEND_LOG_MARKER_SIZE;

    *torn = s->end - s->at < APPEND_LOG_HEAD_SIZE && memcmp(bytes.ptr, s->marker, known) == 0;
    if (*torn)
        return 0;
    *torn = true;
    while (*torn && s->at < s->end) {
        if (fill(s, APPEND_LOG_HEAD_SIZE, e))
            return -1;
        bytes = ahead(s);
        for (size_t i = 0; i < bytes.len && *torn; i++)
            *torn = bytes.ptr[i] == 0;
        s->at += bytes.len;
    }
    s->at = start;
    if (s->window_at > start) {
        buf_clear(&s->window);
        s->window_at = start;
    }
    return 0;
}

enum append_log_found append_log_scan_next(struct append_log_scan *s, struct append_log_record *r,
                                           struct error *e)
{
    bool torn;
    int found;

    if (s->at >= s->end)
        return APPEND_LOG_END;
    found = look(s, r, e);
    if (found < 0)
        return APPEND_LOG_FAILED;
    if (found == 1) {
        s->at += r->size;
        return APPEND_LOG_RECORD;
    }
    if (found == 2)
        return APPEND_LOG_TORN;
    if (is_torn(s, &torn, e))
        return APPEND_LOG_FAILED;
    if (torn)
        return APPEND_LOG_TORN;
    s->damage_at = s->at;
    if (resynchronise(s, e))
        return APPEND_LOG_FAILED;
    s->damage = s->at - s->damage_at;
    return APPEND_LOG_DAMAGE;
}
