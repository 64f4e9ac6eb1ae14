#include "reconciler/control/intake.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/log.h"
#include "reconciler/control/authority.h"
#include "reconciler/control/issuance.h"
#include "reconciler/control/last_good.h"
#include "reconciler/io/job.h"

/* The CA and account that the generation asks for. */
static int use_authority(struct control *c, struct error *e)
{
    const struct desired *desired = c->generation->desired;
    const struct acme *acme = desired->acme;
    struct authority_options options = {0};

    if (!acme || desired->block != DESIRED_FREE)
        return issuance_use(c->issuance, NULL, e);
    options.directory = desired->directory;
    options.api_uri = acme->api_uri.value;
    options.email = acme->account_email.value;
    options.apart = c->options->settings->acme_server != NULL;
    if (acme->account_key)
        options.account_key = acme->account_key->private_key.value.ptr
                                  ? acme->account_key->private_key.value
                                  : acme->account_key->jwk.value;
    options.eab_kid = acme->eab_kid;
    options.eab_hmac_key = acme->eab_hmac_key;
    if (issuance_prefer(c->issuance, acme->preferred_chain, e))
        return -1;
    return issuance_use(c->issuance, &options, e);
}

static void log_problems(const struct problems *p)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct problem *x = &p->items[i];
        char place[ERROR_PATH_MAX];
        snprintf(place, sizeof(place), "%s:%u:%u",
                 x->place.file < p->file_count ? p->files[x->place.file] : "", x->place.line,
                 x->place.column);
        log_event(x->severity == PROBLEM_ERROR ? LOG_ERROR : LOG_WARN, "config_problem",
                  LOG_FIELDS(log_cstr("at", place),
                             log_str("path", x->path.len ? x->path : STR("document")),
                             log_str("message", x->message)));
    }
}

static void note_refused(struct control *c, struct reload *r)
{
    char text[ERROR_MESSAGE_MAX];

    load_free(c->refused);
    c->refused = r->new_refused;
    r->new_refused = NULL;
    snprintf(text, sizeof(text), "the file has %zu error%s; the generation before it serves on",
             c->refused->problems.error_count, c->refused->problems.error_count == 1 ? "" : "s");
    condition_set(&c->conditions, CONDITION_FILE_REFUSED, text);
    log_problems(&c->refused->problems);
}

static void note_unreadable(struct control *c, const struct error *e)
{
    char text[ERROR_MESSAGE_MAX];

    snprintf(text, sizeof(text), "%.200s: %.300s", e->file[0] ? e->file : "the file", e->message);
    condition_set(&c->conditions, CONDITION_FILE_UNREADABLE, text);
}

static void forget_refused(struct control *c)
{
    load_free(c->refused);
    c->refused = NULL;
    condition_clear(&c->conditions, CONDITION_FILE_REFUSED);
    condition_clear(&c->conditions, CONDITION_FILE_UNREADABLE);
}

/*
 * What is done behind what is urgent, on the job thread: with the configuration's bytes, and with
 * the generation that was in force, for a large one takes longer to wipe than the loop may stand
 * still.
 */
struct afterthought {
    struct control *control;
    const char *prefix;
    struct source_set *set;
    struct generation *before;
    bool is_last_good_itself;
    char sha256[65], md5[33];
};

static void think_after(void *context)
{
    struct afterthought *a = context;
    struct error e;

    generation_free(a->before);
    if (source_md5(a->set, a->md5)) /* where OpenSSL has none: any hash will do */
        snprintf(a->md5, sizeof(a->md5), "%.32s", a->set->sha256);
    if (!a->is_last_good_itself && last_good_write(a->prefix, a->set, &e))
        log_failure(LOG_WARN, "last_good_not_kept", &e, NULL);
    source_free(a->set);
}

static void on_thought_after(void *context)
{
    struct afterthought *a = context;
    struct generation *g = a->control->generation;

    if (strcmp(g->loaded->sha256, a->sha256) == 0)
        memcpy(g->md5, a->md5, sizeof(g->md5));
    a->control->hashing--;
    event_active(a->control->turn, EV_TIMEOUT, 0); /* /status may wait for it */
    free(a);
}

static void hand_on(struct control *c, struct reload *r, struct generation *before)
{
    struct afterthought *a = malloc(sizeof(*a));

    if (a) {
        *a = (struct afterthought){.control = c,
                                   .prefix = c->options->settings->prefix,
                                   .set = r->set,
                                   .before = before,
                                   .is_last_good_itself = r->from_last_good};
        memcpy(a->sha256, r->set->sha256, sizeof(a->sha256));
    }
    if (!a || job_submit(c->jobs, think_after, on_thought_after, a)) {
        generation_free(before);
        free(a);
        return;
    }
    c->hashing++;
    r->set = NULL;
}

static void take_generation(struct control *c, struct reload *r)
{
    struct generation *before = c->generation;
    bool has_changed = before && strcmp(before->loaded->sha256, r->next->loaded->sha256) != 0;
    struct error e;

    c->generation = r->next;
    c->pass.generation = c->generation;
    r->next = NULL;
    /* Until its own is known: 32 zeros would say that nothing is loaded. */
    if (before)
        memcpy(c->generation->md5, before->md5, sizeof(before->md5));
    if (use_authority(c, &e))
        log_failure(LOG_ERROR, "account_unusable", &e, NULL);
    if (!r->from_last_good) {
        forget_refused(c);
        condition_clear(&c->conditions, CONDITION_LAST_GOOD);
    }
    if (c->generation->unusable_count)
        condition_set(&c->conditions, CONDITION_CERTIFICATE, c->generation->unusable);
    else
        condition_clear(&c->conditions, CONDITION_CERTIFICATE);
    log_problems(&c->generation->loaded->problems);
    log_event(LOG_NOTICE, "config_loaded",
              LOG_FIELDS(log_cstr("sha256", c->generation->loaded->sha256),
                         log_int("names", (int64_t)c->generation->desired->count),
                         log_cstr("ca", c->generation->desired->directory.ptr)));
    if (has_changed)
        pass_forgive(&c->pass);
    hand_on(c, r, before);
}

static void take_plan(struct control *c, struct reload *r)
{
    generation_plan_free(&c->plan);
    budget_free(c->pass.budget);
    c->plan = r->plan;
    c->plan_cursor = 0;
    c->pass.budget = c->plan.budget;
    c->plan.budget = NULL;
    r->plan = (struct generation_plan){0};
}

/* The first look finds a file that cannot be used: nothing is approved then. */
static const struct saved_plan nothing_approved;

static void take_approval(struct control *c, struct reload *r)
{
    char text[ERROR_MESSAGE_MAX];

    if (!r->needs_approval)
        return;
    if (r->approval_error.kind != ERROR_NONE) {
        snprintf(text, sizeof(text), "%.200s: %.300s", r->approval_error.file,
                 r->approval_error.message);
        condition_set(&c->conditions, CONDITION_APPROVAL, text);
    } else {
        condition_clear(&c->conditions, CONDITION_APPROVAL);
    }
    if (r->approval) {
        approval_free(c->approval);
        c->approval = r->approval;
        r->approval = NULL;
        /* A bad file must not hide an approval: what is in force is planned again. */
        if (r->outcome != RELOAD_READY && r->outcome != RELOAD_SWEPT)
            c->wants_sweep = true;
        if (c->approval->plan.count)
            log_event(LOG_NOTICE, "plan_approved",
                      LOG_FIELDS(log_int("actions", (int64_t)c->approval->plan.count)));
    }
    c->state.approved = c->approval ? &c->approval->plan : &nothing_approved;
}

/* Once for each plan that follows a change: how many names wait for somebody. */
static void log_held(const struct control *c)
{
    const struct plan *plan = c->plan.plan;
    size_t count = 0;

    for (size_t i = 0; plan && c->state.approved && i < plan->count; i++)
        count += plan->items[i].reason == REASON_APPROVAL;
    if (count)
        log_event(LOG_NOTICE, "approval_awaited", LOG_FIELDS(log_int("names", (int64_t)count)));
}

static void look_again(struct control *c)
{
    const struct timeval second = {1, 0};

    c->restless++;
    event_add(c->poll, &second);
}

void intake_take(struct control *c, struct reload *r)
{
    take_approval(c, r);
    if (r->outcome != RELOAD_RESTLESS && r->outcome != RELOAD_SWEPT)
        c->restless = 0;
    switch (r->outcome) {
    case RELOAD_RESTLESS:
        look_again(c);
        break;
    case RELOAD_UNCHANGED:
        forget_refused(c);
        break;
    case RELOAD_STILL_BAD:
        condition_clear(&c->conditions, CONDITION_FILE_UNREADABLE);
        break;
    case RELOAD_UNREADABLE:
        note_unreadable(c, &r->error);
        break;
    case RELOAD_REFUSED:
        note_refused(c, r);
        break;
    case RELOAD_UNSUPPORTED:
        condition_set(&c->conditions, CONDITION_FILE_REFUSED, r->error.message);
        break;
    case RELOAD_READY:
        take_generation(c, r);
        take_plan(c, r);
        log_held(c);
        break;
    case RELOAD_SWEPT:
        take_plan(c, r);
        break;
    case RELOAD_FAILED:
        log_failure(LOG_ERROR, "reload_failed", &r->error, NULL);
        break;
    }
}
