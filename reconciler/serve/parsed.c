#include "parsed.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "reconciler/pki/key.h"
#include "reconciler/snapshot/segment.h"

#define CHAIN_BUCKETS 1024
#define TAIL_SIZE 64 /* of a leaf: its signature, which no two share */

/* A chain in use, counted by the slots that use it. */
struct chain_entry {
    struct chain_entry *next;
    uint64_t hash;
    size_t references;
    STACK_OF(X509) * certificates;
    size_t size;
    char bytes[];
};

struct slot {
    uint64_t hash;
    uint32_t next;   /* in its bucket: index + 1 */
    bool was_used;   /* since the hand came by */
    struct str leaf; /* a copy; `name` lies behind it */
    struct str name;
    X509 *x509;
    EVP_PKEY *key;
    struct chain_entry *chain; /* NULL = none */
};

struct parsed_cache {
    uint64_t seed;
    size_t count, max, hand, chain_count;
    uint32_t *buckets; /* index + 1 */
    uint64_t mask;
    struct chain_entry *chains[CHAIN_BUCKETS];
    struct slot slots[];
};

/* ---- chains ---- */

static void chain_put(struct parsed_cache *c, struct chain_entry *chain)
{
    struct chain_entry **at;

    if (!chain || --chain->references)
        return;
    for (at = &c->chains[chain->hash % CHAIN_BUCKETS]; *at != chain;)
        at = &(*at)->next;
    *at = chain->next;
    sk_X509_pop_free(chain->certificates, X509_free);
    free(chain);
    c->chain_count--;
}

static X509 *parse_certificate(struct str der, struct error *e)
{
    const unsigned char *p = (const unsigned char *)der.ptr;
    X509 *x = d2i_X509(NULL, &p, (long)der.len);

    if (x && p == (const unsigned char *)der.ptr + der.len)
        return x;
    X509_free(x);
    ERR_clear_error();
    error_set(e, ERROR_CRYPTO, "a certificate does not parse");
    return NULL;
}

static STACK_OF(X509) * parse_chain(struct str bytes, struct error *e)
{
    struct str parts[PARSED_CHAIN_MAX];
    size_t count = segment_chain(bytes, parts, PARSED_CHAIN_MAX), size = 0;
    STACK_OF(X509) *stack = sk_X509_new_reserve(NULL, (int)count);

    if (!stack)
        error_memory(e);
    for (size_t i = 0; stack && i < count; i++) {
        X509 *x = parse_certificate(parts[i], e);
        size += parts[i].len;
        if (x) {
            sk_X509_push(stack, x); /* has room */
            continue;
        }
        sk_X509_pop_free(stack, X509_free);
        stack = NULL;
    }
    if (!stack || size == bytes.len)
        return stack;
    sk_X509_pop_free(stack, X509_free);
    error_set(e, ERROR_CRYPTO, "a chain is broken or longer than %d", PARSED_CHAIN_MAX);
    return NULL;
}

/* One reference for the caller. */
static struct chain_entry *chain_take(struct parsed_cache *c, struct str bytes, struct error *e)
{
    uint64_t hash = str_hash(bytes, c->seed);
    struct chain_entry *chain = c->chains[hash % CHAIN_BUCKETS];

    while (chain && !(chain->hash == hash && chain->size == bytes.len &&
                      memcmp(chain->bytes, bytes.ptr, bytes.len) == 0))
        chain = chain->next;
    if (chain) {
        chain->references++;
        return chain;
    }
    chain = malloc(sizeof(*chain) + bytes.len);
    if (!chain)
        return error_no_memory(e);
    *chain = (struct chain_entry){.hash = hash, .references = 1, .size = bytes.len};
    memcpy(chain->bytes, bytes.ptr, bytes.len);
    chain->certificates = parse_chain(bytes, e);
    if (!chain->certificates) {
        free(chain);
        return NULL;
    }
    chain->next = c->chains[hash % CHAIN_BUCKETS];
    c->chains[hash % CHAIN_BUCKETS] = chain;
    c->chain_count++;
    return chain;
}

/* ---- slots ---- */

static void slot_fini(struct parsed_cache *c, struct slot *s)
{
    X509_free(s->x509);
    EVP_PKEY_free(s->key);
    chain_put(c, s->chain);
    free((void *)(uintptr_t)s->leaf.ptr);
    *s = (struct slot){0};
}

struct parsed_cache *parsed_cache_new(size_t slots)
{
    size_t buckets = 1;
    struct parsed_cache *c;

    slots = slots < PARSED_SLOTS_MIN ? PARSED_SLOTS_MIN : slots;
    slots = slots > PARSED_SLOTS_MAX ? PARSED_SLOTS_MAX : slots;
    while (buckets < 2 * slots)
        buckets *= 2;
    c = calloc(1, sizeof(*c) + slots * sizeof(c->slots[0]));
    if (!c)
        return NULL;
    c->max = slots;
    c->mask = buckets - 1;
    c->buckets = calloc(buckets, sizeof(*c->buckets));
    if (!c->buckets) {
        free(c);
        return NULL;
    }
    if (getrandom(&c->seed, sizeof(c->seed), GRND_NONBLOCK) < 0)
        c->seed = (uintptr_t)c;
    return c;
}

void parsed_cache_free(struct parsed_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++)
        slot_fini(c, &c->slots[i]);
    free(c->buckets);
    free(c);
}

size_t parsed_count(const struct parsed_cache *c)
{
    return c->count;
}

size_t parsed_chain_count(const struct parsed_cache *c)
{
    return c->chain_count;
}

static struct slot *find(struct parsed_cache *c, uint64_t hash, struct str leaf)
{
    for (uint32_t i = c->buckets[hash & c->mask]; i; i = c->slots[i - 1].next) {
        struct slot *s = &c->slots[i - 1];
        if (s->hash == hash && str_equal(s->leaf, leaf))
            return s;
    }
    return NULL;
}

static void unlink_slot(struct parsed_cache *c, size_t index)
{
    uint32_t *at = &c->buckets[c->slots[index].hash & c->mask];

    while (*at != index + 1)
        at = &c->slots[*at - 1].next;
    *at = c->slots[index].next;
}

/* A slot for something new: a fresh one, or that of what was not used since the hand came by. */
static size_t make_room(struct parsed_cache *c)
{
    size_t index;

    if (c->count < c->max)
        return c->count++;
    while (c->slots[c->hand].was_used) {
        c->slots[c->hand].was_used = false;
        c->hand = (c->hand + 1) % c->max;
    }
    index = c->hand;
    c->hand = (c->hand + 1) % c->max;
    unlink_slot(c, index);
    slot_fini(c, &c->slots[index]);
    return index;
}

/* Everything of a new slot but its place. */
static int slot_parse(struct parsed_cache *c, struct slot *s, struct str name,
                      const struct segment_credential *credential, struct error *e)
{
    struct str leaf = credential->leaf;
    char *copy = malloc(leaf.len + name.len + 1);

    if (!copy)
        return error_memory(e);
    memcpy(copy, leaf.ptr, leaf.len);
    if (name.len)
        memcpy(copy + leaf.len, name.ptr, name.len);
    s->leaf = (struct str){copy, leaf.len};
    s->name = (struct str){copy + leaf.len, name.len};
    s->x509 = parse_certificate(credential->leaf, e);
    if (!s->x509)
        return -1;
    s->key = key_unpack(credential->key_type, credential->key, credential->leaf, e);
    if (!s->key)
        return -1;
    if (credential->chain.len) {
        s->chain = chain_take(c, credential->chain, e);
        if (!s->chain)
            return -1;
    }
    return 0;
}

static struct slot *insert(struct parsed_cache *c, uint64_t hash, struct str name,
                           const struct segment_credential *credential, struct error *e)
{
    struct slot fresh = {.hash = hash};
    size_t index;

    if (slot_parse(c, &fresh, name, credential, e)) {
        slot_fini(c, &fresh);
        return NULL;
    }
    index = make_room(c);
    fresh.next = c->buckets[hash & c->mask];
    c->buckets[hash & c->mask] = (uint32_t)(index + 1);
    c->slots[index] = fresh;
    return &c->slots[index];
}

/* The same leaf may come with another chain. */
static int renew_chain(struct parsed_cache *c, struct slot *s, struct str chain, struct error *e)
{
    struct chain_entry *fresh = NULL;

    if (s->chain ? s->chain->size == chain.len && memcmp(s->chain->bytes, chain.ptr, chain.len) == 0
                 : chain.len == 0)
        return 0;
    if (chain.len) {
        fresh = chain_take(c, chain, e);
        if (!fresh)
            return -1;
    }
    chain_put(c, s->chain);
    s->chain = fresh;
    return 0;
}

int parsed_get(struct parsed_cache *c, struct str name, const struct segment_credential *credential,
               struct parsed *parsed, struct error *e)
{
    struct str leaf = credential->leaf;
    size_t tail = leaf.len > TAIL_SIZE ? leaf.len - TAIL_SIZE : 0;
    uint64_t hash = str_hash(str_slice(leaf, tail, leaf.len), c->seed);
    struct slot *s = find(c, hash, leaf);

    parsed->was_there = s != NULL;
    if (!s)
        s = insert(c, hash, name, credential, e);
    if (!s || renew_chain(c, s, credential->chain, e))
        return -1;
    s->was_used = true;
    parsed->leaf = s->x509;
    parsed->key = s->key;
    parsed->chain = s->chain ? s->chain->certificates : NULL;
    return 0;
}

/* The last slot takes the place of one that leaves, so that the used ones stay together. */
static void drop_slot(struct parsed_cache *c, size_t index)
{
    size_t last = c->count - 1;

    unlink_slot(c, index);
    slot_fini(c, &c->slots[index]);
    if (index != last) {
        uint32_t *bucket = &c->buckets[c->slots[last].hash & c->mask];
        unlink_slot(c, last);
        c->slots[index] = c->slots[last];
        c->slots[index].next = *bucket;
        *bucket = (uint32_t)(index + 1);
        c->slots[last] = (struct slot){0};
    }
    c->count--;
    c->hand = 0;
}

void parsed_forget(struct parsed_cache *c,
                   bool (*is_served)(const void *context, struct str name, struct str leaf),
                   const void *context)
{
    for (size_t i = c->count; i-- > 0;)
        if (!is_served(context, c->slots[i].name, c->slots[i].leaf))
            drop_slot(c, i);
}
