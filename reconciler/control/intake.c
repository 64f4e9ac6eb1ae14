#include "reconciler/control/intake.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/happening.h"
#include "reconciler/issue/issuance.h"
#include "reconciler/control/note.h"
#include "reconciler/control/prefix.h"
#include "reconciler/control/visit.h"
#include "reconciler/core/render.h"
#include "reconciler/io/job.h"

/* Blocked names that get a line in the log; further ones are counted. */
#define INTAKE_BLOCKED_LOGGED 24

/* The CA and account that the generation asks for. */
static int use_authority(struct control *c, struct error *e)
{
    const struct desired *desired = c->generation->desired;

    if (!desired->acme || desired->block != DESIRED_FREE)
        return issuance_use(c->issuance, NULL, e);
    if (!desired->ca.preferred_chain.len)
        condition_clear(&c->conditions, CONDITION_CHAIN);
    return issuance_use(c->issuance, &desired->ca, e);
}

static void log_problems(const struct problems *p)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct problem *x = &p->items[i];
        char place[ERROR_PATH_MAX];
        snprintf(place, sizeof(place), "%s:%u:%u",
                 x->place.file < p->file_count ? p->files[x->place.file].name : "", x->place.line,
                 x->place.column);
        happening_tell_as(x->severity == PROBLEM_ERROR ? LOG_ERROR : LOG_WARN,
                          HAPPENING_CONFIG_PROBLEM,
                          FIELDS(field_cstr("at", place),
                                 field_str("path", x->path.len ? x->path : STR("document")),
                                 field_str("message", x->message)));
    }
}

void intake_log_refused(const struct reload *r)
{
    struct error e = r->error;

    if (r->outcome == RELOAD_REFUSED) {
        log_problems(&r->new_refused->problems);
        error_set(&e, ERROR_INVALID, "the file has %zu error%s",
                  r->new_refused->problems.error_count,
                  r->new_refused->problems.error_count == 1 ? "" : "s");
    }
    happening_tell_error(HAPPENING_START_FAILED, &e, NULL);
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
    condition_clear(&c->conditions, CONDITION_FILE_UNREADABLE);
    log_problems(&c->refused->problems);
}

static void note_unreadable(struct control *c, const struct error *e)
{
    char text[ERROR_MESSAGE_MAX];

    snprintf(text, sizeof(text), "%.200s: %.300s", e->file[0] ? e->file : "the file", e->message);
    condition_set(&c->conditions, CONDITION_FILE_UNREADABLE, text);
}

static void note_unsupported(struct control *c, const struct error *e)
{
    struct buf text = BUF_INIT(2 * ERROR_MESSAGE_MAX + ERROR_PATH_MAX);

    note_error(e, &text);
    condition_set(&c->conditions, CONDITION_FILE_REFUSED,
                  text.failed ? e->message : buf_view(&text).ptr);
    condition_clear(&c->conditions, CONDITION_FILE_UNREADABLE);
    buf_free(&text);
}

static void forget_refused(struct control *c)
{
    load_free(c->refused);
    c->refused = NULL;
    condition_clear(&c->conditions, CONDITION_FILE_REFUSED);
    condition_clear(&c->conditions, CONDITION_FILE_UNREADABLE);
}

/* Sets the condition, or clears it where `count` is 0. */
static void tell_of_declared(struct control *c, enum condition_id id, size_t count,
                             const char *first)
{
    if (count)
        condition_set(&c->conditions, id, first);
    else
        condition_clear(&c->conditions, id);
}

/*
 * What is done behind what is urgent, on the job thread: with the configuration's bytes, and with
 * the generation that was in force, for a large one takes longer to wipe than the loop may stand
 * still.
 */
struct afterthought {
    struct control *control;
    struct source_set *set;
    struct configuration *before;
    const struct model *model; /* in force until a later thought frees it */
    size_t mismatched_count;
    struct buf mismatched;
    bool is_last_good_itself;
    char sha256[65], md5[33];
};

static void think_after(void *context)
{
    struct afterthought *a = context;

    configuration_free(a->before);
    if (source_md5(a->set, a->md5)) /* where OpenSSL has none: any hash will do */
        snprintf(a->md5, sizeof(a->md5), "%.32s", a->set->sha256);
    a->mismatched_count = note_mismatched(a->model, STR_NONE, &a->mismatched);
    if (a->is_last_good_itself) {
        source_free(a->set);
        a->set = NULL;
    }
}

static void on_thought_after(void *context)
{
    struct afterthought *a = context;
    struct configuration *g = a->control->generation;

    if (strcmp(g->loaded->sha256, a->sha256) == 0)
        memcpy(g->md5, a->md5, sizeof(g->md5));
    tell_of_declared(a->control, CONDITION_MISMATCHED, a->mismatched_count, a->mismatched.data);
    buf_free(&a->mismatched);
    if (a->set)
        prefix_keep(a->control, a->set);
    a->control->hashing--;
    event_active(a->control->turn, EV_TIMEOUT, 0); /* /status may wait for it */
    free(a);
}

static void hand_on(struct control *c, struct reload *r, struct configuration *before)
{
    struct afterthought *a = malloc(sizeof(*a));

    if (a) {
        *a = (struct afterthought){.control = c,
                                   .set = r->set,
                                   .before = before,
                                   .model = c->generation->loaded->model,
                                   .mismatched = BUF_INIT(ERROR_MESSAGE_MAX),
                                   .is_last_good_itself = r->from_last_good};
        memcpy(a->sha256, r->set->sha256, sizeof(a->sha256));
    }
    if (!a || job_submit(c->jobs, think_after, on_thought_after, a)) {
        configuration_free(before);
        free(a);
        return;
    }
    c->hashing++;
    r->set = NULL;
}

/* Once for all that follow each other with the same ones. */
static void tell_of_gate(const struct configuration *g, const struct configuration *before)
{
    struct buf text = BUF_INIT(ERROR_MESSAGE_MAX * 4), said = BUF_INIT(ERROR_MESSAGE_MAX * 4);

    if (before)
        note_gate(before->loaded->model, before->desired, &said);
    if (note_gate(g->loaded->model, g->desired, &text) &&
        !str_equal(buf_view(&text), buf_view(&said)))
        happening_tell(HAPPENING_NOTE, FIELDS(field_str("text", buf_view(&text))));
    buf_free(&text);
    buf_free(&said);
}

static void take_generation(struct control *c, struct reload *r)
{
    struct configuration *before = c->generation;
    struct error e;

    c->generation = r->next;
    c->pass.generation = c->generation;
    r->next = NULL;
    /* Until its own is known: 32 zeros would say that nothing is loaded. */
    if (before)
        memcpy(c->generation->md5, before->md5, sizeof(before->md5));
    if (use_authority(c, &e))
        happening_tell_error(HAPPENING_ACCOUNT_UNUSABLE, &e, NULL);
    if (!r->from_last_good) {
        forget_refused(c);
        condition_clear(&c->conditions, CONDITION_LAST_GOOD);
    }
    log_problems(&c->generation->loaded->problems);
    happening_tell(HAPPENING_CONFIG_LOADED,
                   FIELDS(field_cstr("sha256", c->generation->loaded->sha256),
                          field_int("names", (int64_t)c->generation->desired->count),
                          field_str("ca", c->generation->desired->ca.directory)));
    tell_of_gate(c->generation, before);
    if (before)
        visit_review(&c->pass, r->now);
    else
        visit_restore(&c->pass, r->now);
    hand_on(c, r, before);
}

/* Those that ended between the last look and this one. */
static void tell_of_expired(struct control *c, int64_t now)
{
    const struct model *m = c->generation->loaded->model;

    for (size_t i = 0; i < m->certificate_count; i++) {
        const struct certificate *x = &m->certificates[i];
        bool is_alt_later = x->cert_alt.value.ptr && x->valid_alt.to > x->valid.to;
        int64_t end = is_alt_later ? x->valid_alt.to : x->valid.to;
        struct buf at = BUF_INIT(ERROR_PATH_MAX);

        if (end >= now || end < c->declared_until || x->unresolved.ptr)
            continue;
        render_place(m, x->entity.place, &at);
        happening_tell(
            HAPPENING_DECLARED_CERTIFICATE_EXPIRED,
            FIELDS(field_str("at", buf_view(&at)), field_cstr("not_after", clock_text(end).text)));
        buf_free(&at);
    }
    c->declared_until = now;
}

static void take_plan(struct control *c, struct reload *r)
{
    configuration_plan_free(&c->plan);
    budget_free(c->pass.budget);
    c->plan = r->plan;
    c->plan_cursor = 0;
    c->pass.budget = c->plan.budget;
    c->plan.budget = NULL;
    if (c->plan.plan) {
        c->generation->policy = c->plan.policy;
        c->generation->declared = c->plan.declared;
        tell_of_expired(c, r->now);
        tell_of_declared(c, CONDITION_CERTIFICATE, c->plan.declared.unusable_count,
                         c->plan.declared.unusable);
        tell_of_declared(c, CONDITION_DECLARED, c->plan.declared.invalid_count,
                         c->plan.declared.invalid);
    }
    if (!c->generation->policy.account_limited_until)
        condition_clear(&c->conditions, CONDITION_ACCOUNT_LIMITED);
    r->plan = (struct configuration_plan){0};
}

/* A condition about names: the first of them in words, and how many more there are. */
static void tell_of_names(struct control *c, enum condition_id id, const struct action *first,
                          size_t count, int64_t now)
{
    struct buf text = BUF_INIT(ERROR_MESSAGE_MAX * 2);

    if (!count) {
        condition_clear(&c->conditions, id);
        return;
    }
    buf_printf(&text, "%.*s: ", STR_ARG(str_slice(first->subject.name, 0, 100)));
    plan_reason_print(first, now, &text);
    text.len = text.len < ERROR_MESSAGE_MAX - 64 ? text.len : ERROR_MESSAGE_MAX - 64;
    if (count > 1)
        buf_printf(&text, "; %zu more name%s", count - 1, count == 2 ? "" : "s");
    condition_set(&c->conditions, id, buf_view(&text).ptr);
    buf_free(&text);
}

/* What the whole plan shows to be wrong with the CA. */
static void tell_of_plan(struct control *c, const struct plan *plan, int64_t now)
{
    const struct action *vain = NULL, *cut = NULL;
    size_t vain_count = 0, cut_count = 0;

    for (size_t i = 0; i < plan->count; i++) {
        const struct action *a = &plan->items[i];

        if (a->reason == REASON_NEEDLESS && !vain_count++)
            vain = a;
        if (a->asked_at && !cut_count++)
            cut = a;
    }
    tell_of_names(c, CONDITION_NEEDLESS, vain, vain_count, now);
    tell_of_names(c, CONDITION_RETRY_AFTER, cut, cut_count, now);
}

/* The first look finds a file that cannot be used: nothing is approved then. */
static const struct saved_plan nothing_approved;

static void say_approval(struct control *c, const struct error *e)
{
    const struct settings *s = c->options->settings;
    char text[ERROR_MESSAGE_MAX];

    if (e->kind == ERROR_NONE) {
        condition_clear(&c->conditions, CONDITION_APPROVAL);
        condition_clear(&c->conditions, CONDITION_APPROVAL_AWAITED);
    } else if (approval_is_awaited(s, c->approval, e)) {
        snprintf(text, sizeof(text), "waits for %.200s", settings_approve_file(s));
        condition_set(&c->conditions, CONDITION_APPROVAL_AWAITED, text);
        condition_clear(&c->conditions, CONDITION_APPROVAL);
    } else {
        snprintf(text, sizeof(text), "%.200s: %.300s", e->file, e->message);
        condition_set(&c->conditions, CONDITION_APPROVAL, text);
        condition_clear(&c->conditions, CONDITION_APPROVAL_AWAITED);
    }
}

/* What nobody had to approve is in the plan too: what is kept, and what waits for its date. */
static int64_t count_approved(const struct saved_plan *plan)
{
    int64_t count = 0;

    for (size_t i = 0; i < plan->count; i++)
        count += plan_is_deed(plan->items[i].action);
    return count;
}

static void take_approval(struct control *c, struct reload *r)
{
    if (!r->needs_approval)
        return;
    say_approval(c, &r->approval_error);
    if (r->approval) {
        approval_free(c->approval);
        c->approval = r->approval;
        r->approval = NULL;
        /* A bad file must not hide an approval: what is in force is planned again. */
        if (r->outcome != RELOAD_READY && r->outcome != RELOAD_SWEPT)
            c->wants_sweep = true;
        if (c->approval->plan.count)
            happening_tell(HAPPENING_PLAN_APPROVED,
                           FIELDS(field_int("actions", count_approved(&c->approval->plan))));
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
        happening_tell(HAPPENING_APPROVAL_AWAITED, FIELDS(field_int("names", (int64_t)count)));
}

/* Once for each change too: what will never be done as things stand, and so is never tried. */
static void log_blocked(const struct plan *plan, int64_t now)
{
    size_t count = 0;

    for (size_t i = 0; plan && i < plan->count; i++) {
        const struct action *a = &plan->items[i];
        struct buf why = BUF_INIT(ERROR_MESSAGE_MAX);

        if (a->action != PLAN_BLOCK || count++ >= INTAKE_BLOCKED_LOGGED)
            continue;
        plan_reason_print(a, now, &why);
        happening_tell(HAPPENING_CERTIFICATE_BLOCKED, FIELDS(field_str("name", a->subject.name),
                                                             field_str("because", buf_view(&why))));
        buf_free(&why);
    }
    if (count > INTAKE_BLOCKED_LOGGED)
        happening_tell(HAPPENING_CERTIFICATES_BLOCKED,
                       FIELDS(field_int("names", (int64_t)count),
                              field_int("not_listed", (int64_t)(count - INTAKE_BLOCKED_LOGGED))));
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
        note_unsupported(c, &r->error);
        break;
    case RELOAD_READY:
        take_generation(c, r);
        take_plan(c, r);
        tell_of_plan(c, c->plan.plan, r->now);
        log_held(c);
        log_blocked(c->plan.plan, r->now);
        break;
    case RELOAD_SWEPT:
        take_plan(c, r);
        tell_of_plan(c, c->plan.plan, r->now);
        break;
    case RELOAD_FAILED:
        happening_tell_error(HAPPENING_RELOAD_FAILED, &r->error, NULL);
        break;
    }
}
