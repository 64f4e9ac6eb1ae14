#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/base/json_out.h"

/* What is wrong with the server as a whole, and since when: shown by status, logged when it
 * changes. Each has a row in condition.c: its name, and whether it is a fault. */
enum condition_id {
    CONDITION_FILE_UNREADABLE,  /* missing, or cannot be read: the old generation serves on */
    CONDITION_FILE_REFUSED,     /* invalid: the same */
    CONDITION_LAST_GOOD,        /* started from the last good file instead of the present one */
    CONDITION_STORAGE,          /* cannot be written, or vanished: no order is sent */
    CONDITION_PREFIX_OPEN,      /* others may write where we store */
    CONDITION_STORAGE_DAMAGED,  /* records were lost to corruption */
    CONDITION_CERTIFICATE,      /* a declared certificate cannot be used */
    CONDITION_DECLARED,         /* a declared certificate is not valid now: no fault of ours */
    CONDITION_MISMATCHED,       /* nor is one that is not for its SNI */
    CONDITION_ACCOUNT,          /* no account at the CA */
    CONDITION_APPROVAL,         /* the plan that approves cannot be read, or is none */
    CONDITION_APPROVAL_AWAITED, /* it is not there yet: no fault */
    CONDITION_CHAIN,            /* the CA offers no chain under the preferred issuer: no fault */
    CONDITION_PUBLISH,          /* a generation could not be announced to the workers */
    CONDITION_CLOCK,            /* the system clock is before this program was built */
    CONDITION_NEEDLESS,         /* what the CA issues is due for renewal at once */
    CONDITION_RETRY_AFTER,      /* the CA asks for longer waits than there is time for */
    CONDITION_ACCOUNT_LIMITED,  /* the CA wants no more orders of the account for now */
    CONDITION_BREAKER,          /* more was ordered than can be explained: nothing is any more */
    CONDITION_DEMANDS,          /* visitors ask for more names than may wait: no fault */
    CONDITION_COUNT
};

enum condition_level {
    CONDITION_FAULT, /* somebody has to do something: `status --exit-code` says so */
    CONDITION_NOTE   /* has to be known, and is as it should be */
};

struct condition {
    bool is_set;
    int64_t since;
    char text[ERROR_MESSAGE_MAX];
};

struct conditions {
    struct condition items[CONDITION_COUNT];
};

/* Logs a change, not a repetition. */
void condition_set(struct conditions *c, enum condition_id id, const char *text);
void condition_clear(struct conditions *c, enum condition_id id);
/* [{"condition","level","since","text"}] */
void condition_print(const struct conditions *c, struct json_out *j);
