#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "reconciler/base/attr.h"
#include "reconciler/issue/task.h"

/*
 * Tasks that move in step: the next one leaves when all members are ready for it, or after the
 * patience of the first of them; the late ones then form a batch of their own (design 4).
 * Private to issuance.c.
 */
TAILQ_HEAD(task_list, task);
TAILQ_HEAD(batch_list, batch);

struct batch {
    TAILQ_ENTRY(batch) link;
    struct batch_list *list;
    size_t *running; /* members of all batches of the list, by kind of urgency */
    struct task_list tasks;
    size_t count;
    int64_t first_ready_ms; /* steady; 0 = none is ready */
};

/* In `list`; NULL when memory is out. Goes by itself when the last task leaves. */
struct batch *batch_new(struct batch_list *list, size_t *running) MUST_CHECK;
void batch_join(struct batch *b, struct task *t);
void batch_leave(struct task *t); /* fine if it is in none */
void batch_is_ready(struct task *t, int64_t steady_ms);

/* Does the task's key take long to make? */
bool batch_is_rsa(const struct task *t);

/* Ends waits that are over, then calls release for every task whose batch may move. */
void batches_release(struct batch_list *list, int64_t now_ms, int64_t steady_ms,
                     void (*release)(struct task *t, void *context), void *context);
/* Unix ms at which batches_release has something to do again by time alone; an hour at most. */
int64_t batches_next(const struct batch_list *list, int64_t now_ms, int64_t steady_ms);
/* The task of that number, NULL if it has ended. */
struct task *batches_find(const struct batch_list *list, uint64_t number);
/* The batches alone; their tasks are somebody else's. */
void batches_free(struct batch_list *list);
