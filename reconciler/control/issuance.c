#include "reconciler/control/issuance.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/log.h"
#include "reconciler/base/map.h"
#include "reconciler/base/vec.h"
#include "reconciler/control/authority.h"
#include "reconciler/control/batch.h"
#include "reconciler/control/journal.h"
#include "reconciler/control/task.h"
#include "reconciler/io/httpc.h"
#include "reconciler/io/job.h"
#include "reconciler/pki/key.h"

/* Cookies below this are sessions' (authority number << 8 | exchange), above tasks' numbers. */
#define TASK_COOKIES ((uint64_t)1 << 40)

STAILQ_HEAD(go_list, task);

/* An authority and how many tasks hold it; the current one is held by issuance too. */
struct authority_use {
    LIST_ENTRY(authority_use) link;
    struct authority *authority;
    uint64_t number;
    size_t tasks;
    char *directory;
    bool apart;
};

struct old_token {
    char *token;
    int64_t until_ms;
};

struct old_tokens vec(struct old_token);

struct issuance {
    struct issuance_options options;
    char *preferred_chain; /* NULL = any */
    LIST_HEAD(, authority_use) authorities;
    struct authority_use *current; /* NULL: nothing is begun */
    uint64_t next_authority, next_task;
    struct map by_name;
    struct task_list queue;
    size_t queued;
    struct batch_list batches;
    size_t running;
    struct go_list released, ended;
    size_t in_flight;
    bool is_probing, probe_went_well;
    bool wants_announcement;
    int64_t progress_ms; /* steady */
    struct old_tokens old_tokens;
    struct event *turn; /* the next look, by timer or at once */
};

static struct str key_of_task(const void *item)
{
    return str_from(((const struct task *)item)->name);
}

/* Have a look in the next turn of the loop. */
static void wake(void *context)
{
    struct issuance *i = context;

    event_active(i->turn, EV_TIMEOUT, 0);
}

/* ---- authorities ---- */

static void drop_authority(struct authority_use *u)
{
    if (!u || u->tasks || u->authority == NULL)
        return;
    LIST_REMOVE(u, link);
    authority_free(u->authority);
    free(u->directory);
    free(u);
}

static void release_authority(struct issuance *i, struct task *t)
{
    struct authority_use *u = t->authority;

    t->authority = NULL;
    if (u && --u->tasks == 0 && u != i->current)
        drop_authority(u);
}

int issuance_use(struct issuance *i, const struct authority_options *options, struct error *e)
{
    struct authority_use *before = i->current, *u;
    struct authority_options with;

    if (options && before && authority_is(before->authority, options))
        return 0;
    i->current = NULL;
    drop_authority(before);
    if (!options)
        return 0;
    u = calloc(1, sizeof(*u));
    if (!u || !(u->directory = str_dup(options->directory))) {
        free(u);
        return error_memory(e);
    }
    u->number = ++i->next_authority;
    u->apart = options->apart;
    with = *options;
    with.httpc = i->options.httpc;
    with.jobs = i->options.jobs;
    with.journal = i->options.journal;
    with.store = i->options.store;
    with.cookie_base = u->number << 8;
    with.changed = wake;
    with.context = i;
    u->authority = authority_new(&with, e);
    if (!u->authority) {
        free(u->directory);
        free(u);
        return -1;
    }
    LIST_INSERT_HEAD(&i->authorities, u, link);
    i->current = u;
    wake(i);
    return 0;
}

int issuance_prefer(struct issuance *i, struct str chain, struct error *e)
{
    char *copy = chain.ptr ? str_dup(chain) : NULL;

    if (chain.ptr && !copy)
        return error_memory(e);
    free(i->preferred_chain);
    i->preferred_chain = copy;
    return 0;
}

const struct error *issuance_account_error(const struct issuance *i)
{
    return i->current ? authority_error(i->current->authority) : NULL;
}

/* ---- the end of a task ---- */

static void remember_tokens(struct issuance *i, const struct task *t)
{
    struct str token;

    for (size_t n = 0; t->order && (token = acme_order_token(t->order, n)).ptr; n++) {
        struct old_token old = {.token = str_dup(token),
                                .until_ms = clock_steady_ms() + ISSUANCE_TOKEN_GRACE_MS};
        if (!old.token || vec_push(&i->old_tokens, old))
            free(old.token); /* stays answerable: only ever our own key authorization */
    }
}

static void end_task(struct task *t)
{
    struct issuance *i = t->owner;

    t->state = TASK_ENDED;
    batch_leave(t);
    remember_tokens(i, t);
    STAILQ_INSERT_TAIL(&i->ended, t, go);
    i->options.ready(i->options.context);
}

static void fail_task(struct task *t, const struct error *e)
{
    t->failed = true;
    t->error = *e;
    end_task(t);
}

/* ---- steps ---- */

static void make_ready(struct task *t)
{
    t->state = TASK_READY;
    t->owner->progress_ms = clock_steady_ms();
    batch_is_ready(t, t->owner->progress_ms);
    wake(t->owner);
}

static void on_saved(void *context, const struct error *e)
{
    struct task *t = context;

    if (e) {
        fail_task(t, e);
        return;
    }
    t->key_is_saved = true;
    if (t->order)
        acme_order_saved(t->order);
    make_ready(t);
}

/* Journals the task as it stands. */
static void save(struct task *t)
{
    struct buf pem = BUF_SECRET(KEY_PEM_MAX);
    struct value v;
    struct error e;

    t->state = TASK_BUSY;
    if (task_value(t, t->authority->apart, str_from(t->authority->directory), &pem, &v, &e) ||
        journal_put(t->owner->options.journal, &v, 1, on_saved, t, &e))
        fail_task(t, &e);
    buf_free(&pem);
}

static int open_order(struct task *t, struct error *e)
{
    struct issuance *i = t->owner;
    const struct acme_order_options options = {
        .session = authority_session(t->authority->authority),
        .name = str_from(t->name),
        .key_type = t->key_type,
        .key = buf_view(&t->key),
        .resume = str_from(t->url),
        .preferred_chain = str_from(i->preferred_chain),
    };

    t->order = acme_order_new(&options, e);
    return t->order ? 0 : -1;
}

static void send_request(struct task *t, const struct http_request *request)
{
    struct issuance *i = t->owner;
    struct error e;

    t->state = TASK_BUSY;
    i->in_flight++;
    if (httpc_send(i->options.httpc, request, TASK_COOKIES + t->number, &e) == 0)
        return;
    i->in_flight--;
    acme_order_no_reply(t->order, &e, clock_now_ms());
    make_ready(t);
}

static void save_url(struct task *t)
{
    free(t->url);
    t->url = str_dup(acme_order_url(t->order));
    log_event(LOG_INFO, "order_created",
              LOG_FIELDS(log_cstr("name", t->name), log_cstr("order", t->url)));
    save(t);
}

static void publish(struct task *t, const struct acme_step *step)
{
    struct issuance *i = t->owner;
    struct error e;

    t->state = TASK_BUSY;
    if (i->options.token_add(i->options.context, step->token, step->answer, &e)) {
        acme_order_abandon(t->order, &e);
        make_ready(t);
        return;
    }
    t->is_publishing = true;
    t->generation = 0;
    i->wants_announcement = true;
}

/* The order's next step. False: it lacks a nonce or the account, and so will all others. */
static bool step_order(struct task *t)
{
    struct acme_step step;

    switch (acme_order_next(t->order, clock_now_ms(), &step)) {
    case ACME_SEND:
        send_request(t, &step.request);
        break;
    case ACME_SAVE:
        save_url(t);
        break;
    case ACME_PUBLISH:
        publish(t, &step);
        break;
    case ACME_WAIT:
        t->state = TASK_WAITING;
        t->wait_ms = step.at_ms;
        break;
    case ACME_DONE:
        end_task(t);
        break;
    case ACME_FAILED:
        fail_task(t, acme_order_error(t->order));
        break;
    case ACME_IN_FLIGHT:
        t->state = TASK_BUSY;
        break;
    case ACME_WAIT_SESSION:
        return false;
    }
    return true;
}

/* The task's next step; false where it has to wait for its authority. */
static bool step(struct task *t)
{
    const struct error *why;
    struct error e;

    if (!t->key_is_saved) {
        save(t);
        return true;
    }
    if (t->order)
        return step_order(t);
    if (!authority_session(t->authority->authority)) {
        why = authority_error(t->authority->authority);
        if (why)
            fail_task(t, why);
        return why != NULL;
    }
    if (open_order(t, &e)) {
        fail_task(t, &e);
        return true;
    }
    return step_order(t);
}

/* Lets the released leave, as many as there is room for. */
static void pump(struct issuance *i)
{
    struct task *t;

    while (i->in_flight < ISSUANCE_IN_FLIGHT_MAX && (t = STAILQ_FIRST(&i->released))) {
        STAILQ_REMOVE_HEAD(&i->released, go);
        if (!step(t)) {
            STAILQ_INSERT_HEAD(&i->released, t, go);
            break;
        }
    }
    if (i->wants_announcement)
        i->options.announce(i->options.context);
}

/* ---- batches ---- */

static void release(struct task *t, void *context)
{
    struct issuance *i = context;

    t->state = TASK_RELEASED;
    STAILQ_INSERT_TAIL(&i->released, t, go);
}

/* RSA keys one a job, so that the journal gets its turns between them; others all in one. */
static void run_keys(void *context)
{
    struct batch *b = context;
    struct task *t;

    TAILQ_FOREACH(t, &b->tasks, link)
    {
        if (t->state == TASK_BUSY && !batch_is_rsa(t))
            task_make_key(t);
    }
}

static void run_key(void *context)
{
    task_make_key(context);
}

static void on_key(void *context)
{
    struct task *t = context;

    if (t->failed)
        end_task(t);
    else
        make_ready(t);
}

static void on_keys(void *context)
{
    struct batch *b = context;
    struct task *t, *next;

    b->is_held = false;
    for (t = TAILQ_FIRST(&b->tasks); t; t = next) {
        next = TAILQ_NEXT(t, link);
        if (t->state == TASK_BUSY && !t->key_is_saved && !batch_is_rsa(t))
            on_key(t);
    }
    batch_drop_if_empty(b);
}

static void order_keys(struct issuance *i, struct batch *b)
{
    struct error e;
    struct task *t, *next;
    bool any = false;

    error_memory(&e);
    for (t = TAILQ_FIRST(&b->tasks); t; t = next) {
        next = TAILQ_NEXT(t, link);
        if (t->key_is_saved) {
            make_ready(t);
        } else if (!batch_is_rsa(t)) {
            t->state = TASK_BUSY;
            any = true;
        } else {
            t->state = TASK_BUSY;
            if (job_submit(i->options.jobs, run_key, on_key, t))
                fail_task(t, &e);
        }
    }
    if (!any)
        return;
    b->is_held = true;
    if (job_submit(i->options.jobs, run_keys, on_keys, b))
        on_keys(b);
}

/* Nothing runs, or it stands still: the queue's first ones may go. */
static bool may_admit(const struct issuance *i)
{
    return i->queued && i->current && !i->is_probing &&
           (!i->running || clock_steady_ms() - i->progress_ms >= ISSUANCE_STALL_MS);
}

static void admit(struct issuance *i)
{
    struct batch *b = batch_new(&i->batches, &i->running);
    struct task *t;

    if (!b)
        return; /* the queue waits for the next look */
    authority_retry(i->current->authority, clock_now());
    while (b->count < ISSUANCE_BATCH_MAX && (t = TAILQ_FIRST(&i->queue))) {
        TAILQ_REMOVE(&i->queue, t, link);
        i->queued--;
        t->authority = i->current;
        t->authority->tasks++;
        t->state = TASK_BUSY;
        batch_join(b, t);
        if (!task_resume(t, i->options.store, str_from(i->current->directory)))
            t->key_is_saved = false;
        log_event(LOG_NOTICE, t->is_renewal ? "certificate_renewing" : "certificate_ordering",
                  LOG_FIELDS(log_cstr("name", t->name), log_cstr("ca", i->current->directory),
                             log_cstr("resumed_order", t->url ? t->url : "none")));
    }
    i->progress_ms = clock_steady_ms();
    order_keys(i, b);
}

static void on_probed(void *context, const struct error *e)
{
    struct issuance *i = context;

    i->is_probing = false;
    i->probe_went_well = e == NULL;
    if (e) {
        issuance_unwant_all(i);
        i->options.storage_failed(i->options.context, e);
        return;
    }
    i->options.storage_works(i->options.context);
    if (i->queued && i->current)
        admit(i);
}

static void probe(struct issuance *i)
{
    size_t orders = i->queued < ISSUANCE_BATCH_MAX ? i->queued : ISSUANCE_BATCH_MAX;
    struct error e;

    i->is_probing = true;
    if (journal_probe(i->options.journal, orders, on_probed, i, &e))
        i->is_probing = false;
}

/* ---- the look ---- */

static void drop_old_tokens(struct issuance *i, int64_t now)
{
    bool any = false;

    for (size_t n = 0; n < i->old_tokens.len;) {
        struct old_token *old = &i->old_tokens.items[n];
        if (old->until_ms > now) {
            n++;
            continue;
        }
        i->options.token_remove(i->options.context, str_from(old->token));
        free(old->token);
        *old = i->old_tokens.items[--i->old_tokens.len];
        any = true;
    }
    if (any)
        i->options.announce(i->options.context);
}

/* Unix ms of the earliest of: a wait that ends, a batch's patience, a stall, a token's end. */
static int64_t next_look(const struct issuance *i, int64_t now_ms, int64_t steady_ms)
{
    int64_t at = batches_next(&i->batches, now_ms, steady_ms);

    if (i->queued && i->running && i->progress_ms + ISSUANCE_STALL_MS - steady_ms + now_ms < at)
        at = i->progress_ms + ISSUANCE_STALL_MS - steady_ms + now_ms;
    for (size_t n = 0; n < i->old_tokens.len; n++)
        if (i->old_tokens.items[n].until_ms - steady_ms + now_ms < at)
            at = i->old_tokens.items[n].until_ms - steady_ms + now_ms;
    return at;
}

static void look(int fd, short what, void *arg)
{
    struct issuance *i = arg;
    int64_t now_ms = clock_now_ms(), steady_ms = clock_steady_ms(), wake_ms;
    struct authority_use *u, *next;
    struct timeval wait;

    (void)fd;
    (void)what;
    drop_old_tokens(i, steady_ms);
    batches_release(&i->batches, now_ms, steady_ms, release, i);
    wake_ms = next_look(i, now_ms, steady_ms);
    pump(i);
    for (u = LIST_FIRST(&i->authorities); u; u = next) {
        next = LIST_NEXT(u, link);
        authority_run(u->authority, now_ms, &wake_ms);
    }
    pump(i); /* what the session has got on with */
    if (may_admit(i))
        i->options.ready(i->options.context);
    wake_ms = wake_ms < now_ms + 1 ? now_ms + 1 : wake_ms;
    wait = (struct timeval){(wake_ms - now_ms) / 1000, (wake_ms - now_ms) % 1000 * 1000};
    event_add(i->turn, &wait);
}

static struct authority_use *find_authority(struct issuance *i, uint64_t number)
{
    struct authority_use *u;

    LIST_FOREACH(u, &i->authorities, link)
    {
        if (u->number == number)
            return u;
    }
    return NULL;
}

void issuance_reply(struct issuance *i, const struct httpc_done *done)
{
    struct authority_use *u;
    struct task *t;

    wake(i);
    if (done->cookie < TASK_COOKIES) {
        u = find_authority(i, done->cookie >> 8);
        if (u)
            authority_reply(u->authority, done, clock_now_ms());
        return;
    }
    i->in_flight--;
    t = batches_find(&i->batches, done->cookie - TASK_COOKIES);
    if (!t)
        return;
    if (done->ok)
        acme_order_reply(t->order, &done->reply, clock_now_ms());
    else
        acme_order_no_reply(t->order, &done->error, clock_now_ms());
    make_ready(t);
}

/* ---- announcements ---- */

void issuance_announced(struct issuance *i, uint64_t generation)
{
    struct batch *b;
    struct task *t;

    i->wants_announcement = false;
    TAILQ_FOREACH(b, &i->batches, link)
    {
        TAILQ_FOREACH(t, &b->tasks, link)
        {
            if (t->is_publishing && !t->generation)
                t->generation = generation;
        }
    }
}

void issuance_acknowledged(struct issuance *i, uint64_t generation)
{
    struct batch *b;
    struct task *t;

    TAILQ_FOREACH(b, &i->batches, link)
    {
        TAILQ_FOREACH(t, &b->tasks, link)
        {
            if (!t->is_publishing || !t->generation || t->generation > generation)
                continue;
            t->is_publishing = false;
            acme_order_published(t->order);
            make_ready(t);
        }
    }
}

/* ---- the face ---- */

struct issuance *issuance_new(const struct issuance_options *options, struct error *e)
{
    struct issuance *i = calloc(1, sizeof(*i));

    if (!i || !(i->turn = evtimer_new(options->base, look, i))) {
        free(i);
        error_memory(e);
        return NULL;
    }
    i->options = *options;
    i->by_name = MAP_INIT(key_of_task, (uint64_t)clock_now_ms());
    LIST_INIT(&i->authorities);
    TAILQ_INIT(&i->queue);
    TAILQ_INIT(&i->batches);
    STAILQ_INIT(&i->released);
    STAILQ_INIT(&i->ended);
    return i;
}

void issuance_free(struct issuance *i)
{
    struct authority_use *u;
    struct task *t;
    size_t cursor = 0;

    if (!i)
        return;
    while ((t = map_next(&i->by_name, &cursor)))
        task_free(t);
    map_free(&i->by_name);
    batches_free(&i->batches);
    while ((u = LIST_FIRST(&i->authorities))) {
        u->tasks = 0;
        drop_authority(u);
    }
    for (size_t n = 0; n < i->old_tokens.len; n++)
        free(i->old_tokens.items[n].token);
    vec_free(&i->old_tokens);
    event_free(i->turn);
    free(i->preferred_chain);
    free(i);
}

int issuance_want(struct issuance *i, struct str name, enum key_type key_type, bool is_renewal,
                  struct error *e)
{
    struct task *t;

    if (map_find(&i->by_name, name))
        return 0;
    t = task_new(i, name, key_type, is_renewal);
    if (!t || map_put(&i->by_name, t)) {
        task_free(t);
        return error_memory(e);
    }
    t->number = ++i->next_task;
    TAILQ_INSERT_TAIL(&i->queue, t, link);
    i->queued++;
    wake(i);
    return 0;
}

void issuance_unwant(struct issuance *i, struct str name)
{
    struct task *t = map_find(&i->by_name, name);

    if (!t || t->state != TASK_QUEUED)
        return;
    TAILQ_REMOVE(&i->queue, t, link);
    i->queued--;
    map_take(&i->by_name, name);
    task_free(t);
}

void issuance_unwant_all(struct issuance *i)
{
    struct task *t;

    while ((t = TAILQ_FIRST(&i->queue)))
        issuance_unwant(i, str_from(t->name));
}

bool issuance_has(const struct issuance *i, struct str name)
{
    return map_find(&i->by_name, name) != NULL;
}

void issuance_close(struct issuance *i, struct str name)
{
    struct task *t = map_take(&i->by_name, name);

    if (!t)
        return;
    release_authority(i, t);
    task_free(t);
    wake(i);
}

static void hand_out(struct issuance *i, struct task *t)
{
    const struct issuance_result result = {
        .name = str_from(t->name),
        .chain = t->order ? acme_order_chain(t->order) : STR_NONE,
        .key_type = t->key_type,
        .key = buf_view(&t->key),
        .order_url = t->order ? acme_order_url(t->order) : STR_NONE,
        .directory = str_from(t->authority->directory),
        .apart = t->authority->apart,
        .is_renewal = t->is_renewal,
    };

    if (t->failed)
        i->options.failed(i->options.context, &result, &t->error,
                          !t->order || acme_order_is_resumable(t->order));
    else
        i->options.issued(i->options.context, &result);
}

void issuance_deliver(struct issuance *i)
{
    struct task *t;

    while ((t = STAILQ_FIRST(&i->ended))) {
        STAILQ_REMOVE_HEAD(&i->ended, go);
        hand_out(i, t);
    }
    if (may_admit(i))
        probe(i);
}

size_t issuance_queued(const struct issuance *i)
{
    return i->queued;
}

size_t issuance_running(const struct issuance *i)
{
    return i->running;
}
