#include "happening.h"

#include <string.h>

#include "attr.h"
#include "clock.h"
#include "log.h"

static const struct {
    const char *word;
    enum log_level level;
    const char *sentence;
} rows[] = {
    [HAPPENING_ACCEPT_PAUSED] = {"accept_paused", LOG_WARN, NULL},
    [HAPPENING_ACCOUNT_CREATED] = {"account_created", LOG_NOTICE, "account created at {directory}"},
    [HAPPENING_ACCOUNT_FOUND] = {"account_found", LOG_NOTICE, "account found at {directory}"},
    [HAPPENING_ACCOUNT_UNUSABLE] = {"account_unusable", LOG_ERROR, NULL},
    [HAPPENING_APPROVAL_AWAITED] = {"approval_awaited", LOG_NOTICE,
                                    "names that wait for an approved plan: {names}"},
    [HAPPENING_BUDGET_FAILED] = {"budget_failed", LOG_ERROR, NULL},
    [HAPPENING_CERTIFICATE_ADOPTED] = {"certificate_adopted", LOG_NOTICE,
                                       "the stored certificate is used again"},
    [HAPPENING_CERTIFICATE_BLOCKED] = {"certificate_blocked", LOG_WARN, "blocked: {because}"},
    [HAPPENING_CERTIFICATE_EARLY] = {"certificate_early", LOG_NOTICE, NULL},
    [HAPPENING_CERTIFICATE_FAILED] = {"certificate_failed", LOG_WARN,
                                      "failed: {error}; next try {next_attempt}"},
    [HAPPENING_CERTIFICATE_NEEDLESS] = {"certificate_needless", LOG_WARN, NULL},
    [HAPPENING_CERTIFICATE_ORDERING] = {"certificate_ordering", LOG_NOTICE,
                                        "ordering a certificate from {ca}"},
    [HAPPENING_CERTIFICATE_RENEWING] = {"certificate_renewing", LOG_NOTICE,
                                        "renewing the certificate, from {ca}"},
    [HAPPENING_CERTIFICATE_RETIRED] = {"certificate_retired", LOG_NOTICE, "retired: {because}"},
    [HAPPENING_CERTIFICATE_STORED] = {"certificate_stored", LOG_NOTICE,
                                      "certificate stored, from {issuer}, until {not_after}"},
    [HAPPENING_CERTIFICATE_UNUSABLE] = {"certificate_unusable", LOG_ERROR, NULL},
    [HAPPENING_CERTIFICATES_BLOCKED] = {"certificates_blocked", LOG_WARN, NULL},
    [HAPPENING_CHANNEL_BROKEN] = {"channel_broken", LOG_ERROR, NULL},
    [HAPPENING_CHANNEL_FORMAT_FOREIGN] = {"channel_format_foreign", LOG_ERROR, NULL},
    [HAPPENING_CHANNEL_MESSAGE_UNEXPECTED] = {"channel_message_unexpected", LOG_WARN, NULL},
    [HAPPENING_CHILD_DIED] = {"child_died", LOG_INFO, "{child} died (process {child_pid})"},
    [HAPPENING_CHILD_FAILED] = {"child_failed", LOG_ERROR, NULL},
    [HAPPENING_CHILD_STARTED] = {"child_started", LOG_INFO, NULL},
    [HAPPENING_CLOCK_JUMPED] = {"clock_jumped", LOG_WARN, "the clock jumped by {seconds} seconds"},
    [HAPPENING_CONDITION_CLEARED] = {"condition_cleared", LOG_NOTICE, "{condition}: over"},
    [HAPPENING_CONDITION_SET] = {"condition_set", LOG_WARN, "{condition}: {text}"},
    [HAPPENING_CONFIG_LOADED] = {"config_loaded", LOG_NOTICE,
                                 "the file is in force, names: {names}, CA: {ca}"},
    [HAPPENING_CONFIG_PROBLEM] = {"config_problem", LOG_WARN, "{at}: {path}: {message}"},
    [HAPPENING_CONTROL_SILENT] = {"control_silent", LOG_ERROR,
                                  "control stood still and is replaced (process {child_pid})"},
    [HAPPENING_CONNECTIONS_CROWDED] = {"connections_crowded", LOG_WARN, NULL},
    [HAPPENING_CONTROL_SOCKET_MISSING] = {"control_socket_missing", LOG_WARN, NULL},
    [HAPPENING_CONTROL_SOCKET_REFUSED] = {"control_socket_refused", LOG_WARN, NULL},
    [HAPPENING_DECLARED_CERTIFICATE_EXPIRED] = {"declared_certificate_expired", LOG_WARN,
                                                "the declared certificate at {at} has expired"},
    [HAPPENING_DECLARED_CERTIFICATE_OVERRIDDEN] = {"declared_certificate_overridden", LOG_NOTICE,
                                                   "takes the place of the declared certificate"},
    [HAPPENING_DEMAND_FORGOTTEN] = {"demand_forgotten", LOG_INFO, NULL},
    [HAPPENING_DEMAND_NOT_COUNTED] = {"demand_not_counted", LOG_ERROR, NULL},
    [HAPPENING_DEMANDS_DROPPED] = {"demands_dropped", LOG_NOTICE, NULL},
    [HAPPENING_DUE_FAILED] = {"due_failed", LOG_ERROR, NULL},
    [HAPPENING_KEYS_NOT_LOCKED] = {"keys_not_locked", LOG_WARN, NULL},
    [HAPPENING_KILLING] = {"killing", LOG_WARN, NULL},
    [HAPPENING_LAST_GOOD_NOT_KEPT] = {"last_good_not_kept", LOG_WARN, NULL},
    [HAPPENING_LISTENER_FAILED] = {"listener_failed", LOG_ERROR, NULL},
    [HAPPENING_LISTENER_SKIPPED] = {"listener_skipped", LOG_NOTICE, NULL},
    [HAPPENING_LISTENING] = {"listening", LOG_NOTICE, "listening on {address} port {port} ({for})"},
    [HAPPENING_LOG_DROPPED] = {"log_dropped", LOG_WARN,
                               "nobody read this for a while, lines left out: {lines}"},
    [HAPPENING_MANIFEST_REFUSED] = {"manifest_refused", LOG_WARN, NULL},
    [HAPPENING_MERGE_FAILED] = {"merge_failed", LOG_ERROR, NULL},
    [HAPPENING_NAME_DEMANDED] = {"name_demanded", LOG_NOTICE, "asked for by a visitor"},
    [HAPPENING_NOTE] = {"note", LOG_NOTICE, "{text}"},
    [HAPPENING_OPEN_FILES_NOT_RAISED] = {"open_files_not_raised", LOG_INFO, NULL},
    [HAPPENING_ORDER_COUNTED] = {"order_counted", LOG_WARN, NULL},
    [HAPPENING_ORDER_CREATED] = {"order_created", LOG_INFO, NULL},
    [HAPPENING_ORDER_FAILED] = {"order_failed", LOG_ERROR, NULL},
    [HAPPENING_PEM_BLOCK_SKIPPED] = {"pem_block_skipped", LOG_WARN, NULL},
    [HAPPENING_PLAN_APPROVED] = {"plan_approved", LOG_NOTICE,
                                 "a plan is approved, actions: {actions}"},
    [HAPPENING_PREFIX_FLEETING] = {"prefix_fleeting", LOG_WARN, "{text}"},
    [HAPPENING_PREFIX_MISSING] = {"prefix_missing", LOG_DEBUG, NULL},
    [HAPPENING_PREFIX_TAKEN_OVER] = {"prefix_taken_over", LOG_NOTICE,
                                     "{prefix} is control's own user's now"},
    [HAPPENING_PROBE_FAILED] = {"probe_failed", LOG_ERROR, NULL},
    [HAPPENING_PUBLISH_LOST_CHANGES] = {"publish_lost_changes", LOG_CRIT, NULL},
    [HAPPENING_RECORD_FAILED] = {"record_failed", LOG_CRIT, NULL},
    [HAPPENING_RELOAD_FAILED] = {"reload_failed", LOG_ERROR, NULL},
    [HAPPENING_RESUME_FAILED] = {"resume_failed", LOG_CRIT, NULL},
    [HAPPENING_RETRY_ASKED] = {"retry_asked", LOG_NOTICE, "somebody asked for another try at once"},
    [HAPPENING_SEGMENT_REFUSED] = {"segment_refused", LOG_ERROR, NULL},
    [HAPPENING_SERVE_FAILED] = {"serve_failed", LOG_ERROR, NULL},
    [HAPPENING_SLOT_COVERED] = {"slot_covered", LOG_INFO, NULL},
    [HAPPENING_START_FAILED] = {"start_failed", LOG_CRIT, NULL},
    [HAPPENING_STOPPED] = {"stopped", LOG_NOTICE, "stopped"},
    [HAPPENING_STOPPING] = {"stopping", LOG_NOTICE, "stopping: {because}"},
    [HAPPENING_STORAGE_DAMAGED] = {"storage_damaged", LOG_ERROR, NULL},
    [HAPPENING_STORAGE_WRITE_FAILED] = {"storage_write_failed", LOG_ERROR, NULL},
    [HAPPENING_STORAGE_WRITTEN_ANEW] = {"storage_written_anew", LOG_WARN, NULL},
    [HAPPENING_SUPERVISOR_GONE] = {"supervisor_gone", LOG_NOTICE, NULL},
    [HAPPENING_SUPERVISOR_UNREACHABLE] = {"supervisor_unreachable", LOG_ERROR, NULL},
    [HAPPENING_UPGRADE_BEGINS] = {"upgrade_begins", LOG_NOTICE, NULL},
    [HAPPENING_UPGRADE_DONE] = {"upgrade_done", LOG_NOTICE, NULL},
    [HAPPENING_UPGRADE_FAILED] = {"upgrade_failed", LOG_ERROR, NULL},
    [HAPPENING_UPGRADE_REFUSED] = {"upgrade_refused", LOG_ERROR, NULL},
    [HAPPENING_UPGRADE_TAKEN_OVER] = {"upgrade_taken_over", LOG_NOTICE, NULL},
    [HAPPENING_USER_SHARED] = {"user_shared", LOG_WARN, "{because}"},
    [HAPPENING_VALIDATION_TROUBLED] = {"validation_troubled", LOG_WARN,
                                       "the CA has not given up, and reports: {error}"},
    [HAPPENING_WATCHER_MISSING] = {"watcher_missing", LOG_WARN, NULL},
    [HAPPENING_WATCHER_STOPPED] = {"watcher_stopped", LOG_WARN,
                                   "reconcert-watch was stopped and is replaced (process "
                                   "{child_pid})"},
    [HAPPENING_WORKER_CONNECTED] = {"worker_connected", LOG_INFO, NULL},
    [HAPPENING_WORKER_DOES_NOT_ACKNOWLEDGE] = {"worker_does_not_acknowledge", LOG_ERROR, NULL},
    [HAPPENING_WORKER_DRAIN_CUT] = {"worker_drain_cut", LOG_NOTICE, NULL},
    [HAPPENING_WORKER_DRAINS] = {"worker_drains", LOG_INFO, NULL},
    [HAPPENING_WORKER_FAILED] = {"worker_failed", LOG_CRIT, NULL},
    [HAPPENING_WORKER_KILLED] = {"worker_killed", LOG_WARN, NULL},
    [HAPPENING_WORKER_SILENT] = {"worker_silent", LOG_ERROR,
                                 "worker {slot} stood still and is replaced (process {pid})"},
};
_Static_assert(ARRAY_LENGTH(rows) == HAPPENING_NAMES, "a row for each name");

/* The log hears from the start. With the log's, the only mutable globals of the program. */
static struct happening_listener *first = &log_listener;

const char *happening_word(enum happening_name name)
{
    return rows[name].word;
}

const char *happening_sentence(enum happening_name name)
{
    return rows[name].sentence;
}

static void tell(const struct happening *h)
{
    for (struct happening_listener *l = first; l; l = l->next)
        if (h->level >= l->least && !l->hear(l->context, h))
            l->lost++;
}

void happening_tell_as(enum log_level level, enum happening_name name, const struct field *fields)
{
    tell(&(struct happening){name, level, clock_now(), {fields}});
}

void happening_tell(enum happening_name name, const struct field *fields)
{
    happening_tell_as(rows[name].level, name, fields);
}

void happening_tell_of(enum happening_name name, struct str about)
{
    happening_tell(name, FIELDS(field_str("name", about)));
}

void happening_tell_error(enum happening_name name, const struct error *e,
                          const struct field *fields)
{
    struct field why[7];
    size_t n = 0;

    why[n++] = field_cstr("error", e->message);
    why[n++] = field_cstr("kind", error_kind_name(e->kind));
    if (e->file[0])
        why[n++] = field_cstr(strstr(e->file, "://") ? "url" : "file", e->file);
    if (e->line)
        why[n++] = field_int("line", e->line);
    if (e->line && e->column)
        why[n++] = field_int("column", e->column);
    if (e->path[0])
        why[n++] = field_cstr("path", e->path);
    why[n] = FIELD_END;
    tell(&(struct happening){name, rows[name].level, clock_now(), {fields, why}});
}

void happening_tell_error_of(enum happening_name name, const struct error *e, struct str about)
{
    happening_tell_error(name, e, FIELDS(field_str("name", about)));
}

static struct happening_listener **place_of(const struct happening_listener *l)
{
    struct happening_listener **place = &first;

    while (*place && *place != l)
        place = &(*place)->next;
    return place;
}

void happening_listen(struct happening_listener *l)
{
    l->next = NULL;
    *place_of(NULL) = l;
}

void happening_leave(struct happening_listener *l)
{
    struct happening_listener **place = place_of(l);

    if (*place)
        *place = l->next;
}
