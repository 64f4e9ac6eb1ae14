#include "memory.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "packed.h"
#include "reconciler/base/arena.h"
#include "reconciler/base/map.h"
#include "reconciler/pki/digest.h"

#define ITEM_MAX ((size_t)1 << 20)

/* One value: what the file adapter would write. */
struct item {
    struct buf key;
    struct buf packed;
    struct buf chain;
    uint64_t version;
};

/* What somebody else has written, to be told of. */
struct news {
    STAILQ_ENTRY(news) link;
    struct arena *arena;
    struct value v;
};

struct memory {
    struct storage storage;
    struct memory_space *space;
    struct event *turn;
    bool is_loaded, is_away; /* as it has been told */
    struct storage_asks asks;
    STAILQ_HEAD(, news) news;
    LIST_ENTRY(memory) link; /* of the space */
};

struct memory_space {
    struct map items;
    uint64_t versions;
    size_t fail_after;
    bool holds, is_away;
    LIST_HEAD(, memory) open;
};

static struct memory *memory_of(struct storage *s)
{
    return (struct memory *)s;
}

/* ---- the space ---- */

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

struct memory_space *memory_space_new(void)
{
    struct memory_space *m = calloc(1, sizeof(*m));

    if (m)
        m->items = MAP_INIT(item_key, (uint64_t)(uintptr_t)m);
    return m;
}

void memory_space_free(struct memory_space *m)
{
    struct item *item;
    size_t cursor = 0;

    if (!m)
        return;
    while ((item = map_next(&m->items, &cursor)))
        item_free(item);
    map_free(&m->items);
    free(m);
}

static void wake(struct memory *m)
{
    event_active(m->turn, EV_TIMEOUT, 0);
}

static void wake_all(struct memory_space *space)
{
    struct memory *m;

    LIST_FOREACH(m, &space->open, link)
    wake(m);
}

void memory_fail_after(struct memory_space *m, size_t n)
{
    m->fail_after = n;
}

void memory_hold(struct memory_space *m, bool holds)
{
    m->holds = holds;
    wake_all(m);
}

void memory_away(struct memory_space *m, bool is_away)
{
    m->is_away = is_away;
    wake_all(m);
}

size_t memory_count(const struct memory_space *m)
{
    return m->items.len;
}

/* ---- values ---- */

static struct item *item_new(const struct value *v, struct error *e)
{
    struct item *item = calloc(1, sizeof(*item));
    struct value copy = *v;
    struct value_credential *c = &copy.u.credential;
    bool is_chained = v->type == VALUE_CREDENTIAL && !v->gone && c->chain.len;

    if (!item) {
        error_memory(e);
        return NULL;
    }
    item->key = BUF_INIT(VALUE_LOGICAL_KEY_MAX * 2);
    item->packed = BUF_SECRET(ITEM_MAX);
    item->chain = BUF_INIT(ITEM_MAX);
    if (v->type == VALUE_CREDENTIAL)
        memset(c->chain_id, 0, sizeof(c->chain_id));
    if (value_key(v, &item->key, e) == 0) {
        if ((!is_chained ||
             (digest_sha256(c->chain, c->chain_id) == 0 && buf_str(&item->chain, c->chain) == 0)) &&
            (v->gone || packed_write(&copy, &item->packed) == 0))
            return item;
        error_memory(e);
    }
    item_free(item);
    return NULL;
}

/* As views into the item and `arena`. */
static int unpack(const struct item *item, struct arena *arena, struct value *v)
{
    if (value_key_parse(buf_view(&item->key), arena, v) != 1 ||
        packed_read(buf_view(&item->packed), v))
        BUG("a value in memory does not read back");
    if (v->type == VALUE_CREDENTIAL)
        v->u.credential.chain = buf_view(&item->chain);
    return 0;
}

static struct storage_version version_of(const struct item *item)
{
    struct storage_version version = {.is_there = item != NULL};

    if (item)
        memcpy(version.bytes, &item->version, sizeof(item->version));
    return version;
}

static int fail_if_asked(struct memory_space *m, struct error *e)
{
    if (m->is_away)
        return error_set(e, ERROR_STORAGE, "the storage is away");
    if (m->fail_after && --m->fail_after == 0)
        return error_set(e, ERROR_STORAGE, "no space left in memory");
    return 0;
}

static int tell_one(struct memory *m, const struct value *v, struct error *e)
{
    struct news *n = calloc(1, sizeof(*n));

    if (n)
        n->arena = arena_new(&(struct arena_options){.secret = true});
    if (!n || !n->arena || value_copy(v, n->arena, &n->v)) {
        arena_free(n ? n->arena : NULL);
        free(n);
        return error_memory(e);
    }
    n->v.gone = v->gone;
    STAILQ_INSERT_TAIL(&m->news, n, link);
    wake(m);
    return 0;
}

static int tell_others(const struct memory *writer, const struct value *v, struct error *e)
{
    struct memory *m;
    int rc = 0;

    LIST_FOREACH(m, &writer->space->open, link)
    if (m != writer && m->is_loaded && rc == 0)
        rc = tell_one(m, v, e);
    return rc;
}

static int put_one(struct memory *m, const struct storage_change *change, struct error *e)
{
    struct item *item = item_new(change->value, e);

    if (!item)
        return -1;
    item->version = ++m->space->versions;
    item_free(map_take(&m->space->items, item_key(item)));
    if (change->value->gone) {
        item_free(item);
    } else if (map_put(&m->space->items, item)) {
        item_free(item);
        return error_memory(e);
    }
    return tell_others(m, change->value, e);
}

/* ---- questions ---- */

static bool guard_holds(const struct memory *m, const struct storage_change *change,
                        struct error *e)
{
    struct buf key = BUF_INIT(VALUE_LOGICAL_KEY_MAX);
    struct storage_version now = {0};

    if (value_key(change->value, &key, e) == 0)
        now = version_of(map_find(&m->space->items, buf_view(&key)));
    buf_free(&key);
    return storage_holds(change, &now);
}

/* In their order, each by itself. */
static enum storage_outcome put(struct memory *m, struct storage_ask *ask)
{
    for (size_t i = 0; i < ask->u.put.count; i++) {
        const struct storage_change *change = &ask->u.put.changes[i];
        if (!guard_holds(m, change, &ask->error))
            return STORAGE_CONFLICT;
        if (fail_if_asked(m->space, &ask->error) || put_one(m, change, &ask->error))
            return STORAGE_FAILED;
    }
    return STORAGE_OK;
}

static int get(const struct memory *m, struct storage_ask *ask)
{
    const struct item *item = map_find(&m->space->items, ask->u.get.key);
    struct value v;

    ask->u.get.version = version_of(item);
    if (!item)
        return 0;
    if (unpack(item, ask->arena, &v) || value_copy(&v, ask->arena, &ask->u.get.value))
        return error_memory(&ask->error);
    return 0;
}

static int list(const struct memory *m, struct storage_ask *ask)
{
    struct str *keys = arena_array(ask->arena, m->space->items.len + 1, sizeof(*keys));
    const struct item *item;
    size_t count = 0, cursor = 0;

    if (!keys)
        return error_memory(&ask->error);
    while ((item = map_next(&m->space->items, &cursor)))
        if (str_starts(item_key(item), ask->u.list.prefix) &&
            str_compare(item_key(item), ask->u.list.cursor) > 0)
            keys[count++] = arena_str(ask->arena, item_key(item));
    storage_take_keys(ask, keys, count);
    return 0;
}

static void carry_out(struct memory *m, struct storage_ask *ask)
{
    int rc = 0;

    if (ask->question == STORAGE_PUT)
        ask->outcome = put(m, ask);
    else if (ask->question == STORAGE_PROBE)
        rc = fail_if_asked(m->space, &ask->error);
    else if (m->space->is_away && ask->question != STORAGE_CHECK)
        rc = fail_if_asked(m->space, &ask->error);
    else if (ask->question == STORAGE_GET)
        rc = get(m, ask);
    else if (ask->question == STORAGE_LIST)
        rc = list(m, ask);
    if (rc)
        ask->outcome = STORAGE_FAILED;
}

static void load(struct memory *m)
{
    const struct storage_face *face = &m->storage.face;
    struct storage_problems problems = {0};
    struct arena *arena = arena_new(NULL);
    struct item *item;
    size_t cursor = 0;
    struct error e;
    int rc = arena ? 0 : error_memory(&e);

    m->is_loaded = true;
    while (!rc && (item = map_next(&m->space->items, &cursor))) {
        struct value v;
        rc = unpack(item, arena, &v) || face->found(face->context, &v, &e);
        if (rc && e.kind != ERROR_MEMORY) {
            storage_refused(&problems, &v, &e);
            rc = 0;
        }
    }
    arena_free(arena);
    face->loaded(face->context, &problems, rc ? &e : NULL);
    storage_problems_free(&problems);
}

static void tell_news(struct memory *m)
{
    const struct storage_face *face = &m->storage.face;
    struct news *n;
    struct error e;

    while ((n = STAILQ_FIRST(&m->news))) {
        STAILQ_REMOVE_HEAD(&m->news, link);
        if (face->found(face->context, &n->v, &e))
            n->v.gone = false; /* what its taker cannot use is passed over */
        arena_free(n->arena);
        free(n);
    }
}

static void tell_health(struct memory *m)
{
    const struct storage_face *face = &m->storage.face;
    struct error e;

    if (m->is_away == m->space->is_away)
        return;
    m->is_away = m->space->is_away;
    error_set(&e, ERROR_STORAGE, "the storage is away");
    if (face->health)
        face->health(face->context, m->is_away ? &e : NULL);
}

static void on_turn(int fd, short what, void *context)
{
    struct memory *m = context;
    struct storage_asks asks = STAILQ_HEAD_INITIALIZER(asks);
    struct storage_ask *ask;

    (void)fd;
    (void)what;
    tell_health(m);
    if (m->space->holds)
        return;
    if (!m->is_loaded)
        load(m);
    tell_news(m);
    STAILQ_CONCAT(&asks, &m->asks);
    while ((ask = STAILQ_FIRST(&asks))) {
        STAILQ_REMOVE_HEAD(&asks, link);
        carry_out(m, ask);
        storage_answer(ask);
    }
}

static void memory_ask(struct storage *s, struct storage_ask *ask)
{
    struct memory *m = memory_of(s);

    STAILQ_INSERT_TAIL(&m->asks, ask, link);
    wake(m);
}

static void memory_close(struct storage *s)
{
    struct memory *m = memory_of(s);
    struct news *n;

    LIST_REMOVE(m, link);
    storage_drop(&m->asks);
    while ((n = STAILQ_FIRST(&m->news))) {
        STAILQ_REMOVE_HEAD(&m->news, link);
        arena_free(n->arena);
        free(n);
    }
    event_free(m->turn);
    free(m);
}

static struct storage *memory_open(struct event_base *base, const struct storage_options *options,
                                   const struct storage_face *face, struct error *e)
{
    struct memory *m = calloc(1, sizeof(*m));

    if (m)
        m->turn = evtimer_new(base, on_turn, m);
    if (!m || !m->turn) {
        free(m);
        error_memory(e);
        return NULL;
    }
    m->storage = (struct storage){&memory_operations, *face, options->read_only};
    m->space = options->space;
    STAILQ_INIT(&m->asks);
    STAILQ_INIT(&m->news);
    LIST_INSERT_HEAD(&m->space->open, m, link);
    wake(m);
    return &m->storage;
}

const struct storage_operations memory_operations = {
    .name = "memory",
    .open = memory_open,
    .ask = memory_ask,
    .close = memory_close,
};
