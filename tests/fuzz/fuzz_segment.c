#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reconciler/snapshot/segment.h"
#include "reconciler/snapshot/segment_format.h"

/*
 * Segments of any bytes: mapping and every look-up must stay inside the mapping. The first byte
 * says what the others are: a file as it is, or changes of a good segment of some kind, three bytes
 * each: of one of its bytes, or of one of its directory's fields.
 */
enum { AS_IT_IS, CHANGED_BYTES, CHANGED_DIRECTORY, WAYS };
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int make_good(unsigned kind)
{
    static const struct str texts[] = {STR_INIT("a.test"), STR_INIT("*.b.test")};
    static const struct str path = STR_INIT("/.well-known/acme-challenge/x");
    const struct segment_credential credential = {KEY_P256, STR_INIT("leaf"), STR_INIT("key"),
                                                  STR_INIT("\x30\x02\x05\x00")};
    const struct segment_name names[] = {{STR_INIT("a.test"), {credential, credential}, 2, true},
                                         {STR_INIT("gone.test"), {{0}}, 0, true},
                                         {STR_INIT(""), {credential}, 1, false}};
    static const struct segment_challenge challenges[] = {
        {CHALLENGE_HTTP_01, STR_INIT("token"), STR_INIT("token.thumb")},
        {CHALLENGE_TLS_ALPN_01, STR_INIT("a.test"), STR_INIT("other.thumb")}};
    static const struct segment_gate gate = {.is_open = true, .domains = texts, .domain_count = 2};
    static const struct segment_routes routes = {
        .hosts = texts, .host_count = 2, .challenge_prefixes = &path, .challenge_prefix_count = 1};
    struct error e;

    switch (kind % 4) {
    case 0:
        return segment_write_names(names, 3, NULL, &e);
    case 1:
        return segment_write_challenges(challenges, 2, NULL, &e);
    case 2:
        return segment_write_gate(&gate, NULL, &e);
    default:
        return segment_write_routes(&routes, NULL, &e);
    }
}

static int make_any(const uint8_t *bytes, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
        abort();
    return fd;
}

/* One section's name, flags, place or size; `value` in the units of that. */
static void change_directory(uint8_t *bytes, uint8_t place, uint8_t field, uint8_t value)
{
    struct segment_section section;
    struct segment_header header;
    uint8_t *at;

    memcpy(&header, bytes, sizeof(header));
    at = bytes + sizeof(header) + place % header.section_count * sizeof(section);
    memcpy(&section, at, sizeof(section));
    if (field % 4 == 0)
        section.name = value;
    else if (field % 4 == 1)
        section.flags = value;
    else if (field % 4 == 2)
        section.at = (uint64_t)value * SEGMENT_ALIGN;
    else
        section.size = (uint64_t)value * SEGMENT_ALIGN;
    memcpy(at, &section, sizeof(section));
}

static int make_changed(unsigned kind, unsigned way, const uint8_t *changes, size_t size)
{
    int good = make_good(kind), fd;
    off_t len = good < 0 ? -1 : lseek(good, 0, SEEK_END);
    uint8_t *bytes = len > 0 ? malloc((size_t)len) : NULL;

    if (!bytes || pread(good, bytes, (size_t)len, 0) != len)
        abort();
    for (size_t i = 0; i + 3 <= size; i += 3)
        if (way == CHANGED_DIRECTORY)
            change_directory(bytes, changes[i], changes[i + 1], changes[i + 2]);
        else
            bytes[((size_t)changes[i] << 8 | changes[i + 1]) % (size_t)len] = changes[i + 2];
    fd = make_any(bytes, (size_t)len);
    free(bytes);
    close(good);
    return fd;
}

static unsigned touch(struct str s)
{
    unsigned sum = 0;

    for (size_t i = 0; i < s.len; i++)
        sum += (unsigned char)s.ptr[i];
    return sum;
}

static unsigned touch_name(const struct segment_name *n)
{
    struct str parts[4];
    unsigned sum = touch(n->name);

    for (size_t i = 0; i < n->count; i++) {
        const struct segment_credential *c = &n->credentials[i];
        size_t count = segment_chain(c->chain, parts, 4);
        sum += touch(c->leaf) + touch(c->key) + touch(c->chain);
        for (size_t k = 0; k < count; k++)
            sum += touch(parts[k]);
    }
    return sum;
}

static unsigned look_up(struct segment *s)
{
    static const char *const keys[] = {"a.test", "x.b.test", "gone.test", "", "token", "nobody"};
    struct segment_name n;
    struct str answer;
    struct error e;
    unsigned sum = 0;
    int merged;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct str key = str_from(keys[i]);
        if (segment_find_name(s, key, &n) == 1)
            sum += touch_name(&n);
        if (segment_find_challenge(s, CHALLENGE_HTTP_01, key, &answer) == 1)
            sum += touch(answer);
        if (segment_find_challenge(s, CHALLENGE_TLS_ALPN_01, key, &answer) == 1)
            sum += touch(answer);
        sum += segment_lists(s, SEGMENT_DOMAINS, key) + segment_lists(s, SEGMENT_HOSTS, key);
    }
    sum += segment_lists_prefix(s, SEGMENT_PATHS, STR("/.well-known/acme-challenge/xyz"), 0);
    for (size_t i = 0; i < segment_count(s) && i < 64; i++)
        if (segment_name_at(s, i, &n) == 0)
            sum += touch_name(&n);
    if (segment_count(s) > 64)
        return sum;
    merged = segment_merge(&s, 1, true, NULL, &e);
    if (merged >= 0)
        close(merged);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct segment *s;
    struct error e;
    int fd;

    if (!size)
        return 0;
    fd = data[0] % WAYS == AS_IT_IS
             ? make_any(data + 1, size - 1)
             : make_changed(data[0] / WAYS, data[0] % WAYS, data + 1, size - 1);
    s = segment_map(fd, NULL, &e);
    close(fd);
    if (s && look_up(s) == UINT32_MAX)
        abort(); /* never; but the sum must be looked at for the bytes to be read */
    segment_unref(s);
    return 0;
}
