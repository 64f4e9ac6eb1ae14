#include "reconciler/control/condition.h"

#include <stdio.h>
#include <string.h>

#include "reconciler/base/clock.h"
#include "reconciler/base/log.h"

static const char *const names[CONDITION_COUNT] = {
    [CONDITION_FILE_UNREADABLE] = "file_unreadable",
    [CONDITION_FILE_REFUSED] = "file_refused",
    [CONDITION_LAST_GOOD] = "last_good_file",
    [CONDITION_STORAGE] = "storage_unusable",
    [CONDITION_STORAGE_DAMAGED] = "storage_damaged",
    [CONDITION_CERTIFICATE] = "certificate_unusable",
    [CONDITION_ACCOUNT] = "account_unusable",
    [CONDITION_APPROVAL] = "approval_unusable",
    [CONDITION_APPROVAL_AWAITED] = "approval_file_awaited",
    [CONDITION_PUBLISH] = "publish_failed",
};

static void set(struct conditions *c, enum condition_id id, const char *text, enum log_level level)
{
    struct condition *x = &c->items[id];

    if (x->is_set && strncmp(x->text, text, sizeof(x->text) - 1) == 0)
        return;
    if (!x->is_set)
        x->since = clock_now();
    x->is_set = true;
    snprintf(x->text, sizeof(x->text), "%s", text);
    log_event(level, "condition_set",
              LOG_FIELDS(log_cstr("condition", names[id]), log_cstr("text", text)));
}

void condition_set(struct conditions *c, enum condition_id id, const char *text)
{
    set(c, id, text, LOG_ERROR);
}

void condition_note(struct conditions *c, enum condition_id id, const char *text)
{
    set(c, id, text, LOG_NOTICE);
}

void condition_clear(struct conditions *c, enum condition_id id)
{
    if (!c->items[id].is_set)
        return;
    c->items[id] = (struct condition){0};
    log_event(LOG_NOTICE, "condition_cleared", LOG_FIELDS(log_cstr("condition", names[id])));
}

void condition_print(const struct conditions *c, struct json_out *j)
{
    json_out_array(j);
    for (int id = 0; id < CONDITION_COUNT; id++) {
        if (!c->items[id].is_set)
            continue;
        json_out_object(j);
        json_out_member_cstr(j, "condition", names[id]);
        json_out_member_time(j, "since", c->items[id].since);
        json_out_member_cstr(j, "text", c->items[id].text);
        json_out_end(j);
    }
    json_out_end(j);
}
