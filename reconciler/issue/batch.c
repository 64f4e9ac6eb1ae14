#include "reconciler/issue/batch.h"

#include <stdlib.h>

#include "reconciler/issue/issuance.h"

#define BATCH_LOOK_MAX_MS 3600000

struct batch *batch_new(struct batch_list *list, size_t *running)
{
    struct batch *b = calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    b->list = list;
    b->running = running;
    TAILQ_INIT(&b->tasks);
    TAILQ_INSERT_TAIL(list, b, link);
    return b;
}

void batch_join(struct batch *b, struct task *t)
{
    t->batch = b;
    TAILQ_INSERT_TAIL(&b->tasks, t, link);
    b->count++;
    b->running[t->urgency.kind]++;
}

void batch_leave(struct task *t)
{
    struct batch *b = t->batch;

    if (!b)
        return;
    t->batch = NULL;
    TAILQ_REMOVE(&b->tasks, t, link);
    b->count--;
    b->running[t->urgency.kind]--;
    if (b->count)
        return;
    TAILQ_REMOVE(b->list, b, link);
    free(b);
}

void batch_is_ready(struct task *t, int64_t steady_ms)
{
    if (!t->batch->first_ready_ms)
        t->batch->first_ready_ms = steady_ms;
}

bool batch_is_rsa(const struct task *t)
{
    return t->key_type == KEY_RSA_2048 || t->key_type == KEY_RSA_3072 ||
           t->key_type == KEY_RSA_4096;
}

static void end_waits(struct batch *b, int64_t now_ms, int64_t steady_ms)
{
    struct task *t;

    TAILQ_FOREACH(t, &b->tasks, link)
    {
        if (t->state == TASK_WAITING && t->wait_ms <= now_ms) {
            t->state = TASK_READY;
            batch_is_ready(t, steady_ms);
        }
    }
}

static bool is_late(const struct task *t)
{
    return t->state == TASK_BUSY || t->state == TASK_RELEASED;
}

/* The ready ones get a batch of their own, ahead of the late ones. */
static struct batch *split(struct batch *b)
{
    struct batch *ahead = batch_new(b->list, b->running);
    struct task *t, *next;

    if (!ahead)
        return NULL;
    for (t = TAILQ_FIRST(&b->tasks); t; t = next) {
        next = TAILQ_NEXT(t, link);
        if (is_late(t))
            continue;
        TAILQ_REMOVE(&b->tasks, t, link);
        b->count--;
        t->batch = ahead;
        TAILQ_INSERT_TAIL(&ahead->tasks, t, link);
        ahead->count++;
    }
    b->first_ready_ms = 0;
    return ahead;
}

void batches_release(struct batch_list *list, int64_t now_ms, int64_t steady_ms,
                     void (*release)(struct task *t, void *context), void *context)
{
    struct batch *b, *next, *moving;
    struct task *t;

    for (b = TAILQ_FIRST(list); b; b = next) {
        size_t late = 0;
        next = TAILQ_NEXT(b, link);
        end_waits(b, now_ms, steady_ms);
        if (!b->first_ready_ms)
            continue;
        TAILQ_FOREACH(t, &b->tasks, link)
        late += is_late(t);
        moving = b;
        if (late && steady_ms - b->first_ready_ms < ISSUANCE_PATIENCE_MS)
            continue;
        if (late && !(moving = split(b)))
            continue;
        moving->first_ready_ms = 0;
        TAILQ_FOREACH(t, &moving->tasks, link)
        {
            if (t->state == TASK_READY)
                release(t, context);
        }
    }
}

int64_t batches_next(const struct batch_list *list, int64_t now_ms, int64_t steady_ms)
{
    int64_t at = now_ms + BATCH_LOOK_MAX_MS;
    const struct batch *b;
    const struct task *t;

    TAILQ_FOREACH(b, list, link)
    {
        int64_t patience = b->first_ready_ms + ISSUANCE_PATIENCE_MS - steady_ms + now_ms;
        if (b->first_ready_ms && patience < at)
            at = patience;
        TAILQ_FOREACH(t, &b->tasks, link)
        {
            if (t->state == TASK_WAITING && t->wait_ms < at)
                at = t->wait_ms;
        }
    }
    return at;
}

struct task *batches_find(const struct batch_list *list, uint64_t number)
{
    struct batch *b;
    struct task *t;

    TAILQ_FOREACH(b, list, link)
    {
        TAILQ_FOREACH(t, &b->tasks, link)
        {
            if (t->number == number)
                return t;
        }
    }
    return NULL;
}

void batches_free(struct batch_list *list)
{
    struct batch *b;

    while ((b = TAILQ_FIRST(list))) {
        TAILQ_REMOVE(list, b, link);
        free(b);
    }
}
