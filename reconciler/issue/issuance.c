#include "reconciler/issue/issuance.h"

#include <event2/event.h>
#include <stdlib.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/happening.h"
#include "reconciler/issue/issuance_private.h"
#include "reconciler/issue/step.h"
#include "reconciler/issue/task_keys.h"
#include "reconciler/io/httpc.h"

static struct str key_of_task(const void *item)
{
    return str_from(((const struct task *)item)->key_text);
}

static struct task *find(const struct issuance *i, struct subject subject)
{
    char room[SUBJECT_KEY_MAX];

    return map_find(&i->by_name, subject_key(&subject, room));
}

int issuance_use(struct issuance *i, const struct ca *ca, struct error *e)
{
    struct authority_options options = {.httpc = i->options.httpc,
                                        .jobs = i->options.jobs,
                                        .journal = i->options.journal,
                                        .store = i->options.store,
                                        .changed = step_wake,
                                        .context = i};

    if (!ca)
        return authorities_use(&i->authorities, NULL, e);
    options.ca = *ca;
    step_wake(i);
    return authorities_use(&i->authorities, &options, e);
}

const struct error *issuance_account_error(const struct issuance *i)
{
    return i->authorities.current ? authority_trouble(i->authorities.current->authority) : NULL;
}

void issuance_retry(struct issuance *i)
{
    struct acme_client *session;

    if (!i->authorities.current)
        return;
    authority_retry(i->authorities.current->authority, INT64_MAX);
    session = authority_session(i->authorities.current->authority);
    if (session)
        acme_client_forget_limit(session);
}

/* ---- batches ---- */

static void release(struct task *t, void *context)
{
    struct issuance *i = context;

    t->state = TASK_RELEASED;
    /* What asks for nothing does not queue behind those who wait for room. */
    urgent_put(t->order && !acme_order_asks(t->order) ? &i->unasking : &i->released, t);
}

/* ---- admission ---- */

/*
 * How many of the most urgent kind that is queued may begin. Nothing as urgent is under way, or
 * nothing moves: what is less urgent holds nobody up.
 */
static size_t admissible(const struct issuance *i)
{
    const struct task *first = urgent_first(&i->queue);
    enum urgency_kind kind = first ? first->urgency.kind : URGENCY_KINDS;
    size_t running = 0;

    if (!first || !i->authorities.current || i->is_probing || i->is_draining)
        return 0;
    for (int k = 0; k <= (int)kind; k++)
        running += i->running[k];
    if (running && clock_steady_ms() - i->progress_ms < ISSUANCE_STALL_MS)
        return 0;
    if (kind != URGENCY_DEMANDED)
        return ISSUANCE_BATCH_MAX;
    running = i->running[URGENCY_DEMANDED];
    return running < ISSUANCE_DEMANDED_MAX ? ISSUANCE_DEMANDED_MAX - running : 0;
}

static void log_begun(const struct task *t)
{
    const struct field fields[] = {
        field_str("name", t->subject.name), field_str("ca", task_ca(t)->directory),
        t->url ? field_cstr("resumed_order", t->url) : FIELD_END, FIELD_END};

    happening_tell(t->is_renewal ? HAPPENING_CERTIFICATE_RENEWING : HAPPENING_CERTIFICATE_ORDERING,
                   fields);
}

/* The next one for a batch that `first` began: visitors' names go among themselves. */
static struct task *next_to_admit(struct issuance *i, const struct task *first)
{
    const struct task *t = urgent_first(&i->queue);

    if (!t || (first &&
               (first->urgency.kind == URGENCY_DEMANDED) != (t->urgency.kind == URGENCY_DEMANDED)))
        return NULL;
    return urgent_take(&i->queue);
}

static void admit(struct issuance *i, size_t most)
{
    struct batch *b = batch_new(&i->batches, i->running);
    struct task *tasks[ISSUANCE_BATCH_MAX], *t;
    struct acme_client *session;
    size_t count = 0;

    if (!b)
        return; /* the queue waits for the next look */
    if (!issuance_running(i))
        step_set_clock(i);
    authority_retry(i->authorities.current->authority, step_now_ms(i) / 1000);
    while (count < most && (t = next_to_admit(i, count ? tasks[0] : NULL))) {
        t->authority = authorities_hold(&i->authorities);
        t->state = TASK_BUSY;
        batch_join(b, t);
        tasks[count++] = t;
        task_take_up(t, i->options.store, task_ca(t), clock_now());
        log_begun(t);
    }
    i->progress_ms = clock_steady_ms();
    session = authority_session(i->authorities.current->authority);
    if (session)
        acme_client_want_nonces(session, count);
    task_keys_make(i, tasks, count);
}

static void on_probed(void *context, const struct error *e)
{
    struct issuance *i = context;
    size_t most;

    i->is_probing = false;
    if (e) {
        issuance_unwant_all(i);
        i->options.storage_failed(i->options.context, e);
        return;
    }
    i->options.storage_works(i->options.context);
    most = admissible(i);
    if (most)
        admit(i, most);
}

static void probe(struct issuance *i, size_t most)
{
    size_t orders = i->queue.count < most ? i->queue.count : most;
    struct error e;

    i->is_probing = true;
    if (i->options.journal.probe(i->options.journal.context, orders, on_probed, i, &e))
        i->is_probing = false;
}

/* ---- the look ---- */

static void end_graces(struct issuance *i, int64_t now)
{
    for (size_t n = 0; n < i->graces.len;) {
        struct grace *g = &i->graces.items[n];
        if (g->until_ms > now) {
            n++;
            continue;
        }
        i->options.solver.cleanup(i->options.solver.context, g->owner);
        *g = i->graces.items[--i->graces.len];
    }
}

/* Unix ms of the earliest of: a wait that ends, a batch's patience, a stall, a grace's end. */
static int64_t next_look(const struct issuance *i, int64_t now_ms, int64_t steady_ms)
{
    int64_t at = batches_next(&i->batches, now_ms, steady_ms);

    if (i->queue.count && !i->is_draining && issuance_running(i) &&
        i->progress_ms + ISSUANCE_STALL_MS - steady_ms + now_ms < at)
        at = i->progress_ms + ISSUANCE_STALL_MS - steady_ms + now_ms;
    for (size_t n = 0; n < i->graces.len; n++)
        if (i->graces.items[n].until_ms - steady_ms + now_ms < at)
            at = i->graces.items[n].until_ms - steady_ms + now_ms;
    return at;
}

static void look(int fd, short what, void *arg)
{
    struct issuance *i = arg;
    int64_t now_ms = step_now_ms(i), steady_ms = clock_steady_ms(), wake_ms = INT64_MAX, next;
    struct timeval wait;

    (void)fd;
    (void)what;
    end_graces(i, steady_ms);
    batches_release(&i->batches, now_ms, steady_ms, release, i);
    step_pump(i);
    authorities_run(&i->authorities, now_ms, &wake_ms);
    step_pump(i); /* what the session has got on with */
    if (admissible(i) || (i->is_draining && issuance_is_drained(i)))
        i->options.ready(i->options.context);
    next = next_look(i, now_ms, steady_ms);
    wake_ms = next < wake_ms ? next : wake_ms;
    wake_ms = wake_ms < now_ms + 1 ? now_ms + 1 : wake_ms;
    wait = (struct timeval){(wake_ms - now_ms) / 1000, (wake_ms - now_ms) % 1000 * 1000};
    event_add(i->turn, &wait);
}

void issuance_reply(struct issuance *i, const struct httpc_done *done)
{
    struct task *t;

    step_wake(i);
    if (done->cookie < AUTHORITIES_COOKIES) {
        authorities_reply(&i->authorities, done, step_now_ms(i));
        return;
    }
    i->in_flight--;
    t = batches_find(&i->batches, done->cookie - AUTHORITIES_COOKIES);
    if (!t)
        return;
    if (done->ok)
        acme_order_reply(t->order, &done->reply, step_now_ms(i));
    else
        acme_order_no_reply(t->order, &done->error, step_now_ms(i));
    step_ready(t);
}

void issuance_presented(struct issuance *i, uint64_t owner)
{
    struct task *t = batches_find(&i->batches, owner);

    if (!t || !t->is_publishing)
        return;
    t->is_publishing = false;
    acme_order_published(t->order);
    step_ready(t);
}

/* ---- the face ---- */

struct issuance *issuance_new(const struct issuance_options *options, struct error *e)
{
    struct issuance *i = calloc(1, sizeof(*i));

    if (!i || !(i->turn = evtimer_new(options->base, look, i))) {
        free(i);
        return error_no_memory(e);
    }
    i->options = *options;
    step_set_clock(i);
    i->by_name = MAP_INIT(key_of_task, (uint64_t)clock_now_ms());
    urgent_init(&i->queue);
    urgent_init(&i->keyless);
    urgent_init(&i->released);
    TAILQ_INIT(&i->batches);
    urgent_init(&i->unasking);
    urgent_init(&i->ahead);
    TAILQ_INIT(&i->ended);
    return i;
}

void issuance_free(struct issuance *i)
{
    struct task *t;
    size_t cursor = 0;

    if (!i)
        return;
    while ((t = map_next(&i->by_name, &cursor)))
        task_free(t);
    map_free(&i->by_name);
    batches_free(&i->batches);
    authorities_free(&i->authorities);
    vec_free(&i->graces);
    event_free(i->turn);
    free(i);
}

static int want_anew(struct issuance *i, const struct issuance_wish *wish, struct error *e)
{
    struct task *t = task_new(i, wish);

    if (!t || map_put(&i->by_name, t)) {
        task_free(t);
        return error_memory(e);
    }
    t->number = ++i->next_task;
    urgent_put(&i->queue, t);
    step_wake(i);
    return 0;
}

int issuance_want(struct issuance *i, const struct issuance_wish *wish, struct error *e)
{
    struct task *t = find(i, wish->subject);

    if (!t)
        return want_anew(i, wish, e);
    if (t->state != TASK_QUEUED || urgency_compare(&t->urgency, &wish->urgency) == 0)
        return 0;
    urgent_remove(&i->queue, t);
    t->urgency = wish->urgency;
    urgent_put(&i->queue, t);
    step_wake(i);
    return 0;
}

void issuance_unwant(struct issuance *i, struct subject subject)
{
    struct task *t = find(i, subject);

    if (!t || t->state != TASK_QUEUED)
        return;
    urgent_remove(&i->queue, t);
    map_take(&i->by_name, key_of_task(t));
    task_free(t);
}

void issuance_unwant_all(struct issuance *i)
{
    struct task *t;

    while ((t = urgent_first(&i->queue)))
        issuance_unwant(i, t->subject);
}

bool issuance_has(const struct issuance *i, struct subject subject)
{
    return find(i, subject) != NULL;
}

int64_t issuance_since(const struct issuance *i, struct subject subject)
{
    const struct task *t = find(i, subject);

    return t ? t->wanted_at : 0;
}

struct str issuance_trouble(const struct issuance *i, struct subject subject)
{
    const struct task *t = find(i, subject);

    return t ? str_from(t->trouble) : STR_NONE;
}

void issuance_close(struct issuance *i, struct subject subject)
{
    struct task *t = find(i, subject);

    if (!t)
        return;
    map_take(&i->by_name, key_of_task(t));
    authorities_release(&i->authorities, t->authority);
    task_free(t);
    step_wake(i);
}

static void hand_out(struct issuance *i, struct task *t)
{
    const struct issuance_result result = {
        .subject = t->subject,
        .chain = t->chain   ? str_from(t->chain)
                 : t->order ? acme_order_chain(t->order)
                            : STR_NONE,
        .key_type = t->key_type,
        .key = buf_view(&t->key),
        .ca = task_ca(t),
        .lacks_chain = t->order && acme_order_lacks_chain(t->order),
        .order_url = t->order ? acme_order_url(t->order) : str_from(t->url),
        .ended_at = step_now_ms(i) / 1000,
        .is_renewal = t->is_renewal,
    };

    /* Others compare it with the machine's clock. */
    if (t->failed && t->error.retry_at)
        t->error.retry_at += (clock_now_ms() - step_now_ms(i)) / 1000;
    if (t->failed)
        i->options.failed(i->options.context, &result, &t->error,
                          !t->order || acme_order_is_resumable(t->order));
    else
        i->options.issued(i->options.context, &result);
}

/* Whoever looks names up while the state is lent must not find a text being replaced. */
static void show_trouble(struct issuance *i)
{
    struct batch *b;
    struct task *t;

    if (!i->has_trouble)
        return;
    TAILQ_FOREACH(b, &i->batches, link)
    {
        TAILQ_FOREACH(t, &b->tasks, link)
        {
            free(t->trouble);
            t->trouble = t->told_trouble ? str_dup(str_from(t->told_trouble)) : NULL;
        }
    }
    i->has_trouble = false;
}

void issuance_deliver(struct issuance *i)
{
    struct task *t;
    size_t most;

    while ((t = TAILQ_FIRST(&i->ended))) {
        TAILQ_REMOVE(&i->ended, t, go);
        hand_out(i, t);
    }
    show_trouble(i);
    most = admissible(i);
    if (most)
        probe(i, most);
}

void issuance_drain(struct issuance *i)
{
    i->is_draining = true;
    step_wake(i);
}

static bool is_under_way(const struct task *t)
{
    switch (t->order ? acme_order_phase(t->order) : ACME_PHASE_DONE) {
    case ACME_PHASE_NEW_ORDER:
        return t->state == TASK_BUSY && !acme_order_url(t->order).ptr;
    case ACME_PHASE_CHALLENGE:
        return t->state == TASK_BUSY;
    case ACME_PHASE_VALIDATE:
        return true;
    case ACME_PHASE_DOWNLOAD:
        return t->state != TASK_WAITING;
    default:
        return false;
    }
}

bool issuance_is_drained(const struct issuance *i)
{
    const struct batch *b;
    const struct task *t;

    TAILQ_FOREACH(b, &i->batches, link)
    {
        TAILQ_FOREACH(t, &b->tasks, link)
        {
            if (is_under_way(t))
                return false;
        }
    }
    return !i->ahead.count && TAILQ_EMPTY(&i->ended);
}

size_t issuance_queued(const struct issuance *i)
{
    return i->queue.count;
}

size_t issuance_running(const struct issuance *i)
{
    size_t running = 0;

    for (size_t k = 0; k < URGENCY_KINDS; k++)
        running += i->running[k];
    return running;
}
