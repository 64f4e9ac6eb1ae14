#include "reconciler/io/job.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

struct job {
    STAILQ_ENTRY(job) link;
    void (*run)(void *context);
    void (*done)(void *context);
    void *context;
};

STAILQ_HEAD(job_list, job);

struct job_thread {
    pthread_t thread;
    pthread_mutex_t lock; /* of the lists and `stopping` */
    pthread_cond_t wake;
    struct job_list waiting, slow, finished;
    bool stopping;
    int notify; /* eventfd: something is in `finished` */
    struct event *event;
};

/* The next job, taken off its list; NULL when there is none for now. */
static struct job *take(struct job_thread *t)
{
    struct job_list *list = STAILQ_EMPTY(&t->waiting) && !t->stopping ? &t->slow : &t->waiting;
    struct job *j = STAILQ_FIRST(list);

    if (j)
        STAILQ_REMOVE_HEAD(list, link);
    return j;
}

static void *work(void *arg)
{
    struct job_thread *t = arg;
    const uint64_t one = 1;

    pthread_mutex_lock(&t->lock);
    for (;;) {
        struct job *j = take(t);
        ssize_t written;
        if (!j && t->stopping)
            break;
        if (!j) {
            pthread_cond_wait(&t->wake, &t->lock);
            continue;
        }
        pthread_mutex_unlock(&t->lock);
        j->run(j->context);
        pthread_mutex_lock(&t->lock);
        STAILQ_INSERT_TAIL(&t->finished, j, link);
        /* The counter of an eventfd cannot fill up by ones. */
        written = write(t->notify, &one, sizeof(one));
        (void)written;
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

static void deliver(struct job_thread *t)
{
    struct job_list finished = STAILQ_HEAD_INITIALIZER(finished);
    struct job *j;

    pthread_mutex_lock(&t->lock);
    STAILQ_CONCAT(&finished, &t->finished);
    pthread_mutex_unlock(&t->lock);
    while ((j = STAILQ_FIRST(&finished))) {
        STAILQ_REMOVE_HEAD(&finished, link);
        j->done(j->context);
        free(j);
    }
}

static void on_notify(int fd, short what, void *arg)
{
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof(count));

    (void)what;
    (void)got;
    deliver(arg);
}

/* Signals are the loop's: the thread starts with all of them blocked. */
static int start_thread(struct job_thread *t)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&t->thread, NULL, work, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

struct job_thread *job_start(struct event_base *base, struct error *e)
{
    struct job_thread *t = calloc(1, sizeof(*t));
    int rc;

    if (!t)
        return error_no_memory(e);
    STAILQ_INIT(&t->waiting);
    STAILQ_INIT(&t->slow);
    STAILQ_INIT(&t->finished);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, NULL);
    t->notify = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (t->notify >= 0)
        t->event = event_new(base, t->notify, EV_READ | EV_PERSIST, on_notify, t);
    rc = t->event && event_add(t->event, NULL) == 0 ? start_thread(t) : ENOMEM;
    if (rc == 0)
        return t;
    error_errno(e, ERROR_IO, rc, "cannot start the background thread");
    if (t->event)
        event_free(t->event);
    if (t->notify >= 0)
        close(t->notify);
    free(t);
    return NULL;
}

static int submit(struct job_thread *t, struct job_list *list, const struct job *job)
{
    struct job *j = malloc(sizeof(*j));

    if (!j)
        return -1;
    *j = *job;
    pthread_mutex_lock(&t->lock);
    STAILQ_INSERT_TAIL(list, j, link);
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
    return 0;
}

int job_submit(struct job_thread *t, void (*run)(void *context), void (*done)(void *context),
               void *context)
{
    return submit(t, &t->waiting, &(struct job){.run = run, .done = done, .context = context});
}

int job_submit_slow(struct job_thread *t, void (*run)(void *context), void (*done)(void *context),
                    void *context)
{
    return submit(t, &t->slow, &(struct job){.run = run, .done = done, .context = context});
}

static void drop_slow(struct job_thread *t)
{
    struct job *j;

    while ((j = STAILQ_FIRST(&t->slow))) {
        STAILQ_REMOVE_HEAD(&t->slow, link);
        free(j->context);
        free(j);
    }
}

void job_stop(struct job_thread *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->stopping = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    drop_slow(t);
    deliver(t);
    event_free(t->event);
    close(t->notify);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    free(t);
}
