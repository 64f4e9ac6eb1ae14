#include "reconciler/control/reload.h"

#include <string.h>

#include "reconciler/control/last_good.h"
#include "reconciler/control/pass.h"

static bool is_same(const struct loaded *l, const struct source_set *set)
{
    return l && memcmp(l->sha256, set->sha256, sizeof(l->sha256)) == 0;
}

static enum reload_outcome sweep(struct reload *r)
{
    if (generation_sweep(r->state, r->current, r->now, &r->plan, &r->error) ||
        pass_schedule(r->state, &r->plan, r->now))
        return RELOAD_FAILED;
    return RELOAD_SWEPT;
}

static enum reload_outcome put_in_force(struct reload *r)
{
    const char *storage = load_unsupported_storage(r->next->loaded->model);

    if (storage) {
        error_set(&r->error, ERROR_STORAGE, "storage \"%s\" is not in this build yet", storage);
        return RELOAD_UNSUPPORTED;
    }
    if (generation_enforce(r->state, r->next, r->current, r->now, &r->plan, &r->error) ||
        pass_schedule(r->state, &r->plan, r->now))
        return RELOAD_FAILED;
    return RELOAD_READY;
}

static enum reload_outcome read_and_parse(struct reload *r)
{
    int rc = r->from_last_good ? last_good_read(r->state->settings->prefix, &r->set, &r->error)
                               : load_sources(r->state->settings, &r->set, &r->error);

    if (rc)
        return RELOAD_UNREADABLE;
    if (!r->is_forced && r->current && is_same(r->current->loaded, r->set))
        return RELOAD_UNCHANGED;
    if (!r->is_forced && is_same(r->refused, r->set))
        return RELOAD_STILL_BAD;
    rc = generation_parse(r->state, r->set, r->now, &r->next, &r->new_refused, &r->error);
    if (rc < 0)
        return RELOAD_FAILED;
    return rc ? RELOAD_REFUSED : put_in_force(r);
}

void reload_run(struct reload *r)
{
    r->outcome = r->sweep_only ? sweep(r) : read_and_parse(r);
    if (r->outcome == RELOAD_READY)
        return;
    /* Wiped here, where it takes nobody's time. */
    source_free(r->set);
    r->set = NULL;
}

void reload_fini(struct reload *r)
{
    source_free(r->set);
    generation_free(r->next);
    load_free(r->new_refused);
    generation_plan_free(&r->plan);
    *r = (struct reload){0};
}
