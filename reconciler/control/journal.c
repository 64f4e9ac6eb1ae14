#include "reconciler/control/journal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/happening.h"
#include "reconciler/storage/storage.h"
#include "reconciler/storage/value_json.h"
#include "reconciler/store/store.h"

/* What an order takes in the log, generously: key, URLs, certificate and chain. */
#define JOURNAL_BYTES_PER_ORDER ((size_t)4096)
/* Values that are with the storage at most. */
#define JOURNAL_WRITE_MAX 1024

struct entry {
    STAILQ_ENTRY(entry) link;
    struct journal *journal;
    struct arena *arena; /* holds the values; keys among them */
    struct value *values;
    struct storage_change *changes;
    size_t count;
    size_t probe_room; /* not 0: a probe, without values */
    order_journal_done *done;
    void *context;
    bool failed;
    struct error error;
};

STAILQ_HEAD(entry_list, entry);

struct journal {
    struct journal_options options;
    struct entry_list waiting;
    struct entry_list writing; /* the storage's, in the order of its answers */
    struct entry_list finished;
    struct entry_list parked; /* what the vanished storage did not take */
    struct error vanished;
    bool owes_vanished; /* nobody has been told yet */
};

static void entry_free(struct entry *x)
{
    if (!x)
        return;
    arena_free(x->arena);
    free(x);
}

struct journal *journal_new(const struct journal_options *options, struct error *e)
{
    struct journal *j = calloc(1, sizeof(*j));

    if (!j)
        return error_no_memory(e);
    j->options = *options;
    STAILQ_INIT(&j->waiting);
    STAILQ_INIT(&j->writing);
    STAILQ_INIT(&j->finished);
    STAILQ_INIT(&j->parked);
    return j;
}

static void free_all(struct entry_list *list)
{
    struct entry *x;

    while ((x = STAILQ_FIRST(list))) {
        STAILQ_REMOVE_HEAD(list, link);
        entry_free(x);
    }
}

void journal_free(struct journal *j)
{
    if (!j)
        return;
    free_all(&j->waiting);
    free_all(&j->writing);
    free_all(&j->finished);
    free_all(&j->parked);
    free(j);
}

/* ---- writing ---- */

static void start_writing(struct journal *j);

/* The first of `writing` has its answer. What the storage did not take keeps its order: a later one
 * of the same key must win. */
static void on_written(void *context, enum storage_outcome outcome, const struct error *e)
{
    struct entry *x = context;
    struct journal *j = x->journal;

    STAILQ_REMOVE_HEAD(&j->writing, link);
    if (outcome == STORAGE_VANISHED) {
        j->vanished = *e;
        j->owes_vanished = true;
        STAILQ_INSERT_TAIL(&j->parked, x, link);
    } else {
        x->failed = outcome != STORAGE_OK;
        if (x->failed)
            x->error = *e;
        STAILQ_INSERT_TAIL(&j->finished, x, link);
    }
    if (!STAILQ_EMPTY(&j->writing))
        return;
    start_writing(j);
    j->options.ready(j->options.context);
}

static int ask(struct entry *x)
{
    struct storage *s = x->journal->options.storage;

    return x->probe_room ? storage_probe(s, x->probe_room, on_written, x, &x->error)
                         : storage_put(s, x->changes, x->count, on_written, x, &x->error);
}

static void start_writing(struct journal *j)
{
    struct entry *x;
    size_t count = 0;

    if (!STAILQ_EMPTY(&j->writing) || !STAILQ_EMPTY(&j->parked))
        return;
    while ((x = STAILQ_FIRST(&j->waiting)) &&
           (count + x->count <= JOURNAL_WRITE_MAX || STAILQ_EMPTY(&j->writing))) {
        STAILQ_REMOVE_HEAD(&j->waiting, link);
        x->failed = ask(x) != 0;
        STAILQ_INSERT_TAIL(x->failed ? &j->finished : &j->writing, x, link);
        count += x->count;
    }
    if (!STAILQ_EMPTY(&j->finished))
        j->options.ready(j->options.context);
}

static struct entry *entry_new(const struct value *values, size_t count)
{
    struct entry *x = calloc(1, sizeof(*x));

    if (!x || !(x->arena = arena_new(&(struct arena_options){.secret = true})) ||
        !(x->values = arena_array(x->arena, count + 1, sizeof(*values))) ||
        !(x->changes = arena_array(x->arena, count + 1, sizeof(*x->changes))))
        goto out;
    for (; x->count < count; x->count++) {
        if (value_copy(&values[x->count], x->arena, &x->values[x->count]))
            goto out;
        x->changes[x->count].value = &x->values[x->count];
    }
    return x;
out:
    entry_free(x);
    return NULL;
}

static int enqueue(struct journal *j, struct entry *x, order_journal_done *done, void *context,
                   struct error *e)
{
    if (!x)
        return error_memory(e);
    x->journal = j;
    x->done = done;
    x->context = context;
    STAILQ_INSERT_TAIL(&j->waiting, x, link);
    start_writing(j);
    return 0;
}

int journal_put(struct journal *j, const struct value *values, size_t count,
                order_journal_done *done, void *context, struct error *e)
{
    return enqueue(j, entry_new(values, count), done, context, e);
}

int journal_probe(struct journal *j, size_t orders, order_journal_done *done, void *context,
                  struct error *e)
{
    struct entry *x = entry_new(NULL, 0);

    if (x)
        x->probe_room = (orders + 1) * JOURNAL_BYTES_PER_ORDER;
    return enqueue(j, x, done, context, e);
}

static int put_by_face(void *context, const struct value *values, size_t count,
                       order_journal_done *done, void *done_context, struct error *e)
{
    return journal_put(context, values, count, done, done_context, e);
}

static int probe_by_face(void *context, size_t orders, order_journal_done *done, void *done_context,
                         struct error *e)
{
    return journal_probe(context, orders, done, done_context, e);
}

struct order_journal journal_face(struct journal *j)
{
    return (struct order_journal){.context = j, .put = put_by_face, .probe = probe_by_face};
}

/* The store takes over what is durable. A value that it cannot take is as good as not written. */
static void apply(struct journal *j, struct entry *x)
{
    for (size_t i = 0; !x->failed && i < x->count; i++)
        if (store_apply(j->options.store, &x->values[i], &x->error))
            x->failed = true;
}

void journal_deliver(struct journal *j)
{
    struct entry_list ready = STAILQ_HEAD_INITIALIZER(ready);
    struct entry *x;

    STAILQ_CONCAT(&ready, &j->finished);
    while ((x = STAILQ_FIRST(&ready))) {
        STAILQ_REMOVE_HEAD(&ready, link);
        apply(j, x);
        if (x->done)
            x->done(x->context, x->failed ? &x->error : NULL);
        else if (x->failed)
            happening_tell_error(HAPPENING_STORAGE_WRITE_FAILED, &x->error, NULL);
        entry_free(x);
    }
    if (j->owes_vanished)
        j->options.vanished(j->options.context, &j->vanished);
    j->owes_vanished = false;
}

void journal_go_on(struct journal *j, const struct error *e)
{
    struct entry *x;

    STAILQ_FOREACH(x, &j->parked, link)
    {
        x->failed = e != NULL;
        if (e)
            x->error = *e;
    }
    if (e) {
        STAILQ_CONCAT(&j->finished, &j->parked);
        j->options.ready(j->options.context);
    } else {
        STAILQ_CONCAT(&j->parked, &j->waiting);
        STAILQ_CONCAT(&j->waiting, &j->parked);
    }
    start_writing(j);
}

bool journal_is_idle(const struct journal *j)
{
    return STAILQ_EMPTY(&j->writing) && STAILQ_EMPTY(&j->finished) &&
           (STAILQ_EMPTY(&j->waiting) || !STAILQ_EMPTY(&j->parked));
}

bool journal_is_busy(const struct journal *j)
{
    return !journal_is_idle(j) || !STAILQ_EMPTY(&j->parked);
}
