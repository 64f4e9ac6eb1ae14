#include "sync.h"

#include <event2/event.h>
#include <stdlib.h>

struct storage_sync {
    struct event_base *base;
    struct storage *storage;
    storage_each *found;
    void *context;
    struct storage_problems *problems;
    bool is_answered, has_failed;
    struct error error;
};

static void take_answer(struct storage_sync *s, const struct error *e)
{
    s->is_answered = true;
    s->has_failed = e != NULL;
    if (e)
        s->error = *e;
}

static int on_found(void *context, const struct value *v, struct error *e)
{
    const struct storage_sync *s = context;

    return s->found(s->context, v, e);
}

static void on_loaded(void *context, const struct storage_problems *problems, const struct error *e)
{
    struct storage_sync *s = context;

    for (size_t i = 0; i < problems->len; i++)
        storage_problem(s->problems, &problems->items[i]);
    s->problems->total = problems->total;
    take_answer(s, e);
}

static void on_put(void *context, enum storage_outcome outcome, const struct error *e)
{
    (void)outcome; /* without a guard there is no conflict */
    take_answer(context, e);
}

static int await(struct storage_sync *s, struct error *e)
{
    while (!s->is_answered)
        event_base_loop(s->base, EVLOOP_ONCE);
    s->is_answered = false;
    if (s->has_failed)
        *e = s->error;
    return s->has_failed ? -1 : 0;
}

struct storage_sync *storage_sync_open(const struct storage_options *options, storage_each *found,
                                       void *context, struct storage_problems *problems,
                                       struct error *e)
{
    struct storage_sync *s = calloc(1, sizeof(*s));

    if (s)
        s->base = event_base_new();
    if (!s || !s->base) {
        free(s);
        error_memory(e);
        return NULL;
    }
    s->found = found;
    s->context = context;
    s->problems = problems;
    s->storage = storage_open(
        s->base, options,
        &(struct storage_face){.found = on_found, .loaded = on_loaded, .context = s}, e);
    if (s->storage && await(s, e) == 0)
        return s;
    storage_sync_close(s);
    return NULL;
}

int storage_sync_put(struct storage_sync *s, const struct value *v, struct error *e)
{
    const struct storage_change change = {.value = v};

    return storage_put(s->storage, &change, 1, on_put, s, e) ? -1 : await(s, e);
}

void storage_sync_close(struct storage_sync *s)
{
    if (!s)
        return;
    storage_close(s->storage);
    event_base_free(s->base);
    free(s);
}
