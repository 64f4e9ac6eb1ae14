#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "segment_format.h"

/* ---- the file ---- */

/* A segment being built: first measured, then filled. */
struct builder {
    struct segment_header header;
    char *base; /* MAP_FAILED until the file is there */
    int fd;
    uint64_t placed[SEGMENT_TABLES]; /* bytes of records written */
    uint64_t walked[SEGMENT_TABLES]; /* records written */
};

static void builder_init(struct builder *b, enum segment_kind kind)
{
    memset(b, 0, sizeof(*b));
    memcpy(b->header.magic, SEGMENT_MAGIC, sizeof(b->header.magic));
    b->header.format = SEGMENT_FORMAT;
    b->header.kind = kind;
    b->base = MAP_FAILED;
    b->fd = -1;
    /* Names come from outside: a seed that nobody can foresee keeps them from colliding at will. */
    if (getrandom(&b->header.seed, sizeof(b->header.seed), GRND_NONBLOCK) < 0)
        b->header.seed = 0;
}

static int measure_record(struct builder *b, size_t table, size_t entries, size_t key, size_t value,
                          struct error *e)
{
    struct segment_table *t = &b->header.tables[table];

    if (key > SEGMENT_KEY_MAX || value > SEGMENT_ANSWER_MAX)
        return error_set(e, ERROR_LIMIT, "segment: a key or value is too long");
    if (t->count >= SEGMENT_ENTRIES_MAX)
        return error_set(e, ERROR_LIMIT, "segment: over %d entries", SEGMENT_ENTRIES_MAX);
    t->count++;
    t->records_size += segment_record_size(entries, key, value);
    if (t->records_size / SEGMENT_UNIT >= UINT32_MAX)
        return error_set(e, ERROR_LIMIT, "segment: too many bytes of names");
    return 0;
}

static uint64_t take(uint64_t *end, uint64_t size, uint64_t align)
{
    uint64_t at = (*end + align - 1) / align * align;

    *end = at + size;
    return at;
}

static uint64_t slots_for(uint64_t count)
{
    uint64_t slots = 2;

    if (!count)
        return 0;
    while (slots * 3 / 4 < count)
        slots *= 2;
    return slots;
}

/* Lays the sections out, makes the file with all its pages, and maps it. */
static int open_file(struct builder *b, struct error *e)
{
    struct segment_header *h = &b->header;
    uint64_t end = sizeof(*h);

    for (size_t i = 0; i < SEGMENT_TABLES; i++) {
        struct segment_table *t = &h->tables[i];
        t->slot_count = slots_for(t->count);
        t->slots_at = take(&end, t->slot_count * sizeof(uint64_t), 64);
        t->order_at = take(&end, t->count * sizeof(uint32_t), SEGMENT_UNIT);
        t->records_at = take(&end, t->records_size, SEGMENT_UNIT);
    }
    h->bytes_at = take(&end, h->bytes_size, SEGMENT_UNIT);
    h->keys_at = take(&end, h->keys_size, h->keys_size ? SEGMENT_PAGE : 1);
    if (h->keys_size)
        (void)take(&end, 0, SEGMENT_PAGE);
    h->size = end;

    b->fd = memfd_create("segment", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (b->fd < 0)
        return error_errno(e, ERROR_IO, errno, "segment: memfd_create");
    /* fallocate rather than ftruncate: memory that is out shows here, not as SIGBUS below. */
    if (fallocate(b->fd, 0, 0, (off_t)h->size))
        return error_errno(e, ERROR_MEMORY, errno, "segment: %llu bytes",
                           (unsigned long long)h->size);
    b->base = mmap(NULL, h->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, b->fd, 0);
    if (b->base == MAP_FAILED)
        return error_errno(e, ERROR_MEMORY, errno, "segment: mmap");
    (void)madvise(b->base, h->size, MADV_DONTDUMP); /* keys pass through: advice, as in segment.c */
    return 0;
}

/* Enters a record that lies at `place` into the table's slots. */
static int enter(struct builder *b, struct segment_table *t, struct str key, uint64_t place,
                 struct error *e)
{
    uint64_t hash = str_hash(key, b->header.seed), mask = t->slot_count - 1;
    char *slots = b->base + t->slots_at;

    for (uint64_t n = 0;; n++) {
        char *at = slots + ((hash + n) & mask) * sizeof(uint64_t);
        struct segment_record other;
        const char *record;
        uint64_t slot;
        memcpy(&slot, at, sizeof(slot));
        if (!slot) {
            slot = (uint64_t)segment_tag(hash) << 32 | (place + 1);
            memcpy(at, &slot, sizeof(slot));
            if (n + 1 > t->probe_max)
                t->probe_max = n + 1;
            return 0;
        }
        if ((uint32_t)(slot >> 32) != segment_tag(hash))
            continue;
        record = b->base + t->records_at + ((uint32_t)slot - 1) * UINT64_C(8);
        memcpy(&other, record, sizeof(other));
        record += sizeof(other) + other.entries * sizeof(struct segment_entry);
        if (str_equal((struct str){record, other.key_size}, key))
            return error_set(e, ERROR_INVALID, "segment: an entry comes twice");
    }
}

static int put_record(struct builder *b, size_t table, const struct segment_record *head,
                      const struct segment_entry *entries, struct str key, struct str value,
                      struct error *e)
{
    struct segment_table *t = &b->header.tables[table];
    uint64_t at = b->placed[table];
    uint32_t place = (uint32_t)(at / SEGMENT_UNIT);
    char *p = b->base + t->records_at + at;

    b->placed[table] += segment_record_size(head->entries, key.len, value.len);
    memcpy(b->base + t->order_at + b->walked[table]++ * sizeof(place), &place, sizeof(place));
    memcpy(p, head, sizeof(*head));
    p += sizeof(*head);
    if (head->entries)
        memcpy(p, entries, head->entries * sizeof(*entries));
    p += head->entries * sizeof(*entries);
    if (key.len)
        memcpy(p, key.ptr, key.len);
    if (value.len)
        memcpy(p + key.len, value.ptr, value.len);
    return enter(b, t, key, place, e);
}

static int put_text(struct builder *b, size_t table, struct str key, struct str value,
                    struct error *e)
{
    struct segment_record head = {.key_size = (uint16_t)key.len, .value_size = (uint32_t)value.len};

    return put_record(b, table, &head, NULL, key, value, e);
}

/* Writes the header, seals. The descriptor, or -1. */
static int builder_seal(struct builder *b, uint64_t *size, struct error *e)
{
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    int fd = b->fd;

    memcpy(b->base, &b->header, sizeof(b->header));
    munmap(b->base, b->header.size);
    b->base = MAP_FAILED;
    if (fcntl(fd, F_ADD_SEALS, seals))
        return error_errno(e, ERROR_IO, errno, "segment: seal");
    b->fd = -1;
    if (size)
        *size = b->header.size;
    return fd;
}

static void builder_fini(struct builder *b)
{
    if (b->base != MAP_FAILED)
        munmap(b->base, b->header.size);
    if (b->fd >= 0)
        close(b->fd);
}

/* ---- what is stored once ---- */

/* A stored part; `at` counts from its section's start. Leaves carry their key along. */
struct part {
    uint64_t hash;
    const char *ptr, *key;
    uint64_t at, key_at;
    uint32_t size;
    bool is_written;
};

/* Parts seen so far, found by hash. */
struct pool {
    struct part *parts;
    uint32_t *slots; /* index + 1 */
    uint64_t mask;
    size_t count, cap;
    bool by_content; /* else by the pointers */
};

static void pool_fini(struct pool *p)
{
    free(p->parts);
    free(p->slots);
}

static int pool_grow(struct pool *p)
{
    size_t cap = p->cap ? p->cap * 2 : 64;
    struct part *parts = realloc(p->parts, cap * sizeof(*parts));
    uint32_t *slots;

    if (!parts)
        return -1;
    p->parts = parts;
    slots = calloc(cap * 2, sizeof(*slots));
    if (!slots)
        return -1;
    free(p->slots);
    p->slots = slots;
    p->mask = cap * 2 - 1;
    p->cap = cap;
    for (size_t i = 0; i < p->count; i++) {
        uint64_t at = parts[i].hash & p->mask;
        while (slots[at])
            at = (at + 1) & p->mask;
        slots[at] = (uint32_t)(i + 1);
    }
    return 0;
}

static bool is_same(const struct pool *p, const struct part *a, const struct part *b)
{
    if (a->hash != b->hash || a->size != b->size)
        return false;
    if (p->by_content)
        return memcmp(a->ptr, b->ptr, a->size) == 0;
    return a->ptr == b->ptr && a->key == b->key;
}

/* The pool's part that equals `wanted`, put in if it is new (*is_new). NULL when memory is out. */
static struct part *pool_find(struct pool *p, const struct part *wanted, bool *is_new)
{
    uint64_t at;

    if (p->count == p->cap && pool_grow(p))
        return NULL;
    for (at = wanted->hash & p->mask; p->slots[at]; at = (at + 1) & p->mask) {
        struct part *part = &p->parts[p->slots[at] - 1];
        if (is_same(p, part, wanted)) {
            *is_new = false;
            return part;
        }
    }
    p->parts[p->count] = *wanted;
    p->slots[at] = (uint32_t)++p->count;
    *is_new = true;
    return &p->parts[p->count - 1];
}

static uint64_t hash_pointers(const void *a, const void *b)
{
    uint64_t h = (uint64_t)(uintptr_t)a * 0x9e3779b97f4a7c15u;

    h ^= (uint64_t)(uintptr_t)b * 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 32;
}

/* ---- credentials ---- */

struct credentials {
    struct builder b;
    struct pool leaves;      /* by pointer: one certificate may serve many names */
    struct pool chains;      /* by pointer, which is quick */
    struct pool chain_texts; /* by content, so that merged segments share theirs again */
};

static uint64_t reserve(uint64_t *section, uint64_t size)
{
    uint64_t at = *section;

    *section += size;
    return at;
}

static struct part *keep_leaf(struct credentials *c, const struct segment_credential *from)
{
    struct segment_header *h = &c->b.header;
    struct part wanted = {.hash = hash_pointers(from->leaf.ptr, from->key.ptr),
                          .ptr = from->leaf.ptr,
                          .key = from->key.ptr,
                          .size = (uint32_t)from->leaf.len};
    bool is_new;
    struct part *part = pool_find(&c->leaves, &wanted, &is_new);

    if (part && is_new) {
        part->at = reserve(&h->bytes_size, from->leaf.len);
        part->key_at = reserve(&h->keys_size, from->key.len);
    }
    return part;
}

static struct part *keep_chain(struct credentials *c, struct str chain)
{
    struct part wanted = {
        .hash = hash_pointers(chain.ptr, NULL), .ptr = chain.ptr, .size = (uint32_t)chain.len};
    bool is_new, is_new_text;
    struct part *part = pool_find(&c->chains, &wanted, &is_new), *text;

    if (!part || !is_new)
        return part;
    wanted.hash = str_hash(chain, c->b.header.seed);
    text = pool_find(&c->chain_texts, &wanted, &is_new_text);
    if (!text)
        return NULL;
    if (is_new_text)
        text->at = reserve(&c->b.header.bytes_size, chain.len);
    part->at = text->at;
    part->is_written = !is_new_text;
    return part;
}

static int measure_credentials(struct credentials *c, const struct segment_source *source,
                               struct error *e)
{
    struct segment_name name;

    for (size_t i = 0; i < source->count; i++) {
        if (source->at(source->context, i, &name, e))
            return -1;
        if (name.count > ARRAY_LENGTH(name.credentials))
            return error_set(e, ERROR_INVALID, "segment: %u credentials for a name", name.count);
        if (measure_record(&c->b, 0, name.count, name.name.len, 0, e))
            return -1;
        for (size_t k = 0; k < name.count; k++) {
            const struct segment_credential *from = &name.credentials[k];
            if (from->leaf.len > SEGMENT_PART_MAX || from->key.len > SEGMENT_PART_MAX ||
                from->chain.len > SEGMENT_PART_MAX)
                return error_set(e, ERROR_LIMIT, "segment: a credential is over %d bytes",
                                 SEGMENT_PART_MAX);
            if (!keep_leaf(c, from) || (from->chain.len && !keep_chain(c, from->chain)))
                return error_memory(e);
        }
    }
    return 0;
}

static int put_credential(struct credentials *c, const struct segment_credential *from,
                          struct segment_entry *entry, struct error *e)
{
    const struct segment_header *h = &c->b.header;
    struct part *leaf = keep_leaf(c, from);
    struct part *chain = from->chain.len ? keep_chain(c, from->chain) : NULL;

    if (!leaf || (from->chain.len && !chain))
        return error_memory(e);
    *entry = (struct segment_entry){.leaf_at = h->bytes_at + leaf->at,
                                    .leaf_size = (uint32_t)from->leaf.len,
                                    .key_at = h->keys_at + leaf->key_at,
                                    .key_size = (uint32_t)from->key.len,
                                    .chain_at = h->bytes_at + (chain ? chain->at : 0),
                                    .chain_size = (uint32_t)from->chain.len,
                                    .key_type = (uint32_t)from->key_type};
    if (!leaf->is_written) {
        if (from->leaf.len)
            memcpy(c->b.base + entry->leaf_at, from->leaf.ptr, from->leaf.len);
        if (from->key.len)
            memcpy(c->b.base + entry->key_at, from->key.ptr, from->key.len);
        leaf->is_written = true;
    }
    if (chain && !chain->is_written) {
        memcpy(c->b.base + entry->chain_at, from->chain.ptr, from->chain.len);
        chain->is_written = true;
    }
    return 0;
}

static int put_credentials(struct credentials *c, const struct segment_source *source,
                           struct error *e)
{
    struct segment_entry entries[2] = {0};
    struct segment_name name;

    for (size_t i = 0; i < source->count; i++) {
        struct segment_record head = {0};
        if (source->at(source->context, i, &name, e))
            return -1;
        for (size_t k = 0; k < name.count; k++)
            if (put_credential(c, &name.credentials[k], &entries[k], e))
                return -1;
        head.key_size = (uint16_t)name.name.len;
        head.entries = name.count;
        head.is_managed = name.managed;
        if (put_record(&c->b, 0, &head, entries, name.name, STR(""), e))
            return -1;
    }
    return 0;
}

int segment_write_from(const struct segment_source *source, uint64_t *size, struct error *e)
{
    struct credentials c = {.chain_texts.by_content = true};
    int fd = -1;

    builder_init(&c.b, SEGMENT_CREDENTIALS);
    if (measure_credentials(&c, source, e) == 0 && open_file(&c.b, e) == 0 &&
        put_credentials(&c, source, e) == 0)
        fd = builder_seal(&c.b, size, e);
    builder_fini(&c.b);
    pool_fini(&c.leaves);
    pool_fini(&c.chains);
    pool_fini(&c.chain_texts);
    return fd;
}

static int name_of_array(void *context, size_t i, struct segment_name *name, struct error *e)
{
    const struct segment_name *names = context;

    (void)e;
    *name = names[i];
    return 0;
}

int segment_write_credentials(const struct segment_name *names, size_t count, uint64_t *size,
                              struct error *e)
{
    struct segment_source source = {
        .count = count, .context = (void *)(uintptr_t)names, .at = name_of_array};

    return segment_write_from(&source, size, e);
}

/* ---- tokens ---- */

int segment_write_tokens(const struct segment_token *tokens, size_t count, uint64_t *size,
                         struct error *e)
{
    struct builder b;
    int fd = -1;

    builder_init(&b, SEGMENT_TOKENS);
    for (size_t i = 0; i < count; i++)
        if (measure_record(&b, 0, 0, tokens[i].token.len, tokens[i].answer.len, e))
            return -1;
    if (open_file(&b, e))
        goto out;
    for (size_t i = 0; i < count; i++)
        if (put_text(&b, 0, tokens[i].token, tokens[i].answer, e))
            goto out;
    fd = builder_seal(&b, size, e);
out:
    builder_fini(&b);
    return fd;
}

/* ---- routes ---- */

struct list {
    const struct str *items;
    size_t count;
};

/* Hosts are at most 255 bytes and targets 8 KB: what is longer in the file cannot match. */
static bool can_match(struct str item)
{
    return item.len <= SEGMENT_KEY_MAX;
}

static int put_list(struct builder *b, size_t table, struct list list, struct error *e)
{
    for (size_t i = 0; i < list.count; i++) {
        uint64_t placed = b->placed[table], walked = b->walked[table];
        if (!can_match(list.items[i]) || put_text(b, table, list.items[i], STR(""), e) == 0)
            continue;
        if (e->kind != ERROR_INVALID)
            return -1;
        b->placed[table] = placed; /* it is there already */
        b->walked[table] = walked;
    }
    b->header.tables[table].count = b->walked[table];
    return 0;
}

static int measure_list(struct builder *b, size_t table, struct list list, struct error *e)
{
    for (size_t i = 0; i < list.count; i++) {
        size_t len = list.items[i].len;
        if (!can_match(list.items[i]))
            continue;
        if (measure_record(b, table, 0, len, 0, e))
            return -1;
        if (table == SEGMENT_PATHS && len > b->header.longest_path)
            b->header.longest_path = len;
    }
    return 0;
}

static uint64_t flags_of(const struct segment_routes *routes)
{
    return (routes->gate_open ? SEGMENT_GATE_OPEN : 0u) |
           (routes->allow_any_domain ? SEGMENT_ANY_DOMAIN : 0u) |
           (routes->allow_ipv4 ? SEGMENT_IPV4 : 0u) | (routes->any_host ? SEGMENT_ANY_HOST : 0u);
}

int segment_write_routes(const struct segment_routes *routes, uint64_t *size, struct error *e)
{
    struct list lists[SEGMENT_TABLES] = {
        [SEGMENT_HOSTS] = {routes->hosts, routes->host_count},
        [SEGMENT_DOMAINS] = {routes->domains, routes->domain_count},
        [SEGMENT_PATHS] = {routes->challenge_prefixes, routes->challenge_prefix_count}};
    struct builder b;
    int fd = -1;

    builder_init(&b, SEGMENT_ROUTES);
    b.header.flags = flags_of(routes);
    for (size_t t = 0; t < SEGMENT_TABLES; t++)
        if (measure_list(&b, t, lists[t], e))
            goto out;
    if (open_file(&b, e))
        goto out;
    for (size_t t = 0; t < SEGMENT_TABLES; t++)
        if (put_list(&b, t, lists[t], e))
            goto out;
    fd = builder_seal(&b, size, e);
out:
    builder_fini(&b);
    return fd;
}
