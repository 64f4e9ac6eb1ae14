#include "reconciler/issue/task_keys.h"

#include <stdlib.h>

#include "reconciler/issue/issuance_private.h"
#include "reconciler/issue/step.h"
#include "reconciler/io/job.h"

/* Those that are made quickly: one job for all of a batch. */
struct key_job {
    size_t count;
    struct task *tasks[];
};

static void run_keys(void *context)
{
    struct key_job *job = context;

    for (size_t n = 0; n < job->count; n++)
        task_make_key(job->tasks[n]);
}

static void key_is_made(struct task *t)
{
    if (t->failed)
        step_end(t);
    else
        step_ready(t);
}

static void on_keys(void *context)
{
    struct key_job *job = context;

    for (size_t n = 0; n < job->count; n++)
        key_is_made(job->tasks[n]);
    free(job);
}

static void make_quick_keys(struct issuance *i, struct key_job *job)
{
    struct error e;

    if (job->count && job_submit(i->options.jobs, run_keys, on_keys, job) == 0)
        return;
    error_memory(&e);
    for (size_t n = 0; n < job->count; n++)
        step_fail(job->tasks[n], &e);
    free(job);
}

/* One that takes long is a job alone, and no other waits behind it: what is more urgent when it is
 * made goes next. */
struct slow_key {
    struct task *task;
};

static void make_next_key(struct issuance *i);

static void run_slow_key(void *context)
{
    task_make_key(((struct slow_key *)context)->task);
}

static void on_slow_key(void *context)
{
    struct task *t = ((struct slow_key *)context)->task;
    struct issuance *i = t->owner;

    free(context);
    i->is_making_key = false;
    key_is_made(t);
    make_next_key(i);
}

static void make_next_key(struct issuance *i)
{
    struct error e;
    struct task *t;

    while (!i->is_making_key && (t = urgent_take(&i->keyless))) {
        struct slow_key *job = malloc(sizeof(*job));
        if (job) {
            job->task = t;
            i->is_making_key =
                job_submit_slow(i->options.jobs, run_slow_key, on_slow_key, job) == 0;
        }
        if (i->is_making_key)
            return;
        free(job);
        error_memory(&e);
        step_fail(t, &e);
    }
}

void task_keys_make(struct issuance *i, struct task *const *tasks, size_t count)
{
    struct key_job *quick = calloc(1, sizeof(*quick) + count * sizeof(struct task *));
    struct error e;

    error_memory(&e);
    for (size_t n = 0; n < count; n++) {
        if (tasks[n]->key.len)
            step_ready(tasks[n]);
        else if (batch_is_rsa(tasks[n]))
            urgent_put(&i->keyless, tasks[n]);
        else if (quick)
            quick->tasks[quick->count++] = tasks[n];
        else
            step_fail(tasks[n], &e);
    }
    if (quick)
        make_quick_keys(i, quick);
    make_next_key(i);
}
