#include "segment.h"

#include <stdlib.h>
#include <string.h>

#include "segment_build.h"

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

/* ---- names ---- */

struct names {
    struct segment_build b;
    struct pool leaves;      /* by pointer: one certificate may serve many names */
    struct pool chains;      /* by pointer, which is quick */
    struct pool chain_texts; /* by content, so that merged segments share theirs again */
};

static struct part *keep_leaf(struct names *c, const struct segment_credential *from)
{
    struct part wanted = {.hash = hash_pointers(from->leaf.ptr, from->key.ptr),
                          .ptr = from->leaf.ptr,
                          .key = from->key.ptr,
                          .size = (uint32_t)from->leaf.len};
    bool is_new;
    struct part *part = pool_find(&c->leaves, &wanted, &is_new);

    if (part && is_new) {
        part->at = segment_build_reserve(&c->b, SECTION_BYTES, from->leaf.len);
        part->key_at = segment_build_reserve(&c->b, SECTION_KEYS, from->key.len);
    }
    return part;
}

static struct part *keep_chain(struct names *c, struct str chain)
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
        text->at = segment_build_reserve(&c->b, SECTION_BYTES, chain.len);
    part->at = text->at;
    part->is_written = !is_new_text;
    return part;
}

static int measure_names(struct names *c, const struct segment_source *source, struct error *e)
{
    struct segment_name name;

    for (size_t i = 0; i < source->count; i++) {
        if (source->at(source->context, i, &name, e))
            return -1;
        if (name.count > ARRAY_LENGTH(name.credentials))
            return error_set(e, ERROR_INVALID, "segment: %u credentials for a name", name.count);
        if (segment_build_measure(&c->b, SECTION_NAMES, name.count, name.name.len, 0, e))
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

static void copy(struct names *c, enum segment_section_name section, uint64_t at, struct str from)
{
    if (from.len)
        memcpy(segment_build_at(&c->b, section, at), from.ptr, from.len);
}

static int put_credential(struct names *c, const struct segment_credential *from,
                          struct segment_entry *entry, struct error *e)
{
    struct part *leaf = keep_leaf(c, from);
    struct part *chain = from->chain.len ? keep_chain(c, from->chain) : NULL;

    if (!leaf || (from->chain.len && !chain))
        return error_memory(e);
    *entry = (struct segment_entry){.leaf_at = leaf->at,
                                    .leaf_size = (uint32_t)from->leaf.len,
                                    .key_at = leaf->key_at,
                                    .key_size = (uint32_t)from->key.len,
                                    .chain_at = chain ? chain->at : 0,
                                    .chain_size = (uint32_t)from->chain.len,
                                    .key_type = (uint32_t)from->key_type};
    if (!leaf->is_written) {
        copy(c, SECTION_BYTES, leaf->at, from->leaf);
        copy(c, SECTION_KEYS, leaf->key_at, from->key);
        leaf->is_written = true;
    }
    if (chain && !chain->is_written) {
        copy(c, SECTION_BYTES, chain->at, from->chain);
        chain->is_written = true;
    }
    return 0;
}

static int put_names(struct names *c, const struct segment_source *source, struct error *e)
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
        head.is_on_demand = name.on_demand;
        if (segment_build_put(&c->b, SECTION_NAMES, &head, entries, name.name, STR(""), e))
            return -1;
    }
    return 0;
}

int segment_write_from(const struct segment_source *source, uint64_t *size, struct error *e)
{
    struct names c = {.chain_texts.by_content = true};
    int fd = -1;

    segment_build_init(&c.b, SEGMENT_NAMES);
    if (measure_names(&c, source, e) == 0 && segment_build_open(&c.b, e) == 0 &&
        put_names(&c, source, e) == 0)
        fd = segment_build_seal(&c.b, size, e);
    segment_build_fini(&c.b);
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

int segment_write_names(const struct segment_name *names, size_t count, uint64_t *size,
                        struct error *e)
{
    struct segment_source source = {
        .count = count, .context = (void *)(uintptr_t)names, .at = name_of_array};

    return segment_write_from(&source, size, e);
}

/* ---- challenges ---- */

static int put_text(struct segment_build *b, uint32_t table, struct str key, struct str value,
                    struct error *e)
{
    struct segment_record head = {.key_size = (uint16_t)key.len, .value_size = (uint32_t)value.len};

    return segment_build_put(b, table, &head, NULL, key, value, e);
}

static uint32_t section_of(const struct segment_challenge *c)
{
    return SECTION_HTTP_01 + (uint32_t)c->kind;
}

int segment_write_challenges(const struct segment_challenge *challenges, size_t count,
                             uint64_t *size, struct error *e)
{
    const struct segment_challenge *end = challenges + count, *c;
    struct segment_build b;
    int fd = -1;

    segment_build_init(&b, SEGMENT_CHALLENGES);
    for (c = challenges; c < end; c++)
        if (segment_build_measure(&b, section_of(c), 0, c->key.len, c->payload.len, e))
            goto out;
    if (segment_build_open(&b, e))
        goto out;
    for (c = challenges; c < end; c++)
        if (put_text(&b, section_of(c), c->key, c->payload, e))
            goto out;
    fd = segment_build_seal(&b, size, e);
out:
    segment_build_fini(&b);
    return fd;
}

/* ---- lists ---- */

struct list {
    enum segment_list name;
    const struct str *items;
    size_t count;
};

/* Hosts are at most 255 bytes and targets 8 KB: what is longer in the file cannot match. */
static bool can_match(struct str item)
{
    return item.len <= SEGMENT_KEY_MAX;
}

static int measure_list(struct segment_build *b, const struct list *list, struct error *e)
{
    uint32_t section = SECTION_DOMAINS + (uint32_t)list->name;

    for (size_t i = 0; i < list->count; i++)
        if (can_match(list->items[i]) &&
            segment_build_measure(b, section, 0, list->items[i].len, 0, e))
            return -1;
    return 0;
}

static int put_list(struct segment_build *b, const struct list *list, struct error *e)
{
    uint32_t section = SECTION_DOMAINS + (uint32_t)list->name;

    for (size_t i = 0; i < list->count; i++)
        if (can_match(list->items[i]) && put_text(b, section, list->items[i], STR(""), e) &&
            e->kind != ERROR_INVALID) /* it is there already */
            return -1;
    return 0;
}

static int write_lists(struct segment_build *b, const struct list *lists, size_t count,
                       uint64_t *size, struct error *e)
{
    int fd = -1;

    for (size_t i = 0; i < count; i++)
        if (measure_list(b, &lists[i], e))
            goto out;
    if (segment_build_open(b, e))
        goto out;
    for (size_t i = 0; i < count; i++)
        if (put_list(b, &lists[i], e))
            goto out;
    fd = segment_build_seal(b, size, e);
out:
    segment_build_fini(b);
    return fd;
}

int segment_write_gate(const struct segment_gate *gate, uint64_t *size, struct error *e)
{
    const struct list domains = {SEGMENT_DOMAINS, gate->domains, gate->domain_count};
    struct segment_build b;

    segment_build_init(&b, SEGMENT_GATE);
    b.header.flags = (gate->is_open ? SEGMENT_GATE_OPEN : 0u) |
                     (gate->allow_any_domain ? SEGMENT_ANY_DOMAIN : 0u) |
                     (gate->allow_ipv4 ? SEGMENT_IPV4 : 0u);
    return write_lists(&b, &domains, 1, size, e);
}

int segment_write_routes(const struct segment_routes *routes, uint64_t *size, struct error *e)
{
    const struct list lists[] = {
        {SEGMENT_HOSTS, routes->hosts, routes->host_count},
        {SEGMENT_PATHS, routes->challenge_prefixes, routes->challenge_prefix_count}};
    struct segment_build b;

    segment_build_init(&b, SEGMENT_ROUTES);
    b.header.flags = routes->any_host ? SEGMENT_ANY_HOST : 0;
    return write_lists(&b, lists, ARRAY_LENGTH(lists), size, e);
}
