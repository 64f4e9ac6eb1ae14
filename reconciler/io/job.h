#pragma once

#include "reconciler/base/error.h"

struct event_base;

/*
 * The one background thread of control: what would hold the loop up (parsing, RSA keys, fsync,
 * merging segments) runs there, one job after the other, in the order of submission. Slow jobs are
 * begun only when no other waits: a file's thousand RSA keys hold up neither its next edit nor the
 * journal.
 */
struct job_thread;

/* The thread, its completions delivered on `base`'s loop. NULL with *e. */
struct job_thread *job_start(struct event_base *base, struct error *e) MUST_CHECK;

/*
 * Runs run(context) on the thread, then done(context) on the loop. `context` belongs to the job in
 * between: nobody else touches it. 0; -1 on memory (nothing will run).
 */
int job_submit(struct job_thread *t, void (*run)(void *context), void (*done)(void *context),
               void *context) MUST_CHECK;

/*
 * The same for a slow job. `context` is one block of malloc's: job_stop frees it if the job was not
 * begun by then; it is neither run nor done.
 */
int job_submit_slow(struct job_thread *t, void (*run)(void *context), void (*done)(void *context),
                    void *context) MUST_CHECK;

/* Waits for the jobs submitted so far and delivers their completions, then ends the thread. NULL is
 * fine. */
void job_stop(struct job_thread *t);
