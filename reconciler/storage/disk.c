#include "disk.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "reconciler/base/arena.h"
#include "reconciler/io/job.h"

struct disk {
    struct storage storage;
    struct job_thread *jobs;
    struct event *start;
    char *prefix;
    bool is_busy;      /* the thread has what follows */
    struct file *file; /* NULL: not open */
    struct storage_asks running;
    struct storage_problems problems;
    struct error error; /* why it could not be opened or read */
    /* the loop's */
    bool is_closing;
    struct storage_asks waiting;
};

static struct disk *disk_of(struct storage *s)
{
    return (struct disk *)s;
}

/* ---- on the thread ---- */

static void run_load(void *context)
{
    struct disk *d = context;
    const struct storage_face *face = &d->storage.face;

    d->file = file_open(d->prefix, d->storage.read_only, &d->error);
    if (d->file && file_load(d->file, face->found, face->context, &d->problems, &d->error)) {
        file_close(d->file);
        d->file = NULL;
    }
}

static bool is_groupable(const struct storage_ask *ask)
{
    if (ask->question != STORAGE_PUT)
        return false;
    for (size_t i = 0; i < ask->u.put.count; i++)
        if (ask->u.put.changes[i].guard != STORAGE_ANY)
            return false;
    return true;
}

/* Puts from `first` on as one step; returns the last of them, NULL: it is alone, or refused. */
static struct storage_ask *put_together(struct disk *d, struct storage_ask *first)
{
    struct storage_ask *last = NULL;
    struct storage_change changes[DISK_GROUP_MAX];
    size_t count = 0;
    struct error e;

    for (struct storage_ask *ask = first;
         ask && is_groupable(ask) && count + ask->u.put.count <= ARRAY_LENGTH(changes);
         ask = STAILQ_NEXT(ask, link)) {
        memcpy(changes + count, ask->u.put.changes, ask->u.put.count * sizeof(*changes));
        count += ask->u.put.count;
        last = ask;
    }
    return last && last != first && file_put(d->file, changes, count, &e) == STORAGE_OK ? last
                                                                                        : NULL;
}

static int list_keys(const struct disk *d, struct storage_ask *ask)
{
    struct str *keys;
    size_t count;

    if (file_list(d->file, ask->u.list.prefix, ask->u.list.cursor, ask->arena, &keys, &count,
                  &ask->error))
        return -1;
    storage_take_keys(ask, keys, count);
    return 0;
}

static int look_up(const struct disk *d, struct storage_ask *ask)
{
    return file_get(d->file, ask->u.get.key, ask->arena, &ask->u.get.value, &ask->u.get.version,
                    &ask->error);
}

static void answer_one(struct disk *d, struct storage_ask *ask)
{
    int rc = 0;

    if (ask->question == STORAGE_PUT)
        ask->outcome = file_put(d->file, ask->u.put.changes, ask->u.put.count, &ask->error);
    else if (ask->question == STORAGE_GET)
        rc = look_up(d, ask);
    else if (ask->question == STORAGE_LIST)
        rc = list_keys(d, ask);
    else if (ask->question == STORAGE_PROBE)
        rc = file_probe(d->file, ask->u.room, &ask->error);
    else if (ask->question == STORAGE_CHECK)
        rc = file_check(d->file, &ask->error);
    else
        rc = file_restore(d->file, ask->u.restore.all, ask->u.restore.from, &ask->error);
    if (rc)
        ask->outcome = STORAGE_FAILED;
}

static void vanish(struct storage_ask *ask, const struct error *why)
{
    ask->outcome = STORAGE_VANISHED;
    ask->error = *why;
}

/* Once it is not there any more nothing more is tried: a later put of a key must not overtake an
 * earlier one. */
static void run(void *context)
{
    struct disk *d = context;
    bool is_gone = false;
    struct error why;

    for (struct storage_ask *ask = STAILQ_FIRST(&d->running); ask; ask = STAILQ_NEXT(ask, link)) {
        bool restores = ask->question == STORAGE_RESTORE;
        struct storage_ask *last = is_gone ? NULL : put_together(d, ask);
        if (last) {
            ask = last;
            continue;
        }
        if (!is_gone || restores) {
            answer_one(d, ask);
            is_gone = ask->outcome == STORAGE_FAILED && !restores && file_check(d->file, &why);
        }
        if (is_gone)
            vanish(ask, &why);
    }
}

/* ---- on the loop ---- */

static void start(struct disk *d)
{
    const struct timeval at_once = {0};

    if (!d->is_busy && !d->is_closing && !STAILQ_EMPTY(&d->waiting))
        event_add(d->start, &at_once);
}

static void on_ran(void *context)
{
    struct disk *d = context;
    struct storage_asks answers = STAILQ_HEAD_INITIALIZER(answers);
    struct storage_ask *ask;

    d->is_busy = false;
    STAILQ_CONCAT(&answers, &d->running);
    while (!d->is_closing && (ask = STAILQ_FIRST(&answers))) {
        STAILQ_REMOVE_HEAD(&answers, link);
        storage_answer(ask);
    }
    storage_drop(&answers);
    start(d);
}

/* All that was asked in a turn, together. */
static void on_start(int fd, short what, void *context)
{
    struct disk *d = context;
    struct storage_ask *ask;

    (void)fd;
    (void)what;
    if (d->is_busy)
        return;
    STAILQ_CONCAT(&d->running, &d->waiting);
    d->is_busy = true;
    if (job_submit(d->jobs, run, on_ran, d) == 0)
        return;
    STAILQ_FOREACH(ask, &d->running, link)
    {
        ask->outcome = STORAGE_FAILED;
        error_memory(&ask->error);
    }
    on_ran(d);
}

static void on_loaded(void *context)
{
    struct disk *d = context;
    const struct storage_face *face = &d->storage.face;

    if (d->is_closing)
        return;
    d->is_busy = !d->file; /* for ever: nothing can be asked */
    face->loaded(face->context, &d->problems, d->file ? NULL : &d->error);
    start(d);
}

static void disk_ask(struct storage *s, struct storage_ask *ask)
{
    struct disk *d = disk_of(s);

    STAILQ_INSERT_TAIL(&d->waiting, ask, link);
    start(d);
}

static void disk_close(struct storage *s)
{
    struct disk *d = disk_of(s);

    d->is_closing = true;
    job_stop(d->jobs);
    storage_drop(&d->waiting);
    file_close(d->file);
    storage_problems_free(&d->problems);
    if (d->start)
        event_free(d->start);
    free(d->prefix);
    free(d);
}

static struct storage *disk_open(struct event_base *base, const struct storage_options *options,
                                 const struct storage_face *face, struct error *e)
{
    struct disk *d = calloc(1, sizeof(*d));

    if (!d) {
        error_memory(e);
        return NULL;
    }
    d->storage = (struct storage){&disk_operations, *face, options->read_only};
    STAILQ_INIT(&d->waiting);
    STAILQ_INIT(&d->running);
    d->is_busy = true;
    d->prefix = str_dup(str_from(options->prefix));
    d->start = evtimer_new(base, on_start, d);
    d->jobs = d->prefix && d->start ? job_start(base, e) : NULL;
    if (d->jobs && job_submit(d->jobs, run_load, on_loaded, d) == 0)
        return &d->storage;
    if (!d->jobs || !d->prefix || !d->start)
        error_memory(e);
    disk_close(&d->storage);
    return NULL;
}

const struct storage_operations disk_operations = {
    .name = "shm",
    .is_atomic = true,
    .open = disk_open,
    .ask = disk_ask,
    .close = disk_close,
};
