#include "parsed.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "reconciler/base/map.h"
#include "reconciler/pki/key.h"
#include "reconciler/snapshot/segment.h"

/* A chain in use, counted by the slots that use it. */
struct chain_entry {
    size_t references;
    STACK_OF(X509) * certificates;
    size_t size;
    char bytes[];
};

struct slot {
    bool was_used;   /* since the hand came by */
    struct str leaf; /* a copy; `name` lies behind it */
    struct str name;
    X509 *x509;
    EVP_PKEY *key;
    struct chain_entry *chain; /* NULL = none */
};

struct parsed_cache {
    struct map by_leaf, chains;
    size_t count, max, hand;
    struct slot *slots[];
};

static struct str key_of_slot(const void *item)
{
    return ((const struct slot *)item)->leaf;
}

static struct str key_of_chain(const void *item)
{
    const struct chain_entry *chain = item;

    return (struct str){chain->bytes, chain->size};
}

/* ---- chains ---- */

static void chain_put(struct parsed_cache *c, struct chain_entry *chain)
{
    if (!chain || --chain->references)
        return;
    map_take(&c->chains, key_of_chain(chain));
    sk_X509_pop_free(chain->certificates, X509_free);
    free(chain);
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
    struct chain_entry *chain = map_find(&c->chains, bytes);

    if (chain) {
        chain->references++;
        return chain;
    }
    chain = malloc(sizeof(*chain) + bytes.len);
    if (!chain || map_reserve(&c->chains)) {
        free(chain);
        return error_no_memory(e);
    }
    *chain = (struct chain_entry){.references = 1, .size = bytes.len};
    memcpy(chain->bytes, bytes.ptr, bytes.len);
    chain->certificates = parse_chain(bytes, e);
    if (!chain->certificates) {
        free(chain);
        return NULL;
    }
    (void)!map_put(&c->chains, chain);
    return chain;
}

/* ---- slots ---- */

static void slot_free(struct parsed_cache *c, struct slot *s)
{
    X509_free(s->x509);
    EVP_PKEY_free(s->key);
    chain_put(c, s->chain);
    free((void *)(uintptr_t)s->leaf.ptr);
    free(s);
}

struct parsed_cache *parsed_cache_new(size_t slots)
{
    struct parsed_cache *c;
    uint64_t seed;

    slots = slots < PARSED_SLOTS_MIN ? PARSED_SLOTS_MIN : slots;
    slots = slots > PARSED_SLOTS_MAX ? PARSED_SLOTS_MAX : slots;
    c = calloc(1, sizeof(*c) + slots * sizeof(c->slots[0]));
    if (!c)
        return NULL;
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) < 0)
        seed = (uintptr_t)c;
    c->max = slots;
    c->by_leaf = MAP_INIT(key_of_slot, seed);
    c->chains = MAP_INIT(key_of_chain, seed);
    return c;
}

void parsed_cache_free(struct parsed_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++)
        slot_free(c, c->slots[i]);
    map_free(&c->by_leaf);
    map_free(&c->chains);
    free(c);
}

size_t parsed_count(const struct parsed_cache *c)
{
    return c->count;
}

size_t parsed_chain_count(const struct parsed_cache *c)
{
    return c->chains.len;
}

/* Takes a slot out, and leaves a hole at its place. */
static void drop_slot(struct parsed_cache *c, size_t index)
{
    map_take(&c->by_leaf, c->slots[index]->leaf);
    slot_free(c, c->slots[index]);
}

/* A place for something new: a fresh one, or that of what was not used since the hand came by. */
static size_t make_room(struct parsed_cache *c)
{
    size_t index;

    if (c->count < c->max)
        return c->count++;
    while (c->slots[c->hand]->was_used) {
        c->slots[c->hand]->was_used = false;
        c->hand = (c->hand + 1) % c->max;
    }
    index = c->hand;
    c->hand = (c->hand + 1) % c->max;
    drop_slot(c, index);
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

static struct slot *insert(struct parsed_cache *c, struct str name,
                           const struct segment_credential *credential, struct error *e)
{
    struct slot *fresh = calloc(1, sizeof(*fresh));

    if (!fresh || map_reserve(&c->by_leaf)) {
        free(fresh);
        return error_no_memory(e);
    }
    if (slot_parse(c, fresh, name, credential, e)) {
        slot_free(c, fresh);
        return NULL;
    }
    c->slots[make_room(c)] = fresh;
    (void)!map_put(&c->by_leaf, fresh);
    return fresh;
}

/* The same leaf may come with another chain. */
static int renew_chain(struct parsed_cache *c, struct slot *s, struct str chain, struct error *e)
{
    struct chain_entry *fresh = NULL;

    if (s->chain ? str_equal(key_of_chain(s->chain), chain) : chain.len == 0)
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
    struct slot *s = map_find(&c->by_leaf, credential->leaf);

    parsed->was_there = s != NULL;
    if (!s)
        s = insert(c, name, credential, e);
    if (!s || renew_chain(c, s, credential->chain, e))
        return -1;
    s->was_used = true;
    parsed->leaf = s->x509;
    parsed->key = s->key;
    parsed->chain = s->chain ? s->chain->certificates : NULL;
    return 0;
}

void parsed_forget(struct parsed_cache *c,
                   bool (*is_served)(const void *context, struct str name, struct str leaf),
                   const void *context)
{
    for (size_t i = c->count; i-- > 0;)
        if (!is_served(context, c->slots[i]->name, c->slots[i]->leaf)) {
            drop_slot(c, i);
            c->slots[i] = c->slots[--c->count]; /* the used ones stay together */
            c->hand = 0;
        }
}
