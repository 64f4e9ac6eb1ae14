#include "declared.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/base/map.h"
#include "reconciler/pki/credential.h"
#include "reconciler/pki/digest.h"

#define ID_SIZE 64 /* the digests of both texts */

/* One interned pair. */
struct item {
    unsigned char id[ID_SIZE];
    struct credential *credential;
    bool is_used;      /* by the batch that is being committed */
    struct item *next; /* of those that are not */
};

struct declared {
    struct map items;
    struct chain_pool *chains; /* the caller's */
};

struct declared_batch {
    struct declared_result *results;
    struct item **items; /* of each result: the pool's, or one of `fresh`; NULL: an error */
    size_t count;
    struct map fresh; /* items that the pool has not seen yet */
    struct error *errors;
};

static struct str key_of(const void *item)
{
    return (struct str){(const char *)((const struct item *)item)->id, ID_SIZE};
}

struct declared *declared_new(struct chain_pool *chains)
{
    struct declared *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    d->chains = chains;
    d->items = MAP_INIT(key_of, (uint64_t)(uintptr_t)d);
    return d;
}

static void item_free(struct item *item)
{
    if (!item)
        return;
    credential_unref(item->credential);
    free(item);
}

static void free_items(struct map *items)
{
    struct item *item;
    size_t cursor = 0;

    while ((item = map_next(items, &cursor)))
        item_free(item);
    map_free(items);
}

void declared_free(struct declared *d)
{
    if (!d)
        return;
    free_items(&d->items);
    free(d);
}

size_t declared_count(const struct declared *d)
{
    return d->items.len;
}

/* ---- preparing ---- */

static int identify(const struct declared_pem *pem, unsigned char id[ID_SIZE])
{
    if (digest_sha256(pem->certificate, id))
        return -1;
    return digest_sha256(pem->key, id + ID_SIZE / 2);
}

static struct declared_batch *batch_new(size_t count)
{
    struct declared_batch *b = calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    b->fresh = MAP_INIT(key_of, (uint64_t)(uintptr_t)b);
    b->count = count;
    b->results = calloc(count + 1, sizeof(*b->results));
    b->items = calloc(count + 1, sizeof(struct item *));
    if (b->results && b->items)
        return b;
    declared_batch_free(b);
    return NULL;
}

/* Parses a pair that nobody has seen. 0 with *item, or with *why and *item NULL; -1: out of memory.
 */
static int parse(const struct declared *d, struct declared_batch *b, const struct declared_pem *pem,
                 const unsigned char id[ID_SIZE], struct item **item, struct error *why)
{
    struct item *made = calloc(1, sizeof(*made));

    *item = NULL;
    if (!made)
        return -1;
    memcpy(made->id, id, ID_SIZE);
    made->credential = credential_from_pem(d->chains, pem->certificate, pem->key, why);
    if (!made->credential) {
        free(made);
        return why->kind == ERROR_MEMORY ? -1 : 0;
    }
    if (map_put(&b->fresh, made)) {
        item_free(made);
        return -1;
    }
    *item = made;
    return 0;
}

static int prepare_one(const struct declared *d, struct declared_batch *b, size_t i,
                       const struct declared_pem *pem)
{
    struct declared_result *result = &b->results[i];
    unsigned char id[ID_SIZE];
    struct str key = {(const char *)id, ID_SIZE};
    struct error why;

    if (identify(pem, id))
        return -1;
    b->items[i] = map_find(&d->items, key);
    if (!b->items[i])
        b->items[i] = map_find(&b->fresh, key);
    if (!b->items[i] && parse(d, b, pem, id, &b->items[i], &why))
        return -1;
    if (b->items[i]) {
        result->credential = b->items[i]->credential;
        return 0;
    }
    result->error = malloc(sizeof(*result->error));
    if (!result->error)
        return -1;
    *result->error = why;
    return 0;
}

int declared_prepare(const struct declared *d, const struct declared_pem *pems, size_t count,
                     struct declared_batch **batch, struct error *e)
{
    struct declared_batch *b = batch_new(count);

    for (size_t i = 0; b && i < count; i++) {
        if (prepare_one(d, b, i, &pems[i]) == 0)
            continue;
        declared_batch_free(b);
        b = NULL;
    }
    if (!b)
        return error_memory(e);
    *batch = b;
    return 0;
}

/* ---- committing ---- */

/* The new items go into the pool: all or none. */
static int take_fresh(struct declared *d, struct declared_batch *b)
{
    struct item *item;
    size_t cursor = 0;

    while ((item = map_next(&b->fresh, &cursor)))
        if (map_put(&d->items, item))
            break;
    if (!item) {
        map_free(&b->fresh);
        return 0;
    }
    cursor = 0;
    while ((item = map_next(&b->fresh, &cursor)))
        map_take(&d->items, key_of(item));
    return -1;
}

static void drop_unused(struct declared *d)
{
    struct item *unused = NULL, *item;
    size_t cursor = 0;

    while ((item = map_next(&d->items, &cursor))) {
        if (item->is_used)
            continue;
        item->next = unused;
        unused = item;
    }
    while ((item = unused)) {
        unused = item->next;
        map_take(&d->items, key_of(item));
        item_free(item);
    }
}

int declared_commit(struct declared *d, struct declared_batch *batch, struct error *e)
{
    struct item *item;
    size_t cursor = 0;

    if (take_fresh(d, batch))
        return error_memory(e);
    while ((item = map_next(&d->items, &cursor)))
        item->is_used = false;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->items[i])
            batch->items[i]->is_used = true;
    drop_unused(d);
    return 0;
}

const struct declared_result *declared_results(const struct declared_batch *batch, size_t *count)
{
    *count = batch->count;
    return batch->results;
}

void declared_batch_free(struct declared_batch *batch)
{
    if (!batch)
        return;
    free_items(&batch->fresh);
    for (size_t i = 0; batch->results && i < batch->count; i++)
        free(batch->results[i].error);
    free(batch->results);
    free(batch->items);
    free(batch);
}
