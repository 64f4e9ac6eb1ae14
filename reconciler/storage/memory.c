#include "memory.h"

#include <stdlib.h>
#include <string.h>

#include "packed.h"
#include "reconciler/base/arena.h"
#include "reconciler/base/map.h"
#include "reconciler/pki/digest.h"

#define ITEM_MAX ((size_t)1 << 20)

/* One value: what the file backend would write. */
struct item {
    struct buf key;
    struct buf packed;
    struct buf chain;
};

struct memory {
    struct storage storage;
    struct map items;
    size_t fail_after;
};

static struct memory *memory_of(const struct storage *s)
{
    return (struct memory *)s;
}

static struct str item_key(const void *item)
{
    return buf_view(&((const struct item *)item)->key);
}

static void item_free(struct item *item)
{
    if (!item)
        return;
    buf_free(&item->key);
    buf_free(&item->packed);
    buf_free(&item->chain);
    free(item);
}

static int identify_chain(struct value_credential *c)
{
    memset(c->chain_id, 0, sizeof(c->chain_id));
    return c->chain.len ? digest_sha256(c->chain, c->chain_id) : 0;
}

static struct item *item_new(const struct value *v, struct error *e)
{
    struct item *item = calloc(1, sizeof(*item));
    struct value copy = *v;

    if (!item) {
        error_memory(e);
        return NULL;
    }
    item->key = BUF_INIT(VALUE_LOGICAL_KEY_MAX * 2);
    item->packed = BUF_SECRET(ITEM_MAX);
    item->chain = BUF_INIT(ITEM_MAX);
    if (value_key(v, &item->key, e))
        goto failed;
    if (v->gone)
        return item;
    if (v->type == VALUE_CREDENTIAL && identify_chain(&copy.u.credential)) {
        error_memory(e);
        goto failed;
    }
    if (packed_write(&copy, &item->packed) ||
        (v->type == VALUE_CREDENTIAL && buf_str(&item->chain, v->u.credential.chain))) {
        error_memory(e);
        goto failed;
    }
    return item;
failed:
    item_free(item);
    return NULL;
}

static struct storage *memory_open(const struct storage_options *options, struct error *e)
{
    struct memory *m = calloc(1, sizeof(*m));

    if (!m) {
        error_memory(e);
        return NULL;
    }
    m->storage = (struct storage){&memory_operations, options->read_only};
    m->items = MAP_INIT(item_key, (uint64_t)(uintptr_t)m);
    return &m->storage;
}

static void memory_close(struct storage *s)
{
    struct memory *m = memory_of(s);
    struct item *item;
    size_t cursor = 0;

    while ((item = map_next(&m->items, &cursor)))
        item_free(item);
    map_free(&m->items);
    free(m);
}

static int memory_load(struct storage *s, storage_each *each, void *context,
                       struct storage_problems *problems, struct error *e)
{
    struct memory *m = memory_of(s);
    struct arena *arena = arena_new(NULL);
    struct item *item;
    size_t cursor = 0;
    int rc = arena ? 0 : error_memory(e);

    while (!rc && (item = map_next(&m->items, &cursor))) {
        struct value v;
        if (value_key_parse(buf_view(&item->key), arena, &v) != 1 ||
            packed_read(buf_view(&item->packed), &v))
            BUG("a value in memory does not read back");
        if (v.type == VALUE_CREDENTIAL)
            v.u.credential.chain = buf_view(&item->chain);
        rc = each(context, &v, e);
        if (rc && e->kind != ERROR_MEMORY) {
            storage_refused(problems, &v, e);
            rc = 0;
        }
    }
    arena_free(arena);
    return rc ? -1 : 0;
}

static int fail_if_asked(struct memory *m, struct error *e)
{
    if (m->fail_after && --m->fail_after == 0)
        return error_set(e, ERROR_STORAGE, "no space left in memory");
    return 0;
}

static void take_out(struct memory *m, struct str key)
{
    item_free(map_take(&m->items, key));
}

static int memory_put(struct storage *s, const struct value *values, size_t count, struct error *e)
{
    struct memory *m = memory_of(s);
    struct item **made = calloc(count + 1, sizeof(struct item *));
    size_t done = 0;
    int rc = -1;

    if (!made)
        return error_memory(e);
    if (fail_if_asked(m, e))
        goto out;
    for (size_t i = 0; i < count; i++) {
        made[i] = item_new(&values[i], e);
        if (!made[i])
            goto out;
    }
    for (; done < count; done++) {
        take_out(m, item_key(made[done]));
        if (values[done].gone) {
            item_free(made[done]);
        } else if (map_put(&m->items, made[done])) {
            error_memory(e);
            goto out;
        }
        made[done] = NULL;
    }
    rc = 0;
out:
    for (size_t i = done; i < count; i++)
        item_free(made[i]);
    free(made);
    return rc;
}

static int memory_probe(struct storage *s, size_t room, struct error *e)
{
    (void)room;
    return fail_if_asked(memory_of(s), e);
}

void memory_fail_after(struct storage *s, size_t n)
{
    memory_of(s)->fail_after = n;
}

size_t memory_count(const struct storage *s)
{
    return memory_of(s)->items.len;
}

const struct storage_operations memory_operations = {
    .name = "memory",
    .open = memory_open,
    .load = memory_load,
    .put = memory_put,
    .probe = memory_probe,
    .close = memory_close,
};
