#include "reconciler/pki/chain.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/map.h"
#include "reconciler/pki/certificate.h"
#include "reconciler/pki/der.h"

#define CHAIN_HASH_SEED 0x6a09e667f3bcc908u

struct chain {
    struct chain_pool *pool;
    size_t references; /* under the pool's lock */
    struct str top_issuer;
    size_t len;
    char bytes[];
};

struct chain_pool {
    pthread_mutex_t lock;
    struct map chains;
    bool abandoned; /* its owner is gone: the last chain takes it along */
};

static struct str key_of(const void *item)
{
    const struct chain *chain = item;

    return (struct str){chain->bytes, chain->len};
}

struct chain_pool *chain_pool_new(void)
{
    struct chain_pool *pool = calloc(1, sizeof(*pool));

    if (!pool)
        return NULL;
    pool->chains = MAP_INIT(key_of, CHAIN_HASH_SEED);
    pthread_mutex_init(&pool->lock, NULL);
    return pool;
}

static void destroy(struct chain_pool *pool)
{
    pthread_mutex_destroy(&pool->lock);
    map_free(&pool->chains);
    free(pool);
}

void chain_pool_free(struct chain_pool *pool)
{
    bool is_empty;

    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    is_empty = pool->chains.len == 0;
    pool->abandoned = true;
    pthread_mutex_unlock(&pool->lock);
    if (is_empty)
        destroy(pool);
}

size_t chain_pool_count(struct chain_pool *pool)
{
    size_t count;

    pthread_mutex_lock(&pool->lock);
    count = pool->chains.len;
    pthread_mutex_unlock(&pool->lock);
    return count;
}

static int check(struct str bytes, struct error *e)
{
    size_t count = 0;
    struct str der;

    if (bytes.len > CHAIN_BYTES_MAX)
        return error_set(e, ERROR_LIMIT, "a certificate chain of more than %zu bytes",
                         CHAIN_BYTES_MAX);
    while (chain_next(&bytes, &der))
        if (++count > CHAIN_CERTIFICATES_MAX)
            return error_set(e, ERROR_LIMIT, "a chain of more than %d certificates above the leaf",
                             CHAIN_CERTIFICATES_MAX);
    return bytes.len ? error_set(e, ERROR_CRYPTO, "a certificate chain that is not DER") : 0;
}

static struct str find_top_issuer(struct str bytes)
{
    struct certificate_view last = {0};
    struct str der = STR_NONE;
    struct error ignored;

    while (chain_next(&bytes, &der))
        ;
    return certificate_parse(der, &last, &ignored) ? STR_NONE : last.issuer_cn;
}

static struct chain *make(struct chain_pool *pool, struct str bytes)
{
    struct chain *chain = malloc(sizeof(*chain) + bytes.len);

    if (!chain)
        return NULL;
    chain->pool = pool;
    chain->references = 0;
    chain->len = bytes.len;
    memcpy(chain->bytes, bytes.ptr, bytes.len);
    chain->top_issuer = find_top_issuer(key_of(chain));
    if (map_put(&pool->chains, chain)) {
        free(chain);
        return NULL;
    }
    return chain;
}

const struct chain *chain_intern(struct chain_pool *pool, struct str bytes, struct error *e)
{
    struct chain *chain;

    e->kind = ERROR_NONE;
    if (!bytes.len)
        return NULL;
    pthread_mutex_lock(&pool->lock);
    chain = map_find(&pool->chains, bytes);
    if (!chain && !check(bytes, e)) {
        chain = make(pool, bytes);
        if (!chain)
            error_memory(e);
    }
    if (chain)
        chain->references++;
    pthread_mutex_unlock(&pool->lock);
    return chain;
}

void chain_unref(const struct chain *chain)
{
    struct chain *c = (struct chain *)chain;
    struct chain_pool *pool;
    bool is_last = false;

    if (!c)
        return;
    pool = c->pool;
    pthread_mutex_lock(&pool->lock);
    if (--c->references == 0) {
        map_take(&pool->chains, key_of(c));
        free(c);
        is_last = pool->abandoned && pool->chains.len == 0;
    }
    pthread_mutex_unlock(&pool->lock);
    if (is_last)
        destroy(pool);
}

struct str chain_bytes(const struct chain *chain)
{
    return chain ? (struct str){chain->bytes, chain->len} : STR("");
}

struct str chain_top_issuer(const struct chain *chain)
{
    return chain ? chain->top_issuer : STR_NONE;
}

bool chain_next(struct str *rest, struct str *der)
{
    struct der_element element;
    struct str cursor = *rest;

    if (!der_next(&cursor, &element) || element.tag != DER_SEQUENCE)
        return false;
    *rest = cursor;
    *der = element.whole;
    return true;
}
