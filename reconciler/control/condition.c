#include "reconciler/control/condition.h"

#include <stdio.h>
#include <string.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/happening.h"

/* What is no fault has to be known all the same. */
static const struct {
    const char *name;
    enum condition_level level;
} rows[CONDITION_COUNT] = {
    [CONDITION_FILE_UNREADABLE] = {"file_unreadable", CONDITION_FAULT},
    [CONDITION_FILE_REFUSED] = {"file_refused", CONDITION_FAULT},
    [CONDITION_LAST_GOOD] = {"last_good_file", CONDITION_FAULT},
    [CONDITION_STORAGE] = {"storage_unusable", CONDITION_FAULT},
    [CONDITION_PREFIX_OPEN] = {"prefix_writable_by_others", CONDITION_NOTE},
    [CONDITION_STORAGE_DAMAGED] = {"storage_damaged", CONDITION_FAULT},
    [CONDITION_CERTIFICATE] = {"certificate_unusable", CONDITION_FAULT},
    [CONDITION_DECLARED] = {"certificate_not_valid", CONDITION_NOTE},
    [CONDITION_MISMATCHED] = {"certificate_mismatched", CONDITION_NOTE},
    [CONDITION_ACCOUNT] = {"account_unusable", CONDITION_FAULT},
    [CONDITION_APPROVAL] = {"approval_unusable", CONDITION_FAULT},
    [CONDITION_APPROVAL_AWAITED] = {"approval_file_awaited", CONDITION_NOTE},
    [CONDITION_CHAIN] = {"preferred_chain_missing", CONDITION_NOTE},
    [CONDITION_PUBLISH] = {"publish_failed", CONDITION_FAULT},
    [CONDITION_CLOCK] = {"clock_wrong", CONDITION_FAULT},
    [CONDITION_NEEDLESS] = {"certificates_needless", CONDITION_FAULT},
    [CONDITION_RETRY_AFTER] = {"retry_after_cut", CONDITION_FAULT},
    [CONDITION_ACCOUNT_LIMITED] = {"account_limited", CONDITION_FAULT},
    [CONDITION_BREAKER] = {"orders_stopped", CONDITION_FAULT},
    [CONDITION_DEMANDS] = {"demands_dropped", CONDITION_NOTE},
};

static const struct {
    const char *name;
    enum log_level log;
} levels[] = {
    [CONDITION_FAULT] = {"fault", LOG_ERROR},
    [CONDITION_NOTE] = {"note", LOG_NOTICE},
};

void condition_set(struct conditions *c, enum condition_id id, const char *text)
{
    struct condition *x = &c->items[id];

    if (x->is_set && strncmp(x->text, text, sizeof(x->text) - 1) == 0)
        return;
    if (!x->is_set)
        x->since = clock_now();
    x->is_set = true;
    snprintf(x->text, sizeof(x->text), "%s", text);
    happening_tell_as(levels[rows[id].level].log, HAPPENING_CONDITION_SET,
                      FIELDS(field_cstr("condition", rows[id].name), field_cstr("text", text)));
}

void condition_clear(struct conditions *c, enum condition_id id)
{
    if (!c->items[id].is_set)
        return;
    c->items[id] = (struct condition){0};
    happening_tell(HAPPENING_CONDITION_CLEARED, FIELDS(field_cstr("condition", rows[id].name)));
}

void condition_print(const struct conditions *c, struct json_out *j)
{
    json_out_array(j);
    for (int id = 0; id < CONDITION_COUNT; id++) {
        if (!c->items[id].is_set)
            continue;
        json_out_object(j);
        json_out_member_cstr(j, "condition", rows[id].name);
        json_out_member_cstr(j, "level", levels[rows[id].level].name);
        json_out_member_time(j, "since", c->items[id].since);
        json_out_member_cstr(j, "text", c->items[id].text);
        json_out_end(j);
    }
    json_out_end(j);
}
