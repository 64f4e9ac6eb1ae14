#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"
#include "reconciler/storage/append_log.h"
#include "reconciler/storage/packed.h"
#include "reconciler/storage/value_json.h"

/*
 * The first byte tells what the others are: a stored JSON value under one of the keys, a packed
 * value, or a log.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define JSON_MAX ((size_t)4 << 20)

static const char *const keys[] = {
    "kong_acme:cert_key:a.example",     "kong_acme:account:https://ca.test:bWVAZXhhbXBsZS5jb20=",
    "kong_acme:fail_backoff:a.example", "kong_acme:renew_config:a.example",
    "reconcert:order:a.example",        "reconcert:failure:a.example",
    "reconcert:demand:a.example",
};

/* What is taken must be within the limits, and print. */
static void read_json(const char *key, struct str json)
{
    struct arena *arena = arena_new(NULL);
    struct buf out = BUF_SECRET(JSON_MAX);
    struct value v;
    struct error e;

    if (arena && value_from_json(str_from(key), json, arena, &v, &e) == 0 &&
        (value_check(&v, &e) || value_to_json(&v, &out, &e)))
        abort();
    buf_free(&out);
    arena_free(arena);
}

static void read_packed(struct str packed)
{
    struct buf again = BUF_SECRET(JSON_MAX);

    for (int type = VALUE_ACCOUNT; type < VALUE_TYPE_COUNT; type++) {
        struct value v = {.type = (enum value_type)type};
        if (packed_read(packed, &v) == 0 && packed_write(&v, &again))
            abort();
        buf_clear(&again);
    }
    buf_free(&again);
}

/* Every byte is a record's, damaged, or the torn tail's; in order, and none twice. */
static void read_log(struct str bytes)
{
    unsigned char marker[APPEND_LOG_MARKER_SIZE] = {1};
    uint32_t version = 0;
    struct append_log_record r;
    struct append_log_scan scan;
    uint64_t at = APPEND_LOG_HEADER_SIZE;
    enum append_log_found found;
    struct error e;
    int fd = memfd_create("log", MFD_CLOEXEC);

    if (fd < 0 || write(fd, bytes.ptr, bytes.len) != (ssize_t)bytes.len)
        abort();
    if (append_log_read_header(bytes, marker, &version) <= APPEND_LOG_HEADER_DAMAGED) {
        append_log_scan_init(&scan, fd, marker, APPEND_LOG_HEADER_SIZE, bytes.len);
        while ((found = append_log_scan_next(&scan, &r, &e)) == APPEND_LOG_RECORD || found == APPEND_LOG_DAMAGE) {
            if ((found == APPEND_LOG_RECORD ? r.offset : scan.damage_at) != at)
                abort();
            at += found == APPEND_LOG_RECORD ? r.size : scan.damage;
            if (scan.at != at || at > bytes.len)
                abort();
        }
        append_log_scan_fini(&scan);
    }
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data + 1, size ? size - 1 : 0};

    if (!size)
        return 0;
    if (data[0] < '0' + ARRAY_LENGTH(keys))
        read_json(keys[data[0] < '0' ? 0 : data[0] - '0'], rest);
    else if (data[0] == 'p')
        read_packed(rest);
    else
        read_log(rest);
    return 0;
}
