#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "field.h"

/*
 * What happens is told once, here, by the thread that runs the loop; who listens hears it there and
 * then. The log is the first listener (log.h). A name is for machines, and the same for the same
 * happening; with how grave it is, and a sentence for people, it is a row of the table in
 * happening.c.
 */
enum happening_name {
    HAPPENING_ACCEPT_PAUSED,
    HAPPENING_ACCOUNT_CREATED,
    HAPPENING_ACCOUNT_FOUND,
    HAPPENING_ACCOUNT_UNUSABLE,
    HAPPENING_APPROVAL_AWAITED,
    HAPPENING_BUDGET_FAILED,
    HAPPENING_CERTIFICATE_ADOPTED,
    HAPPENING_CERTIFICATE_BLOCKED,
    HAPPENING_CERTIFICATE_EARLY,
    HAPPENING_CERTIFICATE_FAILED,
    HAPPENING_CERTIFICATE_NEEDLESS,
    HAPPENING_CERTIFICATE_ORDERING,
    HAPPENING_CERTIFICATE_RENEWING,
    HAPPENING_CERTIFICATE_RETIRED,
    HAPPENING_CERTIFICATE_STORED,
    HAPPENING_CERTIFICATE_UNUSABLE,
    HAPPENING_CERTIFICATES_BLOCKED,
    HAPPENING_CHANNEL_BROKEN,
    HAPPENING_CHANNEL_FORMAT_FOREIGN,
    HAPPENING_CHANNEL_MESSAGE_UNEXPECTED,
    HAPPENING_CHILD_DIED,
    HAPPENING_CHILD_FAILED,
    HAPPENING_CHILD_STARTED,
    HAPPENING_CLOCK_JUMPED,
    HAPPENING_CONDITION_CLEARED,
    HAPPENING_CONDITION_SET,
    HAPPENING_CONFIG_LOADED,
    HAPPENING_CONFIG_PROBLEM,
    HAPPENING_CONNECTIONS_CROWDED,
    HAPPENING_CONTROL_SILENT,
    HAPPENING_CONTROL_SOCKET_MISSING,
    HAPPENING_CONTROL_SOCKET_REFUSED,
    HAPPENING_DECLARED_CERTIFICATE_EXPIRED,
    HAPPENING_DECLARED_CERTIFICATE_OVERRIDDEN,
    HAPPENING_DEMAND_FORGOTTEN,
    HAPPENING_DEMAND_NOT_COUNTED,
    HAPPENING_DEMANDS_DROPPED,
    HAPPENING_DUE_FAILED,
    HAPPENING_KEYS_NOT_LOCKED,
    HAPPENING_KILLING,
    HAPPENING_LAST_GOOD_NOT_KEPT,
    HAPPENING_LISTENER_FAILED,
    HAPPENING_LISTENER_SKIPPED,
    HAPPENING_LISTENING,
    HAPPENING_LOG_DROPPED,
    HAPPENING_MANIFEST_REFUSED,
    HAPPENING_MERGE_FAILED,
    HAPPENING_NAME_DEMANDED,
    HAPPENING_NOTE,
    HAPPENING_OPEN_FILES_NOT_RAISED,
    HAPPENING_ORDER_COUNTED,
    HAPPENING_ORDER_CREATED,
    HAPPENING_ORDER_FAILED,
    HAPPENING_PEM_BLOCK_SKIPPED,
    HAPPENING_PLAN_APPROVED,
    HAPPENING_PREFIX_FLEETING,
    HAPPENING_PREFIX_MISSING,
    HAPPENING_PREFIX_TAKEN_OVER,
    HAPPENING_PROBE_FAILED,
    HAPPENING_PUBLISH_LOST_CHANGES,
    HAPPENING_RECORD_FAILED,
    HAPPENING_RELOAD_FAILED,
    HAPPENING_RESUME_FAILED,
    HAPPENING_RETRY_ASKED,
    HAPPENING_SEGMENT_REFUSED,
    HAPPENING_SERVE_FAILED,
    HAPPENING_SLOT_COVERED,
    HAPPENING_START_FAILED,
    HAPPENING_STOPPED,
    HAPPENING_STOPPING,
    HAPPENING_STORAGE_DAMAGED,
    HAPPENING_STORAGE_WRITE_FAILED,
    HAPPENING_STORAGE_WRITTEN_ANEW,
    HAPPENING_SUPERVISOR_GONE,
    HAPPENING_SUPERVISOR_UNREACHABLE,
    HAPPENING_UPGRADE_BEGINS,
    HAPPENING_UPGRADE_DONE,
    HAPPENING_UPGRADE_FAILED,
    HAPPENING_UPGRADE_REFUSED,
    HAPPENING_UPGRADE_TAKEN_OVER,
    HAPPENING_USER_SHARED,
    HAPPENING_VALIDATION_TROUBLED,
    HAPPENING_WATCHER_MISSING,
    HAPPENING_WATCHER_STOPPED,
    HAPPENING_WORKER_CONNECTED,
    HAPPENING_WORKER_DOES_NOT_ACKNOWLEDGE,
    HAPPENING_WORKER_DRAIN_CUT,
    HAPPENING_WORKER_DRAINS,
    HAPPENING_WORKER_FAILED,
    HAPPENING_WORKER_KILLED,
    HAPPENING_WORKER_SILENT,
    HAPPENING_NAMES
};

/* How grave something is, in Kong's words. */
enum log_level { LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARN, LOG_ERROR, LOG_CRIT };

/* Lent for the call that hears of it. */
struct happening {
    enum happening_name name;
    enum log_level level;
    int64_t at;                    /* unix seconds */
    const struct field *fields[2]; /* ended each, or NULL */
};

const char *happening_word(enum happening_name name); /* "certificate_stored" */
/* {key} stands for a field's value. NULL: its word and its fields say enough. */
const char *happening_sentence(enum happening_name name);

/* `fields` end with FIELD_END; NULL: none. */
void happening_tell(enum happening_name name, const struct field *fields);
/* About a name, the field `name`, and no more. */
void happening_tell_of(enum happening_name name, struct str about);
/* With another level than the table's: the same may be grave here and nothing there. */
void happening_tell_as(enum log_level level, enum happening_name name, const struct field *fields);
/* With error, kind and place of `e` behind the fields. */
void happening_tell_error(enum happening_name name, const struct error *e,
                          const struct field *fields);
void happening_tell_error_of(enum happening_name name, const struct error *e, struct str about);

struct happening_listener {
    /*
     * Must not wait, nor tell anything. False: there was no room. That one is lost to this
     * listener, and counted; to the others it is told all the same.
     */
    bool (*hear)(void *context, const struct happening *h);
    void *context;
    enum log_level least; /* what is less grave is not for it */
    uint64_t lost;        /* for the listener to tell, and to set back */
    struct happening_listener *next;
};

/* It stays the caller's, and hears until happening_leave, the last to come last. */
void happening_listen(struct happening_listener *l);
void happening_leave(struct happening_listener *l);
