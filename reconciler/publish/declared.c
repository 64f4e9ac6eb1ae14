#include "declared.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/map.h"
#include "reconciler/pki/credential.h"
#include "reconciler/pki/digest.h"

#define ID_SIZE 32

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

/* One digest over both texts; where the first ends is part of it. */
static int identify(const struct declared_pem *pem, struct buf *both, unsigned char id[ID_SIZE])
{
    uint64_t len = pem->certificate.len;

    both->len = 0;
    buf_append(both, &len, sizeof(len));
    buf_str(both, pem->certificate);
    buf_str(both, pem->key);
    return both->failed ? -1 : digest_sha256(buf_view(both), id);
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

static int look_up(const struct declared *d, struct declared_batch *b,
                   const struct declared_pem *pem, struct buf *both, struct item **item,
                   struct error *why)
{
    unsigned char id[ID_SIZE];
    struct str key = {(const char *)id, ID_SIZE};

    if (pem->certificate.len + pem->key.len > DECLARED_PAIR_MAX) {
        error_set(why, ERROR_LIMIT, "a certificate and key of more than %zu bytes",
                  DECLARED_PAIR_MAX);
        return 0;
    }
    if (identify(pem, both, id))
        return -1;
    *item = map_find(&d->items, key);
    if (!*item)
        *item = map_find(&b->fresh, key);
    return *item ? 0 : parse(d, b, pem, id, item, why);
}

static int prepare_one(const struct declared *d, struct declared_batch *b, size_t i,
                       const struct declared_pem *pem, struct buf *both)
{
    struct declared_result *result = &b->results[i];
    struct error why;

    if (look_up(d, b, pem, both, &b->items[i], &why))
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
    struct buf both = BUF_SECRET(DECLARED_PAIR_MAX + sizeof(uint64_t));

    for (size_t i = 0; b && i < count; i++) {
        if (prepare_one(d, b, i, &pems[i], &both) == 0)
            continue;
        declared_batch_free(b);
        b = NULL;
    }
    buf_free(&both);
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
