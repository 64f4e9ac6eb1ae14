#include "reconciler/control/reload.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/base/clock.h"
#include "reconciler/storage/last_good.h"
#include "reconciler/control/pass.h"

/* Without an event that tells its end, a write is over when it has paused for this long. */
#define RELOAD_REST_MS 1000

static bool is_restless(const struct source_set *set)
{
    int64_t age = clock_now_ms() - set->changed_ms;

    return age >= 0 && age < RELOAD_REST_MS;
}

static bool is_same(const struct loaded *l, const struct source_set *set)
{
    return l && memcmp(l->sha256, set->sha256, sizeof(l->sha256)) == 0;
}

static enum reload_outcome sweep(struct reload *r, const struct configuration_state *state)
{
    if (configuration_sweep(state, r->current, r->now, &r->plan, &r->error) ||
        pass_schedule(state, &r->plan, r->now))
        return RELOAD_FAILED;
    return RELOAD_SWEPT;
}

static bool is_unsupported(const struct model *m, struct error *e)
{
    const char *storage = load_unsupported_storage(m);

    if (!storage)
        return false;
    error_set(e, ERROR_STORAGE, "storage \"%s\" is not in this build yet: set it to shm", storage);
    snprintf(e->file, sizeof(e->file), "%s", m->files[m->acme->storage_place.file]);
    snprintf(e->path, sizeof(e->path), "config.storage");
    e->line = m->acme->storage_place.line;
    e->column = m->acme->storage_place.column;
    return true;
}

static enum reload_outcome put_in_force(struct reload *r, const struct configuration_state *state)
{
    if (is_unsupported(r->next->loaded->model, &r->error))
        return RELOAD_UNSUPPORTED;
    if (configuration_enforce(state, r->next, r->current, r->now, &r->plan, &r->error) ||
        pass_schedule(state, &r->plan, r->now))
        return RELOAD_FAILED;
    return RELOAD_READY;
}

/* Standard input is a file of ours by now (input_keep_stdin): it is read from its beginning. */
static int read_sources(const struct settings *s, struct source_set **set, struct error *e)
{
    for (size_t i = 0; i < s->declarative_config_count; i++)
        if (strcmp(s->declarative_config[i], "-") == 0)
            lseek(STDIN_FILENO, 0, SEEK_SET);
    return load_sources(s, set, e);
}

/* What differs from the generation in force and is not looked at now all the same. */
static bool is_put_off(const struct reload *r, enum reload_outcome *outcome)
{
    if (!r->is_forced && is_same(r->refused, r->set))
        *outcome = RELOAD_STILL_BAD;
    else if (r->is_poll && is_restless(r->set))
        *outcome = RELOAD_RESTLESS;
    else
        return false;
    return true;
}

/* What cannot be used leaves in force what was approved before. */
static void read_approval(struct reload *r)
{
    r->approval_error = (struct error){.kind = ERROR_NONE};
    if (r->needs_approval &&
        approval_read(r->state->settings, r->approved, &r->approval, &r->approval_error) == 0)
        r->approval_error.kind = ERROR_NONE;
}

/* Is there something to put in force? Else the outcome is there. */
static bool read_and_parse(struct reload *r)
{
    const struct configuration_state *state = r->state;
    int rc = r->from_last_good ? last_good_read(state->settings->prefix, &r->set, &r->error)
                               : read_sources(state->settings, &r->set, &r->error);

    r->outcome = RELOAD_UNREADABLE;
    if (rc)
        return false;
    if (!r->is_forced && r->current && is_same(r->current->loaded, r->set)) {
        r->outcome = RELOAD_UNCHANGED;
        return r->approval != NULL;
    }
    if (is_put_off(r, &r->outcome))
        return false;
    rc = configuration_parse(state, r->set, r->now, &r->next, &r->new_refused, &r->error);
    r->outcome = rc < 0 ? RELOAD_FAILED : RELOAD_REFUSED;
    return rc == 0;
}

/* Wiped where it takes nobody's time. */
static void drop_set(struct reload *r)
{
    source_free(r->set);
    r->set = NULL;
}

void reload_read(struct reload *r)
{
    read_approval(r);
    r->goes_on = r->sweep_only || read_and_parse(r);
    if (!r->goes_on)
        drop_set(r);
}

void reload_apply(struct reload *r)
{
    static const struct saved_plan nothing;
    struct configuration_state state = *r->state;

    if (r->approval)
        state.approved = &r->approval->plan;
    else if (r->needs_approval && !state.approved)
        state.approved = &nothing; /* its file cannot be used, and never could */
    r->outcome = r->next ? put_in_force(r, &state) : sweep(r, &state);
    if (r->outcome != RELOAD_READY)
        drop_set(r);
}

void reload_fini(struct reload *r)
{
    source_free(r->set);
    configuration_free(r->next);
    load_free(r->new_refused);
    configuration_plan_free(&r->plan);
    approval_free(r->approval);
    *r = (struct reload){0};
}
