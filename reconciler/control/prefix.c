#include "reconciler/control/prefix.h"

#include <event2/event.h>
#include <stdio.h>

#include "reconciler/base/channel.h"
#include "reconciler/base/happening.h"
#include "reconciler/control/control_private.h"
#include "reconciler/issue/issuance.h"
#include "reconciler/control/journal.h"
#include "reconciler/admin/status.h"
#include "reconciler/io/job.h"
#include "reconciler/storage/last_good.h"
#include "reconciler/storage/presence.h"
#include "reconciler/storage/storage.h"
#include "reconciler/store/store.h"

static void retry_in(struct control *c, int64_t seconds)
{
    const struct timeval wait = {seconds, 0};

    event_add(c->storage_retry, &wait);
}

static void tell(struct control *c, const char *text)
{
    snprintf(c->storage_error, sizeof(c->storage_error), "%s", text);
    condition_set(&c->conditions, CONDITION_STORAGE, text);
}

void prefix_failed(void *control, const struct error *e)
{
    struct control *c = control;

    /* Why it cannot be written anew says more. */
    if (c->care.is_lost)
        return;
    tell(c, e->message);
    issuance_unwant_all(c->issuance);
    c->care.wants_restore = true;
    retry_in(c, PREFIX_RETRY_SECONDS);
    event_active(c->turn, EV_TIMEOUT, 0);
}

void prefix_vanished(void *control, const struct error *e)
{
    ((struct control *)control)->care.has_vanished = true;
    prefix_failed(control, e);
}

void prefix_works(void *control)
{
    struct control *c = control;

    if (!c->storage_error[0])
        return;
    c->storage_error[0] = '\0';
    condition_clear(&c->conditions, CONDITION_STORAGE);
    c->wants_sweep = true;
    event_active(c->turn, EV_TIMEOUT, 0);
}

static void on_probed(void *context, const struct error *e)
{
    if (e)
        prefix_failed(context, e);
    else
        prefix_works(context);
}

static void probe(struct control *c)
{
    struct error e;

    if (journal_probe(c->journal, 1, on_probed, c, &e))
        retry_in(c, PREFIX_RETRY_SECONDS);
}

void prefix_on_retry(int fd, short what, void *control)
{
    struct control *c = control;

    (void)fd;
    (void)what;
    if (!c->care.is_lost) {
        probe(c);
        return;
    }
    c->care.wants_restore = true;
    event_active(c->turn, EV_TIMEOUT, 0);
}

/* ---- the look ---- */

static void run_look(void *context)
{
    struct control *c = context;
    struct buf open = BUF_INIT(sizeof(c->care.open) - 1);

    presence_print_open(c->options->settings->prefix, &open);
    snprintf(c->care.open, sizeof(c->care.open), "%.*s", STR_ARG(buf_view(&open)));
    buf_free(&open);
}

static void on_looked(void *context)
{
    struct control *c = context;

    c->care.is_looking = false;
    if (c->care.open[0])
        condition_set(&c->conditions, CONDITION_PREFIX_OPEN, c->care.open);
    else
        condition_clear(&c->conditions, CONDITION_PREFIX_OPEN);
}

static void on_checked(void *context, enum storage_outcome outcome, const struct error *e)
{
    struct control *c = context;

    c->care.is_checking = false;
    /* Where the state is lent, the next look will tell. */
    if (outcome != STORAGE_OK && !c->is_lent && !c->storage_error[0])
        prefix_vanished(c, e);
}

void prefix_on_look(int fd, short what, void *control)
{
    struct control *c = control;
    struct error e;

    (void)fd;
    (void)what;
    if (c->is_lent || c->is_stopping)
        return;
    if (!c->care.is_looking)
        c->care.is_looking = job_submit(c->disk, run_look, on_looked, c) == 0;
    if (!c->care.is_checking)
        c->care.is_checking = storage_check(c->storage, on_checked, c, &e) == 0;
}

/* ---- the last good file ---- */

static void run_keep(void *context)
{
    struct control *c = context;
    struct error e;

    if (last_good_write(c->options->settings->prefix, c->care.keeping, &e))
        happening_tell_error(HAPPENING_LAST_GOOD_NOT_KEPT, &e, NULL);
    source_free(c->care.keeping);
}

static void on_kept(void *context)
{
    struct control *c = context;
    struct source_set *next = c->care.kept_next;

    c->care.keeping = c->care.kept_next = NULL;
    if (next)
        prefix_keep(c, next);
}

static void run_drop(void *set)
{
    source_free(set);
}

static void on_dropped(void *set)
{
    (void)set;
}

/* Wiping a large one takes longer than the loop may stand still. */
static void drop(struct control *c, struct source_set *set)
{
    if (set && (c->is_stopping || job_submit(c->jobs, run_drop, on_dropped, set)))
        source_free(set);
}

void prefix_keep(struct control *c, struct source_set *set)
{
    if (c->care.keeping) {
        drop(c, c->care.kept_next);
        c->care.kept_next = set;
        return;
    }
    c->care.keeping = set;
    if (c->disk && job_submit(c->disk, run_keep, on_kept, c) == 0)
        return;
    run_keep(c);
    c->care.keeping = NULL;
}

/* ---- writing anew ---- */

static int put_name(const struct store *s, const struct store_name *n, storage_each *put, void *to,
                    struct error *e)
{
    static bool (*const values[])(const struct store *s, const struct store_name *n,
                                  struct value *v) = {store_credential_value, store_order_value,
                                                      store_failure_value, store_demand_value};
    struct value v;

    for (size_t i = 0; i < ARRAY_LENGTH(values); i++)
        if (values[i](s, n, &v) && put(to, &v, e))
            return -1;
    return 0;
}

/* All that the store holds. */
static int put_all(void *context, storage_each *put, void *to, struct error *e)
{
    struct store *s = context;
    struct store_name *const *names;
    struct value v;
    size_t count;

    for (size_t i = 0; store_account_value(s, i, &v); i++)
        if (put(to, &v, e))
            return -1;
    names = store_sorted(s, &count);
    if (!names)
        return error_memory(e);
    for (size_t i = 0; i < count; i++)
        if (put_name(s, names[i], put, to, e))
            return -1;
    return 0;
}

/* The folder above may be root's alone: the supervisor can make one there. */
static void ask_for_folder(const struct control *c)
{
    const struct channel_message m = {.type = CHANNEL_PREFIX};
    struct error e;

    if (channel_send(c->options->supervisor, &m, -1, &e) < 0)
        happening_tell_error(HAPPENING_SUPERVISOR_UNREACHABLE, &e, NULL);
}

/* It could not be written anew. */
static void note_loss(struct control *c, const struct error *e)
{
    char text[ERROR_MESSAGE_MAX];

    snprintf(text, sizeof(text), "the prefix vanished, and cannot be written anew: %.400s",
             e->message);
    tell(c, text);
    ask_for_folder(c);
    retry_in(c, c->care.losses ? PREFIX_RESTORE_SECONDS : PREFIX_FIRST_RESTORE_SECONDS);
    /* What is under way waits for a folder, but not for ever. */
    if (++c->care.losses >= PREFIX_LOSSES_MAX)
        journal_go_on(c->journal, e);
}

/* It is there again, and whole. */
static void go_on(struct control *c)
{
    journal_go_on(c->journal, NULL);
    if (!c->care.is_gone && !c->care.losses && !c->care.has_vanished)
        return;
    c->care.losses = 0;
    c->care.has_vanished = false;
    /* It may also have come back by itself. */
    if (c->care.is_gone)
        happening_tell(HAPPENING_STORAGE_WRITTEN_ANEW,
                       FIELDS(field_cstr("because", c->care.error.message)));
    status_renew_socket(c->status);
    c->wants_reload = c->is_forced = true; /* the last good file is written with it */
    probe(c);
}

static void on_restored(void *context, enum storage_outcome outcome, const struct error *e)
{
    struct control *c = context;

    c->is_lent = false;
    c->care.is_lost = outcome != STORAGE_OK;
    if (c->care.is_lost)
        note_loss(c, e);
    else
        go_on(c);
    event_active(c->turn, EV_TIMEOUT, 0);
}

static void on_found_gone(void *context, enum storage_outcome outcome, const struct error *e)
{
    struct control *c = context;

    c->care.is_gone = outcome != STORAGE_OK;
    if (e)
        c->care.error = *e;
}

bool prefix_restore(struct control *c)
{
    struct error e;

    if (!c->care.wants_restore || !journal_is_idle(c->journal))
        return false;
    if (storage_check(c->storage, on_found_gone, c, &e) ||
        storage_restore(c->storage, put_all, c->store, on_restored, c, &e))
        return false;
    c->care.wants_restore = false;
    c->is_lent = true;
    return true;
}
